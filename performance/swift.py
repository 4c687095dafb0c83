"""Swift and SRCNN, as the product runs them, against dnn_superres' FSRCNN and against plain torch, in one run.

python -m performance.swift    with UPSCALE_WEIGHTS_DIR, where FSRCNN's files lie
"""

import sys
from collections.abc import Callable

import torch

from performance.measuring import find_network, medians, peak_megabytes, run_in_fresh_process, write_section
from performance.opencv_networks import enlarge_by_opencv
from performance.real_esrgan.networks import run_plain
from performance.scene import make_scene
from pipelines.catalog.rows import Settings, find
from pipelines.enlarge import enlarge
from pipelines.images.picture import Picture, to_uint8
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.weights import fetch as weights

# Model, scale, side, and which of its networks where it has two.
CASES = [
    *[("swift", 2, side, "none") for side in (256, 512, 1024)],
    *[("swift", scale, 512, each) for scale in (3, 4) for each in ("none", "remove")],
    *[("swift", 2, 512, each) for each in ("remove", "auto")],
    *[("srcnn", scale, 512, "") for scale in (2, 4)],
]
ABOUT = (
    "FSRCNN is `cv2.dnn_superres` on the whole picture, from and to 8 bits; torch is the same network on the whole "
    "picture in plain NCHW and float32; ours is from and to float32. Median of 9 after a warm-up, taking turns; peak "
    "memory above the loaded network, each in a fresh process, output included. Swift has two networks, of which "
    "artifacts none and remove name one; auto judges the picture first."
)


def make_jobs(key: str, scale: int, side: int, artifacts: str) -> dict[str, Callable[[], object]]:
    """The same enlargement by us, by FSRCNN, and by torch."""
    pixels, ours = make_scene(side), load(key, scale)
    settings = Settings(artifacts=artifacts or None)
    network = find_network(ours, artifacts).network
    return {
        "ours": lambda: finish(enlarge(Picture(pixels), [ours], settings)),
        "FSRCNN": enlarge_by_opencv(find("fsrcnn"), scale, to_uint8(pixels)),
        "torch": lambda: run_plain(network, pixels),
    }


def measure_row(key: str, scale: int, side: int, artifacts: str) -> list[str]:
    """One line of the table."""
    each = make_jobs(key, scale, side, artifacts)
    ours, fsrcnn, by_torch = medians(list(each.values()), repeats=9)
    memory = [_in_fresh_process(key, scale, side, artifacts, who) for who in each]
    seconds = [f"{ours:.3f}", f"{fsrcnn:.3f}", f"{ours / fsrcnn:.2f}", f"{by_torch:.3f}", f"{ours / by_torch:.2f}"]
    name = ", ".join(filter(None, (f"{key} x{scale}", artifacts)))
    return [name, f"{side}", *seconds, *(f"{peak:.0f}" for peak in memory)]


def _in_fresh_process(key: str, scale: int, side: int, artifacts: str, who: str) -> float:
    return float(run_in_fresh_process("performance.swift", key, scale, side, artifacts, who))


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
    needed = {scale: find("fsrcnn").scales[scale] for _, scale, *_ in CASES}
    if not all(each and weights.find(each) for each in needed.values()):
        sys.exit("FSRCNN's files are not here: UPSCALE_WEIGHTS_DIR says where they lie.")
    seconds = ["ours, s", "FSRCNN, s", "ours / FSRCNN", "torch, s", "ours / torch"]
    memory = ["ours, MB", "FSRCNN, MB", "torch, MB"]
    rows = [measure_row(*case) for case in CASES]
    write_section("Swift and SRCNN", ABOUT, ["model", "side, px", *seconds, *memory], rows)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    if len(sys.argv) > 1:
        key, scale, side, artifacts, who = sys.argv[1:]
        print(peak_megabytes(make_jobs(key, int(scale), int(side), artifacts)[who]))
    else:
        main()
