"""The folder of this process for all that visitors send and are given; no other process has a hand in it.

It lies in GRADIO_TEMP_DIR, or else among the system's temporary files, and holds a lock for as long as the process
lives: a folder of this user's whose lock is free was left behind by a process that was killed.
"""

import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines import environment
from pipelines.errors import CannotWrite

VARIABLE = "GRADIO_TEMP_DIR"
LOCK = ".lock"


@contextmanager
def open_own_folder() -> Iterator[Path]:
    """Makes the folder, has gradio use it, and deletes it with all that is in it at the end.

    Raises CannotWrite where no folder can be made.
    """
    before = environment.temporary_folder()
    try:
        parent = Path(before or tempfile.gettempdir()).absolute()
    except FileNotFoundError as error:  # no folder for temporary files can be written to
        raise CannotWrite(f"The page needs a folder to write to: set {VARIABLE} to one.") from error
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _delete_deserted(parent)
        folder = Path(tempfile.mkdtemp(prefix=_prefix(), dir=parent)).resolve()
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except OSError as error:
        reason = error.strerror or "it is in use"
        raise CannotWrite(
            f"The page needs a folder to write to, and cannot write to {parent} ({reason}): set {VARIABLE} to another."
        ) from error
    environment.use_temporary_folder(str(folder))
    try:
        yield folder
    finally:
        environment.use_temporary_folder(before or "")
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    """Returns how the names of this user's folders begin."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    return f"upscale-bench-{user}-"


def _delete_deserted(parent: Path) -> None:
    """Deletes the folders of this user's processes that ended without doing so."""
    for folder in parent.glob(f"{_prefix()}*"):
        lock = folder / LOCK
        with suppress(Timeout, OSError):
            if lock.is_file() and _is_own(folder) and _is_own(lock):  # without a lock it is just being made
                with FileLock(lock, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_own(path: Path) -> bool:
    """Returns whether it is this user's and no link: in another's folder a lock could lead to a file of ours."""
    return not path.is_symlink() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())
