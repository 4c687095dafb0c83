"""The directories of a TIFF file and the values of their tags (TIFF 6.0 section 2, BigTIFF). Knows no pixels.

Nothing here takes longer or more memory than the file's own bytes justify: entries are looked at where they lie, a
value is read only when it is asked for, and one that claims to be larger than the file is refused.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_DIRECTORIES = 1000
"""Looking for pictures stops here: a hostile file can hold millions."""
_MOST_ENTRIES = 4096

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
ORIENTATION, SUB_DIRECTORIES, PROFILE, DNG_VERSION = 274, 330, 34675, 50706
_RAW_PHOTOMETRICS = (32803, 34892)  # a colour filter array, and its linear form (DNG 1.7, "PhotometricInterpretation")

_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4",
          12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}  # fmt: skip
_INTEGERS = frozenset({1, 3, 4, 6, 8, 9, 13, 16, 17, 18})
_FRACTIONS = (5, 10)  # of two numbers each


class Unreadable(Exception):
    """Why a TIFF file cannot be read: what follows its name in the sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """One directory of a TIFF file: `entries` are its tags as they lie in `data`."""

    data: bytes
    order: str
    big: bool
    entries: npt.NDArray[Any]

    def tags(self) -> list[int]:
        return [int(tag) for tag in self.entries["tag"]]

    def field(self, tag: int) -> tuple[int, int, bytes] | None:
        """Type, number and bytes of a tag's values; None without it. Raises Unreadable if they lie beyond the file."""
        found = np.flatnonzero(self.entries["tag"] == tag)
        if not len(found):
            return None
        entry = self.entries[found[0]]
        type_, number = int(entry["type"]), int(entry["number"])
        if type_ not in _TYPES:
            return None
        size = number * np.dtype(_TYPES[type_]).itemsize * (2 if type_ in _FRACTIONS else 1)
        inside = entry["value"].tobytes()
        if size <= len(inside):
            return type_, number, inside[:size]
        at = int.from_bytes(inside, "little" if self.order == "<" else "big")
        if at + size > len(self.data):
            raise Unreadable("is damaged or cut short: a tag lies beyond its end")
        return type_, number, self.data[at : at + size]

    def numbers(self, tag: int) -> npt.NDArray[np.int64]:
        """The whole numbers of a tag; none without it or where its values are something else."""
        found = self.field(tag)
        if found is None or found[0] not in _INTEGERS:
            return np.empty(0, np.int64)
        return np.frombuffer(found[2], self.order + _TYPES[found[0]]).astype(np.int64)

    def fractions(self, tag: int) -> npt.NDArray[np.float64]:
        """The fractions of a tag (type RATIONAL); none without it, or where one has no value."""
        found = self.field(tag)
        if found is None or found[0] not in _FRACTIONS:
            return np.empty(0, np.float64)
        pairs = np.frombuffer(found[2], self.order + _TYPES[found[0]]).astype(np.float64).reshape(-1, 2)
        return pairs[:, 0] / pairs[:, 1] if pairs[:, 1].all() else np.empty(0, np.float64)

    def number(self, tag: int, default: int = 0) -> int:
        found = self.numbers(tag)
        return int(found[0]) if len(found) else default


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a TIFF file holds: the directory to be read, whether that is its first, and how many pages it has."""

    chosen: Directory
    is_first: bool
    pages: int


def find_picture(data: bytes) -> Contents:
    """The first whole picture of a file, which need not be its first: that may be a thumbnail (tags 254, 255, 330).

    Raises Unreadable for a file without any, and for a camera's raw file, whose picture has to be developed.
    """
    found = list(islice(_with_subdirectories(data), MOST_DIRECTORIES))
    if not found:
        raise Unreadable("is damaged or cut short: it holds no image")
    directories = [directory for directory, _ in found]
    if data[8:10] == b"CR" or any(map(_is_raw, directories)):
        raise Unreadable("is a camera's raw file, which has to be developed in another program first")
    chosen = next((directory for directory in directories if _is_whole(directory)), directories[0])
    pages = sum(1 for directory, depth in found if depth == 0 and _is_whole(directory))
    return Contents(chosen, chosen is directories[0], pages)


def follow(directory: Directory, tag: int) -> Directory | None:
    """The directory that a tag of another leads to, such as the EXIF tags; None without one or where it is broken."""
    at = directory.number(tag)
    return _at(directory.data, directory.order, directory.big, at)[0] if at else None


def _is_raw(directory: Directory) -> bool:
    return directory.number(PHOTOMETRIC) in _RAW_PHOTOMETRICS or DNG_VERSION in directory.entries["tag"]


def _is_whole(directory: Directory) -> bool:
    """Whether it is neither a smaller version (bit 0) nor a transparency mask (bit 2) of another."""
    if WIDTH not in directory.entries["tag"]:
        return False
    return not directory.number(NEW_SUBFILE_TYPE) & 5 and directory.number(SUBFILE_TYPE) != 2


def _with_subdirectories(data: bytes) -> Iterator[tuple[Directory, int]]:
    """Each directory of the file's chain (depth 0) followed by those that it leads to, none twice."""
    form = data[:4]
    if form not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return
    order, big = "<" if form[:2] == b"II" else ">", form[2:] in (b"+\0", b"\0+")
    pointer = struct.Struct(order + ("Q" if big else "I"))
    if len(data) < 2 * pointer.size:
        return
    seen = {0}

    def chain(at: int, depth: int) -> Iterator[tuple[Directory, int]]:
        while at not in seen:
            seen.add(at)
            directory, at = _at(data, order, big, at)
            if directory is None:
                return
            yield directory, depth
            if depth < 3:
                for below in directory.numbers(SUB_DIRECTORIES)[:MOST_DIRECTORIES]:
                    yield from chain(int(below), depth + 1)

    yield from chain(pointer.unpack_from(data, pointer.size)[0], 0)


def _at(data: bytes, order: str, big: bool, at: int) -> tuple[Directory | None, int]:
    """The directory at a place of the file, None where it is not whole, and where the next one lies, 0 at the end."""
    count = struct.Struct(order + ("Q" if big else "H"))
    pointer = struct.Struct(order + ("Q" if big else "I"))
    wide = 8 if big else 4
    sizes = (("tag", "u2"), ("type", "u2"), ("number", f"u{wide}"))
    entry = np.dtype([*((name, order + kind) for name, kind in sizes), ("value", f"V{wide}")])
    if at < 0 or at + count.size > len(data):
        return None, 0
    number = count.unpack_from(data, at)[0]
    start = at + count.size
    end = start + number * entry.itemsize
    if end > len(data) or number > _MOST_ENTRIES:
        return None, 0
    entries = np.frombuffer(data, entry, number, start)
    # Some writers leave the last pointer out.
    following = pointer.unpack_from(data, end)[0] if end + pointer.size <= len(data) else 0
    return Directory(data, order, big, entries), following
