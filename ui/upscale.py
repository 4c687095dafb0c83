"""The Upscale tab: one picture, one model, one scale. Also the API's `/upscale` and `/models`."""

import html
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.events import api

from pipelines import catalog, estimates, images, weights
from pipelines.enlarge import Enlarged, enlarge, enlarge_by
from pipelines.errors import BadPicture, BadSetting, UpscaleError
from pipelines.images import Picture, Source
from pipelines.runs import Run, finish
from pipelines.settings import Limits
from pipelines.upscalers import load
from ui import gpu, words
from ui.examples import EXAMPLES, STATIC, find
from ui.inputs import Dropdown, PictureInput, Radio
from ui.running import COMPUTE, mendable, steps

FIRST_MODEL, FIRST_SCALE = "lanczos", "x4"
READY = "Ready."
CANCELLED = "Cancelled."
BEFORE = "bicubic"  # what a result is compared with; itself with nearest neighbour
SHOWN_PIXELS = 24_000_000  # a larger result is too much for a browser to show twice: its middle is shown
SHOWN_SIDE = 4096
FORMATS = {"PNG": "png", "WebP": "webp", "JPEG": "jpg"}  # WebP is lossless, JPEG of quality 95
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": COMPUTE, "concurrency_limit": 1}
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Compared(NamedTuple):
    """A result, and the same picture enlarged by the plain method it is shown beside."""

    done: Enlarged
    before: Picture
    before_by: str


def build(page: gr.Blocks) -> None:
    """Put the tab's widgets and events into the page being built."""
    first = _first()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            image = PictureInput(
                value=str(EXAMPLES[0].path),
                label="Picture",
                height=220,
                sources=["upload", "webcam", "clipboard"],
                buttons=["fullscreen"],
                elem_id="picture",
                placeholder="Drop a picture here, paste one, or click to choose",
                alt_text="The picture to enlarge",
            )
            examples = gr.HTML(words.examples(EXAMPLES), js_on_load=(STATIC / "examples.js").read_text())
            models = [(words.choice(model), model.key) for model in catalog.MODELS]
            with gr.Group():
                model = Dropdown(models, value=FIRST_MODEL, label="Model", filterable=False)
                scale = Radio(_scales(FIRST_MODEL), value=FIRST_SCALE, label="Scale")
            plan = gr.HTML(_plan(EXAMPLES[0].path, FIRST_MODEL, FIRST_SCALE))
            with gr.Row(elem_id="actions"):
                run = gr.Button("Enlarge", variant="primary")
                cancel = gr.Button("Cancel", interactive=False)
            about = gr.HTML(words.about(catalog.find(FIRST_MODEL)))
        with gr.Column(scale=3, min_width=320):
            progress = gr.HTML(words.state(READY), elem_id="progress")
            slider = gr.ImageSlider(
                value=first.pair,
                label="Before and after",
                format="png",
                type="filepath",
                interactive=False,
                height=460,
                max_height=460,
                buttons=["fullscreen"],
                elem_id="compare",
            )
            facts = gr.HTML(first.facts, elem_id="facts")
            result = gr.File(value=first.file, visible=False)
            with gr.Group():
                kind = gr.Radio(list(FORMATS), value="PNG", label="Download as")
                metadata = gr.Checkbox(True, label="Keep metadata (EXIF)")
            download = gr.DownloadButton("Download", value=first.file)

    asked = gr.State(False)
    outputs = [progress, slider, facts, result, run, cancel]
    chosen = [image, model, scale]

    examples.click(_pick, None, image, **QUIET, queue=False)
    model.input(_choose, [model, scale], [scale, about], **QUIET, queue=False)
    image.upload(_viewable, image, image, **QUIET, **ONE_AT_A_TIME)
    gr.on([image.change, model.change, scale.change], _plan, chosen, plan, **QUIET, queue=False)
    running = run.click(
        _on_page,
        chosen,
        outputs,
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=progress,
        **ONE_AT_A_TIME,
    )
    opened = page.load(_open, None, [image, model, scale, about, asked], **QUIET, queue=False)
    opened.then(_if_asked, [asked, *chosen], outputs, **QUIET, **ONE_AT_A_TIME)
    gr.on(
        [result.change, kind.change, metadata.change],
        _convert,
        [result, kind, metadata],
        download,
        **QUIET,
        **ONE_AT_A_TIME,
    )
    cancel.click(None, cancels=[running], api_visibility="private", queue=False).then(
        _cancelled, None, [progress, run, cancel], **QUIET, queue=False
    )

    file, details = gr.File(label="file", visible=False), gr.JSON(label="details", visible=False)
    gr.Button(visible=False).click(upscale, chosen, [file, details], api_name="upscale", **ONE_AT_A_TIME)
    api(list_models, api_name="models", queue=False)


def list_models() -> list[dict[str, Any]]:
    """Every model: key, name, family, scales, licence, download sizes in bytes."""
    return [catalog.as_dict(model) for model in catalog.MODELS]


def upscale(image: Source | None, model: str, scale: str) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Enlarge a picture. `scale` is "x2", "x3", "x4" or "x8". Returns the lossless result and its details."""
    with mendable(), tempfile.TemporaryDirectory() as folder:
        done = yield from steps(_enlarged(image, model, scale), lambda said, share: (None, None))
        yield str(_saved(done, image, Path(folder))), done.details.as_dict()


# --- what the page's events do ------------------------------------------------------------------------------------


def _on_page(image: Source | None, model: str, scale: str) -> Iterator[tuple[Any, ...]]:
    """Enlarge, showing progress, then the result beside what a plain method gives."""
    kept = (gr.skip(), gr.skip(), gr.skip())
    yield words.progress("Starting", 0), *kept, *_buttons(running=True)
    try:
        with mendable(), tempfile.TemporaryDirectory() as folder:
            compared = yield from steps(
                _compared(image, model, scale),
                lambda said, share: (words.progress(said, share), *kept, *_buttons(running=True)),
            )
            shown = _show(compared, image, Path(folder))
            took = words.duration(compared.done.details.seconds)
            yield words.state(f"Done in {took}."), shown.pair, shown.facts, shown.file, *_buttons(running=False)
    except gr.Error as error:
        yield words.state(str(error.message)), *kept, *_buttons(running=False)
        # The page shows the message as HTML, and it may hold a file's name.
        raise gr.Error(html.escape(str(error.message), quote=False), print_exception=False) from None


def _if_asked(asked: bool, image: Source | None, model: str, scale: str) -> Iterator[tuple[Any, ...]]:
    """Enlarge at once where the page's address asked for a state of its own."""
    if asked:
        yield from _on_page(image, model, scale)
    else:
        yield (gr.skip(),) * 6


def _cancelled() -> tuple[Any, ...]:
    """The idle state, a moment after the cancel: steps that were on their way would show over it."""
    time.sleep(0.3)
    return words.state(CANCELLED), *_buttons(running=False)


def _buttons(running: bool) -> tuple[gr.Button, gr.Button]:
    return gr.Button(interactive=not running), gr.Button(interactive=running)


def _plan(image: Source | None, model: str, scale: str) -> str:
    """What a run would give and take, or what is wrong with what was chosen."""
    if image is None:
        return words.trouble("Choose a picture first.")
    try:
        row, factor = catalog.find(model), _factor(scale)
        needed = catalog.weights_for(row, factor)
        size = images.measure(image, factor)
        missing = needed if needed is not None and weights.find(needed) is None else None
    except UpscaleError as error:
        return words.trouble(str(error))
    return words.plan(size, factor, estimates.estimate(model, factor, *size), missing)


def _choose(model: str, scale: str) -> tuple[Radio, str]:
    """The scales that the model has, the chosen one kept where it can be, and what the model is good at."""
    scales = _scales(model)
    return Radio(scales, value=scale if scale in scales else scales[0]), words.about(catalog.find(model))


def _viewable(image: Source | None) -> Iterator[Any]:
    """A TIFF as a PNG of the same pixels, depth and metadata, since no browser shows a TIFF; all others stay."""
    if isinstance(image, Path) and image.suffix.lower() in (".tif", ".tiff"):
        with suppress(UpscaleError), tempfile.TemporaryDirectory() as folder:
            picture = images.read(image)
            if not picture.notes:  # what reading changes is to be said with the result, so the file itself is kept
                path = Path(folder) / image.with_suffix(".png").name
                images.write(picture, path)
                yield str(path)
                return
    yield gr.skip()


def _pick(event: gr.EventData) -> str:
    """The file of the example that was clicked; static/examples.js sends its name."""
    example = find(event.example)
    return str((example or EXAMPLES[0]).path)


def _open(request: gr.Request) -> tuple[Any, ...]:
    """The state that ?model=…&scale=…&example=… asks for; what it does not name, or names wrongly, stays."""
    query = dict(request.query_params)
    example = find(query.get("example", ""))
    key = query["model"] if query.get("model") in {row.key for row in catalog.MODELS} else FIRST_MODEL
    asked_scale = f"x{query.get('scale', FIRST_SCALE).removeprefix('x')}"
    radio, about = _choose(key, asked_scale)
    image = gr.skip() if example is None else str(example.path)
    return image, key, radio, about, bool({"model", "scale", "example"} & query.keys())


def _convert(result: str | None, kind: str, metadata: bool) -> Iterator[Any]:
    """The result in the format to download; from the lossless file, so that nothing is lost on the way."""
    if result is None:
        yield gr.skip()
        return
    suffix = FORMATS[kind]
    if suffix == "png" and metadata:
        yield result
        return
    with mendable(), tempfile.TemporaryDirectory() as folder:
        lossless = Path(result)
        path = Path(folder) / lossless.with_suffix(f".{suffix}").name
        # What was made here may be larger than what is accepted from outside.
        own = Limits(input_pixels=sys.maxsize, output_pixels=sys.maxsize, file_bytes=lossless.stat().st_size)
        images.write(images.read(lossless, bounds=own), path, metadata)
        yield str(path)


# --- what they have in common -------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """A result as the page shows it: two files to compare, the facts, and the file to download."""

    pair: tuple[str, str]
    facts: str
    file: str


def _compared(source: Source | None, model: str, scale: str) -> Run[Compared]:
    done = yield from _enlarged(source, model, scale)
    assert source is not None, "_enlarged refuses that"
    factor = _factor(scale)
    before_by = BEFORE if model != BEFORE else "nearest"
    before = yield from enlarge(images.read(source, factor), [load(before_by, factor)])
    return Compared(done, before.picture, before_by)


def _enlarged(source: Source | None, model: str, scale: str) -> Run[Enlarged]:
    if source is None:
        raise BadPicture("Choose a picture first.")
    factor = _factor(scale)
    catalog.weights_for(catalog.find(model), factor)
    picture, stages = images.read(source, factor), [(model, factor)]
    done = yield from gpu.run(stages, enlarge_by, picture, stages)
    height, width, _ = picture.pixels.shape
    estimates.learn(model, factor, width, height, done.details.seconds)
    return done


def _factor(scale: str) -> int:
    for factor in catalog.SCALES:
        if scale == f"x{factor}":
            return factor
    known = ", ".join(f"x{factor}" for factor in catalog.SCALES)
    raise BadSetting(f"There is no scale {str(scale)[:60]!r}; there are {known}.")


def _scales(key: str) -> list[str]:
    return [f"x{scale}" for scale in catalog.find(key).scales]


def _saved(done: Enlarged, source: Source | None, folder: Path) -> Path:
    """The result as a PNG, named after the picture, model and scale."""
    stem = source.stem if isinstance(source, Path) else "picture"
    path = folder / f"{stem}_{done.details.model}_x{done.details.scale}.png"
    images.write(done.picture, path)
    return path


def _show(compared: Compared, source: Source | None, folder: Path) -> Shown:
    """Write the files that the page shows. Of a result too large for a browser both sides show the middle."""
    done = compared.done
    file = _saved(done, source, folder)
    before = folder / f"before_{compared.before_by}.png"
    images.write(_middle(compared.before), before, metadata=False)
    after, said = file, ""
    if (middle := _middle(done.picture)) is not done.picture:
        after = folder / "middle.png"
        images.write(middle, after, metadata=False)
        said = f"; the middle {SHOWN_SIDE} × {SHOWN_SIDE} of it, the download has all"
    return Shown((str(before), str(after)), words.facts(done.details, compared.before_by, said), str(file))


def _middle(picture: Picture) -> Picture:
    height, width, _ = picture.pixels.shape
    if height * width <= SHOWN_PIXELS:
        return picture
    top, left = max(0, height - SHOWN_SIDE) // 2, max(0, width - SHOWN_SIDE) // 2
    part = (slice(top, top + SHOWN_SIDE), slice(left, left + SHOWN_SIDE))
    return replace(picture, pixels=picture.pixels[part], alpha=None if picture.alpha is None else picture.alpha[part])


def _first() -> Shown:
    """The first example's result, there before anyone clicks."""
    source = EXAMPLES[0].path
    return _show(finish(_compared(source, FIRST_MODEL, FIRST_SCALE)), source, Path(tempfile.mkdtemp()))
