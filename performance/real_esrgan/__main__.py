"""The command: which parts are measured."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from performance.real_esrgan.memory import measure_memory, print_peak
from performance.real_esrgan.quality import measure_precision, measure_seams
from performance.real_esrgan.speed import (
    measure_estimates,
    measure_gpu,
    measure_loading,
    measure_request,
    measure_speed,
)

PARTS: Mapping[str, Callable[[], None]] = {
    "speed": measure_speed,
    "loading": measure_loading,
    "estimates": measure_estimates,
    "memory": measure_memory,
    "request": measure_request,
    "seams": measure_seams,
    "gpu": measure_gpu,
}


def main(arguments: Sequence[str]) -> None:
    """Measures the parts that are named, or all, and writes them to RESULTS.md."""
    if arguments[:1] == ["peak"]:
        print_peak(arguments[1])
        return
    for name in arguments:
        if name not in PARTS and not Path(name).is_dir():
            sys.exit(f"{name} is neither a folder nor one of {', '.join(PARTS)}.")
    for name in arguments or PARTS:
        if name in PARTS:
            PARTS[name]()
        else:  # Set5, for the cost of precision
            measure_precision(Path(name))


if __name__ == "__main__":
    main(sys.argv[1:])
