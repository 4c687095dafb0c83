"""From the strips or tiles of a TIFF file to its samples."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import STRIP_VALUES
from pipelines.images.tiff import codecs
from pipelines.images.tiff import layout as layouts
from pipelines.images.tiff.codecs import Shape
from pipelines.images.tiff.directories import Directory, Unreadable
from pipelines.images.tiff.faxes import expand_faxes
from pipelines.images.tiff.layout import YCBCR, Layout

_BATCH = 1 << 25  # bytes that libtiff decodes at once
_JPEG_TABLES, _FAX_OPTIONS, _FAX_4_OPTIONS = 347, 292, 293
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

Stored: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]


def read_pixels(directory: Directory, layout: Layout) -> Stored:
    """The picture's samples (H, W, C), uint8 or, of more than 8 bits, uint16, unscaled. JPEG's YCbCr comes as RGB.

    Raises Unreadable where a strip or tile is missing or holds less than it must.
    """
    places = [
        (plane, top, left)
        for plane in range(layout.channels if layout.is_planar else 1)
        for top in range(0, layout.height, layout.piece_rows)
        for left in range(0, layout.width, layout.piece_width)
    ]
    stored = _stored(directory, layout, len(places))
    result: Stored = np.empty(
        (layout.height, layout.width, layout.channels), np.uint8 if layout.bits <= 8 else np.uint16
    )
    for (plane, top, left), samples in zip(places, _decoded(directory, layout, stored), strict=True):
        rows, columns = min(len(samples), layout.height - top), min(samples.shape[1], layout.width - left)
        inside = result[top : top + rows, left : left + columns]
        if layout.is_planar:
            inside[..., plane] = samples[:rows, :columns, 0]
        else:
            inside[:] = samples[:rows, :columns]
    return result


def _stored(directory: Directory, layout: Layout, number: int) -> list[bytes]:
    """The bytes of each strip or tile as they lie in the file."""
    data = directory.data
    tags = (layouts.TILE_OFFSETS, layouts.TILE_COUNTS) if layout.is_tiled else (
        layouts.STRIP_OFFSETS, layouts.STRIP_COUNTS)  # fmt: skip
    offsets, counts = (directory.numbers(tag)[:number] for tag in tags)
    if not len(counts) and len(offsets) == 1:  # Old writers of a single strip leave the count out.
        counts = np.array([len(data) - offsets[0]])
    if (missing := number - min(len(offsets), len(counts))) > 0:
        raise Unreadable(f"is damaged or cut short: {missing} of its {number} strips or tiles are missing")
    ends = offsets + counts
    if (offsets <= 0).any() or (counts <= 0).any() or (ends > len(data)).any():
        raise Unreadable("is damaged or cut short: a strip or tile is missing")
    if counts.sum() > len(data):
        raise Unreadable("is damaged: its strips or tiles are longer than the file")
    pieces = [data[start:end] for start, end in zip(offsets.tolist(), ends.tolist(), strict=True)]
    if directory.number(layouts.FILL_ORDER, 1) == 2 and layout.compression not in codecs.WHOLE:
        pieces = [piece.translate(_REVERSED) for piece in pieces]
    return pieces


def _shape(layout: Layout, index: int) -> Shape:
    rows = layout.piece_rows
    if not layout.is_tiled:
        rows = min(rows, layout.height - index % layout.down * rows)
    across, down = layout.subsampling
    if (across, down) != (1, 1):
        # Units of as many lumas as share a pair, and the pair.
        units = -(-layout.piece_width // across)
        return Shape(-(-rows // down), units, across * down + 2, layout.bits)
    return Shape(rows, layout.piece_width, 1 if layout.is_planar else layout.channels, layout.bits)


def _decoded(directory: Directory, layout: Layout, stored: list[bytes]) -> Iterator[Stored]:
    """The samples (rows, width, channels) of each strip or tile in turn, tiles with what lies beyond the edge."""
    shapes = [_shape(layout, index) for index in range(len(stored))]
    if layout.compression == codecs.JPEG:
        tables = directory.field(_JPEG_TABLES)
        for piece, shape in zip(stored, shapes, strict=True):
            yield codecs.decode_jpeg(
                piece, tables[2] if tables else b"", shape, layout.piece_rows, layout.photometric == YCBCR
            )
        return
    if layout.compression == codecs.WEBP:
        for piece, shape in zip(stored, shapes, strict=True):
            yield codecs.decode_webp(piece, shape)
        return
    for packed, shape in _expanded(directory, layout, stored, shapes):
        samples = _unpacked(packed, shape, directory.order)
        if layout.predictor:
            np.add.accumulate(samples, axis=1, out=samples)
        yield samples if layout.subsampling == (1, 1) else _spread(samples, layout, shape)


def _expanded(
    directory: Directory, layout: Layout, stored: list[bytes], shapes: list[Shape]
) -> Iterator[tuple[npt.NDArray[np.uint8], Shape]]:
    """The bytes (rows, row_bytes) of each strip or tile in turn, decompressed."""
    compression = layout.compression
    if compression not in (*codecs.BY_LIBTIFF, *codecs.FAXES):
        for piece, shape in zip(stored, shapes, strict=True):
            yield np.frombuffer(codecs.expand(compression, piece, shape), np.uint8).reshape(shape.rows, -1), shape
        return
    options = directory.number(_FAX_4_OPTIONS if compression == 4 else _FAX_OPTIONS)
    first = 0
    for shape, alike in groupby(shapes):
        after = first + len(list(alike))
        step = max(1, _BATCH // shape.size)
        for start in range(first, after, step):
            some = stored[start : min(start + step, after)]
            if compression in codecs.FAXES:
                batch = expand_faxes(compression, some, shape, options)
            else:
                batch = codecs.expand_all(compression, some, shape)
            yield from ((packed, shape) for packed in batch)
        first = after


def _unpacked(packed: npt.NDArray[np.uint8], shape: Shape, order: str) -> Stored:
    """Samples (rows, width, channels) from bytes (rows, row_bytes): bit fields, unless of 8 or 16 bits."""
    whole = (shape.rows, shape.width, shape.channels)
    if shape.bits == 8:
        return np.array(packed).reshape(whole)
    if shape.bits == 16:
        return np.ascontiguousarray(packed).view(order + "u2").astype(np.uint16).reshape(whole)
    row = shape.width * shape.channels
    room = 8 if shape.bits < 8 else 16
    result: Stored = np.empty((shape.rows, row), np.uint8 if room == 8 else np.uint16)
    step = max(1, STRIP_VALUES // row)
    for top in range(0, shape.rows, step):
        bits = np.unpackbits(packed[top : top + step], axis=1, count=row * shape.bits).reshape(-1, row, shape.bits)
        bytes_ = np.packbits(bits, axis=2)
        values = bytes_[..., 0] if room == 8 else bytes_[..., 0].astype(np.uint16) << 8 | bytes_[..., 1]
        result[top : top + step] = values >> (room - shape.bits)
    return result.reshape(whole)


def _spread(units: Stored, layout: Layout, shape: Shape) -> Stored:
    """YCbCr (rows, width, 3) from units of several lumas that share one Cb and one Cr (TIFF 6.0 section 21)."""
    across, down = layout.subsampling
    rows, width = shape.rows * down, shape.width * across
    luma = units[..., :-2].reshape(shape.rows, shape.width, down, across).swapaxes(1, 2).reshape(rows, width)
    pairs = units[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.concatenate((luma[..., None], pairs), axis=2)
