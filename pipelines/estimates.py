"""What can be said of a run before it starts: whether it can be, how long it takes, how much memory.

How fast each model is comes from upscalers/rates.py, which learns from each run here.
"""

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines import environment, machine
from pipelines.catalog import rows as catalog
from pipelines.catalog.diffusion import seen_pixels
from pipelines.catalog.rows import Size, Stage
from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings
from pipelines.catalog.sizes import FACTOR_RANGE, choose_scales, describe_sizing
from pipelines.catalog.speeds import Rate
from pipelines.errors import BadSetting, CannotWrite, OutOfMemory
from pipelines.images import door as images
from pipelines.images.door import Format, ImageSource, Picture, Place
from pipelines.phrasing import format_bytes, printable_name
from pipelines.upscalers import rates
from pipelines.upscalers.rates import learn as learn

BYTES_PER_PIXEL = 12  # three float32 channels
LIBRARY_BYTES = 150_000_000  # that the libraries of networks take once they are loaded, at the least
ENCODING_BYTES = 4  # of a pixel of the result at the least: it rounded to 8 bits, and the file


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, about. `seconds` is None for a model that was never measured."""

    seconds: float | None
    # Of 10^6 bytes, for the picture, its enlargement, one tile where its memory is known, and a diffusion model itself.
    megabytes: float
    on_cpu: bool = True  # whether the seconds are those of a processor
    runs: int = 0  # on this machine that the seconds were learned from; none where they are only believed


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a run from the header of the picture and the name of the file to write."""

    size: tuple[int, int]  # width, height of the picture
    result: tuple[int, int]
    format: Format | None  # of the file to write; None where none was named


@dataclass(frozen=True, slots=True)
class Sized:
    """How a model reaches a size: the stages that it runs as, what they make, and what that is shrunk to, in pixels."""

    stages: tuple[Stage, ...]
    made: tuple[int, int]  # width, height
    size: tuple[int, int]  # width, height of the result
    notes: tuple[str, ...]  # what is to be known of it, for people


def plan_size(key: str, size: Size, width: int, height: int, first: Sequence[Stage] = ()) -> Sized:
    """Returns how the model of that key brings an image of that width and height to a size, behind the `first` stages.

    Those clean up. A scale that the model has is one stage, and nothing is shrunk. Raises BadSetting for a size that it
    cannot reach, even if it runs twice.
    """
    row, wanted = catalog.find(key), size.of(width, height)
    scales = choose_scales(row.scales, (width, height), wanted)
    if row.cleans:
        raise BadSetting(f"{row.name} does not upscale: it cleans an image up before another model upscales it.")
    if not scales:
        most = min(max(row.scales) ** 2, FACTOR_RANGE[1])
        beyond = "" if size.factor else f", which {size} is beyond for {width} by {height} pixels"
        raise BadSetting(f"{row.name} reaches at most x{most}{beyond}.")
    scale = math.prod(scales)
    made = width * scale, height * scale
    stages = (*first, *(Stage(row.key, each) for each in scales))
    notes = (*catalog.describe_cleanup(stages), *describe_sizing(row.name, scales, made, wanted))
    return Sized(stages, made, wanted, notes)


def plan_size_of(
    image: "ImageSource | Picture | str | os.PathLike[str]", key: str, size: Size, first: Sequence[Stage] = ()
) -> Sized:
    """Does as `plan_size`, for an image, of whose file the header is read.

    Raises BadPicture as well where it cannot be read, or what the model makes of it is beyond the limit.
    """

    def grow(width: int, height: int) -> int:
        return math.prod(stage.scale for stage in plan_size(key, size, width, height).stages)

    return plan_size(key, size, *images.measure(image, grow), first)


def plan_run(
    image: ImageSource | Picture,
    stages: Sequence[Stage],
    output: Place | None = None,
    *,
    overwrite: bool = False,
    size: tuple[int, int] | None = None,
) -> Plan:
    """Looks ahead, and raises now what would else be raised after the work, or end it; nothing is decoded.

    BadPicture for a picture that cannot be read or is too large, BadSetting for a result that the format of `output`
    cannot hold, CannotWrite where that file cannot be made or is the picture itself, unless `overwrite`, OutOfMemory
    where the result does not fit into the memory that is left. `size` is the result's where it is shrunk to one.
    """
    scale = math.prod(stage.scale for stage in stages)
    if isinstance(image, Picture):
        height, width, _ = image.pixels.shape
    else:
        width, height = images.read_size(image, scale)
    result = size or (width * scale, height * scale)
    format_ = None if output is None else images.check_output(output, result)
    if output is not None and isinstance(image, Path) and not overwrite and images.is_same(image, output):
        raise CannotWrite(f"{printable_name(output)} cannot be written: it is the input image, which would be lost.")
    unloaded = any(stage.model.engine == "network" for stage in stages) and "torch" not in sys.modules
    check_memory((width, height), scale, machine.available_memory() - unloaded * LIBRARY_BYTES, result)
    return Plan((width, height), result, format_)


def check_memory(size: tuple[int, int], scale: int, available: int, result: tuple[int, int] | None = None) -> None:
    """Raises OutOfMemory where a picture of that size, enlarged and encoded, takes more than is available.

    Where what is made is shrunk to a `result`, both are in memory at once. Tiles and models are not counted: tiles
    become smaller where memory is short.
    """
    made = size[0] * scale, size[1] * scale
    result = result or made
    held, encoded = BYTES_PER_PIXEL, BYTES_PER_PIXEL + ENCODING_BYTES
    needed = math.prod(size) * held + math.prod(result) * encoded + (result != made) * math.prod(made) * held
    if needed > available:
        raise OutOfMemory(
            f"A result of {result[0]} by {result[1]} pixels takes at least {format_bytes(needed)} of memory, "
            f"but only {format_bytes(max(0, available))} are left here."
        )


def estimate(key: str, scale: int, width: int, height: int, settings: Settings | None = None) -> Estimate:
    """Estimates a run on a picture of that many pixels, without loading or downloading."""
    rate, row = rates.find(Stage(key, scale)), rates.find_diffusion(key)
    files, made = (row.download(scale), row.shrunk_from or scale) if row else (0, scale)
    held = (width * height * (1 + made**2) * BYTES_PER_PIXEL + files) / environment.MEGA
    if rate is None:
        return Estimate(None, held)
    tiles, pixels = rates.count_tiles(*seen_pixels(key, scale, width, height), _tiling(rate, settings, row))
    if rate.tiling:
        held += (pixels * rate.tiling.held + width * height * rate.tiling.kept) / environment.MEGA
    seconds = rate.seconds * tiles * pixels * rates.count_passes(key, settings, rate.device) / environment.MEGA
    return Estimate(
        rates.fixed_seconds(Stage(key, scale), rate) + seconds, held, rate.device.startswith("cpu"), rate.runs
    )


def estimate_each(stages: Sequence[Stage], width: int, height: int, settings: Settings | None = None) -> list[Estimate]:
    """Estimates stages one after another, each on what the one before it made."""
    found = []
    for stage in stages:
        found.append(estimate(stage.key, stage.scale, width, height, settings))
        width, height = width * stage.scale, height * stage.scale
    return found


def _tiling(rate: Rate, settings: Settings | None, diffusion: Model | None) -> Tiling | None:
    """Returns how a picture will be cut: as it was, or by the chosen side where that leaves something to write.

    Tiles of a diffusion model overlap by a share of their side.
    """
    tile = settings.tile if settings else None
    if rate.tiling is None or not isinstance(tile, int) or tile <= 0:
        return rate.tiling
    side, overlap = rate.tiling[:2]
    overlap = overlap * tile // side if diffusion else overlap
    return rate.tiling._replace(side=tile, overlap=overlap) if tile > 2 * overlap else rate.tiling
