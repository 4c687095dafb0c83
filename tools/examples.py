"""Makes the example pictures, so that where each comes from is on record: `python -m tools.examples`.

Photographs are cut from the ones that scikit-image ships, public domain or CC0; page and drawing are drawn here. The
first one is also enlarged, as the page shows it before anyone clicks.
"""

import json
import math
import shutil
from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont
from skimage import data

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.report.report import Report
from pipelines.runs import finish
from ui.examples import (
    EXAMPLES,
    EXAMPLES_FOLDER,
    FIRST_CHAIN,
    FIRST_CHAIN_RESULT,
    FIRST_RESULT,
    READY_COMPARISON,
)
from ui.jobs import comparing, kept_files
from ui.jobs.line_up import model_choices
from ui.widgets.advice import FIRST_MODEL, FIRST_SCALE
from ui.widgets.comparison_form import FIRST_KERNEL, FIRST_PROTOCOL
from ui.widgets.ready_comparison import write_ready_comparison

READY_MODELS = ("bicubic", "lanczos", "swift", "srcnn", "real-esrgan-general")  # included, but for the last one
CHAIN_QUALITY = 90  # of the WebP
LACKS = "is not installed here"
SUPERSAMPLED = 4  # drawn this many times larger, then shrunk with antialiasing

PAGE_TEXT = """The resolution of a picture is the
number of its pixels. To enlarge it
is to guess the ones between. Every
method guesses in its own way: some
by averaging what lies around, some
by what they saw elsewhere. None of
them knows. A fair test shrinks the
picture first, lets each one guess,
and compares the guess to the truth.

0123456789  (x + y) / 2  aeg QRS &?"""


def crop_photograph(name: str, box: tuple[int, int, int, int]) -> Image.Image:
    """A part of one of scikit-image's pictures: left, top, right, bottom."""
    return Image.fromarray(getattr(data, name)()).crop(box)


def draw_page() -> Image.Image:
    """A page of small type, as a scan would show it."""
    size = (320 * SUPERSAMPLED, 240 * SUPERSAMPLED)
    image = Image.new("L", size, 246)
    font = ImageFont.load_default(14 * SUPERSAMPLED)
    ImageDraw.Draw(image).multiline_text(
        (20 * SUPERSAMPLED, 14 * SUPERSAMPLED), PAGE_TEXT, 25, font, spacing=4 * SUPERSAMPLED
    )
    return image.resize((320, 240), Image.Resampling.BICUBIC)


def draw_boat() -> Image.Image:
    """A flat-coloured drawing with dark outlines: a sailing boat under a sun."""
    unit = SUPERSAMPLED
    image = Image.new("RGB", (288 * unit, 240 * unit), "#bfe3f2")
    pen = ImageDraw.Draw(image)

    def shape(points: list[tuple[float, float]], fill: str) -> None:
        scaled = [(x * unit, y * unit) for x, y in points]
        pen.polygon(scaled, fill)
        pen.line([*scaled, scaled[0], scaled[1]], "#22313f", 3 * unit, joint="curve")

    centre = (226, 58)
    for ray in range(12):
        angle = ray * math.pi / 6
        ends = [(centre[0] + r * math.cos(angle), centre[1] + r * math.sin(angle)) for r in (36, 48)]
        pen.line([(x * unit, y * unit) for x, y in ends], "#22313f", 2 * unit)
    box = [(each - 28) * unit for each in centre] + [(each + 28) * unit for each in centre]
    pen.ellipse(box, "#ffd23f", "#22313f", 3 * unit)
    shape([(128, 24), (128, 162), (52, 162)], "#fff8ec")
    shape([(138, 44), (138, 162), (198, 162)], "#ef5b5b")
    shape([(34, 172), (214, 172), (186, 206), (66, 206)], "#8d5a3b")
    for row, height in enumerate((196, 210, 224)):
        wave = [(x, height + 5 * math.sin(x / 11 + row * 2)) for x in range(289)]
        shape([(-9, 250), *wave, (297, 250)], ("#3a8fb7", "#2f7ba3", "#25688c")[row])
    return image.resize((288, 240), Image.Resampling.BICUBIC)


def main() -> None:
    """Writes every example where the page finds it."""
    pictures = {
        "face": crop_photograph("astronaut", (128, 0, 352, 224)),
        "page": draw_page(),
        "foliage": crop_photograph("grass", (0, 0, 256, 256)),
        "building": crop_photograph("rocket", (0, 180, 320, 420)),
        "drawing": draw_boat(),
        "night-sky": crop_photograph("hubble_deep_field", (200, 80, 520, 320)),
    }
    for name, picture in pictures.items():
        picture.save(EXAMPLES_FOLDER / f"{name}.png", optimize=True)
    make_result()
    make_comparison()
    make_chain_result()


def make_result() -> None:
    """Enlarges the first example by the first model; once before, so that the time is that of a run like any other."""
    stages = [Stage(FIRST_MODEL, catalog.parse_scale(FIRST_SCALE))]
    picture = images.read(EXAMPLES[0].path)
    finish(enlarge_by(picture, stages))
    done = finish(enlarge_by(picture, stages))
    images.write(done.picture, FIRST_RESULT)
    FIRST_RESULT.with_suffix(".json").write_text(json.dumps(done.details.as_dict(), indent=1) + "\n")


def make_comparison() -> None:
    """Compares on the first example what takes part unasked; UPSCALE_WEIGHTS_DIR must have Real-ESRGAN general, and
    NIQE's parameters, as the example has both verdicts.
    """
    models = model_choices(FIRST_PROTOCOL, FIRST_SCALE).ticked
    models = [model for model in models if model in READY_MODELS]
    assert models == list(READY_MODELS), f"only {models} are here"
    made = comparing.start([EXAMPLES[0].path], FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL, models, [])
    report = forget_lacking(finish(comparing.measure(made)))
    assert all(row.scores["niqe"] is not None for row in report.rows), "NIQE's parameters are not here"
    view = finish(kept_files.make_view(made, report, made.pictures[0], ranked=True))
    shutil.rmtree(READY_COMPARISON, ignore_errors=True)
    READY_COMPARISON.mkdir()
    write_ready_comparison(report, view)


def forget_lacking(report: Report) -> Report:
    """The same report without a word of what was not installed where it was made, which is not where it is read."""
    rows = [replace(row, notes=tuple(note for note in row.notes if LACKS not in note)) for row in report.rows]
    return replace(report, rows=tuple(rows))


def make_chain_result() -> None:
    """Upscales the first example by the first chain, whose first stage must be what `make_result` wrote."""
    picture, stages = images.read(EXAMPLES[0].path), catalog.parse_stages(",".join(FIRST_CHAIN))
    finish(enlarge_by(picture, stages))
    done = finish(enlarge_by(picture, stages))
    seen = Image.fromarray(images.to_uint8(done.picture.pixels))
    seen.save(FIRST_CHAIN_RESULT, quality=CHAIN_QUALITY, method=6)
    FIRST_CHAIN_RESULT.with_suffix(".json").write_text(json.dumps(done.details.as_dict(), indent=1) + "\n")


if __name__ == "__main__":
    main()
