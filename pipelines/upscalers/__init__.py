"""What runs a model: `load` gives an `Upscaler` for any row of the catalog.

One small module per engine; each has `build(model, scale, files)`, and heavy libraries are imported there, not here.
"""

import importlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pipelines import visitors
from pipelines import weights as store
from pipelines.catalog import Model, Weights, find, weights_for
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.runs import Run, finish
from pipelines.upscalers.base import Settings, Upscaled, Upscaler, check

__all__ = ["KEPT_BYTES", "Settings", "Upscaled", "Upscaler", "check", "fetch", "lacking", "load", "pin", "prepare"]

KEPT_BYTES = 1 << 30  # memory that loaded models may hold between runs, pinned ones aside

_kept: OrderedDict[tuple[str, int, tuple[str, ...]], Upscaler] = OrderedDict()
_pinned: set[tuple[str, int]] = set()
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
    kept_as = (model.key, scale, tuple(file.sha256 for file in files))
    with _lock:
        if kept_as not in _kept:
            _kept[kept_as] = _built(model, scale, files, downloaded=weights is None)
        _kept.move_to_end(kept_as)
        upscaler = _kept[kept_as]
        loose = [each for each in _kept if each[:2] not in _pinned]
        while len(loose) > 1 and sum(_kept[each].nbytes for each in loose) > KEPT_BYTES:
            del _kept[loose.pop(0)]
    return upscaler


def pin(key: str, scale: int) -> Upscaler:
    """`load` a model that stays loaded from now on, whatever else is run."""
    _pinned.add((find(key).key, scale))
    return load(key, scale)


def _built(model: Model, scale: int, files: tuple[store.Found, ...], downloaded: bool) -> Upscaler:
    """The model from its files. One that was downloaded because somebody named it goes again if it is no network."""
    engine = importlib.import_module(f"pipelines.upscalers.{model.engine}")
    try:
        return cast(Upscaler, engine.build(model, scale, files))
    except BadWeights:
        if model.from_hub and downloaded:
            for file in files:
                if not _readable(file.path):
                    visitors.forget(file.path)
        raise


def _readable(path: Path) -> bool:
    """Whether the file holds a network at all: it may only have been asked for another scale than its own."""
    from pipelines.checkpoints import read

    try:
        read(path)
    except BadWeights:
        return False
    return True


def fetch(stages: Sequence[tuple[str, int]], settings: Settings | None = None) -> Run[None]:
    """Download what the models (key, scale) lack to run with the settings, so that then no network is needed.

    Errors as in `load`.
    """
    for key, scale in stages:
        for needed in _needed(key, scale, settings):
            yield from store.fetch(needed)


def lacking(stages: Sequence[tuple[str, int]], settings: Settings | None = None) -> list[Weights]:
    """What `fetch` would download; nothing is asked of any network. Errors as in `load`."""
    needed = dict.fromkeys(each for key, scale in stages for each in _needed(key, scale, settings))
    return [each for each in needed if not store.is_here(each)]


def prepare(
    stages: Sequence[tuple[str, int]], weights: Path | None = None, settings: Settings | None = None
) -> Run[list[Upscaler]]:
    """Every (key, scale) ready to run with the settings: downloads show their progress, then each is loaded.

    Errors as in `load`.
    """
    if weights is None:
        yield from fetch(stages, settings)
    return [load(key, scale, weights) for key, scale in stages]


def _needed(key: str, scale: int, settings: Settings | None) -> list[Weights]:
    """The weights of the model, and its noisy twin where that is mixed in."""
    model = find(key)
    own, twin = weights_for(model, scale), model.noisy_twin
    if own is None:
        return []
    if twin is None or settings is None or settings.denoise is None or settings.denoise == 1:
        return [own]
    found, found_twin = store.find(own), store.find(twin)
    # A file of the user's own is mixed with another of theirs alone, and a visitor need not know where those lie.
    if found and found[0].origin == store.OWN and (found_twin is None or found_twin[0].origin != store.OWN):
        name = twin.files[0].name
        raise WeightsUnavailable(f"Denoise below 1 needs {name} too, which is not in the folder of one's own weights.")
    return [own, twin]
