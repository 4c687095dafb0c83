"""The Upscale tab: one picture, one model, one scale. Also the API's `/upscale` and `/models`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from pipelines import catalog, images
from pipelines.enlarge import Enlarged, enlarge
from pipelines.errors import BadPicture, BadSetting
from pipelines.images import Source
from pipelines.runs import Run
from pipelines.upscalers import prepare
from ui.inputs import choice_input, picture_input
from ui.running import COMPUTE, mendable, steps

FIRST_MODEL, FIRST_SCALE = "bicubic", "x2"
READY = "Choose a picture, a model and a scale."
CANCELLED = "Cancelled."


def build() -> None:
    """Put the tab's widgets and events into the Blocks being built."""
    with gr.Row():
        with gr.Column():
            image = picture_input(label="Picture", height=320, sources=["upload", "clipboard"])
            models = [(model.name, model.key) for model in catalog.MODELS]
            model = choice_input(gr.Dropdown(models, value=FIRST_MODEL, label="Model"))
            scale = choice_input(gr.Radio(_scales(FIRST_MODEL), value=FIRST_SCALE, label="Scale"))
            about = gr.Markdown(_about(FIRST_MODEL))
            with gr.Row():
                run = gr.Button("Enlarge", variant="primary")
                cancel = gr.Button("Cancel", interactive=False)
        with gr.Column():
            progress = gr.Markdown(READY)
            preview = gr.Image(label="Result", format="png", interactive=False, height=320, buttons=["fullscreen"])
            file = gr.File(label="Download", interactive=False)
            details = gr.JSON(label="Details", open=True)

    model.change(_choose, [model, scale], [scale, about], api_visibility="private", show_progress="hidden")
    running = run.click(
        _on_page,
        [image, model, scale],
        [progress, preview, file, details, run, cancel],
        api_visibility="private",
        show_progress="hidden",
        concurrency_id=COMPUTE,
        concurrency_limit=1,
    )
    cancel.click(
        lambda: (CANCELLED, gr.Button(interactive=True), gr.Button(interactive=False)),
        outputs=[progress, run, cancel],
        cancels=[running],
        api_visibility="private",
        queue=False,
    )
    gr.Button(visible=False).click(
        upscale,
        [image, model, scale],
        [file, details],
        api_name="upscale",
        concurrency_id=COMPUTE,
        concurrency_limit=1,
    )
    api(list_models, api_name="models", queue=False)


def list_models() -> list[dict[str, Any]]:
    """Every model: key, name, family, scales, licence, download sizes in bytes."""
    return [catalog.as_dict(model) for model in catalog.MODELS]


def upscale(image: Source | None, model: str, scale: str) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Enlarge a picture. `scale` is "x2", "x3", "x4" or "x8". Returns the lossless result and its details."""
    with mendable(), tempfile.TemporaryDirectory() as folder:
        done = yield from steps(_enlarged(image, model, scale), lambda words: (None, None))
        yield str(_saved(done, image, Path(folder))), done.details.as_dict()


def _on_page(image: Source | None, model: str, scale: str) -> Iterator[tuple[Any, ...]]:
    """The same for the page: progress in words, the result to look at, and which button can be pressed."""
    busy = (gr.Button(interactive=False), gr.Button(interactive=True))
    idle = (gr.Button(interactive=True), gr.Button(interactive=False))
    yield "Starting.", None, None, None, *busy
    try:
        with mendable(), tempfile.TemporaryDirectory() as folder:
            done = yield from steps(_enlarged(image, model, scale), lambda words: (words, None, None, None, *busy))
            path = str(_saved(done, image, Path(folder)))
            yield f"Done in {done.details.seconds:.2f} s.", path, path, done.details.as_dict(), *idle
    except gr.Error as error:
        yield str(error.message), None, None, None, *idle
        raise


def _enlarged(source: Source | None, model: str, scale: str) -> Run[Enlarged]:
    if source is None:
        raise BadPicture("Choose a picture first.")
    factor = _factor(scale)
    catalog.weights_for(catalog.find(model), factor)
    picture = images.read(source, factor)
    stages = yield from prepare([(model, factor)])
    return (yield from enlarge(picture, stages))


def _factor(scale: str) -> int:
    known = {f"x{factor}": factor for factor in catalog.SCALES}
    if scale not in known:
        raise BadSetting(f"There is no scale {scale!r}; there are {', '.join(known)}.")
    return known[scale]


def _saved(done: Enlarged, source: Source | None, folder: Path) -> Path:
    """The result as a PNG, named after the picture, model and scale."""
    stem = source.stem if isinstance(source, Path) else "picture"
    path = folder / f"{stem}_{done.details.model}_x{done.details.scale}.png"
    images.write(done.picture, path)
    return path


def _scales(key: str) -> list[str]:
    return [f"x{scale}" for scale in catalog.find(key).scales]


def _choose(key: str, scale: str) -> tuple[gr.Radio, str]:
    scales = _scales(key)
    return gr.Radio(scales, value=scale if scale in scales else scales[0]), _about(key)


def _about(key: str) -> str:
    model = catalog.find(key)
    use = "commercial use allowed" if model.commercial else "no commercial use"
    return f"{model.note} *Licence: {model.licence}; {use}.*"
