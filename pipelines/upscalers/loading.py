"""From stages to upscalers that are ready to run: `fetch` finds the files, `load_fetched` reads the models from them.

They stand apart for those who do one of them elsewhere or once only: the page fetches where downloads cost no time on a
GPU, and a benchmark fetches once for many runs. One small module per engine has `build(model, scale, files)`, and heavy
libraries are imported there, not here.
"""

import importlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pipelines import machine
from pipelines.catalog.rows import Stage, find, own_key
from pipelines.catalog.schema import Model, Weights
from pipelines.catalog.settings import Settings, check_accepted
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.runs import Run, Step, finish, in_thread
from pipelines.upscalers.base import Took, Upscaled, Upscaler, list_times
from pipelines.weights import fetch as store
from pipelines.weights import visitors
from pipelines.weights.fetch import Found

__all__ = [
    "StageFiles",
    "Took",
    "Upscaled",
    "Upscaler",
    "device_name",
    "fetch",
    "find_lacking",
    "identify_own",
    "kept_bytes",
    "list_times",
    "load",
    "load_fetched",
    "pin",
]

ENGINES = {
    "classical": "pipelines.upscalers.classical",
    "network": "pipelines.upscalers.network",
    "judging": "pipelines.upscalers.judging",
    "diffusion": "pipelines.upscalers.diffusion.engine",
}
AUTO = "auto"  # of ARTIFACTS
LEAST_KEPT = 1 << 30  # bytes; see `kept_bytes`
KEPT_SHARE = 3  # the two of Stable Diffusion together take 5.8 GB, a third of what many a machine has

_kept: OrderedDict[tuple[str, int, tuple[str, ...], int], Upscaler] = OrderedDict()
_pinned: set[Stage] = set()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class StageFiles:
    """A stage and the files of its model on this machine: plain data, which another process may load from."""

    stage: Stage
    files: tuple[Found, ...] = ()


def load(key: str, scale: int, own: Path | None = None) -> Upscaler:
    """Loads one model, ready to run, from its files, which are downloaded where they are lacking.

    `own` is the user's own file or folder, used as it is. Raises BadSetting for an unknown key or scale, and for files
    of a model that needs none; WeightsUnavailable; BadWeights.
    """
    [upscaler] = _load(finish(fetch([Stage(key, scale)], own=own)))
    return upscaler


def identify_own(path: Path) -> str:
    """Returns the key, "own-x4", of whatever network the user's own file holds. Raises BadWeights."""
    from pipelines.networks.checkpoints import read_network

    return own_key(read_network(path).scale)


def fetch(
    stages: Sequence[Stage], settings: Settings | None = None, own: Path | None = None
) -> Run[tuple[StageFiles, ...]]:
    """Finds the files of every stage, each of them once, and downloads what is lacking to run with the settings.

    After it no network is needed. `own` is for the last model, not for what cleans up before it; that and errors as in
    `load`.
    """
    check_accepted([stage.model for stage in stages], settings or Settings())
    found: dict[Weights, tuple[Found, ...]] = {}
    for stage in stages:
        needed, twin = stage.weights, _twin(stage.model, settings)
        theirs = own if stage.key == stages[-1].key else None
        if needed is None:
            if theirs is not None:
                raise BadSetting(f"{stage.model.name} needs no weights.")
            continue
        if needed not in found:
            found[needed] = yield from (store.fetch(needed) if theirs is None else _from_user(needed, theirs))
        if twin is not None and twin not in found and theirs is None:
            found[twin] = _own_twin(twin, found[needed]) or (yield from store.fetch(twin))
        for more in stage.model.more:
            if theirs is not None and theirs.is_file():
                raise WeightsUnavailable(f"{stage.model.name} needs several files, so give a folder that has them.")
            if more not in found:
                found[more] = yield from (store.fetch(more) if theirs is None else _from_user(more, theirs))
        words = _words(stage.model, settings, found[needed])
        if words is not None and words not in found and theirs is None:
            found[words] = yield from store.fetch(words)
    return tuple(
        _with_companions(stage, _gather(stage.model, found[stage.weights], found), settings)
        if stage.weights
        else StageFiles(stage)
        for stage in stages
    )


def holding(fetched: Iterable[StageFiles]) -> AbstractContextManager[None]:
    """Has the files stay for as long as a run may still load them, whatever others download meanwhile."""
    return visitors.in_use(file.path for each in fetched for file in each.files)


def _gather(model: Model, own: tuple[Found, ...], found: Mapping[Weights, tuple[Found, ...]]) -> tuple[Found, ...]:
    """The model's own files and those of other publishers."""
    return (*own, *(each for more in model.more for each in found[more]))


def _with_companions(stage: Stage, files: tuple[Found, ...], settings: Settings | None) -> StageFiles:
    """The stage with its model's files, and those of what it runs beside its own network.

    A file of one's own runs as it is: the bundled ones are none to choose between with it. Raises BadSetting for a
    setting that chooses all the same.
    """
    needed = stage.model.companions.get(stage.scale)
    if needed is None:
        return StageFiles(stage, files)
    beside = store.find(needed) or ()
    if files[0].proof == "differs" and not (beside and beside[0].origin == files[0].origin == store.YOUR_FOLDER):
        if settings is not None and (settings.artifacts or AUTO) != AUTO:
            raise BadSetting("The setting artifacts does not apply to a file of your own, which runs as it is.")
        beside = ()
    return StageFiles(stage, files + beside)


def find_lacking(stages: Sequence[Stage], settings: Settings | None = None) -> list[Weights]:
    """Returns what `fetch` would download; nothing is asked of any network. Errors as in `load`."""
    needed: dict[Weights, None] = {}
    for stage in stages:
        if stage.weights is not None:
            needed[stage.weights] = None
            twin = _twin(stage.model, settings)
            if twin is not None:
                _own_twin(twin, store.find(stage.weights))
                needed[twin] = None
            needed |= dict.fromkeys(stage.model.more)
            own = store.find(stage.weights) if stage.model.words and store.is_here(stage.weights) else None
            words = _words(stage.model, settings, own)
            needed |= {words: None} if words else {}
    return [each for each in needed if not store.is_here(each)]


def load_fetched(fetched: Sequence[StageFiles]) -> Run[list[Upscaler]]:
    """Loads the models of one run from files that are here, with steps that name them where that takes a while.

    Models used lately stay loaded, up to `kept_bytes` together. Nothing that reads gigabytes can be ended half-way.
    Closing the run leaves that to its thread, which goes on: what it loads is whole when it is kept, and makes way for
    others as ever. Raises BadWeights.
    """
    names = dict.fromkeys(each.stage.model.name for each in fetched)
    step = Step(0, 1, f"loading {' and '.join(names)}")
    return (yield from in_thread(lambda: _load(fetched), lambda: step))


def pin(key: str, scale: int) -> Upscaler:
    """Loads a model that stays loaded from now on, whatever else is run. Errors as in `load`."""
    _pinned.add(Stage(find(key).key, scale))
    return load(key, scale)


def kept_bytes() -> int:
    """Returns how many bytes loaded models may hold between runs, pinned ones aside.

    A third of what this process may have, or a little where that is less.
    """
    return max(LEAST_KEPT, machine.memory_limit() // KEPT_SHARE)


def device_name() -> str:
    """Returns where networks run here: "cpu" or "cuda". Imports what it takes to know that, which may be seconds."""
    from pipelines.networks import devices

    return devices.choose_device().name


def _load(fetched: Sequence[StageFiles]) -> list[Upscaler]:
    """The models, which stay loaded together, whatever they take: the run holds them all in any case, so to drop one
    of them would free nothing, and the next run would read it anew. Only the others have to make way.
    """
    found = [_loaded(each) for each in fetched]
    with _lock:
        loose = [name for name, each in _kept.items() if each.nbytes and name[:2] not in _pinned]
        most, others = kept_bytes(), [name for name in loose if not any(_kept[name] is each for each in found)]
        while others and len(loose) > 1 and sum(_kept[name].nbytes for name in loose) > most:
            loose.remove(others[0])
            del _kept[others.pop(0)]
    return found


def _loaded(fetched: StageFiles) -> Upscaler:
    """The model, from memory or from its files, as the one that was used last."""
    from pipelines.networks import devices

    model, scale = fetched.stage.model, fetched.stage.scale
    # What is loaded for several runs that share the processor gives each a part of the cores.
    kept_as = (model.key, scale, tuple(file.sha256 for file in fetched.files), devices.count_sharing())
    with _lock:
        if kept_as not in _kept:
            _kept[kept_as] = _built(model, scale, fetched.files)
        _kept.move_to_end(kept_as)
        return _kept[kept_as]


def _built(model: Model, scale: int, files: tuple[Found, ...]) -> Upscaler:
    """The model from its files. One that was downloaded because somebody named it goes again if it is no network."""
    judging = scale in model.companions and len(files) > 1
    engine = importlib.import_module(ENGINES["judging" if judging else model.engine])
    try:
        return cast(Upscaler, engine.build(model, scale, files))
    except BadWeights:
        if model.from_hub:
            for file in files:
                if file.origin not in (store.YOUR_FOLDER, store.YOUR_FILE) and not _readable(file.path):
                    visitors.forget(file.path)
        raise


def _readable(path: Path) -> bool:
    """Returns whether the file holds a network at all: it may only have been asked for another scale than its own."""
    from pipelines.networks.checkpoints import read_network

    try:
        read_network(path)
    except BadWeights:
        return False
    return True


def _from_user(needed: Weights, own: Path) -> Run[tuple[Found, ...]]:
    """The user's own files, of which there may be gigabytes to hash."""
    step = Step(0, 1, f"checking {own.name}")
    return (yield from in_thread(lambda: store.from_user(needed, own), lambda: step))


def _twin(model: Model, settings: Settings | None) -> Weights | None:
    """The weights of its noisy twin, where the settings mix that in."""
    mixed = settings is not None and settings.denoise is not None and settings.denoise != 1
    return model.noisy_twin if mixed else None


def _words(model: Model, settings: Settings | None, own: Sequence[Found] | None) -> Weights | None:
    """What cuts the prompt into words, where there is one; None where that lies beside the model's own files."""
    prompted = settings is not None and bool(settings.prompt or settings.negative_prompt)
    if not prompted or model.words is None:
        return None
    first = model.words.files[0]
    beside = [own[0].path.parent / path for path in (first.path, first.or_else)] if own else []
    return None if any(path.is_file() for path in beside) else model.words


def _own_twin(twin: Weights, beside: Sequence[Found] | None) -> tuple[Found, ...] | None:
    """The twin of a file of the user's own, which is mixed with another of theirs alone; None beside any other file.

    Raises WeightsUnavailable where they have none. A visitor need not know where those files lie.
    """
    if not beside or beside[0].origin != store.YOUR_FOLDER:
        return None
    found = store.find(twin)
    if found is None or found[0].origin != store.YOUR_FOLDER:
        name = twin.files[0].name
        raise WeightsUnavailable(f"Denoise below 1 needs {name} too, which is not in your folder of weights.")
    return found
