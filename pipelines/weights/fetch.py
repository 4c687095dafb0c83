"""The lazy pull: from a row's `Weights` to files on disk.

What is on this machine is found (local.py), and only what is not is asked of the sources. The libraries that download
are imported when they are needed: most calls find their files without them. This is the folder's door: what is in
`__all__` is for everybody.
"""

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Model, Weights
from pipelines.errors import BadWeights, NobodyOffers, UpscaleError, WeightsUnavailable
from pipelines.files import free_bytes
from pipelines.phrasing import format_bytes
from pipelines.runs import Run, Step, in_thread
from pipelines.weights.kinds import source_of
from pipelines.weights.local import YOUR_FILE, YOUR_FOLDER, Found, find, from_user, identify, is_here, remove_damaged
from pipelines.weights.openmodeldb import refresh_list
from pipelines.weights.refusals import Refused, Unreachable
from pipelines.weights.sources import Source, is_offline, reach, was_unreachable

__all__ = [
    "YOUR_FILE",
    "YOUR_FOLDER",
    "Found",
    "fetch",
    "find",
    "from_user",
    "is_here",
    "may_be_asked",
    "refresh_list",
    "verify",
]

DISK_MARGIN = 1.05  # times what is to come must be free on the disk
BEST_WITHOUT_DOWNLOAD = "swift"  # what to use instead of a model whose files are unavailable
MOST_NAMED = 6  # models that are named as ready
PATIENCE_SECONDS = 4.5  # shared by all hosts of a row: when none answers, a visitor is to know within 6 s


def fetch(weights: Weights) -> Run[tuple[Found, ...]]:
    """Returns the files, downloaded where they lack, all from one place. Steps count bytes of all files together.

    Closing the run ends a download at once; what has come stays as an incomplete file that the next run continues.
    Raises WeightsUnavailable, which says what was tried, and otherwise as `find` does.
    """
    found = yield from _find(weights)
    if found:
        return found
    tried: list[tuple[Source, Refused]] = []
    for source in _sources(weights):
        try:
            job = yield from _survey(weights, source)
            files: list[Found] = []
            for file in weights.files:
                files.append((yield from job.bring(file)))
            return tuple(files)
        except Refused as error:
            tried.append((source, error))
    raise _unavailable(weights, "; ".join(f"{source.label} {error}" for source, error in tried), _why(tried))


def may_be_asked(weights: Weights) -> bool:
    """Returns whether a download may be tried: it is not forbidden, and a host that has them did not fail just now."""
    hosts = [source_of(each).host for each in weights.sources]
    return not is_offline() and any(not was_unreachable(host) for host in hosts)


def verify(weights: Weights) -> Run[tuple[Found | UpscaleError, ...]]:
    """Returns what `fetch` gives or raises for each file alone, so that a report can cover all of them."""
    try:
        found = yield from _find(weights)
        return found or (yield from _bring_most(weights, _sources(weights)))
    except UpscaleError as error:
        return (error,) * len(weights.files)


def _bring_most(weights: Weights, ordered: Iterable[Source]) -> Run[tuple[Found | UpscaleError, ...]]:
    """The files from the source that gives most of them; for each that it does not give why no source does."""
    tried: dict[File, list[str]] = {file: [] for file in weights.files}
    most: dict[File, Found] = {}
    for source in ordered:
        here: dict[File, Found] = {}
        try:
            job = yield from _survey(weights, source)
            for file in weights.files:
                try:
                    here[file] = yield from job.bring(file)
                except Refused as error:
                    tried[file].append(f"{source.label} {error}")
        except Refused as error:
            for reasons in tried.values():
                reasons.append(f"{source.label} {error}")
        most = max(most, here, key=len)
        if len(most) == len(weights.files):
            break
    return tuple(most.get(file) or _unavailable(weights, "; ".join(reasons)) for file, reasons in tried.items())


def _find(weights: Weights) -> Run[tuple[Found, ...] | None]:
    """Runs `find`, which may have gigabytes to read."""
    note = f"checking {weights.files[0].name if len(weights.files) == 1 else 'files'}"
    return (yield from in_thread(lambda: find(weights), lambda: Step(0, max(weights.size, 1), note)))


def _sources(weights: Weights) -> tuple[Source, ...]:
    """Returns where to ask. Raises WeightsUnavailable where nobody may be, NobodyOffers where there is nobody."""
    if weights.bundled:
        raise _unavailable(weights, "it should be included with the program")
    if not weights.sources:
        raise _unavailable(weights, "nobody offers them as safetensors; give a folder", kind=NobodyOffers)
    if is_offline():
        raise _unavailable(weights, "HF_HUB_OFFLINE is set, so nothing was asked", "downloads are off here")
    return tuple(map(source_of, weights.sources))


@dataclass(frozen=True, slots=True)
class _Job:
    """The files of a row, as one source has them at one commit."""

    weights: Weights
    source: Source
    patience: float
    sizes: tuple[int, ...]
    commit: str | None = None

    def bring(self, file: File) -> Run[Found]:
        """Downloads the file if it lacks. Raises Refused, and WeightsUnavailable where it cannot be stored."""
        number = self.weights.files.index(file)
        before, total = sum(self.sizes[:number]), sum(self.sizes)

        def report(done: int, note: str) -> Step:
            return Step(before + done, max(total, before + done), note)

        def check(path: Path) -> Run[Found]:
            job = partial(identify, file, path, self.source.label)
            return in_thread(job, lambda: report(self.sizes[number], f"checking {file.name}"))

        try:
            here = self.source.cached(file)
            if here is not None:
                try:
                    return (yield from check(here))
                except BadWeights:
                    remove_damaged(here)
            pull = self.source.pull(file, self.patience, report, self.commit)
            path = yield from reach(self.source.host, pull)
            return (yield from check(path))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else f"the cache cannot be written ({error.strerror})"
            raise _unavailable(self.weights, reason) from error


def _survey(weights: Weights, source: Source) -> Run[_Job]:
    """Returns what has to be done to have the files from that source.

    Where they are several, the source is first asked whether it has them all.

    Raises Refused where it has not, WeightsUnavailable where the disk has no room for what is to come.
    """
    hosts = {source_of(each).host for each in weights.sources}
    patience = PATIENCE_SECONDS / len(hosts)
    sizes = tuple(file.size for file in weights.files)
    if len(weights.files) == 1:
        return _Job(weights, source, patience, sizes)

    def report(done: int, note: str) -> Step:
        return Step(0, max(weights.size, 1), note)

    offer = yield from reach(source.host, source.survey(weights.files, patience, report))
    needed, free = int(DISK_MARGIN * offer.to_come), free_bytes(source.cache)
    if offer.to_come and needed > free:
        room = f"{format_bytes(needed)} of disk are needed and {format_bytes(free)} are free"
        raise _unavailable(weights, f"{room} (HF_HOME names another place)")
    return _Job(weights, source, patience, offer.sizes, offer.commit)


def _unavailable(
    weights: Weights, reason: str, brief: str = "", kind: type[WeightsUnavailable] = WeightsUnavailable
) -> WeightsUnavailable:
    """The error for files that no source gave; `brief` says why in fewer words than `reason`, which names each."""
    row = catalog.find_owner(weights)
    what = weights.files[0].name if len(weights.files) == 1 else f"the {len(weights.files)} files"
    if row is not None and len(weights.files) > 1:
        what = row[0].name
    size = f" ({format_bytes(weights.size)})" if weights.size else ""
    ready = [] if _is_of_a_metric(weights) else _list_ready()
    names = ", ".join(model.name for model in ready[:MOST_NAMED])
    without = f"; these need no download: {names}" if ready else ""
    message = f"{what}{size} is unavailable: {reason}{without}."
    error = kind(message[0].upper() + message[1:] if len(weights.files) > 1 else message)
    if ready:
        error.brief = f"{row[0].name if row else what} could not be downloaded{size}: {brief or reason}."
        error.tried, error.instead = str(error), ready[0].key
    return error


def _why(tried: Sequence[tuple[Source, Refused]]) -> str:
    """Returns in few words why no source gave the files: that their hosts cannot be reached, or what the first said."""
    if tried and all(isinstance(error, Unreachable) for _, error in tried):
        hosts = dict.fromkeys(source.host for source, _ in tried)
        return f"{' and '.join(hosts)} cannot be reached"
    return "; ".join(f"{source.label} {error}" for source, error in tried[:1])


def _is_of_a_metric(weights: Weights) -> bool:
    return any(weights in needed.values() for needed in catalog.METRIC_FILES.values())


def _list_ready() -> list[Model]:
    """The models whose files are here at every scale, first those that are more than a formula."""
    ready = [
        model
        for model in catalog.MODELS
        if not model.cleans and all(each is None or is_here(each) for each in (*model.scales.values(), *model.more))
    ]
    return sorted(ready, key=lambda model: (model.engine == "classical", model.key != BEST_WITHOUT_DOWNLOAD))
