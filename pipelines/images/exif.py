"""EXIF blocks, changed in place: maker notes hold offsets that writing a block anew would break (EXIF 2.32)."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from pipelines.images.picture import Resolution

_ORIENTATION, _WIDTH, _HEIGHT, _EXIF_DIRECTORY = 0x0112, 0x0100, 0x0101, 0x8769
_PIXEL_X, _PIXEL_Y, _SUBJECT_AREA, _SUBJECT_LOCATION = 0xA002, 0xA003, 0x9214, 0xA214
_FOCAL_X, _FOCAL_Y = 0xA20E, 0xA20F
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x011A, 0x011B, 0x0128
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_INTEGERS = {1: "B", 3: "H", 4: "I"}
_MOST = 2**32 - 1


class _Field(NamedTuple):
    """One entry of a directory: where it stands, what type its values have, how many, and where they lie."""

    entry: int
    type: int
    number: int
    at: int


class Upright(NamedTuple):
    """An EXIF block whose orientation is 1, None for a broken one; the orientation it had; whether its thumbnail,
    which would lie on its side, was left out."""

    block: bytes | None
    orientation: int
    thumbnail_left_out: bool = False


def turn_exif_upright(block: bytes, size: tuple[int, int], turned: int | None = None) -> Upright:
    """Returns an EXIF block with its orientation set to 1, and what of it lies as the pixels did turned with them.

    `size` is width and height before turning; `turned` an orientation that the file names elsewhere, which then
    counts. A block with a directory or a value beyond its end is broken; its orientation, where that can be read,
    counts all the same.
    """
    block = block.removeprefix(b"Exif\0\0")
    edited = bytearray(block)
    first = _first(edited)
    fields = None if first is None else _directory(edited, first)
    if first is None or fields is None:
        return Upright(None, turned or 1)
    orientation = turned or _integer(edited, fields.get(_ORIENTATION)) or 1
    orientation = orientation if 1 <= orientation <= 8 else 1
    _set_integer(edited, fields.get(_ORIENTATION), 1)
    if any(field.at + field.number * _SIZES.get(field.type, 1) > len(edited) for field in fields.values()):
        return Upright(None, orientation)
    inner = _inner(edited, fields)
    left_out = orientation != 1 and _drop_thumbnail(edited, first)
    if orientation >= 5:
        _exchange(edited, fields.get(_WIDTH), fields.get(_HEIGHT))
        _exchange(edited, inner.get(_PIXEL_X), inner.get(_PIXEL_Y))
        _exchange(edited, inner.get(_FOCAL_X), inner.get(_FOCAL_Y))
    for tag in (_SUBJECT_AREA, _SUBJECT_LOCATION):
        values = _shorts(edited, inner.get(tag))
        if len(values) >= 2:
            across = values[2:4] if len(values) == 4 and orientation < 5 else values[:1:-1]
            _set_shorts(edited, inner[tag], [*_turned(values[0], values[1], size, orientation), *across])
    return Upright(bytes(edited), orientation, left_out)


def read_resolution(block: bytes) -> Resolution | None:
    """Returns the pixels to an inch that an EXIF block names; None where it names none, or no unit."""
    whole = bytearray(block)
    first = _first(whole)
    fields = (None if first is None else _directory(whole, first)) or {}
    unit = {2: 1.0, 3: 2.54}.get(_integer(whole, fields.get(_UNIT)) or 2)
    values = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        field = fields.get(tag)
        if unit is None or field is None or field.type != 5 or field.number != 1 or field.at + 8 > len(whole):
            return None
        above, below = struct.unpack_from(_order(whole) + "II", whole, field.at)
        if not above or not below:
            return None
        values.append(above / below * unit)
    return Resolution(*values)


def resize_exif(block: bytes, old: tuple[int, int] | None, new: tuple[int, int]) -> bytes:
    """Returns an upright EXIF block for a picture that was `old` wide and high, if that is known, and is now `new`.

    Its sizes become the new ones; the subject's place and the sensor's pixels to an inch grow with the picture.
    """
    edited = bytearray(block)
    first = _first(edited)
    fields = None if first is None else _directory(edited, first)
    if fields is None:
        return block
    inner = _inner(edited, fields)
    for table, tags in ((fields, (_WIDTH, _HEIGHT)), (inner, (_PIXEL_X, _PIXEL_Y))):
        for tag, value in zip(tags, new, strict=True):
            _set_integer(edited, table.get(tag), value)
    if old is None or old == new:
        return bytes(edited)
    scales = [Fraction(after, before) for before, after in zip(old, new, strict=True)]
    for tag in (_SUBJECT_AREA, _SUBJECT_LOCATION):
        values = _shorts(edited, inner.get(tag))
        # Of three values the last is a diameter.
        _set_shorts(edited, inner.get(tag), [int(value * scales[at % 2]) for at, value in enumerate(values)])
    for tag, scale in zip((_FOCAL_X, _FOCAL_Y), scales, strict=True):
        _scale_rational(edited, inner.get(tag), scale)
    return bytes(edited)


def _order(block: bytes | bytearray) -> str:
    return "<" if block[:2] == b"II" else ">"


def _first(block: bytearray) -> int | None:
    """Returns where the first directory begins."""
    if bytes(block[:4]) not in (b"II*\0", b"MM\0*") or len(block) < 8:
        return None
    return int(struct.unpack_from(_order(block) + "I", block, 4)[0])


def _directory(block: bytearray, at: int) -> dict[int, _Field] | None:
    """Returns the entries of the directory at a place; None for one that is not whole."""
    order = _order(block)
    if at < 8 or at + 2 > len(block):
        return None
    count = struct.unpack_from(order + "H", block, at)[0]
    if at + 2 + 12 * count > len(block):
        return None
    return dict(_entries(block, at + 2, count, order))


def _entries(block: bytearray, start: int, count: int, order: str) -> Iterator[tuple[int, _Field]]:
    for entry in range(start, start + 12 * count, 12):
        tag, type_, number = struct.unpack_from(order + "HHI", block, entry)
        inside = number * _SIZES.get(type_, 1) <= 4
        yield (
            tag,
            _Field(entry, type_, number, entry + 8 if inside else struct.unpack_from(order + "I", block, entry + 8)[0]),
        )


def _inner(block: bytearray, fields: dict[int, _Field]) -> dict[int, _Field]:
    """Returns the entries of the directory that tells of the exposure; none where it is broken or not there."""
    at = _integer(block, fields.get(_EXIF_DIRECTORY))
    return (_directory(block, at) or {}) if at else {}


def _drop_thumbnail(block: bytearray, first: int) -> bool:
    """Cuts the second directory off the first and blanks the thumbnail behind it. Returns whether there was one."""
    order = _order(block)
    link = first + 2 + 12 * int(struct.unpack_from(order + "H", block, first)[0])
    if link + 4 > len(block) or not (second := struct.unpack_from(order + "I", block, link)[0]):
        return False
    fields = _directory(block, second)
    struct.pack_into("I", block, link, 0)
    at, length = (_integer(block, (fields or {}).get(tag)) for tag in (0x0201, 0x0202))
    if at and length and at + length <= len(block):
        block[at : at + length] = bytes(length)
    return True


def _integer(block: bytearray, field: _Field | None) -> int | None:
    if field is None or field.type not in _INTEGERS or field.number < 1:
        return None
    layout = struct.Struct(_order(block) + _INTEGERS[field.type])
    return int(layout.unpack_from(block, field.at)[0]) if field.at + layout.size <= len(block) else None


def _set_integer(block: bytearray, field: _Field | None, value: int) -> None:
    """Writes a single integer, as LONG where it has grown out of its type."""
    if field is None or field.number != 1 or _integer(block, field) is None:
        return
    if value >= 1 << 8 * _SIZES[field.type]:
        struct.pack_into(_order(block) + "HII", block, field.entry + 2, 4, 1, min(value, _MOST))
    else:
        struct.pack_into(_order(block) + _INTEGERS[field.type], block, field.at, value)


def _exchange(block: bytearray, one: _Field | None, other: _Field | None) -> None:
    """Swaps what two entries of the same directory hold: type, number and value; their tags stay."""
    if one is None or other is None:
        return
    first, second = (slice(field.entry + 2, field.entry + 12) for field in (one, other))
    block[first], block[second] = block[second], block[first]


def _shorts(block: bytearray, field: _Field | None) -> list[int]:
    if field is None or field.type != 3 or not 2 <= field.number <= 4 or field.at + 2 * field.number > len(block):
        return []
    return list(struct.unpack_from(f"{_order(block)}{field.number}H", block, field.at))


def _set_shorts(block: bytearray, field: _Field | None, values: list[int]) -> None:
    if field is not None and values:
        struct.pack_into(f"{_order(block)}{len(values)}H", block, field.at, *(min(max(x, 0), 65535) for x in values))


def _turned(x: int, y: int, size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Returns where a point of a picture of this size lies once orientation 1 to 8 is applied."""
    width, height = size
    if orientation >= 5:
        x, y, width, height = y, x, height, width
    if orientation in (3, 4, 7, 8):
        y = height - 1 - y
    if orientation in (2, 3, 6, 7):
        x = width - 1 - x
    return x, y


def _scale_rational(block: bytearray, field: _Field | None, scale: Fraction) -> None:
    if field is None or field.type != 5 or field.number != 1 or field.at + 8 > len(block):
        return
    above, below = struct.unpack_from(_order(block) + "II", block, field.at)
    if not below:
        return
    value = Fraction(above, below) * scale
    while value.denominator > _MOST or value.numerator > _MOST:
        if value > _MOST:
            return
        value = value.limit_denominator(value.denominator // 2)
    struct.pack_into(_order(block) + "II", block, field.at, value.numerator, value.denominator)
