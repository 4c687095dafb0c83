"""What runs a model: `load` gives an `Upscaler` for any row of the catalog.

One small module per engine; each has `build(model, scale, files)`, and heavy libraries are imported there, not here.
"""

import importlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pipelines import weights as store
from pipelines.catalog import find, weights_for
from pipelines.errors import BadSetting
from pipelines.runs import Run, finish
from pipelines.upscalers.base import Settings, Upscaled, Upscaler, check

__all__ = ["KEPT_BYTES", "Settings", "Upscaled", "Upscaler", "check", "fetch", "load", "prepare"]

KEPT_BYTES = 1 << 30  # memory that loaded models may hold between runs

_kept: OrderedDict[tuple[str, int, tuple[str, ...]], Upscaler] = OrderedDict()
_lock = threading.Lock()


def load(key: str, scale: int, weights: Path | None = None) -> Upscaler:
    """The model `key` at `scale`, ready to run; models used lately stay loaded, up to KEPT_BYTES together.

    `weights` is the user's own file or folder, used as it is; without it the row's files are found, or downloaded as
    `pipelines.weights.fetch` does. Raises BadSetting for an unknown key or scale, WeightsUnavailable, BadWeights.
    """
    model = find(key)
    needed = weights_for(model, scale)
    if needed is None and weights is not None:
        raise BadSetting(f"{model.name} needs no weights.")
    if needed is None:
        files: tuple[store.Found, ...] = ()
    elif weights is None:
        files = finish(store.fetch(needed))
    else:
        files = store.from_user(needed, weights)
    kept_as = (key, scale, tuple(file.sha256 for file in files))
    with _lock:
        if kept_as not in _kept:
            engine = importlib.import_module(f"pipelines.upscalers.{model.engine}")
            _kept[kept_as] = cast(Upscaler, engine.build(model, scale, files))
        _kept.move_to_end(kept_as)
        upscaler = _kept[kept_as]
        while len(_kept) > 1 and sum(each.nbytes for each in _kept.values()) > KEPT_BYTES:
            _kept.popitem(last=False)
    return upscaler


def fetch(stages: Sequence[tuple[str, int]]) -> Run[None]:
    """Download what the models (key, scale) lack, so that `load` needs no network. Errors as in `load`."""
    for key, scale in stages:
        needed = weights_for(find(key), scale)
        if needed is not None:
            yield from store.fetch(needed)


def prepare(stages: Sequence[tuple[str, int]], weights: Path | None = None) -> Run[list[Upscaler]]:
    """Every (key, scale) ready to run: downloads show their progress, then each is loaded. Errors as in `load`."""
    if weights is None:
        yield from fetch(stages)
    return [load(key, scale, weights) for key, scale in stages]
