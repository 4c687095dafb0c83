"""What stands in TIFF directories and at the head of an ICC profile. Knows bytes, not pixels."""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from pipelines.images.inventory import MOST_COUNTED

_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 0x0102, 0x0153
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I"}


class TiffField(NamedTuple):
    """One entry of a TIFF directory: what type its values have, how many, and where in the block they lie."""

    type: int
    number: int
    at: int


def count_tiff_pages(data: bytes) -> int:
    """Counts the directories that a TIFF file chains, up to MOST_COUNTED."""
    return sum(1 for _ in islice(_directories(data), MOST_COUNTED))


def is_deep_tiff(data: bytes) -> bool:
    """Returns whether the first page keeps its samples as floating-point numbers or in more than 16 bits."""
    fields = next(_fields(data), {})
    bits, form = (_integer(data, fields.get(tag)) for tag in (_BITS_PER_SAMPLE, _SAMPLE_FORMAT))
    return form == 3 or (bits or 0) > 16


def is_profile_of(icc: bytes, space: bytes) -> bool:
    """Returns whether an ICC profile is whole and describes `space`: b"RGB ", b"GRAY" or b"CMYK" (ICC.1:2022, 7.2)."""
    return len(icc) >= 128 and icc[36:40] == b"acsp" and icc[16:20] == space and int.from_bytes(icc[:4]) <= len(icc)


def _order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def _integer(block: bytes, field: TiffField | None) -> int | None:
    if field is None or field.type not in _INTEGERS or field.number < 1:
        return None
    layout = struct.Struct(_order(block) + _INTEGERS[field.type])
    return int(layout.unpack_from(block, field.at)[0]) if field.at + layout.size <= len(block) else None


def _fields(block: bytes) -> Iterator[dict[int, TiffField]]:
    """The entries of each directory of a TIFF file or an EXIF block."""
    order, big = _order(block), block[2:4] in (b"+\0", b"\0+")
    entry = struct.Struct(order + ("HHQ" if big else "HHI"))
    pointer = struct.Struct(order + ("Q" if big else "I"))
    for start, count in _directories(block):
        fields = {}
        for at in range(start, start + count * (entry.size + pointer.size), entry.size + pointer.size):
            tag, type_, number = entry.unpack_from(block, at)
            inside = at + entry.size
            fits_inside = number * _SIZES.get(type_, 1) <= pointer.size
            fields[tag] = TiffField(type_, number, inside if fits_inside else pointer.unpack_from(block, inside)[0])
        yield fields


def _directories(block: bytes) -> Iterator[tuple[int, int]]:
    """Yields where the entries of a directory begin and how many there are, as long as it is whole and new."""
    order, big = _order(block), block[2:4] in (b"+\0", b"\0+")
    if block[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return
    count, pointer = struct.Struct(order + ("Q" if big else "H")), struct.Struct(order + ("Q" if big else "I"))
    entry = 20 if big else 12
    seen = {0}
    at = pointer.unpack_from(block, pointer.size)[0] if len(block) >= 2 * pointer.size else 0
    while at not in seen and at + count.size <= len(block):
        seen.add(at)
        number = count.unpack_from(block, at)[0]
        start, end = at + count.size, at + count.size + number * entry
        if end > len(block):
            return
        yield start, number
        # Some writers leave the last pointer out.
        at = pointer.unpack_from(block, end)[0] if end + pointer.size <= len(block) else 0
