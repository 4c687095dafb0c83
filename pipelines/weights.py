"""The lazy pull: from a row's `Weights` to files on disk, each known for what it is.

Looks in the user's folder (UPSCALE_WEIGHTS_DIR), the bundled folder and the caches, and only then asks the sources. The
libraries that download are imported when they are needed: most calls find their files without them.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines import catalog, downloads, settings, sources
from pipelines.catalog import File, Weights
from pipelines.downloads import Refused, Report
from pipelines.errors import BadWeights, UpscaleError, WeightsUnavailable
from pipelines.integrity import Proof, prove, sha256
from pipelines.phrasing import megabytes
from pipelines.runs import Run, Step

BUNDLED = Path(__file__).parent / "bundled"
OWN, OWN_FILE = "your folder", "your file"
ANSWER_SECONDS = 4.5  # shared by all hosts of a row: when none answers, a visitor is to know within 6 s


@dataclass(frozen=True, slots=True)
class Found:
    """A file of weights on this machine.

    `origin` is "your folder", "your file", "bundled", "Hub cache", "Hub <repo>", or the URL's host and first two
    folders. `proof` says by what the content is known to be the published one: "sha256", "git blob", "sha256 prefix";
    "unpinned" when no hash is known to compare with; "differs" when the user's own file is another one.
    """

    file: File
    path: Path
    sha256: str  # of the content, 64 hex digits
    origin: str
    proof: Proof


def find(weights: Weights) -> tuple[Found, ...] | None:
    """The files as far as they are on this machine, without any network; None when one lacks.

    A cached file that is not what was published is removed and counts as lacking. Raises BadWeights when a bundled file
    is damaged, WeightsUnavailable when one cannot be read, BadSetting when UPSCALE_WEIGHTS_DIR is no folder.
    """
    found = []
    for file in weights.files:
        here = _look(file, weights)
        if here is None:
            return None
        found.append(here)
    return tuple(found)


def fetch(weights: Weights) -> Run[tuple[Found, ...]]:
    """The files, downloaded where they lack. Steps count bytes of all files together.

    Closing the run ends a download at once; what has come stays as an incomplete file that the next run continues.
    Raises WeightsUnavailable, which says what was tried, and otherwise as `find` does.
    """
    found: list[Found] = []
    for file in weights.files:
        found.append((yield from _fetch_one(file, weights)))
    return tuple(found)


def verify(weights: Weights) -> Run[tuple[Found | UpscaleError, ...]]:
    """What `fetch` gives or raises for each file alone, so that a report can cover all of them."""
    results: list[Found | UpscaleError] = []
    for file in weights.files:
        try:
            results.append((yield from _fetch_one(file, weights)))
        except UpscaleError as error:
            results.append(error)
    return tuple(results)


def from_user(weights: Weights, path: Path) -> tuple[Found, ...]:
    """The files as the user's own: `path` is the one file of the row, or a folder that has all of them.

    A folder is searched by base name, then by the path in the repository. Own files are hashed and reported, never
    refused. Raises WeightsUnavailable when a file is not there.
    """
    with _searching(path):
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder:
        return tuple(_from_folder(file, weights, path) for file in weights.files)
    if not is_file:
        raise WeightsUnavailable(f"There is no file or folder {path}.")
    if len(weights.files) != 1:
        names = ", ".join(file.path for file in weights.files)
        raise WeightsUnavailable(f"This model needs several files, so give a folder that has them: {names}.")
    return (_own(weights.files[0], path, OWN_FILE),)


def _look(file: File, weights: Weights) -> Found | None:
    for path, origin in _places(file, weights):
        if origin == OWN:
            return _own(file, path, OWN)
        try:
            return _known(file, path, origin)
        except BadWeights:
            if origin == "bundled":
                raise
            sources.forget(path)
    return None


def _places(file: File, weights: Weights) -> Iterator[tuple[Path, str]]:
    """Where the file lies on this machine, in order of preference, and what to call the place."""
    folder = settings.weights_dir()
    if folder is not None and weights.anywhere:
        yield from ((path, OWN) for path in _in_folder(file, weights, folder))
    if weights.anywhere:
        yield from ((path, "bundled") for path in _in_folder(file, weights, BUNDLED))
    for source in weights.sources:
        with _searching("the cache"):
            path = sources.cached(file, source)
        if path is not None:
            yield path, "Hub cache" if isinstance(source, catalog.Hub) else sources.label(source)


def _in_folder(file: File, weights: Weights, folder: Path) -> list[Path]:
    # The parts of a diffusion model share base names ("model.safetensors"): those are told apart by their paths alone.
    unique = sum(other.name == file.name for other in weights.files) == 1
    candidates = [folder / file.name] * unique + [folder / file.path]
    with _searching(folder):
        return [path for path in candidates if path.is_file()]


@contextmanager
def _searching(place: Path | str) -> Iterator[None]:
    """Say in a sentence that a folder may not be looked into, or that a name is too long for the disk."""
    try:
        yield
    except OSError as error:
        raise WeightsUnavailable(f"Weights cannot be looked for in {place} ({error.strerror}).") from error


def _from_folder(file: File, weights: Weights, folder: Path) -> Found:
    paths = _in_folder(file, weights, folder)
    if not paths:
        raise WeightsUnavailable(f"{folder} has no {', nor '.join(dict.fromkeys((file.name, file.path)))}.")
    return _own(file, paths[0], OWN)


def _known(file: File, path: Path, origin: str) -> Found:
    return Found(file, path, sha256(path), origin, prove(file, path))


def _own(file: File, path: Path, origin: str) -> Found:
    proof: Proof
    try:
        proof = prove(file, path)
    except BadWeights:
        proof = "differs"
    return Found(file, path, sha256(path), origin, proof)


def _fetch_one(file: File, weights: Weights) -> Run[Found]:
    """One of the row's files; steps count the files before it as done."""
    before = sum(other.size for other in weights.files[: weights.files.index(file)])

    def report(done: int, note: str) -> Step:
        return Step(before + done, max(weights.size, before + done), note)

    found = yield from downloads.in_thread(lambda: _look(file, weights), lambda: report(0, f"checking {file.name}"))
    return found or (yield from _pull(file, weights, report))


def _pull(file: File, weights: Weights, report: Report) -> Run[Found]:
    """The file from the first source that gives it."""
    if weights.sources and sources.offline():
        raise _unavailable(file, "HF_HUB_OFFLINE is set, so nothing was asked")
    hosts = {sources.host(source) for source in weights.sources}
    tried: list[str] = []
    for source in weights.sources:
        try:
            path = yield from sources.pull(file, source, ANSWER_SECONDS / len(hosts), report)
            known = partial(_known, file, path, sources.label(source))
            return (yield from downloads.in_thread(known, lambda: report(file.size, f"checking {file.name}")))
        except Refused as error:
            tried.append(f"{sources.label(source)} {error}")
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else f"the cache cannot be written ({error.strerror})"
            raise _unavailable(file, reason) from error
    raise _unavailable(file, "; ".join(tried) or "it should have come with the program")


def _unavailable(file: File, reason: str) -> WeightsUnavailable:
    of_metrics = [each for needed in catalog.METRICS.values() for part in needed.values() for each in part.files]
    models = [] if file in of_metrics else catalog.MODELS
    ready = [model.key for model in models if all(map(_is_ready, model.scales.values()))]
    without = f"; these work without a download: {', '.join(ready[:4])}" if ready else ""
    size = f" ({megabytes(file.size)})" if file.size else ""
    return WeightsUnavailable(f"{file.name}{size} cannot be had: {reason}{without}.")


def _is_ready(weights: Weights | None) -> bool:
    return weights is None or all(any(_places(file, weights)) for file in weights.files)
