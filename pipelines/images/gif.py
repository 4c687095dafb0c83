"""What a GIF file says, block by block (GIF89a specification)."""

from typing import NamedTuple

from pipelines.images.inventory import MOST_COUNTED, Inventory, Part, Unreadable, list_behind
from pipelines.images.picture import Extras, Resolution, Text

_MOST_BLOCKS = 200_000  # of 255 bytes each: a comment of a million one-byte blocks is hostile
_MOST_TEXTS = 1000
_LONGEST_TEXTS = 16_000_000


class _Extension(NamedTuple):
    what: str
    code: int
    contents: bytes


def take_inventory(data: bytes) -> Inventory:
    """Returns everything a GIF file says; for a decoder the first frame alone. Raises Unreadable without a header."""
    if len(data) < 13:
        raise Unreadable("is cut short: its header is missing")
    size = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    at = 13 + _table_size(data[10])
    header, control, first = data[:at], b"", b""
    parts: list[Part] = [Part("header", "coding")]
    texts: list[Text] = []
    frames, blocks, xmp, refusal, notes = 0, 0, None, "", ["indexed colours became full colour"]
    if data[12] and data[12] != 49:
        ratio = (data[12] + 15) / 64
        resolution: Resolution | None = Resolution(1.0, ratio, inches=False)
    else:
        resolution = None
    length = 0
    ended = False
    while at < len(data) and frames < MOST_COUNTED and len(parts) < _MOST_BLOCKS:
        start, kind = at, data[at]
        if kind == 0x3B:
            ended = True
            parts += list_behind(data, at + 1)
            break
        if kind == 0x2C:
            at += 11 + (_table_size(data[at + 9]) if at + 9 < len(data) else 0)
        elif kind == 0x21:
            at += 2
        else:
            break
        pieces, begin = [], at
        while at < len(data) and data[at] and blocks < _MOST_BLOCKS:
            blocks += 1
            if kind == 0x21:
                pieces.append(data[at + 1 : at + 1 + data[at]])
            at += data[at] + 1
        whole = at < len(data) and not data[at]
        at += 1
        if blocks >= _MOST_BLOCKS:
            if not frames:
                refusal = f"has more than {_MOST_BLOCKS} blocks"
            break
        if kind == 0x2C:
            frames += 1
            parts.append(Part("image", "coding" if frames == 1 else "converted", "" if frames == 1 else "a frame"))
            if frames == 1:
                first = data[start:at]
                refusal = "" if whole else "is cut short: part of its pixels is missing"
            continue
        contents = b"".join(pieces)
        code = data[start + 1] if start + 1 < len(data) else 0
        length += len(contents)
        if code == 0xF9:
            parts.append(Part("graphic control", "coding"))
            control = control if frames else data[start:at]
        elif code == 0xFE and len(texts) < _MOST_TEXTS and length <= _LONGEST_TEXTS:
            texts.append(Text("Comment", _decoded(contents), "tEXt"))
            parts.append(Part("comment", "carried", "a comment"))
        elif code == 0xFE:
            parts.append(Part("comment", "left out", "a comment too long, or one of too many"))
        elif code == 0xFF and contents.startswith(b"XMP DataXMP") and xmp is None and length <= _LONGEST_TEXTS:
            # The packet is not in blocks: it ends in a ramp of 258 bytes that leads any reader of blocks out of it.
            xmp = data[begin + 12 : at - 258] or None
            parts.append(Part("XMP", "carried", "an XMP packet"))
        elif code == 0xFF and contents.startswith((b"NETSCAPE2.0", b"ANIMEXTS1.0")):
            parts.append(Part("loops", "converted", "how often it loops"))
        elif code == 0xFF:
            name = "".join(chr(x) if 32 <= x < 127 else "?" for x in contents[:11])
            what = "a colour profile" if name.startswith("ICCRGBG1") else f"an extension {name}"
            parts.append(Part("application", "left out", what))
        elif code == 0x01:
            parts.append(Part("plain text", "left out", "text to be drawn over it"))
        else:
            parts.append(Part(f"0x{code:02X}", "left out", f"an extension 0x{code:02X}"))
    if not first and len(parts) >= _MOST_BLOCKS:
        refusal = f"has more than {_MOST_BLOCKS} blocks"
    if not first and not refusal:
        refusal = "is cut short: its pixels are missing"
    if not ended and not refusal and frames < MOST_COUNTED and blocks < _MOST_BLOCKS:
        notes.append("its end is missing, behind the last pixel")
    return Inventory(
        header + control + first + b"\x3b",
        size,
        tuple(parts),
        extras=Extras(xmp=xmp, texts=tuple(texts), resolution=resolution),
        frames=max(frames, 1),
        notes=tuple(notes),
        refusal=refusal,
    )


def _decoded(contents: bytes) -> str:
    """Decodes a comment: ASCII by the standard, UTF-8 by some, Latin-1 where nothing else fits."""
    try:
        return contents.decode()
    except UnicodeDecodeError:
        return contents.decode("latin-1")


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
