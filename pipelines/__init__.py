"""Upscale images with many models, and measure which is best.

    import pipelines

    done = pipelines.upscale("in.jpg", model="swift", scale=4)
    pipelines.write(done.picture, "out.png")
    report = pipelines.benchmark(["photo.png"], models=["bicubic", "swift"], scale=4)

These functions, their errors and the classes of `__all__` are the public API (docs/python.md); importing this package
loads no other library.

The folders, the lowest first. Each imports only those below it and the modules at the top (errors, runs, phrasing,
files, machine, environment); images and weights know nothing of each other.

    catalog     what there is: models, their files, scales, settings; plain data
    images      files and pixels: an image file to a Picture and back; knows no model
    weights     from a row of the catalog to files on this disk; knows no network
    networks    neural networks as functions on arrays, in tiles
    upscalers   the engines: a row of the catalog to an Upscaler
    enlarge     the only way from Picture to Picture; beside it estimates, how long it will take
    measuring   the benchmark: protocols, metrics, rows, statistics, verdict
    batch       many images to many files, going on where the last run ended
    report      what it writes down: JSON, CSV, HTML
    cli         the command line; the page, which is the package ui, stands beside it

The page and the tools enter each folder by one module, its door: catalog.rows, images.door, weights.fetch,
upscalers.loading, measuring.run, batch.run, report.report. Training and the performance measurements, which work on
the parts themselves, go past the doors.
"""

from typing import TYPE_CHECKING, Any

from pipelines.errors import (
    BadInstallation,
    BadPicture,
    BadSetting,
    BadWeights,
    CannotWrite,
    NobodyOffers,
    OutOfMemory,
    UpscaleError,
    WeightsUnavailable,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from pipelines.catalog.schema import Model
    from pipelines.enlarge import Details, Enlarged
    from pipelines.images.picture import Picture
    from pipelines.machine import VERSION
    from pipelines.measuring.rows import Row
    from pipelines.report.report import Report
    from pipelines.runs import Step

__all__ = [
    "VERSION",
    "BadInstallation",
    "BadPicture",
    "BadSetting",
    "BadWeights",
    "CannotWrite",
    "Details",
    "Enlarged",
    "Model",
    "NobodyOffers",
    "OutOfMemory",
    "Picture",
    "Report",
    "Row",
    "Step",
    "UpscaleError",
    "WeightsUnavailable",
    "benchmark",
    "models",
    "read",
    "upscale",
    "write",
]

USUAL_MODEL, USUAL_SCALE = "swift", 4

# Imported when they are first asked for.
_LAZY = {
    "VERSION": "machine",
    "Details": "enlarge",
    "Enlarged": "enlarge",
    "Model": "catalog.schema",
    "Picture": "images.picture",
    "Report": "report.report",
    "Row": "measuring.rows",
    "Step": "runs",
}


def upscale(
    image: "str | os.PathLike[str] | bytes | Picture",
    model: str = USUAL_MODEL,
    scale: "float | str" = USUAL_SCALE,
    *,
    size: str | None = None,
    weights: "str | os.PathLike[str] | None" = None,
    tile: int | None = None,
    seed: int | None = None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    noise_level: int | None = None,
    colour_fix: str | None = None,
    denoise: float | None = None,
    artifacts: str | None = None,
    strength: float | None = None,
    start_point: str | None = None,
    creativity: str | None = None,
    accept_licence: bool | None = None,
    cleanup: "float | str | None" = None,
    output: "str | os.PathLike[str] | None" = None,
    quality: int | None = None,
    overwrite: bool = False,
    on_step: "Callable[[Step], None] | None" = None,
) -> "Enlarged":
    """Upscales an image: a path, the bytes of a file, or a Picture.

    `model` is a key of `models()`, or "owner/name/file.safetensors" on the Hugging Face Hub; what it lacks is
    downloaded. `weights` is a file or folder of your own to use instead. `scale` is from 1.5 to 16. `size`, in its
    place, is "800x" (a width), "x600" (a height), "800x600" (fits within) or "x2.5". Where the model has no such scale,
    the next larger one runs, or the model twice, and the result is shrunk by antialiased bicubic: `details.notes` tell.
    `cleanup` names an x1 model that cleans the image up first; "auto" or a strength from 0 to 1 is for one that takes
    it. The other settings are those of the command line; one that the model cannot use is a BadSetting. `output` is a
    file to write the result to, with a `quality` as `write` takes it: that it can be written is known before the work;
    the image itself it may only be with `overwrite`. `on_step` sees how far the work is; an exception that it raises
    ends the work. Raises BadPicture, BadSetting, CannotWrite, WeightsUnavailable, BadWeights or OutOfMemory.
    """
    import math
    import os
    from pathlib import Path

    from pipelines.catalog.rows import Settings, check_settings, find, parse_cleanup, parse_factor, parse_size
    from pipelines.enlarge import enlarge_by
    from pipelines.estimates import plan_run, plan_size_of
    from pipelines.images import door
    from pipelines.runs import finish

    first = parse_cleanup(cleanup)
    settings = Settings(
        tile=tile,
        seed=seed,
        prompt=prompt,
        negative_prompt=negative_prompt,
        steps=steps,
        guidance=guidance,
        noise_level=noise_level,
        colour_fix=colour_fix,
        denoise=denoise,
        artifacts=artifacts,
        strength=strength,
        start_point=start_point,
        creativity=creativity,
        accept_licence=accept_licence,
        cleanup=first.strength,
    )
    target = None if output is None else Path(output)
    if target is not None:
        door.check_output(target, quality=quality)
    elif quality is not None:
        raise BadSetting("A quality needs a file: give an output too.")
    wanted = parse_factor(scale) if size is None else parse_size(size)
    # What can be refused is refused before the long part.
    check_settings([*(stage.model for stage in first.stages), find(model)], settings)
    sized = plan_size_of(image, model, wanted, first.stages)
    picture = door.to_picture(image, math.prod(stage.scale for stage in sized.stages))
    source = Path(image) if isinstance(image, (str, os.PathLike)) else picture
    plan_run(source, sized.stages, target, overwrite=overwrite, size=sized.size)
    show = on_step or _ignore
    own = None if weights is None else Path(weights)
    done = finish(enlarge_by(picture, sized.stages, settings, own, sized.size), show)
    if target is not None:
        door.write(done.picture, target, quality=quality)
    return done


def benchmark(
    images: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]",
    models: "str | Sequence[str] | None" = None,
    scale: int | None = None,
    *,
    stages: "str | Sequence[str]" = (),
    protocol: str = "round-trip",
    kernel: str = "bicubic",
    repeats: int = 3,
    lpips: bool = False,
    metrics: "str | Sequence[str]" = (),
    accept_licence: bool | None = None,
    on_step: "Callable[[Step], None] | None" = None,
) -> "Report":
    """Shrinks images, upscales them back with many models, and compares with the originals.

    `images` are paths of files, or of folders that hold some. `models` are keys, or "all": every one that has the
    scale but those of diffusion. Left out they are those of "all" that need no download, or none where stages are
    named, unless the protocol is "chained-8x". `scale` left out is 4, or the only one that the protocol has. Each of
    `stages` is a chain, "lapsrn:4,fsrcnn:2". `kernel` may end in "+jpeg75": the small image is then stored as JPEG of
    that quality. `repeats` is how often each is timed after a warm-up, 0 for once without. `metrics` are those to
    download what they need for, such as "lpips"; `lpips` is that one. `accept_licence` accepts those of the models. A
    model that fails on an image is a row with its `error`. Raises BadPicture where there is no image, BadSetting for a
    plan that cannot be.
    """
    import logging
    from pathlib import Path

    from pipelines.catalog.rows import parse_stages
    from pipelines.measuring import run as measuring
    from pipelines.report.report import make_command, record_rows, start_report
    from pipelines.runs import Step, finish

    if not logging.getLogger(__name__).handlers:  # or logging itself would print what a row has as its message
        logging.getLogger(__name__).addHandler(logging.NullHandler())
    show = on_step or _ignore
    chains = [parse_stages(chain) for chain in _several(stages)]
    keys = None if models is None else _several(models)
    measuring.check_kernel(kernel)
    if scale is None:
        scale = measuring.find_protocol(protocol).fixed_scale or USUAL_SCALE
    scale, repeats = _whole(scale, "The scale"), _whole(repeats, "The number of timed runs")
    measuring.check_repeats(repeats)
    found = measuring.resolve_contenders(protocol, scale, keys, chains, accept_licence is True)
    plan = measuring.Plan(protocol, scale, kernel, found, repeats)
    paths = [Path(path) for path in _several(images)]
    pictures, others = measuring.list_subjects(paths)
    for line in measuring.describe_passed_over(others):
        show(Step(0, 1, line))
    if not pictures:
        raise BadPicture("There is no image to measure. Name image files, or folders with images in them.")
    wanted = dict.fromkeys([*(["lpips"] if lpips else []), *_several(metrics)])
    measuring.check_metrics(wanted)
    judges = finish(measuring.fetch_judges(wanted), show)
    named = [str(path) for path in paths]
    head = start_report(plan, named, make_command(named, plan, wanted), judges)
    return finish(record_rows(measuring.run(plan, pictures, judges), head, None), show)


def models() -> "tuple[Model, ...]":
    """Returns the models that there are, in the order of the page: key, name, scales, licence and more of each."""
    from pipelines.catalog.rows import MODELS

    return MODELS


def read(path: "str | os.PathLike[str]") -> "Picture":
    """Decodes an image file, its EXIF orientation applied. Raises BadPicture."""
    from pipelines.images import door

    return door.to_picture(path)


def write(picture: "Picture", path: "str | os.PathLike[str]", quality: int | None = None) -> None:
    """Writes a .png, .webp (both lossless) or .jpg file, which is there whole or not at all.

    `quality`, 1 to 100, is that of JPEG (95 unless given) or of WebP, which is lossy with it. Raises BadSetting for
    another suffix or a quality of PNG, CannotWrite where the file cannot be made.
    """
    from pathlib import Path

    from pipelines.images import door

    door.write(picture, Path(path), quality=quality)


def _several(given: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]") -> "list[Any]":
    """Returns what was given as a list; one path or key alone is a list of one, not its characters."""
    return [given] if isinstance(given, str) or hasattr(given, "__fspath__") else [*given]


def _whole(number: Any, name: str) -> int:
    """Returns a whole number, of whatever library, as an int. Raises BadSetting."""
    import operator

    try:
        return int(operator.index(number))  # of True as well, which is an index of itself
    except TypeError:
        raise BadSetting(f"{name} is a whole number, not {str(number)[:20]!r}.") from None


def _ignore(step: object) -> None:
    pass


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
