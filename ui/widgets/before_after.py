"""Before and after: a picture enlarged by one model, beside what a plain method makes of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from pipelines.catalog.rows import Model, Settings, Stage
from pipelines.enlarge import Details, enlarge
from pipelines.images import door as images
from pipelines.images.door import ImageSource, Picture
from pipelines.report.report import colour_profile
from pipelines.runs import Preview, Run, Step, T, finish, watch_steps
from pipelines.upscalers.loading import load
from ui.examples import EXAMPLES, FIRST_RESULT
from ui.jobs import enlarging
from ui.widgets import html

PLAIN_MODEL = "bicubic"  # what a result is compared with; itself with nearest neighbour
SHOWN_PIXELS = 24_000_000  # a larger result is too much for a browser to show twice: its middle is shown
SHOWN_SIDE = 4096


class BeforeAfter(NamedTuple):
    """A result as the page shows it: two files to compare, the facts, the file to download, and what is written there
    of how it was made.
    """

    pair: tuple[str, str]
    facts: str
    file: str
    about: str


def place_slider(name: str, value: tuple[str, str] | None = None) -> gr.ImageSlider:
    """Puts the place for a pair of files into the page being built; static/compare.js gives it keys and a name.

    `name` is its id there. Without a pair it is out of sight: gradio labels an empty one in a way that ARIA forbids.
    """
    return gr.ImageSlider(
        value=value,
        label="Before and after",
        format="png",
        type="filepath",
        interactive=False,
        height=460,
        max_height=460,
        buttons=["fullscreen"],
        elem_id=name,
        elem_classes="before-after",
        visible=value is not None,
    )


def compare_with_plain(
    source: ImageSource | None, row: Model, settings: Settings, factor: int, folder: Path
) -> Run[BeforeAfter]:
    """Enlarges, and writes the files that the page shows: the result, and beside it what a plain method makes.

    Of a result too large for a browser both sides show the middle.
    """
    model = row.key
    picture = enlarging.open_picture(source, [Stage(model, factor)], settings)
    done = yield from enlarging.enlarge_picture(picture, [Stage(model, factor)], settings)
    plain = PLAIN_MODEL if model != PLAIN_MODEL else "nearest"
    part = _find_middle(picture, factor)
    before = yield from enlarge(_crop(picture, part, 1), [load(plain, factor)])
    yield Step(0, 3, "writing")
    file = enlarging.save_result(done, source, folder)
    yield Step(1, 3, "writing")
    left = folder / f"before_{plain}.png"
    images.write(before.picture, left, metadata=False)
    yield Step(2, 3, "writing")
    shown = f"left {plain}, right {model} x{factor}"
    if part is None:
        return BeforeAfter((str(left), str(file)), html.facts(done.details, shown), str(file), done.details.about())
    right = folder / "middle.png"
    images.write(_crop(done.picture, part, factor), right, metadata=False)
    shown += f"; the middle {SHOWN_SIDE} × {SHOWN_SIDE} of it, the download has all"
    return BeforeAfter((str(left), str(right)), html.facts(done.details, shown), str(file), done.details.about())


def watch_previews(run: Run[T], source: ImageSource | None, folder: Path) -> tuple[Run[T], Callable[[], Any]]:
    """The same run, and what gives the pair to show now: the picture and the newest preview, where there is a new one.

    Each pair is given once: to send it again would load it again.
    """
    newest: list[tuple[str, str]] = []
    profiles: list[bytes | None] = []  # of the picture, once it was read for the first preview

    def see(step: Step) -> None:
        if isinstance(step, Preview) and isinstance(source, Path):
            path = folder / "preview.png"
            if not profiles:
                profiles.append(colour_profile(images.read(source)))
            images.write(Picture(np.divide(step.picture, 255, dtype=np.float32), icc=profiles[0]), path)
            newest[:] = [(str(source), str(path))]

    return watch_steps(run, see), lambda: gr.update(value=newest.pop(), visible=True) if newest else gr.skip()


def _find_middle(picture: Picture, factor: int) -> tuple[slice, slice] | None:
    """The rows and columns whose enlargement is the middle that is shown; None where all of it is."""
    height, width, _ = picture.pixels.shape
    if height * width * factor**2 <= SHOWN_PIXELS:
        return None
    side = SHOWN_SIDE // factor
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return slice(top, min(height, top + side)), slice(left, min(width, left + side))


def _crop(picture: Picture, part: tuple[slice, slice] | None, factor: int) -> Picture:
    """That part of the picture, its rows and columns counted before enlarging by `factor`."""
    if part is None:
        return picture
    scaled = tuple(slice(each.start * factor, each.stop * factor) for each in part)
    return replace(
        picture, pixels=picture.pixels[scaled], alpha=None if picture.alpha is None else picture.alpha[scaled]
    )


def make_first_result(folder: Path) -> BeforeAfter:
    """Returns the first example's result for before anyone clicks: made beforehand, as the page opens without torch."""
    details = Details.from_dict(json.loads(FIRST_RESULT.with_suffix(".json").read_text()))
    before = finish(enlarge(images.read(EXAMPLES[0].path, details.scale), [load(PLAIN_MODEL, details.scale)]))
    left = folder / f"before_{PLAIN_MODEL}.png"
    images.write(before.picture, left, metadata=False)
    shown = f"left {PLAIN_MODEL}, right {details.model} x{details.scale}, made beforehand"
    return BeforeAfter((str(left), str(FIRST_RESULT)), html.facts(details, shown), str(FIRST_RESULT), details.about())
