"""The Upscale tab: one picture, one model, one scale. Also the API's `/upscale` and `/models`."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from pipelines import estimates
from pipelines.catalog import hub_address
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings, check
from pipelines.enlarge import Details, enlarge
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.door import Source
from pipelines.phrasing import duration
from pipelines.runs import finish
from pipelines.upscalers.loading import lacking, load
from ui.examples import EXAMPLES, RESULT, find
from ui.jobs import enlarging, gpu
from ui.jobs.offered import offered
from ui.jobs.running import ONE_AT_A_TIME, QUIET, buttons, cancelled, for_page, mendable, steps
from ui.widgets import before_after
from ui.widgets import html as words
from ui.widgets.before_after import BEFORE, Shown
from ui.widgets.inputs import Dropdown, Number, PictureInput, Radio, ResultFile, Slider
from ui.widgets.picture import picture_field

FIRST_MODEL, FIRST_SCALE = "swift", "x4"
STATE = ("model", "scale", "example")  # what the page's address may ask for
READY = "Ready."
WAITING = "Waiting for a free place."
PRESS_IF_ASKED = "(asked) => { if (asked) document.querySelector('#actions button.primary').click(); }"
ABOUT_DENOISE = "How much noise and grain is taken away."
ABOUT_OWN = (
    "An ESRGAN or compact network, by name or address. It is used instead of the model above until one is chosen there."
)
FORMATS = {"PNG": "png", "WebP": "webp", "JPEG": "jpg"}  # WebP is lossless, JPEG of quality 95


def build(page: gr.Blocks) -> list[gr.Component]:
    """Put the tab's widgets and events into the page being built; returns those that `instead` is for."""
    with tempfile.TemporaryDirectory() as folder:  # gradio makes copies of its own as the widgets are made
        return _build(page, _first(Path(folder)))


def _build(page: gr.Blocks, first: Shown) -> list[gr.Component]:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            image = picture_field("picture")
            models = [(words.choice(model), model.key) for model in offered()]
            with gr.Group():
                model = Dropdown(models, value=FIRST_MODEL, label="Model", filterable=False)
                scale = Radio(_scales(catalog.find(FIRST_MODEL)), value=FIRST_SCALE, label="Scale")
                denoise = Slider(0, 1, value=1, step=0.05, label="Denoise strength", info=ABOUT_DENOISE, visible=False)
            plan = gr.HTML(_plan(EXAMPLES[0].path, FIRST_MODEL, "", FIRST_SCALE, None))
            with gr.Row(elem_id="actions"):
                run = gr.Button("Enlarge", variant="primary")
                cancel = gr.Button("Cancel", interactive=False)
            about = gr.HTML(words.about(catalog.find(FIRST_MODEL)))
            with gr.Accordion("Your own model", open=False):
                own = gr.Textbox(
                    label="A file on the Hugging Face Hub",
                    placeholder=hub_address.EXAMPLE,
                    info=ABOUT_OWN,
                    max_lines=1,
                    elem_id="own",
                )
        with gr.Column(scale=3, min_width=320):
            progress = gr.HTML(words.state(READY), elem_id="progress")
            slider = before_after.slider("compare", first.pair)
            result = ResultFile(value=first.file, visible=False)
            with gr.Group():
                kind = gr.Radio(list(FORMATS), value="PNG", label="Download as")
                metadata = gr.Checkbox(True, label="Keep metadata (EXIF)")
            download = gr.DownloadButton("Download PNG", value=first.file)
            facts = gr.HTML(first.facts, elem_id="facts")

    # Whether the page's address asked for a state. A hidden box and not a gr.State, so that the browser knows it.
    asked = gr.Checkbox(False, visible=False)
    chosen, run_and_cancel = [image, model, own, scale, denoise], [run, cancel]

    model.input(_pick, [model, own, scale], [own, scale, about, denoise], **QUIET, queue=False)
    own.change(_choose, [model, own, scale], [scale, about, denoise], **QUIET, queue=False)
    changes = [image.change, model.change, own.change, scale.change, denoise.change]
    gr.on(changes, _plan, chosen, plan, **QUIET, queue=False)
    opened = page.load(_open, None, [image, model, scale, about, denoise, asked], **QUIET, queue=False)
    # What it changes is planned by the changes: a plan of its own could come late, after that of a click.
    opened.then(None, asked, None, js=PRESS_IF_ASKED)

    waiting = run.click(
        lambda: (words.state(WAITING), *buttons(running=True)), None, [progress, *run_and_cancel], **QUIET, queue=False
    )
    running = waiting.then(
        _on_page,
        chosen,
        [progress, slider, facts, result, kind, metadata, download, *run_and_cancel],
        **QUIET,
        **ONE_AT_A_TIME,
    )
    running.then(_plan, chosen, plan, **QUIET, queue=False)  # what was downloaded is here now
    cancel.click(None, cancels=[running], api_visibility="private", queue=False).then(
        cancelled, None, [progress, *run_and_cancel], **QUIET, queue=False
    )

    for choice in (kind, metadata):
        preparing = choice.input(
            lambda: gr.DownloadButton("Preparing", interactive=False), None, download, **QUIET, queue=False
        )
        preparing.then(_convert, [result, kind, metadata], download, **QUIET, concurrency_id="files")

    # The API has inputs of its own: the page's hold the first example, which a call without a picture would enlarge.
    gr.Button(visible=False).click(
        upscale,
        [
            PictureInput(label="Picture", visible=False),
            Dropdown([model.key for model in catalog.MODELS], value=FIRST_MODEL, label="Model", visible=False),
            Radio([f"x{factor}" for factor in catalog.SCALES], value="x2", label="Scale", visible=False),
            Number(label="Denoise", visible=False),
        ],
        [gr.File(label="file", visible=False), gr.JSON(label="details", visible=False)],
        api_name="upscale",
        **ONE_AT_A_TIME,
    )
    api(list_models, api_name="models", queue=False)
    return [image, model, own, scale, about, denoise]


def instead(image: Source | None) -> tuple[Any, ...]:
    """The tab with that picture and Real-ESRGAN x4 chosen, for who wanted what cannot be had."""
    row = catalog.find("real-esrgan")
    path = str(image) if isinstance(image, Path) else None
    return path, row.key, "", Radio(_scales(row), value="x4"), words.about(row), _denoise(row)


def warm() -> None:
    """Have the first model ready by the time somebody clicks; what is wrong with it is told then."""
    with suppress(Exception):
        load(FIRST_MODEL, catalog.factor(FIRST_SCALE))


def list_models() -> list[dict[str, Any]]:
    """Every model: key, name, family, scales, licence, download sizes in bytes."""
    return [catalog.as_dict(model) for model in catalog.MODELS]


def upscale(
    image: Source | None, model: str, scale: str, denoise: float | None = None
) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Enlarge a picture. `scale` is "x2", "x3", "x4" or "x8". Returns the lossless result and its details.

    `model` may also be a file on the Hugging Face Hub, "owner/name/file.safetensors"; `denoise` is from 0 to 1.
    """
    with mendable(), tempfile.TemporaryDirectory() as folder:
        stages, settings = [(catalog.find(model).key, catalog.factor(scale))], Settings(denoise=denoise)
        picture = enlarging.opened(image, stages, settings)
        done = yield from steps(enlarging.enlarged(picture, stages, settings), lambda said, share: (None, None))
        yield str(enlarging.saved(done, image, Path(folder))), done.details.as_dict()


# --- what the page's events do ------------------------------------------------------------------------------------


def _on_page(
    image: Source | None, model: str, own: str, scale: str, denoise: float | None
) -> Iterator[tuple[Any, ...]]:
    """Enlarge, showing progress, then the result beside what a plain method gives; its PNG is there to download."""
    kept = (gr.skip(),) * 6
    yield words.progress("Starting", 0), *kept, *buttons(running=True)
    started = time.monotonic()
    try:
        with mendable(), tempfile.TemporaryDirectory() as folder:
            shown = yield from steps(
                before_after.shown(image, *_meant(model, own, denoise), catalog.factor(scale), Path(folder)),
                lambda said, share: (words.progress(said, share), *kept, *buttons(running=True)),
            )
            took = words.state(f"Done in {duration(time.monotonic() - started)}.")
            download = gr.DownloadButton("Download PNG", value=shown.file, interactive=True)
            yield took, shown.pair, shown.facts, shown.file, "PNG", True, download, *buttons(running=False)
    except gr.Error as error:
        yield words.state(str(error.message)), *kept, *buttons(running=False)
        raise for_page(error) from None


def _plan(image: Source | None, model: str, own: str, scale: str, denoise: float | None) -> str:
    """What a run would give and take, or what is wrong with what was chosen."""
    if image is None:
        return words.trouble("Choose a picture first.")
    try:
        row, settings = _meant(model, own, denoise)
        factor = catalog.factor(scale)
        check([row], settings)
        missing = lacking([(row.key, factor)], settings)
        size = images.measure(image, factor)
        gpu.check_lent([(row.key, factor)], settings, size)
    except UpscaleError as error:
        return words.trouble(str(error))
    return words.plan(row, size, factor, estimates.estimate(row.key, factor, *size, settings), missing)


def _pick(model: str, own: str, scale: str) -> tuple[Any, ...]:
    """A model picked from the list: one's own, if there is one, gives way to it."""
    return "" if own else gr.skip(), *_choose(model, "", scale)


def _choose(model: str, own: str, scale: str) -> tuple[Any, ...]:
    """The scales that the model has, what it is good at, and whether it denoises.

    A scale is chosen only where the chosen one is lacking: to say again what is chosen would undo a click that was made
    in the meantime. One's own model most likely enlarges by four, which is known only once it is loaded.
    """
    try:
        row, _ = _meant(model, own, None)
    except UpscaleError:  # while it is being written; the plan tells
        return gr.skip(), "", gr.skip()
    scales = _scales(row)
    wanted = FIRST_SCALE if row.from_hub else scale if scale in scales else scales[0]
    radio = Radio(scales) if scale == wanted else Radio(scales, value=wanted)
    return radio, words.about(row), _denoise(row)


def _open(request: gr.Request) -> tuple[Any, ...]:
    """The state that ?model=…&scale=…&example=… asks for, and whether it asks for one; nonsense asks for nothing."""
    query = dict(request.query_params)
    if query.keys().isdisjoint(STATE):  # to say again what the page shows would undo a click made in the meantime
        return (*(gr.skip(),) * 5, False)
    example = find(query.get("example", ""))
    key = query["model"] if query.get("model") in {row.key for row in offered()} else FIRST_MODEL
    row = catalog.find(key)
    scales, scale = _scales(row), f"x{query.get('scale', '').removeprefix('x')}"
    asked = example is not None or key == query.get("model") or scale in scales
    if scale not in scales:
        scale = FIRST_SCALE if FIRST_SCALE in scales else scales[0]
    image = gr.skip() if example is None else str(example.path)
    return image, key, Radio(scales, value=scale), words.about(row), _denoise(row), asked


def _convert(result: Path | None, kind: str, metadata: bool) -> Iterator[Any]:
    """The result in the format to download; from the lossless file, so that nothing is lost on the way."""
    ready = gr.DownloadButton(f"Download {kind}", value=None if result is None else str(result), interactive=True)
    suffix = FORMATS[kind]
    if result is None or (suffix == "png" and metadata):
        yield ready
        return
    with mendable(), tempfile.TemporaryDirectory() as folder:
        if not result.is_file():
            raise gr.Error("The result is no longer kept here; enlarge the picture again.", print_exception=False)
        path = Path(folder) / result.with_suffix(f".{suffix}").name
        images.write(images.read_back(result), path, metadata)
        yield gr.DownloadButton(f"Download {kind}", value=str(path), interactive=True)


# --- what they have in common -------------------------------------------------------------------------------------


def _meant(model: str, own: str, denoise: float | None) -> tuple[Model, Settings]:
    """The model that is to run, one's own where its field is filled, with those of the settings that it takes."""
    row = catalog.on_hub(own) if own and own.strip() else catalog.find(model)
    return row, Settings(denoise=denoise).only(row.takes)


def _denoise(row: Model) -> Slider:
    return Slider(visible="denoise" in row.takes)


def _scales(row: Model) -> list[str]:
    return [f"x{scale}" for scale in row.scales]


def _first(folder: Path) -> Shown:
    """The first example's result, there before anyone clicks: made beforehand, since the page opens without torch."""
    details = Details.from_dict(json.loads(RESULT.with_suffix(".json").read_text()))
    before = finish(enlarge(images.read(EXAMPLES[0].path, details.scale), [load(BEFORE, details.scale)]))
    left = folder / f"before_{BEFORE}.png"
    images.write(before.picture, left, metadata=False)
    said = f"left {BEFORE}, right {details.model} x{details.scale}, made beforehand"
    return Shown((str(left), str(RESULT)), words.facts(details, said), str(RESULT), details.about())
