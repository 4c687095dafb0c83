"""Networks that others published, as the product runs them, against the plain network in torch, in one run.

python -m performance.published    with UPSCALE_WEIGHTS_DIR, where the files of SPAN, DISP, HAESR and SRGAN lie
"""

import sys
from collections.abc import Callable

import torch

from performance.measuring import find_network, medians, peak_megabytes, run_in_fresh_process, write_section
from performance.real_esrgan.networks import run_plain
from performance.scene import make_scene
from pipelines.catalog.rows import find
from pipelines.enlarge import enlarge
from pipelines.images.picture import Picture
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.weights import fetch as weights

CASES = [(key, side) for key in ("swift", "span", "disp", "srgan", "haesr") for side in (256, 512)]
SCALE = 4
REPEATS, LONG = 3, 5.0  # seconds: what takes longer is timed by its first run
ABOUT = (
    "At x4; torch is the same network on the whole picture in plain NCHW and float32, ours from and to float32. Median"
    " of 3 after a warm-up, taking turns; what takes more than five seconds once; peak memory above the loaded"
    " network, in a fresh process, output included."
)


def make_jobs(key: str, side: int) -> dict[str, Callable[[], object]]:
    """The same enlargement by us and by torch."""
    pixels, ours = make_scene(side), find_network(load(key, SCALE))
    return {
        "ours": lambda: finish(enlarge(Picture(pixels), [ours])),
        "torch": lambda: run_plain(ours.network, pixels),
    }


def measure_row(key: str, side: int) -> list[str]:
    """One line of the table, printed as well: the table is written once all lines are there."""
    each = make_jobs(key, side)
    ours, by_torch = medians(list(each.values()), REPEATS, LONG)
    memory = [float(run_in_fresh_process("performance.published", key, side, who)) for who in each]
    row = [
        key,
        f"{side}",
        f"{ours:.2f}",
        f"{by_torch:.2f}",
        f"{ours / by_torch:.2f}",
        *(f"{peak:.0f}" for peak in memory),
    ]
    print(*row, flush=True)
    return row


def is_here(key: str) -> bool:
    """Returns whether the model's file lies on this machine."""
    needed = find(key).scales[SCALE]
    return needed is not None and weights.find(needed) is not None


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
    cases = [(key, side) for key, side in CASES if is_here(key)]
    if lacking := {key for key, _ in CASES if not is_here(key)}:
        print(f"left out, whose files are not here: {', '.join(sorted(lacking))}", flush=True)
    header = ["model", "side, px", "ours, s", "torch, s", "ours / torch", "ours, MB", "torch, MB"]
    write_section("Published networks", ABOUT, header, [measure_row(*case) for case in cases])


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    if len(sys.argv) > 1:
        key, side, who = sys.argv[1:]
        print(peak_megabytes(make_jobs(key, int(side))[who]))
    else:
        main()
