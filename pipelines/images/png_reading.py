"""What a PNG file says, chunk by chunk, and whether all of its pixels are there.

Critical chunks are held to their checksums; one of the others that is damaged is left out. The format is W3C's
"Portable Network Graphics (PNG) Specification", third edition.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pipelines.images.inventory import MOST_COUNTED, Fate, Inventory, Part, Unreadable, list_behind, list_part
from pipelines.images.picture import Extras, Resolution
from pipelines.images.png import INCH, PNG_SIGNATURE, write_chunk
from pipelines.images.png_texts import LONGEST_TEXTS, Texts

_FEWEST_BYTES = 1024  # of a chunk, on the whole: libpng's pixels come in blocks of 8 kB
_MANY_CHUNKS = 1000  # that any file may have
LONGEST_PROFILE = 16_000_000
_CUT, _DAMAGED = "is cut short: part of its pixels is missing", "is damaged"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOUR = ("cICP", "mDCV", "cLLI", "sRGB", "gAMA", "cHRM")
_COLOUR_LENGTHS = {"cICP": 4, "mDCV": 24, "cLLI": 8, "sRGB": 1, "gAMA": 4, "cHRM": 32}
_KNOWN: Mapping[str, tuple[Fate, str]] = {
    **dict.fromkeys(("IHDR", "PLTE", "tRNS", "IDAT", "IEND"), ("coding", "")),
    **dict.fromkeys(("acTL", "fcTL", "fdAT"), ("converted", "an animation")),
    **dict.fromkeys((*_COLOUR, "iCCP"), ("carried", "what its colours are")),
    "eXIf": ("carried", "an EXIF block"),
    "pHYs": ("carried", "the resolution"),
    "bKGD": ("carried", "a background colour"),
    **dict.fromkeys(("tEXt", "zTXt", "iTXt"), ("carried", "a text")),
    "sBIT": ("left out", "the number of significant bits"),
    "hIST": ("left out", "a histogram"),
    "sPLT": ("left out", "a suggested palette"),
    "tIME": ("left out", "the time of its last change"),
    "caBX": ("left out", "content credentials"),
}


class Chunk(NamedTuple):
    """One chunk: its name, and where its contents begin and end in the file. `whole` if its checksum is right."""

    name: bytes
    start: int
    end: int
    whole: bool


@dataclass
class _Found:
    """What was met on the way through the chunks."""

    icc: bytes | None = None
    exif: bytes | None = None
    texts: Texts = field(default_factory=Texts)
    resolution: Resolution | None = None
    colour: dict[str, bytes] = field(default_factory=dict)
    background: bytes | None = None
    palette: bytes = b""
    transparency: bytes | None = None
    frames: int = 1
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pixels: list[memoryview] = field(default_factory=list)
    ended: bool = False
    end: int = 0
    refusal: str = ""


def take_inventory(data: bytes) -> Inventory:
    """Returns everything a PNG file says. Raises Unreadable for one that does not begin with its header."""
    if data[12:16] == b"CgBI":
        raise Unreadable("is a PNG as Apple's tools change it for apps, which is not one by the standard")
    if data[8:16] != b"\0\0\0\x0dIHDR" or len(data) < 33:
        raise Unreadable("is damaged: it does not begin with its header")
    width, height, depth, kind, *_ = header = struct.unpack_from(">IIBBBBB", data, 16)
    if not _is_header(header):
        raise Unreadable("is damaged: its header has values that none may have")
    found = _Found()
    most = _MANY_CHUNKS + len(data) // _FEWEST_BYTES
    for number, chunk in enumerate(_chunks(data)):
        if number >= most:
            found.refusal = f"has more than {most} parts"
        if found.refusal or found.ended:
            break
        _note(found, chunk, memoryview(data)[chunk.start : chunk.end])
    if kind == 3 and not found.palette and not found.refusal:
        found.refusal = "is damaged: it has no palette" if found.pixels else _CUT
    if not found.pixels and not found.refusal:
        found.refusal = _CUT
    if not found.ended and not found.refusal:
        found.notes.append("its end is missing, behind the last pixel")
    if found.ended:
        found.parts += list_behind(data, found.end)
    if kind == 3:
        found.notes.append("indexed colours became full colour")
    elif depth < 8:
        found.notes.append(f"{depth} bit{'s' * (depth > 1)} a pixel became 8")
    extras = Extras(
        found.texts.xmp,
        found.texts.iptc,
        tuple(found.texts.plain),
        found.resolution,
        tuple((name, found.colour[name]) for name in _COLOUR if name in found.colour),
        _background(found, depth, kind),
    )
    inventory = Inventory(
        _for_decoder(data, found),
        (width, height),
        tuple(found.parts),
        found.icc,
        found.exif if found.exif is not None else found.texts.exif,
        extras,
        found.frames,
        notes=(*found.notes, *found.texts.notes),
        refusal=found.refusal,
    )
    return inventory if inventory.refusal else replace(inventory, refusal=_missing(found.pixels, header))


def _is_header(header: tuple[int, ...]) -> bool:
    width, height, depth, kind, packing, filtering, interlaced = header
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    return bool(width and height and depth in depths.get(kind, ()) and not packing | filtering and interlaced < 2)


def _chunks(data: bytes) -> Iterator[Chunk]:
    """Yields each chunk that has a name; the last one may end with the file."""
    at, view = len(PNG_SIGNATURE), memoryview(data)
    while at + 8 <= len(data):
        start = at + 8
        end = start + int.from_bytes(data[at : at + 4])
        whole = end + 4 <= len(data) and int.from_bytes(data[end : end + 4]) == zlib.crc32(view[start - 4 : end])
        yield Chunk(data[at + 4 : start], start, min(end, len(data)), whole)
        at = end + 4


def _note(found: _Found, chunk: Chunk, contents: memoryview) -> None:
    """Takes what one chunk says."""
    if not re.fullmatch(rb"[A-Za-z]{4}", chunk.name):
        found.refusal = _CUT if not found.pixels else ""
        found.ended = False
        return
    name = chunk.name.decode()
    critical = name[0].isupper()
    if name == "IEND":
        found.ended = True
        found.parts.append(Part(name, "coding"))
        found.end = chunk.end + 4
        if not chunk.whole:
            found.notes.append("its end has a wrong checksum")
    elif critical and not chunk.whole:
        found.refusal = "is damaged or cut short"
    elif critical and name not in ("IHDR", "PLTE", "IDAT"):
        found.refusal = f"needs a part that is not known here, {name}"
    elif not chunk.whole:
        found.parts.append(Part(name, "left out", f"{_KNOWN.get(name, ('', f'chunk {name}'))[1]}, which is damaged"))
    else:
        found.parts.append(_take(found, name, contents))


def _take(found: _Found, name: str, contents: memoryview) -> Part:
    """Keeps what a whole chunk says, and tells what becomes of it."""
    part = list_part(name, _KNOWN, "chunk")
    if name == "PLTE":
        found.palette = found.palette or bytes(contents[:768])
    elif name == "IDAT":
        found.pixels.append(contents)
    elif name == "tRNS" and not found.pixels:
        found.transparency = bytes(contents)
    elif name == "acTL" and not found.pixels and len(contents) == 8:
        found.frames = min(int.from_bytes(contents[:4]), MOST_COUNTED) + 1  # the image itself, until it is one of them
    elif name == "fcTL" and not found.pixels:
        found.frames = max(1, found.frames - 1)
    elif name in _COLOUR:
        if len(contents) != _COLOUR_LENGTHS[name] or name in found.colour:
            return Part(name, "left out", f"chunk {name}, which is broken or there twice")
        found.colour[name] = bytes(contents)
    elif name == "iCCP":
        found.icc = _profile(contents) if found.icc is None else found.icc
    elif name == "eXIf":
        found.exif = bytes(contents) if found.exif is None else found.exif
    elif name == "pHYs" and len(contents) == 9:
        found.resolution = _resolution(contents)
    elif name == "bKGD":
        found.background = bytes(contents)
    elif name.encode() in _TEXTS:
        what = found.texts.take(name, bytes(contents[: LONGEST_TEXTS + 1]))
        return Part(name, "left out", what) if what else part
    return part


def _profile(contents: memoryview) -> bytes:
    """Returns the ICC profile, of which no more than a byte beyond the longest is unpacked; empty if it cannot be."""
    _, _, packed = bytes(contents).partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], LONGEST_PROFILE + 1)
    except zlib.error:
        return b""


def _resolution(contents: memoryview) -> Resolution | None:
    x, y, unit = struct.unpack(">IIB", contents)
    if not x or not y:
        return None
    return Resolution(x * INCH, y * INCH) if unit == 1 else Resolution(x, y, inches=False)


def _background(found: _Found, depth: int, kind: int) -> tuple[float, float, float] | None:
    raw, white = found.background, 2**depth - 1
    if raw is None:
        return None
    if kind == 3 and len(raw) == 1 and 3 * raw[0] + 3 <= len(found.palette):
        red, green, blue = found.palette[3 * raw[0] : 3 * raw[0] + 3]
        return red / 255, green / 255, blue / 255
    if kind in (0, 4) and len(raw) == 2:
        grey = min(int.from_bytes(raw) / white, 1.0)
        return grey, grey, grey
    if kind in (2, 6) and len(raw) == 6:
        red, green, blue = struct.unpack(">HHH", raw)
        return min(red / white, 1.0), min(green / white, 1.0), min(blue / white, 1.0)
    return None


def _for_decoder(data: bytes, found: _Found) -> bytes:
    """Returns a file of the critical chunks and the transparency alone.

    A decoder takes a text for a property of the picture, refuses long ones, and takes hours for millions of chunks.
    """
    chunks = [PNG_SIGNATURE, data[8:33]]
    if found.palette:
        chunks.append(write_chunk(b"PLTE", found.palette))
    if found.transparency is not None:
        chunks.append(write_chunk(b"tRNS", found.transparency))
    pixels = b"".join(found.pixels)
    return b"".join([*chunks, write_chunk(b"IDAT", pixels), write_chunk(b"IEND", b"")])


def _missing(pixels: list[memoryview], header: tuple[int, ...]) -> str:
    """Returns why pixels that cannot all be unpacked are refused; empty if they are all there."""
    width, height, depth, kind, _, _, interlaced = header
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    steps = ((8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0), (2, 4, 0, 2), (2, 2, 1, 0), (1, 2, 0, 1))
    passes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for dx, dy, x, y in steps]
    sizes = passes if interlaced else [(width, height)]
    needed = sum((1 + (across * bits + 7) // 8) * down for across, down in sizes if across > 0 and down > 0)
    unpacked = _count_unpacked(pixels, needed)
    if unpacked < 0:
        return _DAMAGED
    if unpacked >= needed:
        return ""
    if interlaced:
        return _CUT
    missing = height - unpacked // (1 + (width * bits + 7) // 8)
    return f"is cut short: {missing} of its {height} rows are missing"


def _count_unpacked(pixels: list[memoryview], most: int) -> int:
    """Counts the bytes that the deflated pixels unpack to, up to `most`; -1 for what is not deflated."""
    unpacker, count = zlib.decompressobj(), 0
    try:
        for part in pixels:
            rest: bytes | memoryview = part
            while rest and count < most and not unpacker.eof:
                count += len(unpacker.decompress(rest, 1 << 20))
                rest = unpacker.unconsumed_tail
    except zlib.error:
        return -1
    return count
