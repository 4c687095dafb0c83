"""The networks of OpenCV's dnn_superres by our engine against OpenCV itself, in one run: seconds, and how far apart.

UPSCALE_WEIGHTS_DIR=FOLDER python -m performance.opencv_networks [--models espcn fsrcnn …] [--side 512]

Models whose files are not in the folder are left out. EDSR takes OpenCV minutes: it is measured at 256 px.
`python -m tests.support.tiny_graph FOLDER/EDSR_x2.pb` writes a graph of its size with drawn parameters.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from performance.measuring import medians, write_section
from performance.scene import make_scene
from pipelines.catalog.opencv import OPENCV
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels8, to_uint8
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.weights import fetch as weights

LARGE = "edsr"
LARGE_SIDE = 256  # px
LONG = 4.0  # seconds: what takes longer is timed by its first run
ABOUT = (
    "OpenCV is `cv2.dnn_superres` on the whole picture, from and to 8 bits; ours is from and to float32, with the "
    "default settings. Median of 3 after a warm-up, taking turns; what takes more than four seconds once. EDSR has "
    "drawn parameters. Differences are in levels of 255, after rounding."
)
HEADER = [
    *("model", "scale", "side, px", "precision", "ours, s", "OpenCV, s", "OpenCV / ours"),
    *("largest difference", "beyond one level, %"),
]


def enlarge_by_opencv(model: Model, scale: int, rgb: Pixels8) -> Callable[[], Pixels8]:
    """Returns what enlarges the picture by OpenCV alone, in BGR."""
    import cv2

    needed = model.scales[scale]
    found = weights.find(needed) if needed else None
    assert found, "only models whose weights are here are measured"
    network = cv2.dnn_superres.DnnSuperResImpl.create()
    network.readModel(str(found[0].path))
    network.setModel(model.arch, scale)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return lambda: np.asarray(network.upsample(bgr))


def measure(model: Model, scale: int, side: int) -> list[str]:
    """Returns the row of one model and scale."""
    side = min(side, LARGE_SIDE) if model.key == LARGE else side
    pixels, ours = make_scene(side), load(model.key, scale)
    theirs = enlarge_by_opencv(model, scale, to_uint8(pixels))
    made: dict[str, Any] = {}

    def run_ours() -> None:
        done = finish(ours.run(pixels, Settings()))
        made["ours"], made["precision"] = to_uint8(done.pixels), done.dtype

    def run_theirs() -> None:
        made["theirs"] = theirs()[..., ::-1]

    taken = medians([run_ours, run_theirs], repeats=3, long=LONG)
    apart = np.abs(made["ours"].astype(int) - made["theirs"])
    row = [
        *(model.key, f"{scale}", f"{side}", made["precision"]),
        *(f"{taken[0]:.3f}", f"{taken[1]:.3f}", f"{taken[1] / taken[0]:.1f}"),
        *(f"{apart.max()}", f"{100 * (apart > 1).mean():.3f}"),
    ]
    print(*row, flush=True)
    return row


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=[row.key for row in OPENCV])
    parser.add_argument("--side", type=int, default=512)
    options = parser.parse_args()
    chosen = [row for row in OPENCV if not options.models or row.key in options.models]
    cases = [(row, scale) for row in chosen for scale, needed in row.scales.items() if needed and weights.find(needed)]
    write_section("OpenCV's networks", ABOUT, HEADER, [measure(row, scale, options.side) for row, scale in cases])


if __name__ == "__main__":
    main()
