"""A fast lossless writer of PNG files.

Written here because no library at hand does it: Pillow writes neither 16-bit RGB nor 16-bit grey with alpha, and takes
seconds for a 4096 × 4096 picture; OpenCV writes no grey with alpha, and needs a second copy of the picture in BGR
order. The format is W3C's "Portable Network Graphics (PNG) Specification", third edition.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Picture, quantise, strip_height

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}  # channels to the specification's code
_NONE, _UP, _AVERAGE = 0, 2, 3  # the specification's filter types
INCH = 0.0254  # metres
ABOUT_KEYWORD = "upscale-bench"  # the keyword of the text that tells how a picture was made
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


def encode_png(picture: Picture, exif: bytes | None = None, texts: Sequence[bytes] = ()) -> bytes:
    """The picture as a PNG file of its own depth, kind (grey or colour, with or without alpha) and ICC profile.

    What its file said of colours, resolution and background goes along; `texts` are chunks as `png_texts` makes them.

    Strips are filtered and compressed independently, one thread for each core, as pigz does it (Mark Adler,
    https://zlib.net/pigz): each deflate block ends on a byte boundary, so that strips can simply follow one another.
    """
    height, width = picture.pixels.shape[:2]
    channels = (1 if picture.grey else 3) + (picture.alpha is not None)
    rows = strip_height(width, channels)
    tops = range(0, height, rows)
    header = struct.pack(">IIBBBBB", width, height, picture.depth, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [PNG_SIGNATURE, write_chunk(b"IHDR", header)]
    # By the standard cICP counts before iCCP, and that before the others: a reader is told the same as by the original.
    chunks += [write_chunk(name.encode(), contents) for name, contents in picture.extras.colour]
    if picture.icc is not None:
        chunks.append(write_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc)))
    chunks += _describe_display(picture)
    if exif is not None:
        chunks.append(write_chunk(b"eXIf", exif))
    chunks += texts
    chunks.append(write_chunk(b"IDAT", b"\x78\x01"))
    checksum = 1
    with ThreadPoolExecutor(min(len(tops), os.cpu_count() or 1)) as pool:
        for chunk, adler, length in pool.map(lambda top: _compress(picture, top, top + rows), tops):
            chunks.append(chunk)
            checksum = _joined_adler(checksum, adler, length)
    # An empty last block, and the checksum over all strips, end the zlib stream.
    chunks.append(write_chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", checksum)))
    return b"".join([*chunks, write_chunk(b"IEND", b"")])


def _describe_display(picture: Picture) -> Iterator[bytes]:
    """Yields the chunks of resolution and background."""
    resolution, background = picture.extras.resolution, picture.extras.background
    if resolution is not None:
        x, y, unit = resolution.x, resolution.y, int(resolution.inches)
        scale = 1 / INCH if unit else 1 if x == int(x) and y == int(y) else 1000
        values = (min(max(round(value * scale), 1), 2**31 - 1) for value in (x, y))
        yield write_chunk(b"pHYs", struct.pack(">IIB", *values, unit))
    if background is not None:
        white = 2**picture.depth - 1
        red, green, blue = (round(value * white) for value in background)
        if not picture.grey:
            yield write_chunk(b"bKGD", struct.pack(">HHH", red, green, blue))
        elif red == green == blue:
            yield write_chunk(b"bKGD", struct.pack(">H", red))


def _compress(picture: Picture, top: int, bottom: int) -> tuple[bytes, int, int]:
    """Rows `top` to `bottom` as an IDAT chunk, with the Adler-32 checksum and the length of what was compressed."""
    lines = _lines(picture, max(0, top - 1), bottom)
    candidates = {kind: _filtered(lines, kind, top == 0, _bytes_per_pixel(picture)) for kind in _FILTERS}
    way = _cheapest(candidates)
    filtered = candidates[way.filter].data
    return write_chunk(b"IDAT", way.pack(filtered)), zlib.adler32(filtered), filtered.nbytes


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


def write_chunk(name: bytes, data: bytes) -> bytes:
    """Returns a chunk with its length and checksum."""
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))))


def _joined_adler(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two blocks in a row, of which the second has `length` bytes (RFC 1950)."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % _ADLER_BASE
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % _ADLER_BASE
    return high << 16 | low
