"""PNG files: their checksums and profiles on the way in, and a fast lossless writer on the way out.

Written here because no library at hand does it: Pillow accepts a wrong IDAT checksum, writes neither 16-bit RGB nor
16-bit grey with alpha, and takes seconds for a 4096 × 4096 picture; OpenCV writes no grey with alpha, and needs a
second copy of the picture in BGR order. The format is W3C's "Portable Network Graphics (PNG) Specification", third
edition.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Picture, quantise, strip_height

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}  # channels to the specification's code
_NONE, _UP, _AVERAGE = 0, 2, 3  # the specification's filter types
ABOUT_KEYWORD = "upscale-bench"  # the keyword of the text that tells how a picture was made
_EXIF_TEXTS = (b"Raw profile type exif\0", b"exif\0")
_ADLER_BASE = 65521
_SAMPLE_BLOCK, _SAMPLE_EVERY = 512, 31  # one block of bytes in so many is packed to choose how the whole strip is


class _Packing(NamedTuple):
    """How a strip can be filtered and packed. Of the packed sizes times `price`, which stands for time, the least wins.

    After the Average filter photographs, enlarged and noisy ones too, come within a fifth of the best size without a
    search for repetitions, which would cost ten times the time. Text, drawings and enlarged pixels are nothing but
    repetitions, and quick to search. Run lengths pay in what is smooth, and nothing pays in noise.
    """

    filter: int
    level: int
    strategy: int
    price: float

    def pack(self, data: memoryview) -> bytes:
        packer = zlib.compressobj(self.level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, self.strategy)
        return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


_PACKINGS = (
    _Packing(_AVERAGE, 0, zlib.Z_DEFAULT_STRATEGY, 0.99),
    _Packing(_AVERAGE, 1, zlib.Z_HUFFMAN_ONLY, 1),
    _Packing(_AVERAGE, 1, zlib.Z_RLE, 1.1),
    _Packing(_UP, 1, zlib.Z_RLE, 1.1),
    _Packing(_UP, 3, zlib.Z_DEFAULT_STRATEGY, 1.2),
    _Packing(_NONE, 3, zlib.Z_DEFAULT_STRATEGY, 1.2),
)
_FILTERS = {way.filter for way in _PACKINGS}


def is_whole(data: bytes) -> bool:
    """Returns whether each chunk is complete and has the checksum it claims, up to the one that ends the file."""
    for name, start, end in _chunks(data):
        if struct.unpack_from(">I", data, end)[0] != zlib.crc32(memoryview(data)[start - 4 : end]):
            return False
        if name == b"IEND":
            return True
    return False


def read_profile(data: bytes, most: int) -> bytes | None:
    """The ICC profile, of which nothing beyond `most` bytes is unpacked; empty if it cannot be, None without one."""
    for name, start, end in _chunks(data):
        if name == b"iCCP":
            _, _, packed = data[start:end].partition(b"\0")
            try:
                return zlib.decompressobj().decompress(packed[1:], most)
            except zlib.error:
                return b""
        if name == b"IDAT":
            break
    return None


def strip_texts(data: bytes) -> bytes:
    """The file for Pillow: without the profile and the texts, except for EXIF blocks that are written as text.

    Pillow refuses the whole picture if one of them is longer than 1 MB, and takes a text for a property of the picture
    if it is named like one.
    """
    kept, at = [], 0
    for name, start, end in _chunks(data):
        if name in (b"iCCP", b"iTXt", b"tEXt", b"zTXt") and not data.startswith(_EXIF_TEXTS, start):
            kept.append(data[at : start - 8])
            at = end + 4
    return b"".join([*kept, data[at:]]) if kept else data


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, and where the contents begin and end, of each chunk that is complete."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        start = at + 8
        end = start + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            return
        yield data[at + 4 : start], start, end
        at = end + 4


def encode_png(picture: Picture, exif: bytes | None, about: str | None = None) -> bytes:
    """The picture as a PNG file of its own depth, kind (grey or colour, with or without alpha) and ICC profile.

    `about` becomes a text of the keyword ABOUT, in UTF-8.

    Strips are filtered and compressed independently, one thread for each core, as pigz does it (Mark Adler,
    https://zlib.net/pigz): each deflate block ends on a byte boundary, so that strips can simply follow one another.
    """
    height, width = picture.pixels.shape[:2]
    channels = (1 if picture.grey else 3) + (picture.alpha is not None)
    rows = strip_height(width, channels)
    tops = range(0, height, rows)
    header = struct.pack(">IIBBBBB", width, height, picture.depth, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [PNG_SIGNATURE, _chunk(b"IHDR", header)]
    if picture.icc is not None:
        chunks.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc)))
    if exif is not None:
        chunks.append(_chunk(b"eXIf", exif))
    if about is not None:
        # iTXt, not compressed, of no language: tEXt has no character beyond Latin-1.
        text = about.encode(errors="replace")  # half a surrogate pair, as JSON from outside may hold, has no bytes
        chunks.append(_chunk(b"iTXt", b"%s\0\0\0\0\0%s" % (ABOUT_KEYWORD.encode(), text)))
    chunks.append(_chunk(b"IDAT", b"\x78\x01"))
    checksum = 1
    with ThreadPoolExecutor(min(len(tops), os.cpu_count() or 1)) as pool:
        for chunk, adler, length in pool.map(lambda top: _compress(picture, top, top + rows), tops):
            chunks.append(chunk)
            checksum = _joined_adler(checksum, adler, length)
    # An empty last block, and the checksum over all strips, end the zlib stream.
    chunks.append(_chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", checksum)))
    return b"".join([*chunks, _chunk(b"IEND", b"")])


def _compress(picture: Picture, top: int, bottom: int) -> tuple[bytes, int, int]:
    """Rows `top` to `bottom` as an IDAT chunk, with the Adler-32 checksum and the length of what was compressed."""
    lines = _lines(picture, max(0, top - 1), bottom)
    candidates = {kind: _filtered(lines, kind, top == 0, _bytes_per_pixel(picture)) for kind in _FILTERS}
    way = _cheapest(candidates)
    filtered = candidates[way.filter].data
    return _chunk(b"IDAT", way.pack(filtered)), zlib.adler32(filtered), filtered.nbytes


def _lines(picture: Picture, top: int, bottom: int) -> npt.NDArray[np.uint8]:
    """Rows as PNG has them before filtering, (rows, bytes): channels interleaved, 16-bit samples high byte first."""
    colour = picture.pixels[top:bottom, :, :1] if picture.grey else picture.pixels[top:bottom]
    parts: list[npt.NDArray[Any]] = [quantise(colour, picture.depth)]
    if picture.alpha is not None:
        parts.append(quantise(picture.alpha[top:bottom, :, None], picture.depth))
    samples = np.concatenate(parts, axis=2) if len(parts) > 1 else np.ascontiguousarray(parts[0])
    if picture.depth == 16:
        samples = samples.astype(">u2")
    return samples.view(np.uint8).reshape(len(samples), -1)


def _filtered(lines: npt.NDArray[np.uint8], kind: int, first: bool, step: int) -> npt.NDArray[np.uint8]:
    """Returns the lines after a filter, each with its filter byte in front.

    `lines` begins with the row above the strip, unless the strip is the `first` of the picture. `step` is how many
    bytes a pixel has.
    """
    above = np.zeros_like(lines) if first else lines[:-1]
    if first:
        above[1:] = lines[:-1]
    else:
        lines = lines[1:]
    result = np.empty((len(lines), 1 + lines.shape[1]), np.uint8)
    result[:, 0] = kind
    if kind == _NONE:
        result[:, 1:] = lines
    elif kind == _UP:
        np.subtract(lines, above, out=result[:, 1:])
    else:
        left = np.zeros_like(lines)
        left[:, step:] = lines[:, :-step]
        # The floor of the mean of two bytes, without leaving eight bits.
        np.subtract(lines, (left & above) + ((left ^ above) >> 1), out=result[:, 1:])
    return result


def _cheapest(candidates: dict[int, npt.NDArray[np.uint8]]) -> _Packing:
    """The way that packs a sample of the strip best for its price; `candidates` holds the lines after each filter."""
    samples = {kind: _sample(lines) for kind, lines in candidates.items()}
    return min(_PACKINGS, key=lambda way: len(way.pack(samples[way.filter])) * way.price)


def _sample(lines: npt.NDArray[np.uint8]) -> memoryview:
    """Short blocks from all over the strip, so that a few words on a blank page are met.

    A prime number of blocks lies between two, so that they do not fall in step with the rows of an enlarged picture.
    """
    flat = lines.ravel()
    if flat.size < _SAMPLE_BLOCK * _SAMPLE_EVERY:
        return flat.data
    blocks = flat[: flat.size // _SAMPLE_BLOCK * _SAMPLE_BLOCK].reshape(-1, _SAMPLE_BLOCK)
    return np.ascontiguousarray(blocks[::_SAMPLE_EVERY]).data


def _bytes_per_pixel(picture: Picture) -> int:
    return ((1 if picture.grey else 3) + (picture.alpha is not None)) * picture.depth // 8


def _chunk(name: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))))


def _joined_adler(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two blocks in a row, of which the second has `length` bytes (RFC 1950)."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % _ADLER_BASE
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % _ADLER_BASE
    return high << 16 | low
