"""The lazy pull: from a row's `Weights` to files on disk, each known for what it is.

Looks in the user's folder (UPSCALE_WEIGHTS_DIR), the bundled folder and the caches, and only then asks the sources. The
libraries that download are imported when they are needed: most calls find their files without them.

All files of a row come from one place: those of an original and of a mirror, or of two commits, may not fit together.
"""

import errno
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pipelines import catalog, downloads, settings, sources
from pipelines.catalog import File, Hub, Source, Weights
from pipelines.downloads import Refused
from pipelines.errors import BadWeights, UpscaleError, WeightsUnavailable
from pipelines.integrity import Proof, prove, sha256
from pipelines.phrasing import megabytes
from pipelines.runs import Run, Step

BUNDLED = Path(__file__).parent / "bundled"
OWN, OWN_FILE = "your folder", "your file"
SPARE = 1.05  # times what is to come must be free on the disk
INSTEAD = "real-esrgan"  # what does without the gigabytes of a diffusion model
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
    for paths, origin in _places(weights):
        if origin == OWN:
            return _owned(weights, paths, OWN)
        try:
            return tuple(_known(file, path, origin) for file, path in zip(weights.files, paths, strict=True))
        except BadWeights:
            if origin == "bundled":
                raise
            _forget_damaged(weights, paths)
    return None


def is_here(weights: Weights) -> bool:
    """Whether the files are on this machine, by their names: not one of them is read. Raises as `find` does."""
    return any(_places(weights))


def fetch(weights: Weights) -> Run[tuple[Found, ...]]:
    """The files, downloaded where they lack, all from one place. Steps count bytes of all files together.

    Closing the run ends a download at once; what has come stays as an incomplete file that the next run continues.
    Raises WeightsUnavailable, which says what was tried, and otherwise as `find` does.
    """
    found = yield from _looked_for(weights)
    if found:
        return found
    tried: list[str] = []
    for source in _sources(weights):
        try:
            job = yield from _survey(weights, source)
            files: list[Found] = []
            for file in weights.files:
                files.append((yield from job.bring(file)))
            return tuple(files)
        except Refused as error:
            tried.append(f"{sources.label(source)} {error}")
    raise _unavailable(weights, "; ".join(tried))


def verify(weights: Weights) -> Run[tuple[Found | UpscaleError, ...]]:
    """What `fetch` gives or raises for each file alone, so that a report can cover all of them."""
    try:
        found = yield from _looked_for(weights)
        return found or (yield from _brought(weights, _sources(weights)))
    except UpscaleError as error:
        return (error,) * len(weights.files)


def _brought(weights: Weights, ordered: Iterable[Source]) -> Run[tuple[Found | UpscaleError, ...]]:
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
                    tried[file].append(f"{sources.label(source)} {error}")
        except Refused as error:
            for reasons in tried.values():
                reasons.append(f"{sources.label(source)} {error}")
        most = max(most, here, key=len)
        if len(most) == len(weights.files):
            break
    return tuple(most.get(file) or _unavailable(weights, "; ".join(reasons)) for file, reasons in tried.items())


def from_user(weights: Weights, path: Path) -> tuple[Found, ...]:
    """The files as the user's own: `path` is the one file of the row, or a folder that has all of them.

    A folder is searched by base name, then by the path in the repository. A row of several files is searched by paths
    alone, in the folder or in one in it that is named like the model or its repository. Own files are hashed and
    reported, never refused. Raises WeightsUnavailable when a file is not there.
    """
    with _searching(path):
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder:
        places = _in_folder(weights, path)
        for paths in places:
            if all(paths):
                return _owned(weights, [each for each in paths if each], OWN)
        raise WeightsUnavailable(_lack_of(weights, path, places))
    if not is_file:
        raise WeightsUnavailable(f"There is no file or folder {path}.")
    if len(weights.files) != 1:
        names = ", ".join(file.path for file in weights.files)
        raise WeightsUnavailable(f"This model needs several files, so give a folder that has them: {names}.")
    return _owned(weights, [path], OWN_FILE)


def root(found: tuple[Found, ...]) -> Path:
    """The folder below which each of a row's files lies at its path in the repository."""
    first = found[0]
    return first.path.parents[len(PurePosixPath(first.file.path).parts) - 1]


# --- what is on this machine --------------------------------------------------------------------------------------


def _places(weights: Weights) -> Iterator[tuple[list[Path], str]]:
    """Where all of the files lie on this machine, in order of preference, and what to call the place."""
    own = settings.weights_dir() if weights.anywhere else None
    folders = [(own, OWN)] * (own is not None) + [(BUNDLED, "bundled")] * weights.anywhere
    for folder, origin in folders:
        assert folder is not None
        for paths in _in_folder(weights, folder):
            if all(paths):
                yield [each for each in paths if each], origin
    for source in weights.sources:
        with _searching("the cache"):
            cached = [sources.cached(file, source) for file in weights.files]
        if all(cached):
            yield [each for each in cached if each], "Hub cache" if isinstance(source, Hub) else sources.label(source)


def _in_folder(weights: Weights, folder: Path) -> list[list[Path | None]]:
    """Each way that the folder may hold the files: for each file where it lies, or None where it does not."""
    if len(weights.files) == 1:
        (file,) = weights.files
        with _searching(folder):
            return [[path if path.is_file() else None] for path in (folder / file.name, folder / file.path)]
    # The parts of a diffusion model share base names ("model.safetensors"), and are read by their paths below one root.
    with _searching(folder):
        roots = [*_named_like(weights, folder), folder]
        return [[_at(root, file) for file in weights.files] for root in roots if _fits(root, weights)]


def _fits(root: Path, weights: Weights) -> bool:
    """Whether the folder is not another pipeline's, whose files have the same names."""
    index = root / "model_index.json"
    if not weights.pipeline or not index.is_file():
        return True
    try:
        return bool(json.loads(index.read_bytes())["_class_name"] == weights.pipeline)
    except (ValueError, KeyError, TypeError):
        return False


def _at(root: Path, file: File) -> Path | None:
    paths = [root / file.path] + [root / file.or_else] * bool(file.or_else)
    return next((path for path in paths if path.is_file()), None)


def _named_like(weights: Weights, folder: Path) -> Iterator[Path]:
    """The folders in it that are named like the model or one of its repositories."""
    row = catalog.owner(weights)
    repositories = [source.repo.split("/")[1] for source in weights.sources if isinstance(source, Hub)]
    names = [row[0].key, *repositories] if row else repositories
    yield from (folder / name for name in dict.fromkeys(names) if (folder / name).is_dir())


def _lack_of(weights: Weights, folder: Path, places: list[list[Path | None]]) -> str:
    """What is missing in the folder, by its path; where there are several ways to hold the files, in the fullest."""
    if len(weights.files) == 1:
        (file,) = weights.files
        return f"{folder} has no {', nor '.join(dict.fromkeys((file.name, file.path)))}."
    if not places:
        return f"{folder} holds another pipeline than diffusers' {weights.pipeline}, by its model_index.json."
    fullest = max(places, key=lambda paths: sum(path is not None for path in paths))
    lacking = [file.path for file, path in zip(weights.files, fullest, strict=True) if path is None]
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return f"{folder} does not hold the whole model: it has no {', '.join(lacking[:3])}{more}."


@contextmanager
def _searching(place: Path | str) -> Iterator[None]:
    """Say in a sentence that a folder may not be looked into, or that a name is too long for the disk."""
    try:
        yield
    except OSError as error:
        raise WeightsUnavailable(f"Weights cannot be looked for in {place} ({error.strerror}).") from error


def _known(file: File, path: Path, origin: str) -> Found:
    return Found(file, path, sha256(path), origin, prove(file, path))


def _owned(weights: Weights, paths: list[Path], origin: str) -> tuple[Found, ...]:
    return tuple(_own(file, path, origin) for file, path in zip(weights.files, paths, strict=True))


def _own(file: File, path: Path, origin: str) -> Found:
    proof: Proof
    try:
        proof = prove(file, path)
    except BadWeights:
        proof = "differs"
    return Found(file, path, sha256(path), origin, proof)


def _forget_damaged(weights: Weights, paths: list[Path]) -> None:
    for file, path in zip(weights.files, paths, strict=True):
        try:
            prove(file, path)
        except BadWeights:
            sources.forget(path)


# --- what has to come ---------------------------------------------------------------------------------------------


def _looked_for(weights: Weights) -> Run[tuple[Found, ...] | None]:
    """`find`, which may have gigabytes to read."""
    note = f"checking {weights.files[0].name if len(weights.files) == 1 else 'files'}"
    return (yield from downloads.in_thread(lambda: find(weights), lambda: Step(0, max(weights.size, 1), note)))


def _sources(weights: Weights) -> tuple[Source, ...]:
    """Where to ask. Raises WeightsUnavailable where nobody may be, or there is nobody."""
    if not weights.sources:
        row = catalog.owner(weights)
        bundled = row is None or row[0].family != "diffusion"
        why = "it should have come with the program" if bundled else "nobody offers them as safetensors; give a folder"
        raise _unavailable(weights, why)
    if sources.offline():
        raise _unavailable(weights, "HF_HUB_OFFLINE is set, so nothing was asked")
    return weights.sources


@dataclass(frozen=True, slots=True)
class _Job:
    """The files of a row, as one source has them at one commit."""

    weights: Weights
    source: Source
    patience: float
    sizes: tuple[int, ...]
    commit: str | None = None

    def bring(self, file: File) -> Run[Found]:
        """The file, downloaded if it lacks. Raises Refused, and WeightsUnavailable where it cannot be stored."""
        number = self.weights.files.index(file)
        before, total = sum(self.sizes[:number]), sum(self.sizes)

        def report(done: int, note: str) -> Step:
            return Step(before + done, max(total, before + done), note)

        def checked(path: Path, origin: str) -> Run[Found]:
            known = partial(_known, file, path, origin)
            return downloads.in_thread(known, lambda: report(self.sizes[number], f"checking {file.name}"))

        try:
            here = sources.cached(file, self.source) if len(self.sizes) > 1 else None
            if here is not None:
                return (yield from checked(here, sources.label(self.source)))
            path = yield from sources.pull(file, self.source, self.patience, report, self.commit)
            return (yield from checked(path, sources.label(self.source)))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else f"the cache cannot be written ({error.strerror})"
            raise _unavailable(self.weights, reason) from error


def _survey(weights: Weights, source: Source) -> Run[_Job]:
    """What is to do to have the files from that source. Of several it is first asked whether it has them all.

    Raises Refused where it has not, WeightsUnavailable where the disk has no room for what is to come.
    """
    hosts = {sources.host(each) for each in weights.sources}
    patience = ANSWER_SECONDS / len(hosts)
    sizes = tuple(file.size for file in weights.files)
    if len(weights.files) == 1:
        return _Job(weights, source, patience, sizes)

    def asking(done: int, note: str) -> Step:
        return Step(0, max(weights.size, 1), note)

    offer = yield from sources.survey(weights.files, source, patience, asking)
    needed, free = int(SPARE * offer.to_come), _free(sources.cache(source))
    if offer.to_come and needed > free:
        room = f"{megabytes(needed)} of disk are needed and {megabytes(free)} are free"
        raise _unavailable(weights, f"{room} (HF_HOME names another place)")
    return _Job(weights, source, patience, offer.sizes, offer.commit)


def _free(folder: Path) -> int:
    """The bytes that are free where the folder is or will be."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free


def _unavailable(weights: Weights, reason: str) -> WeightsUnavailable:
    row = catalog.owner(weights)
    what = weights.files[0].name if len(weights.files) == 1 else f"the {len(weights.files)} files"
    if row is not None and len(weights.files) > 1:
        what = row[0].name
    size = f" ({megabytes(weights.size)})" if weights.size else ""
    instead = f"; use {_instead(row[1])} instead" if row and row[0].family == "diffusion" else ""
    of_metrics = [part for needed in catalog.METRICS.values() for part in needed.values()]
    models = [] if weights in of_metrics else catalog.MODELS
    ready = [model.key for model in models if all(each is None or is_here(each) for each in model.scales.values())]
    without = f"; these work without a download: {', '.join(ready[:4])}" if ready else ""
    sentence = f"{what}{size} cannot be had: {reason}{instead}{without}."
    return WeightsUnavailable(sentence[0].upper() + sentence[1:] if len(weights.files) > 1 else sentence)


def _instead(scale: int) -> str:
    """Real-ESRGAN and what it would download at that scale."""
    model = catalog.find(INSTEAD)
    needed = model.scales.get(scale)
    lacking = needed is not None and not is_here(needed)
    return f"{model.name} ({megabytes(needed.size)})" if needed is not None and lacking else model.name
