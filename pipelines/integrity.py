"""Whether a file of weights is the one that was published. Reads bytes; knows nothing of where they came from."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pipelines.catalog import File
from pipelines.errors import BadWeights, WeightsUnavailable

Proof = Literal["sha256", "git blob", "sha256 prefix", "unpinned", "differs"]  # "differs": only of a user's own file

_digests: dict[tuple[str, int, int, int, int], str] = {}


def sha256(path: Path) -> str:
    """The file's sha256 in lower-case hex. Raises WeightsUnavailable when it cannot be read."""
    return _digest("sha256", path, lambda size: hashlib.sha256())


def git_blob(path: Path) -> str:
    """The SHA-1 that git gives to the file: of "blob", the size, a zero byte and the content (Pro Git, 10.2)."""
    return _digest("git blob", path, lambda size: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False))


def pinned(file: File) -> bool:
    """Whether there is a hash to hold the file against."""
    return bool(file.sha256 or file.git_blob or file.sha256_prefix)


def prove(file: File, path: Path) -> Proof:
    """By what the content of `path` is known to be `file`; "unpinned" when no hash of it is known.

    Raises BadWeights, with the start of both hashes, when the content is something else.
    """
    kind: Proof
    if file.sha256:
        kind, expected, actual = "sha256", file.sha256, sha256(path)
    elif file.git_blob:
        kind, expected, actual = "git blob", file.git_blob, git_blob(path)
    elif file.sha256_prefix:
        kind, expected, actual = "sha256 prefix", file.sha256_prefix, sha256(path)[: len(file.sha256_prefix)]
    else:
        return "unpinned"
    if actual != expected.lower():
        raise BadWeights(f"{file.name} is not the published file: its {kind} is {actual[:8]}…, not {expected[:8]}….")
    return kind


def _digest(kind: str, path: Path, start: Callable[[int], "hashlib._Hash"]) -> str:
    stat = path.stat()
    # The inode stands for the path: a download keeps its digest when it is moved to its name in the cache.
    key = (kind, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _digests:
        try:
            with path.open("rb") as stream:
                _digests[key] = hashlib.file_digest(stream, lambda: start(stat.st_size)).hexdigest()
        except OSError as error:
            raise WeightsUnavailable(f"{path.name} cannot be read ({error.strerror}).") from error
    return _digests[key]
