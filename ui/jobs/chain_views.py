"""What the viewer shows of a chain: each stage as a picture, and where it was scored the direct models beside it."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.catalog.rows import Settings, Stage
from pipelines.enlarge import Details, Enlarged
from pipelines.images.door import ImageSource, Picture, Pixels8, shrink
from pipelines.measuring.run import CHAINED_8X, title_of
from pipelines.phrasing import format_duration
from pipelines.report.report import Report, as_shown, colour_profile, find_changes
from pipelines.runs import Run, Step, prefix_notes
from ui.examples import EXAMPLES, FIRST_CHAIN, FIRST_CHAIN_CHANGES, FIRST_CHAIN_RESULT, FIRST_RESULT
from ui.jobs import enlarging, kept_files
from ui.jobs.kept_files import Comparison
from ui.jobs.results import new_folder
from ui.widgets import html
from ui.widgets.before_after import Made, find_eyes
from ui.widgets.viewer import Pane, View, WholeFile


def make_first_view() -> View:
    """What the first chain makes of the first example, from files that tools/examples.py made beforehand."""
    details = Details.from_dict(json.loads(FIRST_CHAIN_RESULT.with_suffix(".json").read_text()))
    first, second = map(title_of, FIRST_CHAIN)
    files = {"Example": EXAMPLES[0].path, first: FIRST_RESULT, f"then {second}": FIRST_CHAIN_RESULT}
    panes = []
    for (label, path), grown in zip(files.items(), (1, CHAINED_8X.chain_scales[0], details.scale), strict=True):
        width, height = (side // details.scale * grown for side in details.size)
        panes.append(Pane(label, f"{width} × {height}", WholeFile(path, width, height)))
    return View(panes, None, FIRST_CHAIN_CHANGES, size=(width, height), open_at=find_eyes(details.scale))


def make_scored_view(comparison: Comparison, report: Report) -> Run[View | None]:
    """Original, small picture, the chain's two stages, and the direct models: those of them that there are."""
    [picture] = comparison.pictures
    found = yield from kept_files.make_view(comparison, report, picture)
    if not found.panes:
        return None
    original, *made, small = found.panes
    shown = [original, replace(small, label="÷8")]
    for row, pane in zip([row for row in report.rows if row.error is None], made, strict=True):
        between = comparison.outputs.stage(picture, row.model, 1)
        if between is None or row.stages is None or row.stage_seconds is None:
            shown.append(replace(pane, label=f"{title_of(row.model)} x{row.scale}"))
            continue
        x4, x2 = row.stages
        first_seconds, second_seconds = row.stage_seconds
        shown.append((yield from _make_pane(title_of(x4), between, comparison.outputs.profile(picture), first_seconds)))
        caption = f"{original.caption}, {format_duration(second_seconds)} · in all {pane.caption}"
        shown.append(replace(pane, label=f"then {title_of(x2)}", caption=caption))
    return replace(found, panes=shown)


def make_stages(source: ImageSource | None, by: Sequence[Stage], settings: Settings, name: str) -> Run[Made]:
    """Enlarges, and returns what the page shows of it; `name` says by what."""
    started = time.monotonic()
    picture = enlarging.open_picture(source, by, settings)
    done = yield from enlarging.enlarge_picture(picture, by, settings)
    yield Step(0, 1, "writing")
    file = enlarging.save_result(done, source, new_folder())
    view = yield from _make_stage_view(picture, done)
    facts = html.facts(done.details, seconds=time.monotonic() - started)
    return Made(view, facts, str(file), done.details.about(), name, str(source) if isinstance(source, Path) else "")


def _make_stage_view(picture: Picture, done: Enlarged) -> Run[View]:
    """The picture and what each stage of two made of it, open where the result differs most from plain bicubic."""
    panes = yield from make_stage_panes(picture, done)
    height, width, _ = done.picture.pixels.shape
    boxes = [(x, y, side, side) for x, y, side in find_changes(as_shown(picture), as_shown(done.picture), "bicubic")]
    return View(panes, None, boxes, open_at=0 if boxes else None, size=(width, height))


def make_stage_panes(picture: Picture, done: Enlarged) -> Run[Sequence[Pane]]:
    """The picture, and what each stage of two made of it."""
    first, second = done.stages
    x4, x2 = (title_of(stage) for stage in done.details.model.split(","))
    between, icc = Picture(first.pixels, grey=picture.grey), colour_profile(picture)
    if done.picture.alpha is not None:  # a stage has none of its own
        alpha = yield from shrink(done.picture.alpha[..., None], CHAINED_8X.chain_scales[1], "area")
        between = replace(between, alpha=alpha[..., 0])
    return [
        (yield from _make_pane("Image", as_shown(picture), icc)),
        (yield from _make_pane(x4, as_shown(between), icc, first.seconds)),
        (yield from _make_pane(f"then {x2}", as_shown(done.picture), icc, second.seconds)),
    ]


def _make_pane(label: str, pixels: Pixels8, icc: bytes | None, seconds: float | None = None) -> Run[Pane]:
    """A picture with its size, and with the time that it took if it was made."""
    size = kept_files.describe_size(pixels)
    caption = size if seconds is None else f"{size}, {format_duration(seconds)}"
    return Pane(label, caption, (yield from prefix_notes(kept_files.write_tiles(pixels, icc), f"{label}, ")))
