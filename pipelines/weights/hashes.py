"""Whether a file of weights is the one that was published. Reads bytes; knows nothing of where they came from."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pipelines.catalog.schema import File, Pin
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.files import sha256_of

Proof = Pin | Literal["differs"]  # "differs": only of a user's own file

_digests: dict[tuple[str, int, int, int, int], str] = {}


def cached_sha256(path: Path) -> str:
    """Returns the file's sha256, 64 hex digits, read once. Raises WeightsUnavailable when it cannot be read."""
    return _read_once("sha256", path, sha256_of)


def cached_git_blob(path: Path) -> str:
    """Returns the SHA-1 that git gives to the file: of "blob", the size, a zero byte and the content (Pro Git, 10.2).

    Read once. Raises WeightsUnavailable when it cannot be read.
    """
    return _read_once("git blob", path, _git_blob_of)


def prove(file: File, path: Path) -> Pin:
    """Returns by what the content of `path` is known to be `file`; "unpinned" when no hash of it is known.

    Raises BadWeights, with the start of both hashes, when the content is something else, and WeightsUnavailable when it
    cannot be read.
    """
    if file.pin == "unpinned":
        return file.pin
    actual = cached_git_blob(path) if file.pin == "git blob" else cached_sha256(path)
    expected = str(file.sha256 or file.git_blob or file.sha256_prefix).lower()
    if file.pin == "sha256 prefix":
        actual = actual[: len(expected)]
    if actual != expected:
        raise BadWeights(
            f"{file.name} is not the published file: its {file.pin} is {actual[:8]}…, not {expected[:8]}…."
        )
    return file.pin


def _git_blob_of(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha1(b"blob %d\0" % os.fstat(stream.fileno()).st_size, usedforsecurity=False)
        return hashlib.file_digest(stream, lambda: digest).hexdigest()


def _read_once(kind: str, path: Path, digest_of: Callable[[Path], str]) -> str:
    try:
        stat = path.stat()
        # The inode stands for the path: a download keeps its digest when it is moved to its name in the cache.
        key = (kind, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            _digests[key] = digest_of(path)
    except OSError as error:
        raise WeightsUnavailable(f"{path.name} cannot be read ({error.strerror}).") from error
    return _digests[key]
