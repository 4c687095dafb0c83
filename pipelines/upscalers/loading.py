"""What runs a model: `load` gives an `Upscaler` for any row of the catalog.

One small module per engine; each has `build(model, scale, files)`, and heavy libraries are imported there, not here.
"""

import importlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pipelines import machine
from pipelines.catalog.rows import find, weights_for
from pipelines.catalog.schema import Model, Weights
from pipelines.catalog.settings import Settings, check
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.runs import Run, Step, finish, in_thread
from pipelines.upscalers.base import Upscaled, Upscaler
from pipelines.weights import fetch as store
from pipelines.weights import visitors

__all__ = [
    "Settings",
    "Upscaled",
    "Upscaler",
    "check",
    "fetch",
    "kept_bytes",
    "lacking",
    "load",
    "load_all",
    "loading",
    "pin",
    "prepare",
]

ENGINES = {
    "classical": "pipelines.upscalers.classical",
    "opencv": "pipelines.upscalers.opencv",
    "network": "pipelines.upscalers.network",
    "diffusion": "pipelines.upscalers.diffusion.engine",
}
LEAST_KEPT = 1 << 30  # bytes; see `kept_bytes`
KEPT_SHARE = 3  # the two of Stable Diffusion together take 5.8 GB, a third of what many a machine has

_kept: OrderedDict[tuple[str, int, tuple[str, ...]], Upscaler] = OrderedDict()
_pinned: set[tuple[str, int]] = set()
_lock = threading.Lock()


def load(key: str, scale: int, weights: Path | None = None) -> Upscaler:
    """The model `key` at `scale`, ready to run; models used lately stay loaded, up to `kept_bytes` together.

    `weights` is the user's own file or folder, used as it is; without it the row's files are found, or downloaded as
    `pipelines.weights.fetch` does. Raises BadSetting for an unknown key or scale, WeightsUnavailable, BadWeights.
    """
    [upscaler] = load_all([(key, scale)], weights)
    return upscaler


def load_all(stages: Sequence[tuple[str, int]], weights: Path | None = None) -> list[Upscaler]:
    """`load` for each model (key, scale) of one run.

    They stay loaded together, whatever they take: the run holds them all in any case, so to drop one of them would free
    nothing, and the next run would read it anew. Only the others have to make way.
    """
    found = [_loaded(key, scale, weights) for key, scale in stages]
    with _lock:
        loose = [name for name, each in _kept.items() if each.nbytes and name[:2] not in _pinned]
        most, others = kept_bytes(), [name for name in loose if not any(_kept[name] is each for each in found)]
        while others and len(loose) > 1 and sum(_kept[name].nbytes for name in loose) > most:
            loose.remove(others[0])
            del _kept[others.pop(0)]
    return found


def loading(stages: Sequence[tuple[str, int]], weights: Path | None = None) -> Run[list[Upscaler]]:
    """`load_all`, with steps that name what is loaded where that takes a while. Errors as in `load`.

    Nothing that reads gigabytes can be ended half-way. Closing the run leaves that to its thread, which goes on: what
    it loads is whole when it is kept, and makes way for others as ever.
    """
    names = dict.fromkeys(find(key).name for key, _ in stages)
    step = Step(0, 1, f"loading {' and '.join(names)}")
    return (yield from in_thread(lambda: load_all(stages, weights), lambda: step))


def kept_bytes() -> int:
    """How much memory loaded models may hold between runs, pinned ones aside: a third of what this process may have, or
    a little where that is less.
    """
    return max(LEAST_KEPT, machine.memory() // KEPT_SHARE)


def _loaded(key: str, scale: int, weights: Path | None) -> Upscaler:
    """The model, from memory or from its files, as the one that was used last."""
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
        return _kept[kept_as]


def pin(key: str, scale: int) -> Upscaler:
    """`load` a model that stays loaded from now on, whatever else is run."""
    _pinned.add((find(key).key, scale))
    return load(key, scale)


def _built(model: Model, scale: int, files: tuple[store.Found, ...], downloaded: bool) -> Upscaler:
    """The model from its files. One that was downloaded because somebody named it goes again if it is no network."""
    engine = importlib.import_module(ENGINES[model.engine])
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
    from pipelines.networks.checkpoints import read

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
    """Every (key, scale) ready to run with the settings: downloads show their progress, then what is loaded is named.

    Errors as in `load`.
    """
    if weights is None:
        yield from fetch(stages, settings)
    return (yield from loading(stages, weights))


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
