"""The command: which parts are measured."""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from performance.diffusion.networks import save_networks
from performance.diffusion.precision import measure_precision
from performance.diffusion.running import Job
from performance.diffusion.speed import measure_side, print_taken

PARTS: Mapping[str, Callable[[Path], None]] = {
    **{f"{side}": partial(measure_side, side) for side in (128, 256, 512)},
    "precision": measure_precision,
}


def main(arguments: Sequence[str]) -> None:
    """Measures the parts that are named, or all, and writes them to RESULTS.md."""
    if arguments[:1] == ["one"]:
        print_taken(Job(*json.loads(arguments[2])), Path(arguments[1]))
        return
    if unknown := set(arguments) - PARTS.keys():
        sys.exit(f"{' and '.join(sorted(unknown))}: none of {', '.join(PARTS)}.")
    with tempfile.TemporaryDirectory() as folder:
        save_networks(Path(folder))
        for name in arguments or PARTS:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
