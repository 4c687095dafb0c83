"""The files of a row that are on this machine, each known for what it is. Asks no network.

Looks in the user's folder (UPSCALE_WEIGHTS_DIR), the bundled folder and the caches. All files of a row come from one
place: those of an original and of a mirror, or of two commits, may not fit together.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Weights
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.weights.hashes import Proof, cached_sha256, prove
from pipelines.weights.kinds import source_of

BUNDLED = Path(__file__).parents[1] / "networks" / "bundled"
YOUR_FOLDER, YOUR_FILE = "your folder", "your file"


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
    """Returns the files as far as they are on this machine, without any network; None when one lacks.

    A cached file that is not what was published is removed and counts as lacking. Raises BadWeights when a bundled file
    is damaged, WeightsUnavailable when one cannot be read, BadSetting when UPSCALE_WEIGHTS_DIR is no folder.
    """
    for paths, origin in _places(weights):
        if origin == YOUR_FOLDER:
            return _owned(weights, paths, YOUR_FOLDER)
        try:
            return tuple(identify(file, path, origin) for file, path in zip(weights.files, paths, strict=True))
        except BadWeights:
            if origin == "bundled":
                raise
            _remove_all_damaged(weights, paths)
    return None


def is_here(weights: Weights) -> bool:
    """Returns whether the files are on this machine, by their names: not one of them is read. Raises as `find` does."""
    return any(_places(weights))


def from_user(weights: Weights, path: Path) -> tuple[Found, ...]:
    """Returns the files as the user's own: `path` is the one file of the row, or a folder that has all of them.

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
                return _owned(weights, [each for each in paths if each], YOUR_FOLDER)
        raise WeightsUnavailable(_lack_of(weights, path, places))
    if not is_file:
        raise WeightsUnavailable(f"There is no file or folder {path}.")
    if len(weights.files) != 1:
        names = ", ".join(file.path for file in weights.files)
        raise WeightsUnavailable(f"This model needs several files, so give a folder that has them: {names}.")
    return _owned(weights, [path], YOUR_FILE)


def _places(weights: Weights) -> Iterator[tuple[list[Path], str]]:
    """Yields where all of the files lie on this machine, in order of preference, and what to call the place."""
    own = environment.weights_dir() if weights.anywhere else None
    folders = [(own, YOUR_FOLDER)] * (own is not None) + [(BUNDLED, "bundled")] * weights.anywhere
    for folder, origin in folders:
        assert folder is not None
        for paths in _in_folder(weights, folder):
            if all(paths):
                yield [each for each in paths if each], origin
    for source in map(source_of, weights.sources):
        with _searching("the cache"):
            cached = [source.cached(file) for file in weights.files]
        if all(cached):
            yield [each for each in cached if each], source.origin


def _in_folder(weights: Weights, folder: Path) -> list[list[Path | None]]:
    """Returns each way that the folder may hold the files: for each file where it lies, or None where it does not."""
    if len(weights.files) == 1:
        (file,) = weights.files
        with _searching(folder):
            names = dict.fromkeys(filter(None, (file.name, file.path, file.or_else)))
            return [[path if path.is_file() else None] for path in (folder / name for name in names)]
    # The parts of a diffusion model share base names ("model.safetensors"), and are read by their paths below one root.
    with _searching(folder):
        roots = [*_named_like(weights, folder), folder]
        return [[_at(root, file) for file in weights.files] for root in roots if _fits(root, weights)]


def _fits(root: Path, weights: Weights) -> bool:
    """Returns whether the folder is not another pipeline's, whose files have the same names."""
    index = root / "model_index.json"
    if not weights.pipeline or not index.is_file():
        return True
    try:
        return bool(json.loads(index.read_bytes())["_class_name"] == weights.pipeline)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _at(root: Path, file: File) -> Path | None:
    paths = [root / file.path] + [root / file.or_else] * bool(file.or_else)
    return next((path for path in paths if path.is_file()), None)


def _named_like(weights: Weights, folder: Path) -> Iterator[Path]:
    """The folders in it that are named like the model or one of its repositories."""
    row = catalog.find_owner(weights)
    names = [row[0].key] if row else []
    names += [source_of(each).folder_name for each in weights.sources]
    yield from (folder / name for name in dict.fromkeys(names) if name and (folder / name).is_dir())


def _lack_of(weights: Weights, folder: Path, places: list[list[Path | None]]) -> str:
    """Returns what is missing in the folder, by its path.

    Of several ways to hold the files the fullest counts.
    """
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
    """Raises WeightsUnavailable where a folder may not be looked into, or a name is too long for the disk."""
    try:
        yield
    except OSError as error:
        raise WeightsUnavailable(f"Weights cannot be looked for in {place} ({error.strerror}).") from error


def identify(file: File, path: Path, origin: str) -> Found:
    """Returns the file at that path, proven to be the one that was published. Raises as `hashes.prove` does."""
    return Found(file, path, cached_sha256(path), origin, prove(file, path))


def _owned(weights: Weights, paths: list[Path], origin: str) -> tuple[Found, ...]:
    return tuple(_own(file, path, origin) for file, path in zip(weights.files, paths, strict=True))


def _own(file: File, path: Path, origin: str) -> Found:
    proof: Proof
    try:
        proof = prove(file, path)
    except BadWeights:
        proof = "differs"
    return Found(file, path, cached_sha256(path), origin, proof)


def _remove_all_damaged(weights: Weights, paths: list[Path]) -> None:
    for file, path in zip(weights.files, paths, strict=True):
        try:
            prove(file, path)
        except BadWeights:
            remove_damaged(path)


def remove_damaged(path: Path) -> None:
    """Removes a cached file that is damaged; of a Hub file the snapshot's link and the blob that it points to.

    Raises WeightsUnavailable when it cannot be removed, as from a cache that is read-only.
    """
    try:
        blob = path.parent / path.readlink() if path.is_symlink() else path
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsUnavailable(
            f"{path.name} in the cache is damaged and cannot be removed ({error.strerror})."
        ) from error
