"""TIFF files tag by tag, for what no library writes."""

import struct
from collections.abc import Mapping, Sequence

_LAYOUTS = {3: "H", 4: "I", 16: "Q"}
Values = bytes | int | Sequence[int]


def tiff(
    tags: Mapping[int, Values], pieces: Sequence[bytes] = (), order: str = "<", big: bool = False, tiled: bool = False
) -> bytes:
    """A file of one directory: `tags` of bytes (UNDEFINED) or whole numbers, and `pieces` as its strips or tiles."""
    place, length = (324, 325) if tiled else (273, 279)
    start = 16 if big else 8
    offsets, at = [], start
    for piece in pieces:
        offsets.append(at)
        at += len(piece)
    at += at % 2
    every: dict[int, Values] = dict(tags)
    if pieces:
        every = {place: offsets, length: [len(piece) for piece in pieces]} | every
    entry_size, pointer = (20, "Q") if big else (12, "I")
    room = struct.calcsize(pointer)
    values, entries = b"", b""
    behind = at + (8 if big else 2) + entry_size * len(every) + room
    for tag, value in sorted(every.items()):
        if isinstance(value, bytes):
            kind, number, packed = 7, len(value), value
        else:
            numbers = [value] if isinstance(value, int) else list(value)
            kind, number = 4, len(numbers)
            packed = struct.pack(f"{order}{number}I", *numbers)
        if len(packed) > room:
            packed, values = (
                struct.pack(order + pointer, behind + len(values)),
                values + packed + bytes(len(packed) % 2),
            )
        entries += struct.pack(order + "HH" + pointer, tag, kind, number) + packed.ljust(room, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, at) if big else struct.pack(order + "HI", 42, at)
    body = mark + head + b"".join(pieces)
    count = struct.pack(order + ("Q" if big else "H"), len(every))
    return body.ljust(at, b"\0") + count + entries + bytes(room) + values


def grey(width: int, height: int, **more: Values) -> dict[int, Values]:
    """The tags of a picture of one channel of 8 bits in one strip; `more` as t259=5."""
    tags: dict[int, Values] = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height}
    return tags | {int(tag[1:]): value for tag, value in more.items()}
