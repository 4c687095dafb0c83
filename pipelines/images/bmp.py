"""What a BMP file's header says (Microsoft's "Bitmap Header Types")."""

import struct

from pipelines.images.inventory import Inventory, Part, Unreadable
from pipelines.images.picture import Extras, Resolution
from pipelines.images.png import INCH

_V4, _V5 = 108, 124
_LINKED, _EMBEDDED, _CALIBRATED = b"KNIL", b"DEBM", bytes(4)
_PRIMARIES = struct.Struct("<9i")  # CIE X, Y, Z of red, green and blue as 2.30 fixed point


def take_inventory(data: bytes) -> Inventory:
    """Returns everything a BMP file says. Raises Unreadable for one without its header."""
    if len(data) < 26:
        raise Unreadable("is cut short: its header is missing")
    header = int.from_bytes(data[14:18], "little")
    parts: list[Part] = [Part("header", "coding")]
    if header == 12:
        width, height, _, bits = struct.unpack_from("<4H", data, 18)
        return Inventory(data, (width, height), tuple(parts), notes=_depth_notes(bits))
    if len(data) < 14 + min(header, 40):
        raise Unreadable("is cut short: its header is missing")
    width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    resolution, notes = None, list(_depth_notes(bits))
    if header >= 40:
        x, y = struct.unpack_from("<ii", data, 38)
        if x > 0 and y > 0:
            resolution = Resolution(x * INCH, y * INCH)
            parts.append(Part("resolution", "carried", "the resolution"))
        compression = int.from_bytes(data[30:34], "little")
        if header >= 56 and compression == 3 and data[66:70] != bytes(4):
            notes.append("its transparency cannot be read and was left out")
    icc = _take_colour(data, header, parts)
    size = (width, abs(height))
    return Inventory(data, size, tuple(parts), icc, extras=Extras(resolution=resolution), notes=tuple(notes))


def _depth_notes(bits: int) -> tuple[str, ...]:
    return ("indexed colours became full colour",) if bits <= 8 else ()


def _take_colour(data: bytes, header: int, parts: list[Part]) -> bytes | None:
    """Returns the profile of a header of version 5; calibrated colours and linked profiles are left out."""
    if header < _V4 or len(data) < 14 + _V4:
        return None
    kind = data[70:74]
    if kind == _CALIBRATED and any(_PRIMARIES.unpack_from(data, 74)):
        parts.append(Part("calibration", "left out", "calibrated colours"))
    elif kind == _LINKED:
        parts.append(Part("linked profile", "left out", "a link to a colour profile"))
    elif kind == _EMBEDDED and header >= _V5 and len(data) >= 14 + _V5:
        start, length = struct.unpack_from("<II", data, 14 + 112)
        parts.append(Part("profile", "carried", "a colour profile"))
        return data[14 + start : 14 + start + length]
    return None
