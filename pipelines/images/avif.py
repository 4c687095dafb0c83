"""What an AVIF file says, box by box (ISO/IEC 14496-12, 23008-12; AV1 Image File Format 1.1)."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from pipelines.images.boxes import (
    MOST_BOXES,
    Box,
    give_alpha_its_size,
    list_boxes,
    read_associations,
    read_track,
    strip_essential,
)
from pipelines.images.inventory import Fate, Inventory, Part, list_part
from pipelines.images.picture import Extras, Resolution

_KNOWN: Mapping[str, tuple[Fate, str]] = {
    **dict.fromkeys(("ftyp", "meta", "mdat", "idat", "free", "skip"), ("coding", "")),
    **dict.fromkeys(("hdlr", "pitm", "iloc", "iinf", "iref", "iprp", "ipco", "ipma", "dinf", "grpl"), ("coding", "")),
    **dict.fromkeys(("ispe", "pixi", "av1C", "auxC", "auxi", "a1op", "a1lx", "lsel", "rloc"), ("coding", "")),
    **dict.fromkeys(("irot", "imir"), ("converted", "its orientation")),
    **dict.fromkeys(("colr nclx", "colr prof", "colr rICC"), ("carried", "what its colours are")),
    **dict.fromkeys(("clli", "mdcv"), ("carried", "how bright it is")),
    "clap": ("converted", "its crop"),
    "pasp": ("carried", "the shape of its pixels"),
    "moov": ("converted", "an animation"),
    **dict.fromkeys(("item av01", "item grid"), ("coding", "")),
    "item Exif": ("carried", "an EXIF block"),
    "item mime": ("carried", "an XMP packet"),
    "item tmap": ("left out", "a gain map for HDR screens"),
    "item iovl": ("left out", "layers"),
}
_AV1_CONFIGURATION = re.compile(rb"av1C\x81.(.)", re.DOTALL)
_PLAIN = {(1, 13)}  # BT.709's primaries with sRGB's curve: what a picture has that says nothing


@dataclass
class _Found:
    """What was met on the way through the boxes."""

    parts: list[Part] = field(default_factory=list)
    properties: list[Box] = field(default_factory=list)
    primary: int | None = None
    own: list[int] = field(default_factory=list)  # of the primary item, the numbers of its properties
    exif_item: tuple[int, int] | None = None  # its number, and where its type stands
    places: dict[int, tuple[int, int]] = field(default_factory=dict)  # item to start and length
    idat: int | None = None


def take_inventory(data: bytes) -> Inventory:
    """Returns everything an AVIF file says but its ICC profile and XMP packet, which a decoder finds.

    Its EXIF block is hidden from the decoder, which would unpack every value of it.
    """
    data, found = give_alpha_its_size(data), _Found()
    _walk(data, found, 0, len(data), "")
    properties = [found.properties[number - 1] for number in found.own if 0 < number <= len(found.properties)]
    chosen: Mapping[str, Box] = {box.name: box for box in properties or found.properties}
    size = _size(data, chosen.get("ispe"))
    if (track := read_track(data)) is not None:  # of which the decoder gives the first frame, not the item
        size, chosen = track.size, track.boxes
    crop, notes = _crop(data, chosen.get("clap"), size)
    exif, hidden = None, bytearray(data)
    if found.exif_item is not None:
        number, at = found.exif_item
        hidden[at : at + 4] = b"skip"
        exif = _exif(data, found.places.get(number))
    depth = read_avif_depth(data)
    if depth > 8:
        notes = (*notes, f"{depth} bits a channel were read as 8")
    return Inventory(
        bytes(hidden),
        size,
        tuple(found.parts),
        exif=exif,
        extras=Extras(colour=_colour(data, chosen), resolution=_resolution(data, chosen.get("pasp"))),
        notes=notes,
        crop=crop,
    )


def read_avif_depth(data: bytes) -> int:
    """Returns the bits a channel: 8, 10 or 12, by the first AV1 configuration (AV1-ISOBMFF 2.3.3); 8 without one."""
    found = _AV1_CONFIGURATION.search(data)
    if found is None or not found[1][0] & 0x40:
        return 8
    return 12 if found[1][0] & 0x20 else 10


def _walk(data: bytes, found: _Found, start: int, end: int, inside: str) -> None:
    for box in list_boxes(data, start, end):
        if len(found.parts) >= MOST_BOXES:
            return
        if inside == "ipco":
            found.properties.append(box)
        name = f"colr {data[box.start : box.start + 4].decode('latin-1')}" if box.name == "colr" else box.name
        if inside != "iinf":
            found.parts.append(list_part(name, _KNOWN, "box"))
        if box.name == "meta" and not inside:
            _walk(data, found, box.start + 4, box.end, "meta")
        elif inside == "meta" and box.name == "iprp":
            _walk(data, found, box.start, box.end, "iprp")
        elif inside == "meta" and box.name == "iinf":
            _walk(data, found, box.start + (6 if data[box.start : box.start + 1] == b"\0" else 8), box.end, "iinf")
        elif inside == "iprp" and box.name == "ipco":
            _walk(data, found, box.start, box.end, "ipco")
        elif inside == "iprp" and box.name == "ipma":
            block = data[box.start : box.end]
            own = read_associations(block).get(found.primary or 0, [])
            found.own = found.own or strip_essential(block, own)
        elif inside == "iinf" and box.name == "infe":
            _take_item(data, box, found)
        elif inside == "meta" and box.name == "pitm":
            found.primary = int.from_bytes(data[box.start + 4 : box.end])
        elif inside == "meta" and box.name == "iloc":
            found.places = read_places(data[box.start : box.end])
        elif inside == "meta" and box.name == "idat":
            found.idat = box.start


def _take_item(data: bytes, box: Box, found: _Found) -> None:
    version = data[box.start] if box.start < box.end else 0
    wide = 4 if version >= 3 else 2
    at = box.start + 4 + wide + 2
    if version < 2 or at + 4 > box.end:
        return
    kind = data[at : at + 4].decode("latin-1")
    found.parts.append(list_part(f"item {kind}", _KNOWN, ""))
    if kind == "Exif" and found.exif_item is None:
        found.exif_item = int.from_bytes(data[box.start + 4 : box.start + 4 + wide]), at


def read_places(block: bytes) -> dict[int, tuple[int, int]]:
    """Returns start and length of each item of an iloc box that lies in the file in one piece."""
    if len(block) < 8:
        return {}
    version, sizes = block[0], (block[4] >> 4, block[4] & 15, block[5] >> 4, block[5] & 15)
    offset_size, length_size, base_size, index_size = sizes
    wide, at, found = 4 if version >= 2 else 2, 6, {}

    def take(length: int) -> int:
        nonlocal at
        value = int.from_bytes(block[at : at + length])
        at += length
        return value

    for _ in range(min(take(wide), MOST_BOXES)):
        item, method = take(wide), take(2) & 15 if version >= 1 else 0
        take(2)
        base, extents = take(base_size), take(2)
        for _ in range(min(extents, MOST_BOXES)):
            if version >= 1:
                take(index_size)
            start, length = base + take(offset_size), take(length_size)
            if extents == 1 and method == 0:
                found[item] = start, length
        if at > len(block):
            break
    return found


def _exif(data: bytes, place: tuple[int, int] | None) -> bytes:
    """Returns the EXIF block of an item, without what stands before it; empty where it is not found."""
    if place is None or place[0] + place[1] > len(data) or place[1] < 4:
        return b""
    start, length = place
    skipped = 4 + int.from_bytes(data[start : start + 4])
    return data[start + skipped : start + length]


def _size(data: bytes, box: Box | None) -> tuple[int, int] | None:
    if box is None or box.end - box.start < 12:
        return None
    width, height = struct.unpack_from(">II", data, box.start + 4)
    return width, height


def _crop(
    data: bytes, box: Box | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int, int, int] | None, tuple[str, ...]]:
    """Returns left, top, right and bottom of a clean aperture in whole pixels (ISO/IEC 14496-12, 12.1.4)."""
    if box is None or size is None:
        return None, ()
    left_out = ("left out: its crop, which is not one of whole pixels",)
    if box.end - box.start < 32:
        return None, left_out
    numbers = struct.unpack_from(">IIIIiIiI", data, box.start)
    if not all(numbers[1::2]):
        return None, left_out
    width, height, across, down = (
        Fraction(above, below) for above, below in zip(numbers[::2], numbers[1::2], strict=True)
    )
    left = (size[0] - width) / 2 + across
    top = (size[1] - height) / 2 + down
    edges = left, top, left + width, top + height
    if any(edge.denominator != 1 for edge in edges) or width < 1 or height < 1:
        return None, left_out
    if left < 0 or top < 0 or edges[2] > size[0] or edges[3] > size[1]:
        return None, left_out
    return (int(edges[0]), int(edges[1]), int(edges[2]), int(edges[3])), ()


def _resolution(data: bytes, box: Box | None) -> Resolution | None:
    if box is None or box.end - box.start < 8:
        return None
    across, down = struct.unpack_from(">II", data, box.start)
    return Resolution(down, across, inches=False) if across and down and across != down else None


def _colour(data: bytes, chosen: Mapping[str, Box]) -> tuple[tuple[str, bytes], ...]:
    """Returns what the colours are, as PNG has it: with full range and no matrix, since the pixels are RGB."""
    found = []
    box = chosen.get("colr")
    if box is not None and data[box.start : box.start + 4] == b"nclx" and box.end - box.start >= 10:
        primaries, transfer = struct.unpack_from(">HH", data, box.start + 4)
        if (primaries, transfer) not in _PLAIN and 2 not in (primaries, transfer) and max(primaries, transfer) < 256:
            found.append(("cICP", bytes((primaries, transfer, 0, 1))))
    box = chosen.get("mdcv")
    if box is not None and box.end - box.start >= 24:
        # Green, blue, red here; red, green, blue in PNG. The units are the same.
        block = data[box.start : box.start + 24]
        green, blue, red, rest = block[:4], block[4:8], block[8:12], block[12:]
        found.append(("mDCV", red + green + blue + rest))
    box = chosen.get("clli")
    if box is not None and box.end - box.start >= 4:
        found.append(("cLLI", struct.pack(">II", *(10_000 * x for x in struct.unpack_from(">HH", data, box.start)))))
    return tuple(found)
