"""Before and after: a result as the page shows it, beside what a plain method makes of the same image."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.catalog.rows import Model, Settings, Stage, find
from pipelines.enlarge import Details, Enlarged
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource, Picture, Pixels8, Pyramid, to_uint8
from pipelines.report.report import as_shown, colour_profile, find_changes
from pipelines.runs import Preview, Run, Step, T, prefix_notes, watch_steps
from ui.examples import EXAMPLES, FIRST_EYES, FIRST_RESULT
from ui.jobs import enlarging, kept_files
from ui.jobs.results import new_folder
from ui.jobs.showing import learn_showing
from ui.widgets import html
from ui.widgets.viewer import Box, Pane, View, WholeFile

PLAIN_NAMES = {"bicubic": "Bicubic", "nearest": "Nearest"}  # what a result is compared with
NOTHING_YET = View([], empty="Your result will appear here. You can watch it take shape.")


@dataclass(frozen=True, slots=True)
class Made:
    """A result as the page shows it: what the viewer and the facts say, the file to download, and how it was made.

    Where it is only to be looked at, `file` is "".
    """

    view: View
    facts: str
    file: str
    about: str  # JSON
    name: str  # "Swift x4"
    source: str  # the image's file as the page names it; "" where it came without one


def compare_with_plain(
    source: ImageSource | None,
    stages: Sequence[Stage],
    settings: Settings,
    name: str,
    folder: Path,
    size: tuple[int, int] | None = None,
) -> Run[Made]:
    """Enlarges, and writes what the page shows: the result's file and its tiles, and the image's own tiles.

    `name` says by what the result is made, `size` to what it is shrunk, where it is.
    """
    started = time.monotonic()
    picture = enlarging.open_picture(source, stages, settings, size)
    done = yield from enlarging.enlarge_picture(picture, stages, settings, size)
    return (yield from show_result(picture, done, source, name, folder, started))


def show_result(
    picture: Picture, done: Enlarged, source: ImageSource | None, name: str, folder: Path, started: float
) -> Run[Made]:
    """Writes what the page shows of the picture and of what was made of it.

    `name` says by what, `started` when, by time.monotonic: the time that a visitor waits is the one that is told.
    """
    yield Step(0, 1, "writing")
    begun = time.monotonic()
    file = enlarging.save_result(done, source, folder)
    view = yield from _make_view(picture, done.picture, _choose_plain(done.details.model), name)
    learn_showing(done.details.size, time.monotonic() - begun)
    return _describe(done.details, file, view, name, source, time.monotonic() - started)


def look_at(source: Path, result: bytes, name: str, model: str) -> Run[View]:
    """The view of an image and of its result, which is in no file of its own; `name` says by what it is made."""
    yield Step(0, 1, "reading")
    picture, made = images.read(source), images.read(result)
    return (yield from _make_view(picture, made, _choose_plain(model), name))


def watch_previews(
    run: Run[T], source: ImageSource | None, name: str, scale: int
) -> tuple[Run[T], Callable[[], View | None]]:
    """The same run, and what gives the view to show now where there is a newer one, else None.

    Each is given once: to send it again would load it again.
    """
    newest: list[View] = []
    profiles: list[bytes | None] = []  # of the picture, once it was read for the first preview
    folder: list[Path] = []

    def see(step: Step) -> None:
        if not isinstance(step, Preview) or not isinstance(source, Path):
            return
        if not folder:
            folder.append(new_folder("preview"))
            profiles.append(colour_profile(images.read(source)))
        height, width, channels = step.picture.shape
        pixels = np.divide(step.picture, 255, dtype=np.float32)
        path = folder[0] / f"{step.done}-{os.urandom(4).hex()}.png"
        alpha = pixels[..., 3] if channels == 4 else None
        images.write(Picture(np.ascontiguousarray(pixels[..., :3]), alpha=alpha, icc=profiles[0]), path)
        newest[:] = [show_running(source, name, scale, WholeFile(path, width, height))]

    return watch_steps(run, see), lambda: newest.pop() if newest else None


def show_running(source: ImageSource | None, name: str, scale: int, so_far: WholeFile | None = None) -> View:
    """What the viewer shows while a run goes on: the image, dimmed, and over it what there is of the result."""
    if not isinstance(source, Path):
        return NOTHING_YET
    try:
        width, height = images.read_size(source, scale)
    except UpscaleError:  # the run says what is wrong with it
        return NOTHING_YET
    whole = WholeFile(source, width, height)
    pane = Pane(name, "in progress", whole, smooth=True, over=so_far)
    size = (width * scale, height * scale)
    return View([pane], None, layout="side", size=size, state="running", source=str(source))


def show_preview(source: Path, scale: int) -> View:
    """What the viewer shows of an image without a result; static/show_chosen.js does the same in the browser."""
    width, height = images.read_size(source)
    pane = Pane("Preview", f"Bicubic x{scale}", WholeFile(source, width, height), smooth=True)
    return View([pane], None, layout="side", size=(width * scale, height * scale), state="preview")


def name_result(row: Model, scale: float) -> str:
    """Returns what made a result, to read: "Swift x4"; a name that has its scale already stays as it is."""
    return row.name if f"x{scale:g}" in row.name.split() else f"{row.name} x{scale:g}"


def make_first_result(source_name: str) -> Made:
    """Returns the first example's result for before anyone clicks: made beforehand, as the page opens without torch.

    It opens at the eyes, where everybody looks. `source_name` is the path by which the page's field knows the example.
    """
    details = Details.from_dict(json.loads(FIRST_RESULT.with_suffix(".json").read_text()))
    source, name = EXAMPLES[0].path, name_result(find(details.model), details.scale)
    picture, result = images.read(source), images.read_back(FIRST_RESULT)
    before, after = (
        WholeFile(path, *each.pixels.shape[1::-1]) for path, each in ((source, picture), (FIRST_RESULT, result))
    )
    view = _place_under_line(picture, result, before, after, _choose_plain(details.model), name)
    return _describe(details, FIRST_RESULT, replace(view, open_at=find_eyes(details.scale)), name, Path(source_name))


def find_eyes(scale: int) -> Box:
    """Returns where the eyes of the first example are in what is so many times as large."""
    left, top, width, height = (side * scale for side in FIRST_EYES)
    return left, top, width, height


def _describe(
    details: Details, file: Path, view: View, name: str, source: ImageSource | None, seconds: float | None = None
) -> Made:
    shown = "" if isinstance(source, bytes) or source is None else str(source)
    return Made(view, html.facts(details, seconds=seconds), str(file), details.about(), name, shown)


def _make_view(picture: Picture, result: Picture, plain: str, name: str) -> Run[View]:
    """The image and its result as tiles."""
    icc = colour_profile(picture)
    before = yield from prefix_notes(kept_files.write_tiles(_with_opacity(picture), icc), "before, ")
    after = yield from prefix_notes(kept_files.write_tiles(_with_opacity(result), icc), "after, ")
    return _place_under_line(picture, result, before, after, plain, name)


def _place_under_line(
    picture: Picture, result: Picture, before: Pyramid | WholeFile, after: Pyramid | WholeFile, plain: str, name: str
) -> View:
    """The image, which the browser enlarges by the plain method, and the result; open where they differ most."""
    boxes = [(x, y, side, side) for x, y, side in find_changes(as_shown(picture), as_shown(result), plain)]
    panes = [
        Pane(f"Before: {PLAIN_NAMES[plain]}", "", before, smooth=plain != "nearest"),
        Pane(f"After: {name}", "", after),
    ]
    opened = 0 if boxes else None
    return View(panes, None, boxes, "swipe", pair=(0, 1), open_at=opened, size=(after.width, after.height))


def _with_opacity(picture: Picture) -> Pixels8:
    """(H, W, 3) uint8, or (H, W, 4) of a picture with transparency."""
    pixels = to_uint8(picture.pixels)
    if picture.alpha is None or picture.alpha.min() == 1:
        return pixels
    return np.dstack([pixels, to_uint8(picture.alpha)])


def _choose_plain(model: str) -> str:
    """Returns what the model's result is compared with: bicubic with nearest neighbour."""
    return "nearest" if model == "bicubic" else "bicubic"
