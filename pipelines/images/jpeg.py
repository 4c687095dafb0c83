"""What a JPEG file says, segment by segment, and whether all of its pixels are there.

ITU-T T.81; JFIF 1.02; Photoshop's segments as "Adobe Photoshop File Formats Specification" has them; several pictures
in one file as CIPA DC-007 has them.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipelines.images.inventory import MOST_COUNTED, Fate, Inventory, Part, Unreadable, list_behind, list_part
from pipelines.images.picture import Extras, Resolution, Text

_MOST_SEGMENTS = 10_000
_MOST_SCANS, _MOST_SCANNED = 100, 650_000_000  # passes, and pixels of all passes together
_MOST_TEXTS = 1000
_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # ends the coded pixels of a scan
_SEGMENT = re.compile(rb"\xff[^\0\x01\xff\xd0-\xd8]")
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_HUFFMAN, _ARITHMETIC = {0xC0, 0xC1, 0xC2}, {0xC9, 0xCA}
_KNOWN: Mapping[str, tuple[Fate, str]] = {
    **dict.fromkeys(("DQT", "DHT", "DAC", "DRI", "SOF", "SOS", "Adobe"), ("coding", "")),
    "JFIF": ("carried", "the resolution"),
    "JFXX": ("left out", "JFIF's thumbnail"),
    "Exif": ("carried", "an EXIF block"),
    "XMP": ("carried", "an XMP packet"),
    "extended XMP": ("left out", "the rest of a long XMP packet"),
    "ICC_PROFILE": ("carried", "a colour profile"),
    "MPF": ("converted", "that there are more images"),
    "Photoshop": ("carried", "an IPTC record"),
    "COM": ("carried", "a comment"),
    "APP11": ("left out", "segment APP11 (content credentials or HDR)"),
    "DNL": ("left out", "segment DNL"),
}
_NAMES = {0xC4: "DHT", 0xCC: "DAC", 0xDB: "DQT", 0xDC: "DNL", 0xDD: "DRI", 0xDA: "SOS", 0xFE: "COM"}
_STARTS = (
    (0xE0, b"JFIF\0", "JFIF"),
    (0xE0, b"JFXX\0", "JFXX"),
    (0xE1, b"Exif\0", "Exif"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0", "XMP"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "extended XMP"),
    (0xE2, b"ICC_PROFILE\0", "ICC_PROFILE"),
    (0xE2, b"MPF\0", "MPF"),
    (0xED, b"Photoshop 3.0\0", "Photoshop"),
    (0xEE, b"Adobe", "Adobe"),
)
# What a decoder reads for pixels that are not there: if these bytes change the picture, some were missing.
_PROBE = bytes((number * 89 + 41) % 251 + 1 for number in range(2000)).replace(b"\xff", b"\xfe")


class Segment(NamedTuple):
    """One marker: its code, what it is called, and where its contents begin and end; of a scan, with its pixels."""

    code: int
    place: str
    start: int
    end: int


@dataclass
class _Found:
    """What was met on the way through the segments."""

    size: tuple[int, int] | None = None
    icc: dict[int, bytes] = field(default_factory=dict)
    icc_parts: int = 0
    exif: bytes | None = None
    xmp: bytes | None = None
    resources: bytes | None = None
    texts: list[Text] = field(default_factory=list)
    resolution: Resolution | None = None
    frames: int = 1
    parts: list[Part] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    scans: int = 0
    # Of each component those coefficients of a block that no scan has brought to their full precision.
    components: dict[int, set[int]] = field(default_factory=dict)
    refusal: str = ""


def take_inventory(data: bytes) -> Inventory:
    """Returns everything the first picture of a JPEG file says. Raises Unreadable where no size is found."""
    found, notes = _Found(), []
    end = 2
    for number, segment in enumerate(_segments(data)):
        if number >= _MOST_SEGMENTS:
            found.refusal = f"has more than {_MOST_SEGMENTS} segments"
        if found.refusal:
            break
        end = segment.end
        _take(found, segment, data)
    if found.size is None:
        raise Unreadable(found.refusal or "is damaged or cut short: no size is found in it")
    if not found.refusal and not found.scans:
        found.refusal = "is cut short: its pixels are missing"
    if not found.refusal and data[end : end + 1000].lstrip(b"\xff")[:1] != b"\xd9":
        if not found.components or any(found.components.values()):
            found.refusal = "is cut short: part of its pixels is missing"
        notes.append("its end is missing, behind the last pixel")
    elif found.frames == 1:
        found.parts += list_behind(data, end + 2)
    iptc, more = _read_resources(found.resources)
    found.parts += more
    return Inventory(
        b"".join([b"\xff\xd8", *found.kept, b"\xff\xd9"]),
        found.size,
        tuple(found.parts),
        _joined_profile(found),
        found.exif,
        Extras(found.xmp, iptc, tuple(found.texts), found.resolution),
        found.frames,
        "pictures",
        tuple(notes),
        found.refusal,
    )


def add_probe(data: bytes) -> bytes:
    """Returns the file of an inventory with more coded pixels behind each scan.

    A decoder that gives another picture for it has reached beyond what was there, and filled the rest with grey.
    """
    pieces, at = [], 2
    for segment in _segments(data):
        if segment.code == 0xDA:
            pieces += [data[at : segment.end], _PROBE]
            at = segment.end
    return b"".join([data[:2], *pieces, data[at:]])


def _segments(data: bytes) -> Iterator[Segment]:
    """Yields each segment up to the end of the first picture; one that is cut ends with the file."""
    at = 2
    while at + 4 <= len(data):
        # Some writers leave a few bytes between segments: decoders look for the next marker.
        marker = _SEGMENT.search(data, at)
        if marker is None or marker[0] == b"\xff\xd9":
            return
        at, code = marker.start(), marker[0][1]
        start, end = at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if code == 0xDA:
            following = _MARKER.search(data, end)
            end += len(data[end : following.start() if following else len(data)].rstrip(b"\xff"))
        elif end > len(data) or end < start:
            return
        yield Segment(code, _place(code, data[start : start + 40]), start, end)
        at = end


def _place(code: int, contents: bytes) -> str:
    for other, start, place in _STARTS:
        if code == other and contents.startswith(start):
            return place
    if code in _SIZES:
        return "SOF"
    return _NAMES.get(code) or (f"APP{code - 0xE0}" if 0xE0 <= code < 0xF0 else f"0x{code:02X}")


def _take(found: _Found, segment: Segment, data: bytes) -> None:
    """Keeps what one segment says, tells what becomes of it, and hands the decoder those that it needs."""
    code, place, start, end = segment
    part = list_part(place, _KNOWN, "segment")
    contents = data[start : min(end, start + 65533)]
    if place == "SOF":
        _take_size(found, code, contents)
    elif place == "SOS":
        found.scans += 1
        width, height = found.size or (1, 1)
        most = max(1, min(_MOST_SCANS, _MOST_SCANNED // max(1, width * height)))
        if found.scans > most:
            found.refusal = f"is coded in more than {most} passes"
        _take_scan(found, contents)
    elif place == "JFIF" and len(contents) >= 12:
        found.resolution = _resolution(contents)
        if contents[12:14] != b"\0\0" and len(contents) > 14:
            found.parts.append(Part("JFIF thumbnail", "left out", "JFIF's thumbnail"))
    elif place == "Exif":
        if found.exif is None:
            found.exif = contents
        else:
            part = Part(place, "left out", "a second EXIF block")
    elif place == "XMP":
        if found.xmp is None:
            found.xmp = contents.partition(b"\0")[2]
        else:
            part = Part(place, "left out", "a second XMP packet")
    elif place == "ICC_PROFILE" and len(contents) > 14:
        found.icc[contents[12]] = contents[14:]
        found.icc_parts = contents[13]
    elif place == "MPF":
        found.frames = _count_pictures(contents[4:])
    elif place == "Photoshop":
        found.resources = (found.resources or b"") + contents[14:]
    elif place == "COM":
        if len(found.texts) < _MOST_TEXTS:
            found.texts.append(Text("Comment", _decoded(contents), "tEXt"))
        else:
            part = Part(place, "left out", f"a comment beyond the first {_MOST_TEXTS}")
    found.parts.append(part)
    if part.fate == "coding" or place == "JFIF":
        found.kept.append(data[start - 4 : end])


def _take_size(found: _Found, code: int, contents: bytes) -> None:
    if found.size is not None or len(contents) < 9:
        found.refusal = "is damaged"
        return
    depth, height, width = struct.unpack_from(">BHH", contents)
    found.size = width, height
    found.components = {key: set(range(64)) for key in contents[6 : 6 + 3 * contents[5] : 3]}
    if not width or not height:
        found.refusal = "is damaged: its header has no size"
    elif depth != 8:
        found.refusal = f"has {depth} bits a channel, a kind of JPEG that cannot be read here"
    elif code in _ARITHMETIC:
        # Missing bytes are zeros there, by the standard, so that nobody can tell a cut file. No browser reads one.
        found.refusal = "is a JPEG with arithmetic coding, which cannot be read here"
    elif code not in _HUFFMAN:
        kind = "lossless" if code in (0xC3, 0xC7, 0xCB, 0xCF) else "hierarchical"
        found.refusal = f"is a {kind} JPEG, which cannot be read here"


def _take_scan(found: _Found, contents: bytes) -> None:
    """Takes off what a scan brings to full precision: coefficients from one to another, of some components."""
    count = contents[0] if contents else 0
    if len(contents) < 4 + 2 * count:
        return
    first, last, precision = contents[1 + 2 * count : 4 + 2 * count]
    for key in contents[1 : 1 + 2 * count : 2]:
        if key in found.components and not precision & 15:
            found.components[key] -= set(range(first, last + 1))


def _resolution(contents: bytes) -> Resolution | None:
    unit, x, y = struct.unpack_from(">BHH", contents, 7)
    if not x or not y or (unit == 0 and x == y):
        return None
    inch = {1: 1.0, 2: 2.54}.get(unit)
    return Resolution(x, y, inches=False) if inch is None else Resolution(x * inch, y * inch)


def _joined_profile(found: _Found) -> bytes | None:
    """Returns the ICC profile of all its segments; empty if one is missing."""
    if not found.icc:
        return None
    if sorted(found.icc) != list(range(1, found.icc_parts + 1)):
        return b""
    return b"".join(found.icc[number] for number in sorted(found.icc))


def _count_pictures(block: bytes) -> int:
    """Counts the pictures that an MPF block lists, by its tag 0xB001."""
    order = "<" if block[:2] == b"II" else ">"
    if len(block) < 10:
        return 1
    at = struct.unpack_from(order + "I", block, 4)[0]
    if at + 2 > len(block):
        return 1
    for entry in range(at + 2, min(at + 2 + 12 * struct.unpack_from(order + "H", block, at)[0], len(block) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHII", block, entry)
        if tag == 0xB001:
            return max(1, min(int(value), MOST_COUNTED))
    return 1


_CARRIED_RESOURCES = {0x0404, 0x040A, 0x040B, 0x0425}  # IPTC, copyright flag, its URL, IPTC's digest
_RESOURCE = struct.Struct(">4sHB")


def _read_resources(block: bytes | None) -> tuple[bytes | None, list[Part]]:
    """Returns, of Photoshop's resources, those about author and rights, and the others as left out."""
    kept, parts, at, number = [], [], 0, 0
    while block is not None and at + 12 <= len(block) and number < _MOST_TEXTS:
        signature, key, length = _RESOURCE.unpack_from(block, at)
        start = at + 6 + (length + 2) // 2 * 2
        end = start + 4 + int.from_bytes(block[start : start + 4])
        if signature != b"8BIM" or end > len(block):
            parts.append(Part("8BIM", "left out", "Photoshop's settings, which are damaged"))
            break
        if key in _CARRIED_RESOURCES:
            kept.append(block[at:end] + b"\0" * (end % 2))
        elif not any(part.place == "8BIM" for part in parts):
            parts.append(Part("8BIM", "left out", "Photoshop's settings"))
        at, number = end + end % 2, number + 1
    return (b"".join(kept) or None), parts


def _decoded(contents: bytes) -> str:
    """Decodes a comment, which is in UTF-8 today and was in Latin-1."""
    try:
        return contents.decode().rstrip("\0")
    except UnicodeDecodeError:
        return contents.decode("latin-1").rstrip("\0")
