"""What can be said of a run before it starts: whether it can be, how long it takes, how much memory.

How long is right after the first run of a model here. What was learned is kept from one start to the next, beside the
downloads. On another processor it counts for nothing, nor where a diffusion model's passes are counted anew.
"""

import json
import math
import operator
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines import environment, machine
from pipelines.catalog import rows as catalog
from pipelines.catalog.diffusion import seen_pixels
from pipelines.catalog.rows import Size, Stage, find_specification, resolve_options
from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings
from pipelines.catalog.sizes import FACTOR_RANGE, choose_scales, describe_sizing
from pipelines.catalog.speeds import MEASURED, MEASURED_WITH_AMX, Rate, fixed_seconds, growing_seconds
from pipelines.errors import BadSetting, CannotWrite, OutOfMemory
from pipelines.files import write_whole
from pipelines.images import door as images
from pipelines.images.door import Format, ImageSource, Picture, Place
from pipelines.machine import cores, has_nvidia, processor
from pipelines.networks.tiling import plan_tiles
from pipelines.phrasing import format_bytes, printable_name

BYTES_PER_PIXEL = 12  # three float32 channels
LIBRARY_BYTES = 150_000_000  # that the libraries of networks take once they are loaded, at the least
ENCODING_BYTES = 4  # of a pixel of the result at the least: it rounded to 8 bits, and the file
LEAST_PIXELS = 10_000  # how long smaller pictures take says too little

_learned: dict[Stage, Rate] | None = None  # None: not read yet
_lock = threading.Lock()


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
    with _lock:
        rate, row = _known().get(Stage(key, scale)) or _believed(key, scale), _diffusion(key)
    files, made = (row.download(scale), row.shrunk_from or scale) if row else (0, scale)
    held = (width * height * (1 + made**2) * BYTES_PER_PIXEL + files) / environment.MEGA
    if rate is None:
        return Estimate(None, held)
    tiles, pixels = _tiles(*seen_pixels(key, scale, width, height), _tiling(rate, settings, row))
    if rate.tiling:
        held += (pixels * rate.tiling.held + width * height * rate.tiling.kept) / environment.MEGA
    seconds = rate.seconds * tiles * pixels * _passes(key, settings, rate.device) / environment.MEGA
    return Estimate(fixed_seconds(key) + seconds, held, rate.device.startswith("cpu"), rate.runs)


def estimate_each(stages: Sequence[Stage], width: int, height: int, settings: Settings | None = None) -> list[Estimate]:
    """Estimates stages one after another, each on what the one before it made."""
    found = []
    for stage in stages:
        found.append(estimate(stage.key, stage.scale, width, height, settings))
        width, height = width * stage.scale, height * stage.scale
    return found


def learn(
    key: str,
    scale: int,
    width: int,
    height: int,
    seconds: float,
    tiling: Tiling | None = None,
    device: str = "cpu",
    settings: Settings | None = None,
) -> None:
    """Takes into account that an opaque picture of that size took so long; tiny ones tell too little to count.

    The first time on a device replaces what was believed; each later one counts as much as all before it.
    """
    if width * height < LEAST_PIXELS:
        return
    tiles, pixels = _tiles(*seen_pixels(key, scale, width, height), tiling)
    new = growing_seconds(key, seconds) * environment.MEGA / (tiles * pixels * _passes(key, settings, device))
    with _lock:
        known = _known()
        stage = Stage(key, scale)
        before, runs = known.get(stage), 1
        if before is not None and before.device == device:
            new, runs = (before.seconds + new) / 2, before.runs + 1
        usual = before or _believed(key, scale)
        if settings is not None and settings.tile is not None and usual is not None:
            tiling = usual.tiling  # the one that was asked for is not that of the next run
        known[stage] = Rate(new, tiling, device, runs, _passes(key, None, device))
        with suppress(CannotWrite):  # then it is learned anew at the next start
            _keep(known)


def _believed(key: str, scale: int) -> Rate | None:
    row = _diffusion(key)
    # Where a GPU is lent, what it takes is told from what a plain processor takes.
    amx = "amx_bf16" in machine.features() and not environment.exact() and not environment.zero_gpu()
    if row is None:
        return (MEASURED_WITH_AMX.get((key, scale)) if amx else None) or MEASURED.get((key, scale))
    return find_specification(row).rate(environment.zero_gpu() or has_nvidia(), scale, amx)


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


def _diffusion(key: str) -> Model | None:
    """The model's row, if it is one that runs in steps."""
    return next((row for row in catalog.MODELS if row.key == key and row.diffusion), None)


def _passes(key: str, settings: Settings | None, device: str) -> int:
    """Counts how often a diffusion model's network runs over each tile, its autoencoder included; 1 for others."""
    row = _diffusion(key)
    if row is None:
        return 1
    options, specified = resolve_options(row, (settings or Settings()).only(row.takes)), find_specification(row)
    return sum(specified.around(device)) + options.passes


def _tiles(width: int, height: int, tiling: Tiling | None) -> tuple[int, int]:
    """Returns how many tiles a picture is cut into, and how many pixels each reads."""
    if tiling is None:
        return 1, width * height
    planned = plan_tiles(height, width, tiling.side, tiling.overlap)
    rows, columns = planned[0]
    return len(planned), (rows.stop - rows.start) * (columns.stop - columns.start)


def _known() -> dict[Stage, Rate]:
    global _learned
    if _learned is None:
        try:
            _learned = _parsed(_file().read_text())
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):  # none yet, or none of ours
            _learned = {}
    return _learned


def _parsed(text: str) -> dict[Stage, Rate]:
    kept = json.loads(text)
    if kept["machine"] != _machine():
        return {}
    rates = ((Stage(each["model"], each["scale"]), _checked(**each)) for each in kept["rates"])
    return {stage: rate for stage, rate in rates if rate.passes == _passes(stage.key, None, rate.device)}


def _checked(
    model: str, scale: int, seconds: float, tiling: list[int] | None, device: str, runs: int = 1, passes: int = 1
) -> Rate:
    """A kept rate, if it could be one of ours; else ValueError or TypeError: a file may be damaged."""
    tiles = None if tiling is None else Tiling(*map(operator.index, tiling))
    rate = Rate(seconds, tiles, device, max(1, operator.index(runs)), passes)
    fits = tiles is None or (0 <= 2 * tiles.overlap < tiles.side and min(tiles[2:]) >= 0)
    if not 0 < rate.seconds < math.inf or not fits:
        raise ValueError("not a rate")
    return rate


def _keep(known: dict[Stage, Rate]) -> None:
    path = _file()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    rates = [{"model": stage.key, "scale": stage.scale, **asdict(rate)} for stage, rate in known.items()]
    write_whole(path, json.dumps({"machine": _machine(), "rates": rates}, indent=1).encode())


def _machine() -> str:
    return f"{processor()}, {cores()} cores{', exact' * environment.exact()}"


def _file() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "upscale-bench" / "speeds.json"
