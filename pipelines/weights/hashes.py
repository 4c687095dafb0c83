"""Whether a file of weights is the one that was published. Reads bytes; knows nothing of where they came from."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pipelines.catalog.schema import File, Pin
from pipelines.errors import BadWeights, WeightsUnavailable

Proof = Pin | Literal["differs"]  # "differs": only of a user's own file

_digests: dict[tuple[str, int, int, int, int], str] = {}


def sha256(path: Path) -> str:
    """The file's sha256 in lower-case hex. Raises WeightsUnavailable when it cannot be read."""
    return _digest("sha256", path, lambda size: hashlib.sha256())


def git_blob(path: Path) -> str:
    """The SHA-1 that git gives to the file: of "blob", the size, a zero byte and the content (Pro Git, 10.2)."""
    return _digest("git blob", path, lambda size: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False))


def prove(file: File, path: Path) -> Pin:
    """By what the content of `path` is known to be `file`; "unpinned" when no hash of it is known.

    Raises BadWeights, with the start of both hashes, when the content is something else, and WeightsUnavailable when it
    cannot be read.
    """
    if file.pin == "unpinned":
        return file.pin
    actual = git_blob(path) if file.pin == "git blob" else sha256(path)
    expected = str(file.sha256 or file.git_blob or file.sha256_prefix).lower()
    if file.pin == "sha256 prefix":
        actual = actual[: len(expected)]
    if actual != expected:
        raise BadWeights(
            f"{file.name} is not the published file: its {file.pin} is {actual[:8]}…, not {expected[:8]}…."
        )
    return file.pin


def _digest(kind: str, path: Path, start: Callable[[int], "hashlib._Hash"]) -> str:
    try:
        stat = path.stat()
        # The inode stands for the path: a download keeps its digest when it is moved to its name in the cache.
        key = (kind, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            with path.open("rb") as stream:
                _digests[key] = hashlib.file_digest(stream, lambda: start(stat.st_size)).hexdigest()
    except OSError as error:
        raise WeightsUnavailable(f"{path.name} cannot be read ({error.strerror}).") from error
    return _digests[key]
