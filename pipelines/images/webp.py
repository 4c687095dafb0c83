"""What a WebP file says, chunk by chunk (Google's "WebP Container Specification")."""

import struct
from collections.abc import Iterator, Mapping

from pipelines.images.inventory import MOST_COUNTED, Fate, Inventory, Part, Unreadable, list_behind, list_part
from pipelines.images.picture import Extras

_MOST_CHUNKS = 100_000
_CUT = "is cut short: part of its pixels is missing"
_KNOWN: Mapping[str, tuple[Fate, str]] = {
    **dict.fromkeys(("VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF"), ("coding", "")),
    "ICCP": ("carried", "a colour profile"),
    "EXIF": ("carried", "an EXIF block"),
    "XMP ": ("carried", "an XMP packet"),
}


def take_inventory(data: bytes) -> Inventory:
    """Returns everything a WebP file says; for a decoder the pixels' chunks. Raises Unreadable without a size."""
    parts: list[Part] = []
    kept: dict[str, bytes] = {}
    coding: list[bytes] = []
    size, frames, refusal, pixels, last = None, 0, "", False, 12
    for number, (name, start, end) in enumerate(_chunks(data)):
        if number >= _MOST_CHUNKS:
            refusal = f"has more than {_MOST_CHUNKS} parts"
            break
        part, contents, last = list_part(name, _KNOWN, "chunk"), data[start:end], end + end % 2
        size = size or _read_size(name, contents)
        if name in ("ICCP", "EXIF", "XMP "):
            if name in kept:
                part = Part(name, "left out", f"a second chunk {name.strip()}")
            kept.setdefault(name, contents)
        elif part.fate == "coding":
            if name == "VP8X":
                contents = bytes((contents[0] & ~0x2C, *contents[1:])) if contents else contents  # no ICC, EXIF, XMP
            frames += name == "ANMF"
            pixels = pixels or name in ("VP8 ", "VP8L", "ANMF")
            if frames <= 1 or name != "ANMF":
                coding.append(name.encode() + struct.pack("<I", len(contents)) + contents + b"\0" * (len(contents) % 2))
        parts.append(part)
    if size is None:
        raise Unreadable("is damaged or cut short: no size is found in it")
    if not pixels:
        refusal = refusal or _CUT
    announced = 8 + int.from_bytes(data[4:8], "little")
    whole = min(announced, len(data)) - last < 8 and len(data) >= announced - 1
    notes = () if whole or refusal else ("its end is missing, behind the last pixel",)
    parts += list_behind(data, announced + announced % 2)
    body = b"WEBP" + b"".join(coding)
    return Inventory(
        b"RIFF" + struct.pack("<I", len(body)) + body,
        size,
        tuple(parts),
        kept.get("ICCP"),
        kept.get("EXIF"),
        Extras(xmp=kept.get("XMP ")),
        min(max(frames, 1), MOST_COUNTED),
        notes=notes,
        refusal=refusal,
    )


def _chunks(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Yields the name, and where the contents begin and end, of each chunk that is complete."""
    at, most = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= most:
        start = at + 8
        end = start + int.from_bytes(data[at + 4 : start], "little")
        if end > len(data):
            return
        yield data[at : at + 4].decode("latin-1"), start, end
        at = end + end % 2


def _read_size(name: str, contents: bytes) -> tuple[int, int] | None:
    if name == "VP8X" and len(contents) >= 10:
        return 1 + int.from_bytes(contents[4:7], "little"), 1 + int.from_bytes(contents[7:10], "little")
    if name == "VP8 " and len(contents) >= 10:
        width, height = struct.unpack_from("<HH", contents, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == "VP8L" and len(contents) >= 5:
        bits = int.from_bytes(contents[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None
