"""The texts of a PNG file, in and out: plain ones, XMP, and the blocks that are written as hexadecimal texts."""

import zlib
from dataclasses import dataclass, field
from typing import Literal

from pipelines.images.picture import Text, wrap_iptc
from pipelines.images.png import write_chunk

LONGEST_TEXTS = 16_000_000  # bytes of all of a file's texts, unpacked
MOST_TEXTS = 1000
XMP_KEYWORD = "XML:com.adobe.xmp"
_RAW = "Raw profile type "  # ImageMagick's way: a text of three lines of heading, then hexadecimal digits
_XMP_APP1 = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass
class Texts:
    """What a file's texts hold; `exif` is empty for a block that is broken."""

    xmp: bytes | None = None
    iptc: bytes | None = None
    exif: bytes | None = None
    plain: list[Text] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: int = LONGEST_TEXTS

    def take(self, kind: str, contents: bytes) -> str:
        """Keeps the text of one chunk. Returns what is left out of it, in words; empty where it is kept."""
        if len(self.plain) >= MOST_TEXTS:
            return f"a text beyond the first {MOST_TEXTS}"
        try:
            text = _parse(kind, contents, self.left)
        except (zlib.error, ValueError):
            return "a text that is broken"
        self.left -= len(text.text)
        if self.left <= 0:
            self.left = 1
            return f"a text longer than {LONGEST_TEXTS // 1_000_000} MB"
        if text.keyword == XMP_KEYWORD and self.xmp is None:
            self.xmp = text.text.encode("latin-1" if kind != "iTXt" else "utf-8", "surrogateescape")
        elif not (text.keyword.startswith(_RAW) and self._take_raw(text)):
            self.plain.append(text)
        return ""

    def _take_raw(self, text: Text) -> bool:
        kind = text.keyword.removeprefix(_RAW).strip().lower()
        if kind not in ("exif", "app1", "xmp", "iptc", "8bim"):
            return False
        try:
            block = bytes.fromhex("".join(text.text.split("\n")[3:]))
        except ValueError:
            block = b""
        if kind == "xmp" or block.startswith(_XMP_APP1):
            self.xmp = self.xmp or block.removeprefix(_XMP_APP1)
        elif kind in ("exif", "app1"):
            self.exif = block if self.exif is None else self.exif
        elif self.iptc is None:
            self.iptc = block if block.startswith(b"8BIM") else wrap_iptc(block)
        return True


def _parse(kind: str, contents: bytes, most: int) -> Text:
    """Returns a text chunk's contents. Raises ValueError or zlib.error for one that is broken."""
    keyword, found, rest = contents.partition(b"\0")
    if not found or not keyword or len(keyword) > 79:
        raise ValueError
    name = keyword.decode("latin-1")
    if kind == "tEXt":
        return Text(name, rest.decode("latin-1"), "tEXt")
    if kind == "zTXt":
        return Text(name, _unpacked(rest[1:], most).decode("latin-1"), "zTXt")
    packed = rest[:1] == b"\1"
    language, _, rest = rest[2:].partition(b"\0")
    translated, found, text = rest.partition(b"\0")
    if not found:
        raise ValueError
    text = _unpacked(text, most) if packed else text
    words = (part.decode("utf-8", "surrogateescape") for part in (text, language, translated))
    return Text(name, next(words), "iTXt", next(words), next(words))


def _unpacked(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, most)
    return text + b"\0" if not unpacker.eof and len(text) < most else text


def write_texts(texts: tuple[Text, ...], xmp: bytes | None, iptc: bytes | None) -> list[bytes]:
    """Returns the chunks of texts, each as the kind that it came in while its characters allow that."""
    chunks = []
    if xmp is not None:
        chunks.append(write_chunk(b"iTXt", XMP_KEYWORD.encode() + bytes(5) + xmp))
    if iptc is not None:
        digits = iptc.hex()
        lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
        chunks.append(write_text(Text(f"{_RAW}iptc", f"\niptc\n{len(iptc):8}\n{lines}\n", "zTXt")))
    return chunks + [write_text(text) for text in texts]


def write_text(text: Text) -> bytes:
    """Returns a text as a chunk: iTXt in UTF-8 unless it came as another kind and is in Latin-1."""
    keyword = text.keyword.encode("latin-1", "replace")[:79]
    kind: Literal["tEXt", "zTXt", "iTXt"] = text.kind
    try:
        plain = text.text.encode("latin-1")
    except UnicodeEncodeError:
        kind = "iTXt"
    if kind == "tEXt" and b"\0" not in plain:
        return write_chunk(b"tEXt", keyword + b"\0" + plain)
    if kind == "zTXt":
        return write_chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(plain))
    language, translated, words = (
        part.encode("utf-8", "surrogateescape") if _escaped(part) else part.encode(errors="replace")
        for part in (text.language, text.translated, text.text)
    )
    # Not compressed; half a surrogate pair, as JSON from outside may hold, has no bytes.
    return write_chunk(b"iTXt", b"%s\0\0\0%s\0%s\0%s" % (keyword, language, translated, words))


def _escaped(text: str) -> bool:
    """Returns whether the only half surrogate pairs in a text are bytes that are no UTF-8."""
    return all(not 0xD800 <= ord(sign) < 0xDC80 and not 0xDCFF < ord(sign) <= 0xDFFF for sign in text)
