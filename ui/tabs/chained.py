"""The Chained 8x tab: an x4 and then an x2 model, every stage to be seen, and scored if wanted. Also `/chain`."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.catalog import rows as catalog
from pipelines.enlarge import Enlarged
from pipelines.errors import BadPicture, UpscaleError
from pipelines.images import door as images
from pipelines.images import resample
from pipelines.images.door import Source
from pipelines.images.picture import Picture
from pipelines.measuring import protocols
from pipelines.measuring.protocols import CHAINED_SCALE, CHAINED_STAGES, Bytes, Contender
from pipelines.measuring.rows import Row
from pipelines.phrasing import contender, duration
from pipelines.report import outputs
from pipelines.report.report import Report
from pipelines.runs import Run, Step, noted
from ui.examples import EXAMPLES
from ui.jobs import comparing, enlarging, gpu
from ui.jobs.comparing import Comparison
from ui.jobs.offered import offered
from ui.jobs.running import ONE_AT_A_TIME, QUIET, buttons, cancelled, escaped, for_page, mendable, steps
from ui.widgets import html as words
from ui.widgets import results
from ui.widgets.inputs import Dropdown, PictureInput
from ui.widgets.picture import picture_field
from ui.widgets.viewer import Pane, View, Viewer

ABOUT_SCORING = (
    "The picture is shrunk, enlarged back, and compared with itself. "
    "Without that it is enlarged to eight times its size."
)
ABOUT_SCORES = (
    "The chain's score is that of the whole pipeline: its second model is given what the first one made, flaws and "
    "all, and between the two nothing is rounded. The others enlarge by eight at once."
)


def build(page: gr.Blocks) -> None:
    """Put the tab's widgets and events into the page being built."""
    first_x4, first_x2 = _pair(comparing.ready_chains()[-1])
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            picture = picture_field("chained-picture")
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes="presets"):
                presets = {gr.Button(name, size="sm"): pair for name, pair in comparing.GOOD_CHAINS.items()}
            with gr.Row():
                first, second = (
                    Dropdown(_models(scale), value=key, label=label, filterable=False, min_width=200)
                    for scale, key, label in ((4, first_x4, "First, x4"), (2, first_x2, "Then, x2"))
                )
            scored = gr.Checkbox(True, label="Score it: shrink by 8 first", info=ABOUT_SCORING)
            plan = gr.HTML(_plan(EXAMPLES[0].path, first_x4, first_x2, True))
            with gr.Row(elem_classes="actions"):
                run = gr.Button("Run", variant="primary")
                cancel = gr.Button("Cancel", interactive=False)
            progress = gr.HTML(words.state("Ready."), elem_id="chained-progress")
    viewer = Viewer()
    table = results.panel()
    about = gr.HTML("", elem_id="chained-about")
    download = gr.DownloadButton("Download PNG", visible=False)

    comparison = gr.State(None)
    chosen, run_and_cancel = [picture, first, second, scored], [run, cancel]
    shown = [viewer, table, about, download]

    for preset, pair in presets.items():
        preset.click(partial(_pair, pair), None, [first, second], **QUIET, queue=False)
    changes = [picture.change, first.change, second.change, scored.change, page.load]
    gr.on(changes, _plan, chosen, plan, **QUIET, queue=False)

    waiting = run.click(
        lambda: (words.state("Waiting for a free place."), None, *buttons(running=True)),
        None,
        [progress, comparison, *run_and_cancel],
        **QUIET,
        queue=False,
    )
    running = waiting.then(_run, chosen, [progress, comparison, *run_and_cancel, *shown], **QUIET, **ONE_AT_A_TIME)
    stopped = cancel.click(None, cancels=[running], api_visibility="private", queue=False)
    at_once = stopped.then(cancelled, None, [progress, *run_and_cancel], **QUIET, queue=False)
    at_once.then(_stopped, comparison, [progress, *run_and_cancel, *shown], **QUIET, **ONE_AT_A_TIME)

    # The API has inputs of its own, as `/upscale` has: the page's hold the first example.
    gr.Button(visible=False).click(
        chain,
        [
            PictureInput(label="Picture", visible=False),
            Dropdown(_keys(4), value="swift", label="First", visible=False),
            Dropdown(_keys(2), value="swift", label="Second", visible=False),
        ],
        [gr.File(label="file", visible=False), gr.JSON(label="details", visible=False)],
        api_name="chain",
        **ONE_AT_A_TIME,
    )


def chain(image: Source | None, first: str, second: str) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Enlarge a picture to eight times its size: by the model `first` at x4, then by `second` at x2.

    Returns the lossless result and its details.
    """
    with mendable(), tempfile.TemporaryDirectory() as folder:
        by = _stages(first, second)
        picture = enlarging.opened(image, by)
        done = yield from steps(enlarging.enlarged(picture, by), lambda said, share: (None, None))
        yield str(enlarging.saved(done, image, Path(folder))), done.details.as_dict()


# --- what the page's events do ------------------------------------------------------------------------------------


def _run(source: Source | None, first: str, second: str, scored: bool) -> Iterator[tuple[Any, ...]]:
    """Measure the chain or simply enlarge by it, showing progress, then every stage."""
    yield words.progress("Starting", 0), None, *buttons(running=True), *_nothing()
    try:
        with mendable(), tempfile.TemporaryDirectory() as folder:
            if scored:
                yield from _measure(source, first, second)
            else:
                yield from _enlarge(source, first, second, Path(folder))
    except gr.Error as error:
        yield words.state(str(error.message)), gr.skip(), *buttons(running=False), *_kept()
        raise for_page(error) from None


def _measure(source: Source | None, first: str, second: str) -> Iterator[tuple[Any, ...]]:
    """Each row as it is finished, then the stages of the chain and the direct models beside them."""
    asked = _begun(source, first, second)
    rows: list[Row] = []
    told = 0

    def show(said: str, share: float) -> tuple[Any, ...]:
        nonlocal told
        table = (
            results.results(rows, asked.plan.protocol, asked.plan.kernel, running=True)
            if len(rows) > told
            else gr.skip()
        )
        told = len(rows)
        return words.progress(said, share), asked, *buttons(running=True), gr.skip(), table, *_kept()[2:]

    report = yield from steps(comparing.noticed(comparing.measured(asked), rows), show)
    shown = yield from steps(_scores(asked, report), show)
    yield words.state(report.rows[0].error or "Done."), asked, *buttons(running=False), *shown


def _enlarge(source: Source | None, first: str, second: str, folder: Path) -> Iterator[tuple[Any, ...]]:
    """The picture, what each stage makes of it, and the result's file."""
    started = time.monotonic()
    shown = yield from steps(
        _enlarged(source, _stages(first, second), folder),
        lambda said, share: (words.progress(said, share), gr.skip(), *buttons(running=True), *_kept()),
    )
    took = words.state(f"Done in {duration(time.monotonic() - started)}.")
    yield took, gr.skip(), *buttons(running=False), *shown


def _stopped(asked: Comparison | None) -> Iterator[tuple[Any, ...]]:
    """What was finished when the visitor cancelled."""
    report = None if asked is None else comparing.so_far(asked)
    if asked is None or report is None:
        yield words.state("Cancelled."), *buttons(running=False), *_nothing()
        return
    with escaped(), mendable():
        shown = yield from steps(
            _scores(asked, report),
            lambda said, share: (words.progress(said, share), *buttons(running=False), *_kept()),
        )
        done = f"Cancelled: {len(report.rows)} of {len(asked.plan.contenders)} are below."
        yield words.state(done), *buttons(running=False), *shown


def _plan(source: Source | None, first: str, second: str, scored: bool) -> str:
    """What a run would give and take, or what is wrong with what was chosen."""
    try:
        if source is None:
            raise BadPicture("Choose a picture first.")
        if scored:
            return _plan_to_measure(source, first, second)
        return _plan_to_enlarge(source, first, second)
    except UpscaleError as error:
        return words.trouble(str(error))


def _plan_to_measure(source: Source, first: str, second: str) -> str:
    taking_part = comparing.taking_part("chained-8x", "x8", _direct(), [_named(first, second)])
    width, height = images.measure(source)
    protocols.check_size(width, height, CHAINED_SCALE)
    small = width // CHAINED_SCALE, height // CHAINED_SCALE
    comparing.check_lent(taking_part, [small])
    times = [comparing.seconds(each, *small) for each in taking_part]
    lacking = {needed for each in taking_part for needed in comparing.lacking(each)}
    beside = [catalog.find(each.key).name for each in taking_part if len(each.stages) == 1]
    return words.chain([(width, height), *_sizes(small)], beside, times, sum(needed.size for needed in lacking))


def _plan_to_enlarge(source: Source, first: str, second: str) -> str:
    found = Contender(_stages(first, second))
    missing = sum(needed.size for needed in comparing.lacking(found))
    size = images.measure(source, CHAINED_SCALE)
    gpu.check_lent(found.stages, None, size)
    return words.chain(_sizes(size), [], [gpu.expected(found.stages, None, *size)], missing)


# --- what they have in common -------------------------------------------------------------------------------------


def _begun(source: Source | None, first: str, second: str) -> Comparison:
    """The comparison of the chain with the direct models; the chain comes first, to be there if it is ended early."""
    sources = [] if source is None else [source]
    asked = comparing.begun(sources, "chained-8x", "x8", "bicubic", _direct(), [_named(first, second)])
    protocols.check_size(*images.measure(sources[0]), CHAINED_SCALE)
    order = sorted(asked.plan.contenders, key=lambda each: len(each.stages), reverse=True)
    return replace(asked, plan=replace(asked.plan, contenders=tuple(order)))


def _scores(asked: Comparison, report: Report) -> Run[tuple[Any, ...]]:
    """What the page shows of a report, in the order of its widgets."""
    view = yield from _view(asked, report)
    table = results.results(report.rows, report.protocol, report.kernel, running=False)
    return view, table, words.aside(ABOUT_SCORES), gr.DownloadButton(visible=False)


def _view(asked: Comparison, report: Report) -> Run[View | None]:
    """Original, small picture, the chain's two stages, and the direct models: those of them that there are."""
    [picture] = asked.pictures
    found = yield from comparing.view(asked, report, picture)
    if not found.panes:
        return None
    original, *made, small = found.panes
    shown = [original, replace(small, label="÷8")]
    for row, pane in zip([row for row in report.rows if row.error is None], made, strict=True):
        between = comparing.read(asked, picture, comparing.stage_of(row.model, 1))
        if between is None or row.stages is None or row.stage_seconds is None:
            shown.append(replace(pane, label=f"{row.model} x{row.scale}"))
            continue
        x4, x2 = row.stages
        first_took, second_took = row.stage_seconds
        shown.append((yield from _pane(contender(x4), between, first_took)))
        caption = f"{original.caption}, {duration(second_took)} · in all {pane.caption}"
        shown.append(replace(pane, label=f"then {contender(x2)}", caption=caption))
    return replace(found, panes=shown)


def _enlarged(source: Source | None, by: Sequence[tuple[str, int]], folder: Path) -> Run[tuple[Any, ...]]:
    """Enlarge, and what the page shows of it, in the order of its widgets."""
    picture = enlarging.opened(source, by)
    done = yield from enlarging.enlarged(picture, by)
    yield Step(0, 1, "writing")
    file = enlarging.saved(done, source, folder)
    panes = yield from _stage_panes(picture, done)
    facts = words.facts(done.details, f"{', '.join(pane.label for pane in panes)}, at one zoom")
    return View(panes, None), "", facts, gr.DownloadButton(value=str(file), visible=True)


def _stage_panes(picture: Picture, done: Enlarged) -> Run[list[Pane]]:
    """The picture, and what each stage made of it."""
    first, second = done.stages
    x4, x2 = (contender(stage) for stage in done.details.model.split(","))
    between = Picture(first.pixels, grey=picture.grey)
    if done.picture.alpha is not None:  # a stage has none of its own
        alpha = yield from resample.shrink(done.picture.alpha[..., None], CHAINED_STAGES[1], "area")
        between = replace(between, alpha=alpha[..., 0])
    return [
        (yield from _pane("Picture", outputs.as_shown(picture))),
        (yield from _pane(x4, outputs.as_shown(between), first.seconds)),
        (yield from _pane(f"then {x2}", outputs.as_shown(done.picture), second.seconds)),
    ]


def _pane(label: str, pixels: Bytes, seconds: float | None = None) -> Run[Pane]:
    """A picture with its size, and with the time that it took if it was made."""
    size = comparing.size(pixels)
    caption = size if seconds is None else f"{size}, {duration(seconds)}"
    return Pane(label, caption, (yield from noted(comparing.tiles(pixels), f"{label}, ")))


def _nothing() -> tuple[Any, ...]:
    """The widgets for what was made without anything to show."""
    return None, "", "", gr.DownloadButton(visible=False)


def _kept() -> tuple[Any, ...]:
    """The same widgets as they are."""
    return (gr.skip(),) * len(_nothing())


def _models(scale: int) -> list[tuple[str, str]]:
    return [(words.choice(model), model.key) for model in offered(scale)]


def _keys(scale: int) -> list[str]:
    return [model.key for model in catalog.MODELS if scale in model.scales]


def _direct() -> list[str]:
    """The networks that enlarge by eight at once, as far as their weights are here and they need no GPU."""
    rows = [row for row in catalog.MODELS if row.scales.get(CHAINED_SCALE) is not None]
    return [row.key for row in rows if comparing.at_once(Contender(((row.key, CHAINED_SCALE),)))]


def _named(first: str, second: str) -> str:
    """The chain of the two models as it is written."""
    return Contender(_stages(first, second)).key


def _stages(first: str, second: str) -> tuple[tuple[str, int], ...]:
    return tuple(zip((catalog.find(first).key, catalog.find(second).key), CHAINED_STAGES, strict=True))


def _sizes(small: tuple[int, int]) -> list[tuple[int, int]]:
    """The picture's size before the first stage, after it and after the second."""
    width, height = small
    return [(width * scale, height * scale) for scale in (1, CHAINED_STAGES[0], CHAINED_SCALE)]


def _pair(named: str) -> tuple[str, str]:
    """The two models of a chain."""
    (first, _), (second, _) = catalog.parse_stages(named)
    return first, second
