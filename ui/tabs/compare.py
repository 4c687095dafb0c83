"""The Compare tab: many models on one or several pictures, scored, ranked, and seen side by side. Also `/benchmark`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Model
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.door import Source
from pipelines.measuring import protocols
from pipelines.measuring.protocols import CHAINED_SCALE, CHAINED_STAGES, Contender
from pipelines.measuring.rows import Row
from pipelines.phrasing import megabytes
from pipelines.report.report import Report, as_dict
from pipelines.runs import Run, noted
from ui.examples import EXAMPLES, STATIC, find
from ui.jobs import comparing
from ui.jobs.comparing import Comparison
from ui.jobs.offered import offered
from ui.jobs.running import ONE_AT_A_TIME, QUIET, buttons, cancelled, escaped, for_page, mendable, steps
from ui.widgets import html as words
from ui.widgets import results
from ui.widgets.inputs import CheckboxGroup, Dropdown, PictureInput, PicturesButton, PicturesInput, Radio
from ui.widgets.viewer import View, Viewer

PROTOCOLS = {
    "round-trip": "Round trip",
    "chained-8x": "Chained 8x",
    "no-original": "No original: mine is the small one",
}
FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL = "round-trip", "x4", "bicubic"
KINDS = ("JSON", "CSV", "HTML", "ZIP")


def build(page: gr.Blocks) -> None:
    """Put the tab's widgets and events into the page being built."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            pictures = PicturesInput(
                value=[str(EXAMPLES[0].path)],
                label="Pictures",
                file_count="multiple",
                height=150,
                elem_id="pictures",
            )
            more_pictures = PicturesButton("Add pictures", file_count="multiple", size="sm")
            examples = gr.HTML(words.examples(EXAMPLES), js_on_load=(STATIC / "examples.js").read_text())
            protocol = gr.Radio(
                [(name, key) for key, name in PROTOCOLS.items()], value=FIRST_PROTOCOL, label="Protocol"
            )
            with gr.Row():
                scale = Radio([f"x{each}" for each in catalog.SCALES], value=FIRST_SCALE, label="Scale")
                kernel = Dropdown(list(protocols.KERNELS), value=FIRST_KERNEL, label="Shrunk by", filterable=False)
        with gr.Column(scale=3, min_width=320):
            choices, ticked = _models(FIRST_PROTOCOL, FIRST_SCALE)
            models = CheckboxGroup(choices, value=ticked, label="Models", elem_id="models")
            chains = Dropdown(
                _pairs(offered()),
                value=comparing.ready_chains(),
                label="Chains: x4, then x2",
                multiselect=True,
                visible=False,
            )
            plan = gr.HTML(_plan([EXAMPLES[0].path], FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL, ticked, []))
            with gr.Row(elem_classes="actions"):
                run = gr.Button("Compare", variant="primary")
                cancel = gr.Button("Cancel", interactive=False)
            progress = gr.HTML(words.state("Ready."))
    table = results.panel()
    which = gr.Dropdown([], label="Picture to look at", visible=False, filterable=False)
    viewer = Viewer()
    more = results.panel()
    with gr.Row(visible=False) as files:
        downloads = [gr.DownloadButton(f"Download {kind}", size="sm") for kind in KINDS]
    with gr.Accordion("Measure the same elsewhere", open=False, visible=False) as elsewhere:
        command = gr.Textbox(label="Command line", elem_id="command", buttons=["copy"], interactive=False, lines=2)
        script = gr.Textbox(
            label="Python, by this page's API", elem_id="script", buttons=["copy"], interactive=False, lines=8
        )

    comparison, offers = gr.State(None), gr.State([key for _, key in choices])
    chosen = [pictures, protocol, scale, kernel, models, chains]
    run_and_cancel = [run, cancel]
    shown = [table, which, viewer, more, files, *downloads, elsewhere, command, script]

    examples.click(_pick, None, pictures, **QUIET, queue=False)
    more_pictures.upload(_added, [pictures, more_pictures], pictures, **QUIET, queue=False)
    # What is downloaded by now. The ticks stay: to set them again would undo a click that was made in the meantime.
    page.load(lambda: gr.CheckboxGroup(_models(FIRST_PROTOCOL, FIRST_SCALE)[0]), None, models, **QUIET, queue=False)
    gr.on(
        [protocol.input, scale.input],
        _offer,
        [protocol, scale, models, offers],
        [scale, kernel, models, chains, offers],
        **QUIET,
        queue=False,
    )
    changes = [pictures.change, protocol.change, scale.change, kernel.change, models.change, chains.change]
    gr.on(changes, _plan, chosen, plan, **QUIET, queue=False)

    waiting = run.click(
        lambda: (words.state("Waiting for a free place."), None, *buttons(running=True)),
        None,
        [progress, comparison, *run_and_cancel],
        **QUIET,
        queue=False,
    )
    running = waiting.then(_compare, chosen, [progress, comparison, *run_and_cancel, *shown], **QUIET, **ONE_AT_A_TIME)
    stopped = cancel.click(None, cancels=[running], api_visibility="private", queue=False)
    at_once = stopped.then(cancelled, None, [progress, *run_and_cancel], **QUIET, queue=False)
    at_once.then(_stopped, comparison, [progress, *run_and_cancel, *shown], **QUIET, **ONE_AT_A_TIME)
    which.input(_look_at, [comparison, which], [progress, viewer], **QUIET, **ONE_AT_A_TIME)

    gr.Button(visible=False).click(
        benchmark,
        [
            PictureInput(label="Picture", visible=False),
            Radio(list(PROTOCOLS), value=FIRST_PROTOCOL, label="Protocol", visible=False),
            CheckboxGroup([model.key for model in catalog.MODELS], label="Models", visible=False),
            Radio([f"x{each}" for each in catalog.SCALES], value=FIRST_SCALE, label="Scale", visible=False),
            Dropdown(list(protocols.KERNELS), value=FIRST_KERNEL, label="Kernel", visible=False),
            Dropdown(_pairs(catalog.MODELS), value=[], label="Chains", multiselect=True, visible=False),
        ],
        gr.JSON(label="report", visible=False),
        api_name="benchmark",
        **ONE_AT_A_TIME,
    )


def benchmark(
    image: Source | None, protocol: str, models: list[str], scale: str, kernel: str, stages: list[str]
) -> Iterator[dict[str, Any] | None]:
    """Score models on a picture by a protocol ("round-trip", "chained-8x" or "no-original"), as the command line does.

    `stages` holds chains such as "lapsrn:4,espcn:2"; of chained-8x the scale is always 8. Returns the report.
    """
    with mendable():
        asked = comparing.begun([] if image is None else [image], protocol, scale, kernel, models, stages)
        report = yield from steps(comparing.measured(asked, keeping=False), lambda said, share: None)
        yield as_dict(report)


# --- what the page's events do ------------------------------------------------------------------------------------


def _compare(
    sources: list[Path],
    protocol: str,
    scale: str,
    kernel: str,
    models: list[str],
    chains: list[str],
    request: gr.Request,
) -> Iterator[tuple[Any, ...]]:
    """Measure, each row shown as it is finished; then everything else that there is to see."""
    yield words.progress("Starting", 0), None, *buttons(running=True), *_nothing()
    try:
        with mendable():
            asked = comparing.begun(sources, protocol, scale, kernel, models, _shown_chains(protocol, chains))
            found: list[Row] = []
            told = 0

            def show(said: str, share: float) -> tuple[Any, ...]:
                nonlocal told
                table = _table(found, asked, running=True) if len(found) > told else gr.skip()
                told = len(found)
                return words.progress(said, share), asked, *buttons(running=True), table, *_kept()

            report = yield from steps(comparing.noticed(comparing.measured(asked), found), show)
            shown = yield from steps(_shown(asked, report, request), show)
            yield words.state("Done."), asked, *buttons(running=False), *shown
    except gr.Error as error:
        yield words.state(str(error.message)), gr.skip(), *buttons(running=False), gr.skip(), *_kept()
        raise for_page(error) from None


def _stopped(asked: Comparison | None, request: gr.Request) -> Iterator[tuple[Any, ...]]:
    """What was finished when the visitor cancelled: all that a whole run shows, of those rows."""
    report = None if asked is None else comparing.so_far(asked)
    if asked is None or report is None:
        yield words.state("Cancelled."), *buttons(running=False), *_nothing()
        return
    with escaped(), mendable():
        shown = yield from steps(
            _shown(asked, report, request),
            lambda said, share: (words.progress(said, share), *buttons(running=False), gr.skip(), *_kept()),
        )
        done = f"Cancelled: {len(report.rows)} of {len(asked.pictures) * len(asked.plan.contenders)} are below."
        yield words.state(done), *buttons(running=False), *shown


def _look_at(asked: Comparison | None, number: int) -> Iterator[tuple[Any, ...]]:
    """Another of the pictures in the viewer."""
    report = None if asked is None else comparing.so_far(asked)
    if asked is None or report is None:
        raise gr.Error("The results are no longer kept here; compare again.", print_exception=False)
    with escaped(), mendable():
        view = yield from steps(
            comparing.view(asked, report, asked.pictures[number]),
            lambda said, share: (words.progress(said, share), gr.skip()),
        )
        if not view.panes:
            raise gr.Error("The results are no longer kept here; compare again.", print_exception=False)
        yield words.state("Done."), view


def _pick(event: gr.EventData) -> list[str]:
    """The example that was clicked, alone; static/examples.js sends its name."""
    return [str((find(event.example) or EXAMPLES[0]).path)]


def _added(before: list[Path], new: list[Path]) -> list[str]:
    return [*map(str, before), *map(str, new)]


def _offer(
    protocol: str, scale: str, ticked: list[str], before: list[str]
) -> tuple[Radio, Dropdown, CheckboxGroup, Dropdown, list[str]]:
    """The choices that fit the protocol and scale. Models that were on offer before stay as they were ticked."""
    chained = protocol == "chained-8x"
    with mendable():
        choices, ready = _models(protocol, scale)
    keys = [key for _, key in choices]
    value = [key for key in keys if key in ((ticked or []) if key in before else ready)]
    return (
        Radio(visible=not chained),
        Dropdown(visible=protocol != "no-original"),
        CheckboxGroup(choices, value=value, label="Direct x8 models, beside the chains" if chained else "Models"),
        Dropdown(visible=chained),
        keys,
    )


def _plan(sources: list[Path], protocol: str, scale: str, kernel: str, models: list[str], chains: list[str]) -> str:
    """What a comparison would take, or what is wrong with what was chosen."""
    try:
        comparing.check(sources)
        found = comparing.taking_part(protocol, scale, models, _shown_chains(protocol, chains))
        shrinks = protocol != "no-original"
        by = found[0].scale if shrinks else 1
        sizes = [images.measure(source, 1 if shrinks else found[0].scale) for source in sources]
        for size in sizes:
            protocols.check_size(*size, by)
        comparing.check_sizes(sizes, protocol, found)
        small = comparing.small_sizes(sizes, protocol, found[0].scale)
        comparing.check_lent(found, small)
    except UpscaleError as error:
        return words.trouble(str(error))
    times = [comparing.seconds(each, *size) for each in found for size in small]
    lacking = {needed for each in found for needed in comparing.lacking(each)}
    return words.comparison(len(sources), len(found), times, sum(needed.size for needed in lacking))


# --- what they have in common -------------------------------------------------------------------------------------


def _shown(asked: Comparison, report: Report, request: gr.Request) -> Run[tuple[Any, ...]]:
    """What the page shows of a report, in the order of its widgets."""
    seen = {row.picture for row in report.rows if row.error is None}
    pictures = [(picture.name, number) for number, picture in enumerate(asked.pictures) if picture.picture in seen]
    view = View([])
    if pictures:
        view = yield from noted(comparing.view(asked, report, asked.pictures[pictures[0][1]]), "to look at: ")
    files = yield from comparing.downloads(asked, report)
    return (
        _table(report.rows, asked, running=False),
        gr.Dropdown(pictures, value=pictures[0][1] if pictures else None, visible=len(pictures) > 1),
        view if pictures else None,
        results.details(report.rows, report.protocol, report.kernel),
        gr.Row(visible=True),
        *(gr.DownloadButton(value=str(files[kind])) for kind in KINDS),
        gr.Accordion(visible=True),
        report.command,
        words.script(_address(request), [picture.name for picture in asked.pictures], asked.plan),
    )


def _table(rows: Sequence[Row], asked: Comparison, running: bool) -> str:
    return results.results(rows, asked.plan.protocol, asked.plan.kernel, running)


def _nothing() -> tuple[Any, ...]:
    """The same widgets without anything to show."""
    hidden = gr.Dropdown(visible=False), None, "", gr.Row(visible=False)
    return "", *hidden, *(gr.skip() for _ in KINDS), gr.Accordion(visible=False), "", ""


def _kept() -> tuple[Any, ...]:
    """The widgets after the table as they are."""
    return (gr.skip(),) * (len(_nothing()) - 1)


def _address(request: gr.Request) -> str:
    """Where this page is, as its visitor sees it."""
    return str(request.headers.get("origin", "http://127.0.0.1:7860"))


def _models(protocol: str, scale: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The models to choose from, each with what it would download, and the keys of those that take part unasked."""
    by = CHAINED_SCALE if protocol == "chained-8x" else catalog.factor(scale)
    rows = offered(by)
    alone = {row.key: Contender(((row.key, by),)) for row in rows}
    lacking = {key: sum(needed.size for needed in comparing.lacking(each)) for key, each in alone.items()}
    choices = [
        (f"{row.name} · downloads {megabytes(size)}" if (size := lacking[row.key]) else row.name, row.key)
        for row in rows
    ]
    return choices, [key for key, each in alone.items() if comparing.at_once(each)]


def _shown_chains(protocol: str, chains: list[str]) -> list[str]:
    """The chains that are chosen; none where their field is out of sight."""
    return chains if protocol == "chained-8x" else []


def _pairs(models: Sequence[Model]) -> list[str]:
    """Every chain of an x4 and an x2 model among these."""
    first, second = ([row.key for row in models if scale in row.scales] for scale in CHAINED_STAGES)
    return [f"{x4}:4,{x2}:2" for x4 in first for x2 in second]
