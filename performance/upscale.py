"""Classical models at x2 against Pillow, in one run: seconds and peak memory.

python -m performance.upscale
"""

import sys
from collections.abc import Callable

from PIL import Image

from performance.measuring import medians, peak_megabytes, run_in_fresh_process, write_section
from performance.scene import make_scene
from pipelines.catalog.rows import MODELS
from pipelines.catalog.schema import Model
from pipelines.enlarge import enlarge
from pipelines.images import resample
from pipelines.images.picture import Picture, Pixels8, to_uint8
from pipelines.runs import finish
from pipelines.upscalers.loading import load

MEASURED_SCALE = 2
MEASURED_SIDES = (256, 1024)
ABOUT = (
    "Plain is Pillow's `resize`, from and to 8 bits; ours is from and to float32. Median of 5 after a warm-up, taking "
    "turns; peak memory above what was held before, each in a fresh process, output included."
)


def make_jobs(model: Model, side: int) -> dict[str, Callable[[], object]]:
    """The same enlargement by us and by the plain library."""
    pixels = make_scene(side)
    ours = load(model.key, MEASURED_SCALE)
    return {"ours": lambda: finish(enlarge(Picture(pixels), [ours])), "plain": _plain(model, to_uint8(pixels))}


def _plain(model: Model, rgb: Pixels8) -> Callable[[], object]:
    image, size = Image.fromarray(rgb), (rgb.shape[1] * MEASURED_SCALE, rgb.shape[0] * MEASURED_SCALE)
    kernel = resample.PILLOW_KERNELS.get(model.key, Image.Resampling.NEAREST)
    return lambda: image.resize(size, kernel)


def measure_row(model: Model, side: int) -> list[str]:
    """One line of the table."""
    both = make_jobs(model, side)
    ours, plain = medians([both["ours"], both["plain"]])
    memory = {who: _in_fresh_process(model, side, who) for who in both}
    return [
        model.key,
        f"{side}",
        f"{ours:.3f}",
        f"{plain:.3f}",
        f"{ours / plain:.2f}",
        f"{memory['ours']:.0f}",
        f"{memory['plain']:.0f}",
    ]


def _in_fresh_process(model: Model, side: int, who: str) -> float:
    return float(run_in_fresh_process("performance.upscale", model.key, side, who))


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
    here = [model for model in MODELS if model.engine == "classical"]
    header = ["model", "side, px", "ours, s", "plain, s", "ours / plain", "ours, MB", "plain, MB"]
    rows = [measure_row(model, side) for side in MEASURED_SIDES for model in here]
    write_section(f"Enlarging x{MEASURED_SCALE}", ABOUT, header, rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        key, side, who = sys.argv[1:]
        (chosen,) = (model for model in MODELS if model.key == key)
        print(peak_megabytes(make_jobs(chosen, int(side))[who]))
    else:
        main()
