"""How fast each model is here: believed until one was run, then learned from its runs.

What was learned is kept from one start to the next. Where a diffusion model's passes are counted anew it counts for
nothing. What is believed of a model that was not run yet is measured on other processors, and goes by how much faster
or slower this one has been with other models.
"""

import math
import operator
import statistics
import threading
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from pipelines import environment, machine
from pipelines.catalog import rows as catalog
from pipelines.catalog.diffusion import seen_pixels
from pipelines.catalog.rows import Stage, find_specification, resolve_options
from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings
from pipelines.catalog.speeds import FIXED_SECONDS, Rate, believe
from pipelines.errors import CannotWrite
from pipelines.machine import has_nvidia
from pipelines.networks.tiling import plan_tiles
from pipelines.upscalers import kept

FILE = "speeds.json"
LEAST_PIXELS = 10_000  # how long smaller pictures take says too little
MOST_PACE = 8.0  # times as fast or as slow as was believed: what is beyond comes from something else

_learned: dict[Stage, Rate] | None = None  # None: not read yet
_lock = threading.Lock()


def find(stage: Stage) -> Rate | None:
    """Returns the rate that was learned here, or the one that is believed; None for a model that was never measured."""
    with _lock:
        known = _known()
        if stage in known:
            return known[stage]
        believed = _believed(stage)
        if believed is None or find_diffusion(stage.key):
            return believed
        return replace(believed, seconds=believed.seconds * _pace(known, stage))


def fixed_seconds(stage: Stage, rate: Rate) -> float:
    """Returns what a run takes whatever the image's size: less where this machine is faster than was believed."""
    fixed = FIXED_SECONDS.get(stage.key, 0.0)
    believed = _believed(stage) if fixed else None
    return fixed * min(1.0, rate.seconds / believed.seconds) if believed else fixed


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
    stage = Stage(key, scale)
    tiles, pixels = count_tiles(*seen_pixels(key, scale, width, height), tiling)
    new = _growing(stage, seconds, tiles * pixels * count_passes(key, settings, device) / environment.MEGA)
    with _lock:
        known = _known()
        before, runs = known.get(stage), 1
        if before is not None and before.device == device:
            new, runs = (before.seconds + new) / 2, before.runs + 1
        usual = before or _believed(stage)
        if settings is not None and settings.tile is not None and usual is not None:
            tiling = usual.tiling  # the one that was asked for is not that of the next run
        known[stage] = Rate(new, tiling, device, runs, count_passes(key, None, device))
        with suppress(CannotWrite):  # then it is learned anew at the next start
            _keep(known)


def _growing(stage: Stage, seconds: float, megapixels: float) -> float:
    """Returns the seconds a megapixel of a run that took so many: without those that it takes at any size.

    A machine that is faster than was believed is faster at both parts.
    """
    fixed, believed = FIXED_SECONDS.get(stage.key, 0.0), _believed(stage)
    if believed is None:
        return max(seconds / 2, seconds - fixed) / megapixels
    expected = fixed + believed.seconds * megapixels
    return believed.seconds * seconds / expected if seconds < expected else (seconds - fixed) / megapixels


def _pace(known: dict[Stage, Rate], stage: Stage) -> float:
    """Returns how many times as long as believed models of the same engine have taken here, on the processor."""
    if has_nvidia() or environment.zero_gpu():
        return 1.0  # what was learned may be of the one device, and what is believed of the other
    engine = catalog.find(stage.key).engine
    seen = [
        rate.seconds / believed.seconds
        for other, rate in known.items()
        if not find_diffusion(other.key)
        and (believed := _believed(other)) is not None  # of what is in no table, the engine may be unknown, too
        and catalog.find(other.key).engine == engine
    ]
    return min(MOST_PACE, max(1 / MOST_PACE, statistics.median(seen))) if seen else 1.0


def _believed(stage: Stage) -> Rate | None:
    # Where a GPU is lent, what it takes is told from what a plain processor takes.
    plain = environment.exact() or environment.zero_gpu()
    row, features = find_diffusion(stage.key), frozenset() if plain else machine.features()
    if row is None:
        return believe(stage.key, stage.scale, features)
    # With either feature a pass of Stable Diffusion x4 took 90 to 96 s a megapixel.
    quick = not features.isdisjoint(machine.BFLOAT16_FEATURES)
    return find_specification(row).rate(environment.zero_gpu() or has_nvidia(), stage.scale, quick)


def find_diffusion(key: str) -> Model | None:
    """Returns the model's row, if it is one that runs in steps."""
    return next((row for row in catalog.MODELS if row.key == key and row.diffusion), None)


def count_passes(key: str, settings: Settings | None, device: str) -> int:
    """Counts how often a diffusion model's network runs over each tile, its autoencoder included; 1 for others."""
    row = find_diffusion(key)
    if row is None:
        return 1
    options, specified = resolve_options(row, (settings or Settings()).only(row.takes)), find_specification(row)
    return sum(specified.around(device)) + options.passes


def count_tiles(width: int, height: int, tiling: Tiling | None) -> tuple[int, int]:
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
            _learned = _parsed(kept.read(FILE))
        except (ValueError, TypeError, KeyError, AttributeError):  # none yet, or none of ours
            _learned = {}
    return _learned


def _parsed(learned: Any) -> dict[Stage, Rate]:
    rates = ((Stage(each["model"], each["scale"]), _checked(**each)) for each in learned["rates"])
    return {stage: rate for stage, rate in rates if rate.passes == count_passes(stage.key, None, rate.device)}


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
    rates = [{"model": stage.key, "scale": stage.scale, **asdict(rate)} for stage, rate in known.items()]
    kept.write(FILE, {"rates": rates})
