"""The files of weights that somebody named: kept apart from all others, and no more of them than there is room for.

The folder is a cache as the Hub's own is: models--owner--name/{blobs,refs,snapshots}, a snapshot's files being links to
blobs, or files where the disk has no links. Whoever opens a page may name a file, so what the machine's owner has in
other caches is not looked for.
"""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines import environment
from pipelines.files import free_bytes, size_of
from pipelines.phrasing import format_bytes
from pipelines.weights.download import incomplete_path
from pipelines.weights.refusals import Refused

DISK_RESERVE = 1_000_000_000  # bytes of the disk that no download may take

_in_use: Counter[Path] = Counter()  # by how many runs of this process
_lock = threading.Lock()


def folder() -> Path:
    """The folder where they are kept, beside what comes from URLs."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "upscale-bench" / "visitors"


def mark_used(path: Path) -> None:
    """Notes that the file is used now. Its time of change stays: by that its hash is known not to have changed."""
    with suppress(OSError):  # it may have gone meanwhile, or the cache be read-only
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


@contextmanager
def in_use(files: Iterable[Path]) -> Iterator[None]:
    """Has none of these files make room for another one meanwhile."""
    held = [path.resolve() for path in files]
    with _lock:
        _in_use.update(held)
    try:
        yield
    finally:
        with _lock:
            _in_use.subtract(held)


def check_size(size: int) -> None:
    """Raises Refused for a file that is larger than what is downloaded because somebody named it."""
    most = environment.most_model_bytes()
    if size > most:
        raise Refused(f"has a file of {format_bytes(size)}, and the limit here is {format_bytes(most)}")


def make_room(blob: Path, size: int) -> None:
    """Removes files, those used least lately first and none that a run uses, until one of that size can become `blob`.

    Raises Refused where it cannot, and then removes none.
    """
    most = environment.most_kept_bytes()
    if size > most:
        raise Refused(f"has a file of {format_bytes(size)}, and at most {format_bytes(most)} are kept here")
    if blob.exists():
        mark_used(blob)
        return
    unfinished = incomplete_path(blob)
    others = sorted((_last_used(path), path) for path in _files() if path != unfinished)
    sizes = {path: size_of(path) for _, path in others}
    kept, free = sum(sizes.values()), free_bytes(folder()) + size_of(unfinished)
    leaving: list[Path] = []
    for path in sizes:
        if kept + size <= most:
            break
        if _in_use[path.resolve()] > 0:
            continue
        leaving.append(path)
        kept -= sizes[path]
        free += sizes[path]
    if kept + size > most:
        raise Refused(
            f"has a file of {format_bytes(size)}, for which there is no room while other models are in use here"
        )
    if free - size < DISK_RESERVE:
        raise Refused(f"has a file of {format_bytes(size)}, for which there is no room on the disk here")
    for path in leaving:
        _remove(path)


def forget(link: Path) -> None:
    """Removes a file that turned out to be of no use, if it can be removed."""
    with suppress(OSError):
        _remove(link.resolve())


def _files() -> Iterator[Path]:
    """All that takes room: blobs, and what lies below snapshots without being a link to one."""
    yield from folder().glob("*/blobs/*")
    yield from (path for path in folder().glob("*/snapshots/**/*") if path.is_file() and not path.is_symlink())


def _remove(file: Path) -> None:
    """Removes a file and the links to it; of a repository that has no others everything."""
    repository = folder().resolve() / file.resolve().relative_to(folder().resolve()).parts[0]
    for link in _links(repository / "snapshots"):
        if (link.parent / link.readlink()).name == file.name:
            link.unlink(missing_ok=True)
    file.unlink(missing_ok=True)
    if not any(path.resolve().is_relative_to(repository) for path in _files()):
        shutil.rmtree(repository, ignore_errors=True)


def _links(snapshots: Path) -> Iterator[Path]:
    return (path for path in sorted(snapshots.rglob("*")) if path.is_symlink())


def _last_used(path: Path) -> int:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0
    return max(stat.st_atime_ns, stat.st_mtime_ns)
