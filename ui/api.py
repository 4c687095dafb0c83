"""The page's API: six named events, each a promise, as parameters, results and docstrings are what callers see.

They have inputs of their own, out of sight: the page's hold the first example, which a call without a picture would
use.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from pipelines.batch.run import Recipe
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage
from pipelines.errors import BadSetting
from pipelines.images import door
from pipelines.images.door import ImageSource
from pipelines.measuring.run import CHAINED_8X, fetch_judges
from pipelines.report.report import as_dict
from ui import api_inputs
from ui.jobs import comparing, enlarging
from ui.jobs.gathering import Results, upscale_sent
from ui.jobs.running import ONE_AT_A_TIME, explain_errors, forward_steps
from ui.tabs.prompt import stage_of
from ui.widgets.advice import FIRST_SCALE
from ui.widgets.comparison_form import FIRST_KERNEL, FIRST_PROTOCOL
from ui.widgets.steering import as_whole_number

Result: TypeAlias = tuple[str | None, dict[str, Any] | None]  # the lossless file and its details, None until it is done


def build() -> None:
    """Puts the API into the page being built."""
    for event, given, outputs in (
        (upscale, api_inputs.place_upscale(), _place_result()),
        (upscale_many, api_inputs.place_upscale_many(), _place_result("zip")),
        (chain, api_inputs.place_chain(), _place_result()),
        (prompt, api_inputs.place_prompt(), _place_result()),
        (benchmark, api_inputs.place_benchmark(), gr.JSON(label="report", visible=False)),
    ):
        gr.Button(visible=False).click(event, given, outputs, api_name=event.__name__, **ONE_AT_A_TIME)
    models = gr.JSON(label="models", visible=False)
    gr.Button(visible=False).click(list_models, None, models, api_name="models", queue=False)


def upscale(
    image: ImageSource | None,
    model: str,
    scale: str,
    denoise: float | None = None,
    size: str | None = None,
    format: str | None = None,
    quality: int | str | None = None,
    cleanup: str | float | None = None,
    artifacts: str | None = None,
    accept_licence: bool | None = None,
) -> Iterator[Result]:
    """Upscale an image. Returns the result, a lossless PNG unless another format is named, and its details.

    `model` is a key, or a file on the Hugging Face Hub, "owner/name/file.safetensors". `scale` is a factor from 1.5 to
    16, such as "x4", "4" or 2.5. `size`, in its place, is "800x" (a width), "x600" (a height), "800x600" (fits within)
    or "x2.5". `denoise` is from 0 to 1. `format` is "png", "webp" or "jpg". `quality`, from 1 to 100, is that of JPEG
    (95) or of WebP, which is lossy with it. `cleanup` is the key of an x1 model that runs first, "none", "auto" or a
    strength from 0 to 1. `artifacts` is "auto", "none" or "remove", for Swift. `accept_licence` accepts that
    of a model which asks for it.
    """
    with explain_errors():
        asked = _understand(model, scale, denoise, size, quality, cleanup, artifacts, accept_licence)
        sized = enlarging.plan_size_of(image, asked.key, asked.size, asked.first)
        yield from _enlarge(image, sized.stages, asked.settings, sized.size, format or "png", asked.quality)


def upscale_many(
    images: list[tuple[Path, str]] | None,
    model: str,
    scale: str,
    denoise: float | None = None,
    size: str | None = None,
    format: str | None = None,
    quality: int | str | None = None,
    cleanup: str | float | None = None,
    artifacts: str | None = None,
    accept_licence: bool | None = None,
) -> Iterator[Results]:
    """Upscale many images, or those in a zip. Returns a zip of the results, and what became of each image.

    All else is as in `upscale`. Of each image there is: `image`, its name; `file`, its result's name in the zip, or
    null; `state`, "done", "failed" or "left" where the run ended early; `error`, why it failed or the run ended;
    `losses`, what the format does not keep; and `details`.
    """
    with explain_errors():
        recipe = _understand(model, scale, denoise, size, quality, cleanup, artifacts, accept_licence)
        yield from upscale_sent(images or [], recipe, format or "png")


def _understand(model: str, scale: str, *more: Any) -> Recipe:
    """What is done to an image, by the parameters of `upscale`. Raises BadSetting."""
    denoise, size, quality, cleanup, artifacts, accepts = more
    wanted = catalog.parse_factor(scale) if size in (None, "") else catalog.parse_size(size)
    first = catalog.parse_cleanup(cleanup)
    chosen = {"artifacts": artifacts or None, "accept_licence": accepts or None}
    settings = Settings(denoise=denoise, cleanup=first.strength, **chosen)
    row = catalog.find(model)
    catalog.check_settings([*(stage.model for stage in first.stages), row], settings)
    level = None if quality in (None, "") else as_whole_number(quality)
    return Recipe(key=row.key, size=wanted, first=first.stages, settings=settings, quality=level)


def list_models() -> list[dict[str, Any]]:
    """Every model: key, name, family, scales, licence, download sizes in bytes."""
    return [catalog.as_dict(model) for model in catalog.MODELS]


def chain(image: ImageSource | None, first: str, second: str, accept_licence: bool | None = None) -> Iterator[Result]:
    """Upscale an image to eight times its size: by the model `first` at x4, then by `second` at x2.

    `accept_licence` accepts that of a model which asks for it. Returns the lossless result and its details.
    """
    with explain_errors():
        models = catalog.find(first).key, catalog.find(second).key
        stages = list(map(Stage, models, CHAINED_8X.chain_scales))
        yield from _enlarge(image, stages, Settings(accept_licence=accept_licence or None))


def prompt(
    image: ImageSource | None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    noise_level: int | None = None,
    seed: int | None = None,
    colour_fix: str | None = None,
    tile: int | None = None,
    model: str | None = None,
    accept_licence: bool | None = None,
    strength: float | None = None,
    start_point: str | None = None,
    creativity: str | None = None,
) -> Iterator[Result]:
    """Upscale an image to four times its size by Stable Diffusion. Returns the lossless result and its details.

    Only the image is required: without the others the prompt is empty, the seed 0, and the model has values of its own.
    `colour_fix` is "wavelet", "adain" or "none"; `tile` the side of a tile in pixels of the image.
    `model` is another that takes words: its largest scale up to x4 runs. `accept_licence` accepts one that asks for it.
    `strength` (0 to 2) is how closely DiffBIR and SUPIR follow the cleaned image. `start_point` is "noise" or "image".
    `creativity`, "low", "medium" or "high", is how much the model may invent (default "low"). It sets noise level,
    guidance and strength for you; a value that you give yourself is kept.
    """
    with explain_errors():
        settings = Settings(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=as_whole_number(steps),
            guidance=guidance,
            noise_level=as_whole_number(noise_level),
            seed=as_whole_number(seed),
            colour_fix=colour_fix or None,
            tile=as_whole_number(tile),
            accept_licence=accept_licence or None,
            strength=strength,
            start_point=start_point or None,
            creativity=creativity or None,
        )
        yield from _enlarge(image, [stage_of(model or None)], settings)


def benchmark(
    image: ImageSource | None = None,
    protocol: str = FIRST_PROTOCOL,
    models: list[str] | None = None,
    scale: str = FIRST_SCALE,
    kernel: str = FIRST_KERNEL,
    stages: str | list[str] | None = None,
    images: list[Path] | None = None,
    lpips: bool = False,
    accept_licence: bool | None = None,
) -> Iterator[dict[str, Any] | None]:
    """Score models on one image or several by a protocol ("round-trip", "chained-8x" or "no-original").

    Without `models` those take part that need no download; "all" is every one of the scale but those of diffusion.
    `stages` are chains such as "lapsrn:4,espcn:2", with semicolons between; of chained-8x the scale is always 8.
    `kernel` may end in "+jpeg75" or another quality. `lpips` downloads what that metric needs. `accept_licence` accepts
    those of the models. Returns the report.
    """
    with explain_errors():
        sources = [*([] if image is None else [image]), *(images or [])]
        chains = _chains(stages)
        comparison = comparing.start(sources, protocol, scale, kernel, models or None, chains, accept_licence)
        if lpips:
            yield from forward_steps(fetch_judges(["lpips"]), lambda text, share: None)
        report = yield from forward_steps(
            comparing.measure(comparison, keeping=False), lambda text, share: None, comparing.expect(comparison)
        )
        yield as_dict(report)


def _chains(given: Any) -> list[str]:
    """Chains written as one text, or as a list of them."""
    if not given:
        return []
    if isinstance(given, str):
        return [each for each in re.split(r"[;\s]+", given) if each]
    if isinstance(given, list):
        return list(map(str, given))
    raise BadSetting('Stages are text such as "lapsrn:4,espcn:2", with semicolons between chains.')


def _place_result(file: str = "file") -> list[gr.components.Component]:
    return [gr.File(label=file, visible=False), gr.JSON(label="details", visible=False)]


def _enlarge(
    image: ImageSource | None,
    stages: Sequence[Stage],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
    format: str = "png",
    quality: int | None = None,
) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        door.check_format(format)
        door.check_output(Path(folder) / f"result.{format}", size, quality)
        done = yield from forward_steps(
            enlarging.open_and_enlarge(image, stages, settings, size),
            lambda text, share: (None, None),
            enlarging.expect(image, stages, settings),
        )
        yield str(enlarging.save_result(done, image, Path(folder), format, quality)), done.details.as_dict()
