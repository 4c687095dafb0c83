"""Quality against time of networks that are small enough for any processor: a table, and the plot in docs/models.md.

UPSCALE_WEIGHTS_DIR=FOLDER python -m performance.plot SET5    a folder with HR and LR_bicubic/X4, MATLAB's small images
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from performance.measuring import ROOT, describe_processor, medians, write_section
from performance.published import is_here
from performance.scene import make_scene
from pipelines.catalog.rows import find
from pipelines.enlarge import enlarge
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring.metrics.metric import crop_border
from pipelines.measuring.metrics.pixelwise import luma, psnr
from pipelines.measuring.protocol import as_scored, shrink_original
from pipelines.report.scatter import Axis, Point, draw_scatter
from pipelines.runs import finish
from pipelines.upscalers.base import Upscaler
from pipelines.upscalers.loading import load

KEYS = ("bicubic", "lanczos", "fsrcnn", "srcnn", "lapsrn", "swift", "span", "disp", "haesr")
SCALE, SIDE = 4, 256  # px
LONG = 3.0  # seconds: what takes longer is timed by its first run
PLOT = ROOT / "docs" / "quality-against-time.svg"
ABOUT = (
    "PSNR of the luma at x4 on MATLAB's small images of Set5, and seconds for 256 px, with the default settings; median"
    " of 5 after a warm-up, taking turns. docs/quality-against-time.svg shows it."
)


def measure_quality(upscaler: Upscaler, folder: Path) -> float:
    """Returns the mean PSNR of the luma over the set, in dB."""
    found = []
    for path in sorted((folder / "HR").glob("*.png")):
        reference = finish(shrink_original(images.read(path), SCALE, "bicubic")).reference
        low = images.read(folder / "LR_bicubic" / f"X{SCALE}" / f"{path.stem}x{SCALE}.png")
        made = as_scored(finish(enlarge(low, [upscaler])).picture)
        assert reference is not None, "it is what was shrunk"
        value = psnr(*(luma(crop_border(each, SCALE)) for each in (reference, made)))
        assert value is not None, "no upscaler gives the original"
        found.append(value)
    return float(np.mean(found))


def run_once(upscaler: Upscaler, image: Picture) -> None:
    """Upscales the image, to be timed."""
    finish(enlarge(image, [upscaler]))


def main() -> None:
    """Measures every model that is here, draws the plot and writes the table to RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m performance.plot", description=__doc__)
    parser.add_argument("set5", type=Path)
    options = parser.parse_args()
    keys = [key for key in KEYS if find(key).scales[SCALE] is None or is_here(key)]
    upscalers, image = [load(key, SCALE) for key in keys], Picture(make_scene(SIDE))
    quality = [measure_quality(each, options.set5) for each in upscalers]
    seconds = medians([partial(run_once, each, image) for each in upscalers], long=LONG)
    points = [Point(find(key).name, *pair) for key, *pair in zip(keys, seconds, quality, strict=True)]
    title = f"Quality against time, x{SCALE} on {describe_processor()}"
    axes = Axis(f"Time for {SIDE} px", "s", False, log=True), Axis("Mean PSNR of luma, Set5", "dB", True)
    drawn = draw_scatter(points, *axes, title)
    # It lies on a page whose colours it does not know.
    PLOT.write_text(drawn.replace(' class="plot"', ' style="background:#fff;color:#222"', 1) + "\n")
    rows = [[key, f"{time:.3f}", f"{found:.2f}"] for key, time, found in zip(keys, seconds, quality, strict=True)]
    write_section("Quality against time", ABOUT, ["model", "256 px, s", "Set5 x4, dB"], rows)


if __name__ == "__main__":
    main()
