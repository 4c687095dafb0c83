"""Files on a disk: written whole or not at all, their sizes and hashes. Knows nothing of what is in them."""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipelines.errors import CannotWrite
from pipelines.phrasing import printable_name

_WHY_NOT = {
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "the folder does not exist",
    errno.EACCES: "the folder may not be written to",
    errno.EPERM: "the folder may not be written to",
    errno.EROFS: "the folder may not be written to",
    errno.ENOSPC: "no room is left",
    errno.EDQUOT: "no room is left",
    errno.EFBIG: "the file would be too large",
    errno.EISDIR: "a folder has this name",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "the link leads nowhere",
}


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes the bytes, or pieces of them, to a file; one that is there is replaced only once the new one is whole and
    on the disk.

    A link stays, and what it leads to is written; a file that is replaced hands on its permissions. Raises CannotWrite
    if the file cannot be made.
    """
    target, permissions = _destination(path)
    unfinished = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # Not tempfile: its files are readable by their owner only, whatever the umask says.
        with unfinished.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            _sync(file.fileno())
        if permissions is not None:
            with suppress(OSError):  # WSL, FUSE and FAT have none of their own to hand on
                unfinished.chmod(permissions)
        unfinished.replace(target)
    except OSError as error:
        raise _cannot_write(path, error.errno or 0) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def append(path: Path, data: bytes) -> None:
    """Adds the bytes to the end of a file, which is made where there is none; they are on the disk when it returns.

    Raises CannotWrite.
    """
    try:
        with path.open("ab", buffering=0) as file:
            file.write(data)
            _sync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error.errno or 0) from error


def make_folder(path: Path) -> None:
    """Makes the folder, and those that it lies in, unless it is there. Raises CannotWrite."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise CannotWrite(f"{printable_name(path)} cannot be made: a file has this name.") from error
    except (OSError, ValueError) as error:
        raise CannotWrite(f"{printable_name(path)} cannot be made: the folder around it does not allow it.") from error


def is_disk_full(error: CannotWrite) -> bool:
    """Returns whether nothing else could be written there either, for want of room."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)


def check_writable(path: Path) -> None:
    """Raises what `write_whole` would raise, where that can be told before there is anything to write.

    A file is made in the folder and removed: what a folder says of itself is not what it allows, on a network's or a
    mounted disk, or to the superuser.
    """
    target, _ = _destination(path)
    if target.is_dir():
        raise _cannot_write(path, errno.EISDIR)
    if target.exists() and not target.is_file():  # a device or a pipe would be replaced by a file
        raise CannotWrite(f"{printable_name(path)} cannot be written: what has this name is not a file.")
    if not target.parent.is_dir():
        raise _cannot_write(path, errno.ENOENT)
    trial = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        trial.open("xb").close()
    except OSError as error:
        raise _cannot_write(path, error.errno or 0) from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def is_same_file(one: Path, other: Path) -> bool:
    """Returns whether both names lead to one file, through links as well."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one is not there
        return False


def _sync(file: int) -> None:
    """Waits until the bytes are on the disk: else a power cut may keep the new name and lose what is behind it.

    Some file systems cannot be asked to; the bytes are no worse for it.
    """
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


def size_of(path: Path) -> int:
    """Returns the file's bytes; 0 where there is no file, or not yet."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def free_bytes(folder: Path) -> int:
    """Returns the bytes that are free on the disk where the folder is or will be."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(place).free


def sha256_of(path: Path) -> str:
    """Returns the sha256 of the file's content, 64 hex digits; the file is read at each call. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _destination(path: Path) -> tuple[Path, int | None]:
    """Returns where a file of this name is or would be, links followed, and the permissions of one that is there."""
    try:
        target = Path(os.path.realpath(path))
        return target, stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return target, None
    except ValueError as error:
        raise CannotWrite(
            f"{printable_name(path)} cannot be written: the name is not one that a file can have."
        ) from error
    except OSError as error:
        raise _cannot_write(path, error.errno or 0) from error


def _cannot_write(path: Path, code: int) -> CannotWrite:
    return CannotWrite(f"{printable_name(path)} cannot be written: {_WHY_NOT.get(code) or os.strerror(code).lower()}.")
