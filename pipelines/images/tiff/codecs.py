"""The compressions of TIFF: from a strip's or tile's bytes to exactly as many samples as it must hold.

Each decoder either proves that it wrote every byte or raises: memory that was never written would show what the process
had there before, which on a public page is other people's data.
"""

import lzma
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin, WebPImagePlugin

from pipelines.images import libtiff
from pipelines.images.tiff.directories import Unreadable

NONE, LZW, JPEG, WEBP, LZMA, ZSTD, PACKBITS = 1, 5, 7, 50001, 34925, 50000, 32773
DEFLATE = (8, 32946)
FAXES = (2, 3, 4, 32771)
BY_LIBTIFF = (LZW, PACKBITS, ZSTD)
WHOLE = (JPEG, WEBP)  # pieces that are pictures themselves
READ = (NONE, LZW, *WHOLE, LZMA, ZSTD, PACKBITS, *DEFLATE, *FAXES)

NAMES = {6: "old JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 32908: "PixarFilm",
         32909: "PixarLog", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 33007: "lossy JPEG",
         34661: "JBIG", 34676: "SGI Log", 34677: "SGI Log", 34712: "JPEG 2000", 34713: "Nikon", 34887: "LERC",
         34892: "lossy JPEG", 34933: "PNG", 50002: "JPEG XL", 52546: "JPEG XL"}  # fmt: skip

CUT = "is damaged or cut short: a strip or tile holds too few pixels"
DAMAGED = "is damaged: a strip or tile cannot be decoded"
_MOST_LZMA_MEMORY = 100_000_000


class Shape(NamedTuple):
    """Of one strip or tile: `rows` of `width` pixels, of `channels` samples of `bits` each, rows padded to bytes."""

    rows: int
    width: int
    channels: int
    bits: int

    @property
    def row_bytes(self) -> int:
        return (self.width * self.channels * self.bits + 7) // 8

    @property
    def size(self) -> int:
        return self.rows * self.row_bytes


def expand(compression: int, piece: bytes, shape: Shape) -> bytes:
    """The bytes of one strip or tile that was stored as it is, or by a compression of Python's own library."""
    try:
        if compression in DEFLATE:
            piece = zlib.decompressobj().decompress(piece, shape.size)
        elif compression == LZMA:
            piece = lzma.LZMADecompressor(memlimit=_MOST_LZMA_MEMORY).decompress(piece, shape.size)
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise Unreadable(DAMAGED) from error
    if len(piece) < shape.size:
        raise Unreadable(CUT)
    return piece[: shape.size]


def expand_all(compression: int, pieces: Sequence[bytes], shape: Shape) -> npt.NDArray[np.uint8]:
    """Strips or tiles of one shape by libtiff (LZW, PackBits, Zstandard), (pieces, rows, row_bytes) bytes.

    libtiff fails where one of these ends early. It is given a file of bytes without any other tag than it needs.
    """
    rows = shape.rows * len(pieces)
    file = wrap_in_tiff(compression, pieces, shape.row_bytes, rows, shape.rows, 8, 0)
    return np.asarray(decode_by_libtiff(file, "L", shape.row_bytes, rows)).reshape(
        len(pieces), shape.rows, shape.row_bytes
    )


def decode_by_libtiff(file: bytes, mode: str, width: int, height: int) -> Image.Image:
    """The picture in a file of `wrap_in_tiff`, of Pillow's mode "L" or "1", by libtiff's decoders alone."""
    libtiff.forget_errors()
    try:
        image = Image.frombytes(mode, (width, height), file, "libtiff", (mode, "", 0, 8))
    except (ValueError, OSError) as error:
        raise Unreadable(DAMAGED) from error
    if libtiff.met_broken_pixels():
        raise Unreadable(DAMAGED)
    return image


def wrap_in_tiff(
    compression: int, pieces: Sequence[bytes], width: int, height: int, rows: int, bits: int, options: int
) -> bytes:
    """A little-endian TIFF file of these strips of `rows` rows, one channel of `bits` bits, its directory at byte 8."""
    tags = {256: width, 257: height, 258: bits, 259: compression, 262: 1, 277: 1, 278: rows}
    if compression in (3, 4):
        tags[292 if compression == 3 else 293] = options
    entries = len(tags) + 2
    counts = np.fromiter(map(len, pieces), np.uint32, len(pieces))
    lists = 8 + 2 + 12 * entries + 4
    start = lists + (8 * len(pieces) if len(pieces) > 1 else 0)
    offsets = (start + np.cumsum(counts, dtype=np.uint64) - counts).astype("<u4")
    single = len(pieces) == 1
    arrays = {273: int(offsets[0]) if single else lists, 279: int(counts[0]) if single else lists + 4 * len(pieces)}
    directory = b"".join(
        struct.pack("<HHII", tag, 4, len(pieces) if tag in arrays else 1, value)
        for tag, value in sorted((tags | arrays).items())
    )
    values = b"" if single else offsets.tobytes() + counts.astype("<u4").tobytes()
    return b"".join((b"II*\0\x08\0\0\0", struct.pack("<H", entries), directory, bytes(4), values, *pieces))


def decode_webp(piece: bytes, shape: Shape) -> npt.NDArray[np.uint8]:
    """One strip or tile that is a WebP file, (rows, width, channels)."""
    try:
        with WebPImagePlugin.WebPImageFile(BytesIO(piece)) as image:
            if image.size != (shape.width, shape.rows) or getattr(image, "n_frames", 1) > 1:
                raise Unreadable("is damaged: the size of a strip or tile is not that of its WebP image")
            return np.asarray(image.convert("RGBA" if shape.channels == 4 else "RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise Unreadable(DAMAGED) from error


def decode_jpeg(piece: bytes, tables: bytes, shape: Shape, most_rows: int, is_ycbcr: bool) -> npt.NDArray[np.uint8]:
    """One strip or tile that is a JPEG stream (TIFF Technical Note 2), (rows, width, channels), YCbCr as RGB.

    `tables` is a stream of tables for all. The sizes in its header are checked against the strip's before it is
    decoded: a stream that is smaller would leave the rest unwritten. One of up to `most_rows` rows, those of a full
    strip, is cut.
    """
    header, scans = _split_jpeg(piece)
    if tables:
        header = _split_jpeg(tables)[0] + header
    width, height = _check_jpeg(header, scans, shape, most_rows)
    # What libjpeg takes the channels for depends on this marker alone; the file's own were left out with the header.
    transform = (2 if shape.channels == 4 else 1) if is_ycbcr else 0
    stream = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,)) + b"".join(header) + scans
    try:
        with JpegImagePlugin.JpegImageFile(BytesIO(stream)) as image:
            if image.mode == "CMYK":  # Pillow takes CMYK with this marker for inverted.
                image.tile = [image.tile[0]._replace(args=("CMYK", ""))]
            samples = np.asarray(image).reshape(height, width, shape.channels)
    except (OSError, ValueError, SyntaxError) as error:
        raise Unreadable(DAMAGED) from error
    return samples[: shape.rows, : shape.width]


def _split_jpeg(stream: bytes) -> tuple[list[bytes], bytes]:
    """The segments before a JPEG stream's first scan, applications' and comments left out, and the rest."""
    segments: list[bytes] = []
    at = 2
    while stream[:2] == b"\xff\xd8" and at + 4 <= len(stream) and stream[at] == 0xFF and len(segments) < 100:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4])
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == 0xDA:
            return segments, stream[at:]
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            segments.append(stream[at : at + 2 + length])
        at += 2 + length
    return segments, b""


def _check_jpeg(header: list[bytes], scans: bytes, shape: Shape, most_rows: int) -> tuple[int, int]:
    """Width and height of a JPEG stream, at least the strip's. Raises Unreadable for those that TIFF does not allow."""
    frames = [each for each in header if 0xC0 <= each[1] <= 0xCF and each[1] not in (0xC4, 0xC8, 0xCC)]
    if len(frames) != 1 or len(frames[0]) < 10 or not scans:
        raise Unreadable(DAMAGED)
    depth, (height, width), channels = frames[0][4], struct.unpack(">HH", frames[0][5:9]), frames[0][9]
    if depth != 8 or frames[0][1] not in (0xC0, 0xC1):
        raise Unreadable("holds JPEG of a kind that cannot be read here: progressive, lossless or of 12 bits")
    if channels != shape.channels or scans.count(b"\xff\xda") > channels:
        raise Unreadable("is damaged: its JPEG streams do not have the channels that it names")
    # Up to a block more is what some writers fill a last strip with.
    if not (shape.width <= width < shape.width + 16 and shape.rows <= height < most_rows + 16):
        raise Unreadable("is damaged: its JPEG streams do not have the size of its strips or tiles")
    return width, height
