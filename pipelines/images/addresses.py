"""Images at addresses that fsspec reads, such as hf://, s3:// and gs://: for the command line alone.

What reads them is the file system that fsspec has for the protocol: huggingface_hub's own, s3fs, gcsfs or another.
Logins, settings and retries are theirs.
"""

import importlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pipelines.environment import MEGA, limits
from pipelines.errors import BadPicture
from pipelines.phrasing import printable

LONGEST_REASON = 160  # characters of what a file system says was wrong
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
    return Address(text) if _ADDRESS.fullmatch(text) else Path(text)


def path_of(place: Place) -> Path:
    """Returns the path that a place is. Raises TypeError for an address."""
    if isinstance(place, Address):
        raise TypeError(f"{place} is not on this machine")
    return place


def identify(place: Place) -> str:
    """Returns what two names of one file have in common."""
    return os.path.realpath(place) if isinstance(place, Path) else place.text


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


def _ask(address: Address) -> tuple[Any, str, dict[str, Any]]:
    """Returns the file system, the path in it, and what it says of that: at least "type", "file" or "directory"."""
    try:
        files, path = importlib.import_module("fsspec.core").url_to_fs(address.text)
        return files, path, files.info(path)
    except Exception as error:  # each file system has errors of its own
        raise _cannot_read(address, error) from error


def _cannot_read(address: Address, error: Exception) -> BadPicture:
    shown = printable(address.text)
    if isinstance(error, FileNotFoundError):
        return BadPicture(f"{shown} does not exist.")
    if isinstance(error, PermissionError):
        return BadPicture(f"{shown} may not be read.")
    reason = printable(" ".join(str(error).split())).rstrip(".")[:LONGEST_REASON] or type(error).__name__
    return BadPicture(f"{shown} cannot be read ({reason}).")
