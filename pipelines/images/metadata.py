"""What a picture's file says beside its pixels: EXIF, ICC profile, how many frames. Knows bytes, not pixels."""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

MOST_COUNTED = 1000  # frames, or pages: a hostile file can hold millions

_ORIENTATION = 0x0112
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I"}
_AV1_CONFIGURATION = re.compile(rb"av1C\x81.(.)", re.DOTALL)


class TiffField(NamedTuple):
    """One entry of a TIFF directory: what type its values have, how many, and where in the block they lie."""

    type: int
    number: int
    at: int


def describe_first_of(count: int, what: str) -> tuple[str, ...]:
    """The note for a file of `count` frames, of which only the first is read; none for a single one."""
    if count < 2:
        return ()
    return (f"first of {count}{' or more' if count >= MOST_COUNTED else ''} {what}",)


def count_gif_frames(data: bytes) -> int:
    """Counts the frames of a GIF file, up to MOST_COUNTED, without decoding one (GIF89a specification)."""
    return sum(1 for _ in islice(_gif_images(data), MOST_COUNTED))


def is_masked_bmp(data: bytes) -> bool:
    """Returns whether a BMP header names bits of each pixel as alpha (BI_BITFIELDS, from version 3 on)."""
    size, compression, alpha_mask = (int.from_bytes(data[at : at + 4], "little") for at in (14, 30, 66))
    return size >= 56 and compression == 3 and alpha_mask != 0


def read_avif_depth(data: bytes) -> int:
    """Returns the bits a channel: 8, 10 or 12, by the first AV1 configuration (AV1-ISOBMFF 2.3.3); 8 without one."""
    found = _AV1_CONFIGURATION.search(data)
    if found is None or not found[1][0] & 0x40:
        return 8
    return 12 if found[1][0] & 0x20 else 10


def turn_exif_upright(block: bytes) -> tuple[bytes | None, int]:
    """Returns an EXIF block with its orientation set to 1, and the orientation it had (1 to 8; 1 where it has none).

    Every other byte stays, because maker notes hold offsets that writing the block anew would break. None in place of a
    block with a directory or a value beyond its end; its orientation, where that can be read, counts all the same.
    """
    block = block.removeprefix(b"Exif\0\0")
    fields = next(_fields(block), None)
    if fields is None:
        return None, 1
    orientation = 1
    upright = bytearray(block)
    field = fields.get(_ORIENTATION)
    value = _integer(block, field)
    if field is not None and value is not None:
        orientation = value if 1 <= value <= 8 else 1
        struct.pack_into(_order(block) + _INTEGERS[field.type], upright, field.at, 1)
    whole = all(field.at + field.number * _SIZES.get(field.type, 1) <= len(block) for field in fields.values())
    return bytes(upright) if whole else None, orientation


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


def _gif_images(data: bytes) -> Iterator[int]:
    at = 13 + _table_size(data[10])
    while at + 10 <= len(data):
        if data[at] == 0x2C:
            yield at
            at += 11 + _table_size(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            return
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
