"""The page's API: five named events, each a promise, as parameters, results and docstrings are what callers see.

They have inputs of their own, out of sight: the page's hold the first example, which a call without a picture would
use.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
from gradio import events

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage
from pipelines.images.door import ImageSource
from pipelines.measuring.run import CHAINED_8X, OFFERED_KERNELS, PROTOCOLS
from pipelines.report.report import as_dict
from ui.jobs import comparing, enlarging
from ui.jobs.running import ONE_AT_A_TIME, explain_errors, forward_steps
from ui.tabs import compare
from ui.tabs.prompt import as_whole_number, first_stage
from ui.tabs.upscale import FIRST_MODEL, FIRST_SCALE
from ui.widgets.inputs import CheckboxGroup, Dropdown, Number, PictureInput, Radio, Textbox

Result: TypeAlias = tuple[str | None, dict[str, Any] | None]  # the lossless file and its details, None until it is done


def build() -> None:
    """Puts the API into the page being built."""
    scales = [f"x{factor}" for factor in catalog.SCALES]
    first, second = (
        [model.key for model in catalog.MODELS if scale in model.scales] for scale in CHAINED_8X.chain_scales
    )
    gr.Button(visible=False).click(
        upscale,
        [
            PictureInput(label="Picture", visible=False),
            Dropdown([model.key for model in catalog.MODELS], value=FIRST_MODEL, label="Model", visible=False),
            Radio(scales, value=FIRST_SCALE, label="Scale", visible=False),
            Number(label="Denoise", visible=False),
            Textbox(label="Size", visible=False),
        ],
        _result(),
        api_name="upscale",
        **ONE_AT_A_TIME,
    )
    events.api(list_models, api_name="models", queue=False)
    gr.Button(visible=False).click(
        chain,
        [
            PictureInput(label="Picture", visible=False),
            Dropdown(first, value=FIRST_MODEL, label="First", visible=False),
            Dropdown(second, value=FIRST_MODEL, label="Second", visible=False),
        ],
        _result(),
        api_name="chain",
        **ONE_AT_A_TIME,
    )
    gr.Button(visible=False).click(
        prompt,
        [
            PictureInput(label="Picture", visible=False),
            Textbox(label="Prompt", visible=False),
            Textbox(label="Negative prompt", visible=False),
            Number(label="Steps", visible=False),
            Number(label="Guidance", visible=False),
            Number(label="Noise level", visible=False),
            Number(label="Seed", visible=False),
        ],
        _result(),
        api_name="prompt",
        **ONE_AT_A_TIME,
    )
    gr.Button(visible=False).click(
        benchmark,
        [
            PictureInput(label="Picture", visible=False),
            Radio([each.key for each in PROTOCOLS], value=compare.FIRST_PROTOCOL, label="Protocol", visible=False),
            CheckboxGroup([model.key for model in catalog.MODELS], label="Models", visible=False),
            Radio(scales, value=compare.FIRST_SCALE, label="Scale", visible=False),
            Dropdown(list(OFFERED_KERNELS), value=compare.FIRST_KERNEL, label="Kernel", visible=False),
            Dropdown(compare.list_chains(catalog.MODELS), value=[], label="Chains", multiselect=True, visible=False),
        ],
        gr.JSON(label="report", visible=False),
        api_name="benchmark",
        **ONE_AT_A_TIME,
    )


def upscale(
    image: ImageSource | None, model: str, scale: str, denoise: float | None = None, size: str | None = None
) -> Iterator[Result]:
    """Upscale an image. Returns the lossless result and its details.

    `model` is a key, or a file on the Hugging Face Hub, "owner/name/file.safetensors". `scale` is a factor from 1.5 to
    16, such as "x4", "4" or 2.5. `size`, in its place, is "800x" (a width), "x600" (a height), "800x600" (fits within)
    or "x2.5". `denoise` is from 0 to 1.
    """
    with explain_errors():
        wanted = catalog.parse_factor(scale) if size in (None, "") else catalog.parse_size(size)
        settings = Settings(denoise=denoise)
        catalog.check_settings([catalog.find(model)], settings)
        sized = enlarging.plan_size_of(image, model, wanted)
        yield from _enlarge(image, sized.stages, settings, sized.size)


def list_models() -> list[dict[str, Any]]:
    """Every model: key, name, family, scales, licence, download sizes in bytes."""
    return [catalog.as_dict(model) for model in catalog.MODELS]


def chain(image: ImageSource | None, first: str, second: str) -> Iterator[Result]:
    """Enlarge a picture to eight times its size: by the model `first` at x4, then by `second` at x2.

    Returns the lossless result and its details.
    """
    with explain_errors():
        models = catalog.find(first).key, catalog.find(second).key
        yield from _enlarge(image, list(map(Stage, models, CHAINED_8X.chain_scales)))


def prompt(
    image: ImageSource | None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    noise_level: int | None = None,
    seed: int | None = None,
) -> Iterator[Result]:
    """Enlarge a picture to four times its size by Stable Diffusion. Returns the lossless result and its details.

    All but the picture may be left out: the prompt is empty then, the seed 0, and of the others the model has its own.
    """
    with explain_errors():
        settings = Settings(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=as_whole_number(steps),
            guidance=guidance,
            noise_level=as_whole_number(noise_level),
            seed=as_whole_number(seed),
        )
        yield from _enlarge(image, [first_stage()], settings)


def benchmark(
    image: ImageSource | None, protocol: str, models: list[str], scale: str, kernel: str, stages: list[str]
) -> Iterator[dict[str, Any] | None]:
    """Score models on a picture by a protocol ("round-trip", "chained-8x" or "no-original"), as the command line does.

    `stages` holds chains such as "lapsrn:4,espcn:2"; of chained-8x the scale is always 8. Returns the report.
    """
    with explain_errors():
        comparison = comparing.start([] if image is None else [image], protocol, scale, kernel, models, stages)
        report = yield from forward_steps(comparing.measure(comparison, keeping=False), lambda text, share: None)
        yield as_dict(report)


def _result() -> list[gr.components.Component]:
    return [gr.File(label="file", visible=False), gr.JSON(label="details", visible=False)]


def _enlarge(
    image: ImageSource | None,
    stages: Sequence[Stage],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        picture = enlarging.open_picture(image, stages, settings, size)
        done = yield from forward_steps(
            enlarging.enlarge_picture(picture, stages, settings, size), lambda text, share: (None, None)
        )
        yield str(enlarging.save_result(done, image, Path(folder))), done.details.as_dict()
