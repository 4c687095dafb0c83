"""Images at addresses that fsspec reads and writes, such as hf://, s3:// and gs://: for the command line alone.

What does so is the file system that fsspec has for the protocol: huggingface_hub's own, s3fs, gcsfs or another.
Logins, settings and retries are theirs.
"""

import importlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeAlias

from pipelines.environment import MEGA, limits
from pipelines.errors import BadPicture, CannotWrite
from pipelines.files import is_same_file
from pipelines.phrasing import printable

LONGEST_REASON = 160  # characters of what a file system says was wrong
_PLAIN = re.compile(r":/{3,}")  # memory:///a is memory://a
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.*")  # two letters at least: C:// is a disk


@dataclass(frozen=True, slots=True)
class Address:
    """A file or a folder by its whole address, "hf://datasets/owner/name/photos"."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """Returns what stands behind the last slash that something stands behind."""
        return self.text.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Returns the ending of the name, as a path has it."""
        return PurePosixPath(self.name).suffix

    def __truediv__(self, relative: PurePath) -> "Address":
        return Address(f"{self.text.rstrip('/')}/{relative.as_posix()}")


Place: TypeAlias = Path | Address


class Loaded(bytes):
    """The bytes of a file that errors call by its name."""

    name: str

    def __new__(cls, data: bytes, name: str) -> "Loaded":
        """Copies the bytes."""
        loaded = super().__new__(cls, data)
        loaded.name = name
        return loaded


@dataclass(frozen=True, slots=True)
class Inside:
    """What lies in a folder: its address, and whether it is a folder itself."""

    address: Address
    is_folder: bool


def parse_place(text: str) -> Place:
    """Returns the address where there is a protocol in front, and a path otherwise."""
    text = text.removeprefix("file://")
    return Address(text) if _ADDRESS.fullmatch(text) else Path(text)


def path_of(place: Place) -> Path:
    """Returns the path that a place is. Raises TypeError for an address."""
    if isinstance(place, Address):
        raise TypeError(f"{place} is not on this machine")
    return place


def identify(place: Place) -> str:
    """Returns what two names of one file have in common."""
    return os.path.realpath(place) if isinstance(place, Path) else _PLAIN.sub("://", place.text).rstrip("/")


def is_same(one: Place, other: Place) -> bool:
    """Returns whether both lead to one file, through links as well."""
    if isinstance(one, Path) and isinstance(other, Path):
        return is_same_file(one, other)
    return identify(one) == identify(other)


def is_folder(place: Place) -> bool:
    """Returns whether there is a folder. Raises BadPicture for an address where there is nothing, or that fails."""
    if isinstance(place, Path):
        return place.is_dir()
    return bool(_ask(place)[2]["type"] == "directory")


def list_folder(folder: Address) -> Iterator[Inside]:
    """What lies in the folder, in the order of its names. Raises BadPicture."""
    files, path, _ = _ask(folder)
    try:
        found = sorted(files.ls(path, detail=True), key=lambda each: str(each["name"]))
    except Exception as error:
        raise _cannot_read(folder, error) from error
    for each in found:
        name = str(each["name"]).rstrip("/")
        if name.rpartition("/")[2] and name != path.rstrip("/"):  # what stands for the folder itself is not in it
            yield Inside(Address(files.unstrip_protocol(name)), each["type"] == "directory")


def load(place: Place) -> Path | bytes:
    """Returns the bytes of a file at an address; a path as it is. Raises BadPicture, also for more than may be read."""
    if isinstance(place, Path):
        return place
    files, path, told = _ask(place)
    most, size = limits().file_bytes, told.get("size")
    if told["type"] == "directory":
        raise BadPicture(f"{place} is a folder: name one image in it.")
    try:
        data: bytes = b"" if size is not None and size > most else files.cat_file(path, end=None if size else most + 1)
    except Exception as error:
        raise _cannot_read(place, error) from error
    if max(size or 0, len(data)) > most:
        raise BadPicture(f"{printable(str(place))} is larger than {most / MEGA:g} MB, the most that can be read.")
    return Loaded(data, place.name)


def list_below(folder: Address) -> list[str]:
    """Returns the paths below the folder of all files within, none where there is no folder. Raises CannotWrite."""
    try:
        files, path = _open(folder)
        files.invalidate_cache()  # what was known of a folder may no longer be so
        return [str(each).removeprefix(path).strip("/") for each in files.find(path)]
    except FileNotFoundError:
        return []
    except Exception as error:
        raise CannotWrite(f"{printable(folder.text)} cannot be read ({_reason(error)}).") from error


def find(address: Address) -> bytes | None:
    """Returns the bytes of a file at an address, of any size; None where there is none. Raises CannotWrite."""
    try:
        files, path = _open(address)
        found: bytes = files.cat_file(path)
        return found
    except FileNotFoundError:
        return None
    except Exception as error:
        raise CannotWrite(f"{printable(address.text)} cannot be read ({_reason(error)}).") from error


def put(address: Address, data: bytes) -> None:
    """Writes a file, in one call: a store of objects has all of it then, or nothing. Raises CannotWrite."""
    try:
        files, path = _open(address)
        files.pipe_file(path, data)
    except Exception as error:
        raise CannotWrite(f"{printable(address.text)} cannot be written ({_reason(error)}).") from error


def exists(address: Address) -> bool:
    """Returns whether there is something at the address. Raises CannotWrite where that cannot be told."""
    try:
        files, path = _open(address)
        files.invalidate_cache()
        files.info(path)
        return True
    except FileNotFoundError:
        return False
    except Exception as error:
        raise CannotWrite(f"{printable(address.text)} cannot be written ({_reason(error)}).") from error


def _open(address: Address) -> tuple[Any, str]:
    """Returns the file system, and the path in it."""
    files, path = importlib.import_module("fsspec.core").url_to_fs(address.text)
    return files, path


def _ask(address: Address) -> tuple[Any, str, dict[str, Any]]:
    """Returns the file system, the path in it, and what it says of that: at least "type", "file" or "directory"."""
    try:
        files, path = _open(address)
        return files, path, files.info(path)
    except Exception as error:  # each file system has errors of its own
        raise _cannot_read(address, error) from error


def _cannot_read(address: Address, error: Exception) -> BadPicture:
    shown = printable(address.text)
    if isinstance(error, FileNotFoundError):
        return BadPicture(f"{shown} does not exist.")
    if isinstance(error, PermissionError):
        return BadPicture(f"{shown} may not be read.")
    return BadPicture(f"{shown} cannot be read ({_reason(error)}).")


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split())).rstrip(".")[:LONGEST_REASON] or type(error).__name__
