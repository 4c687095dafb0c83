"""Run a network over a picture in tiles: plan, split, merge.

A tile reads more than it writes: with an overlap of at least the receptive field's radius, what a tile writes does not
depend on where the tile ends, so the tiled result equals the whole-picture one. Knows nothing of any network: it
is given a function from pixels to enlarged pixels.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from pipelines.errors import OutOfMemory
from pipelines.picture import Pixels
from pipelines.runs import Run, Step

SMALLEST = 32  # low-resolution pixels a tile writes; if that is too much memory, it is not the tile's fault

Enlarge = Callable[[Pixels], Pixels]


class Span(NamedTuple):
    """One tile along one axis, in low-resolution pixels: it reads [start, stop) and writes [first, last)."""

    start: int
    stop: int
    first: int
    last: int


class Tile(NamedTuple):
    """One tile of a picture: a span of rows and a span of columns."""

    rows: Span
    columns: Span


class Tiled(NamedTuple):
    """The enlarged picture, how many tiles it took, and the side they read if memory made them smaller (else None)."""

    pixels: Pixels
    tiles: int
    halved_to: int | None


def plan(height: int, width: int, side: int, overlap: int) -> tuple[Tile, ...]:
    """Cover a picture with tiles that read at most `side` pixels a side, `overlap` of them beyond what they write.

    All tiles along an axis read the same number of pixels, so that none is a sliver and a network sees one shape.
    `side` must be larger than 2*overlap, or there would be nothing to write.
    """
    rows, columns = _spans(height, side, overlap), _spans(width, side, overlap)
    return tuple(Tile(*pair) for pair in itertools.product(rows, columns))


def _spans(length: int, side: int, overlap: int) -> tuple[Span, ...]:
    if length <= side:
        return (Span(0, length, 0, length),)
    count = -(-(length - 2 * overlap) // (side - 2 * overlap))
    side = min(side, -(-(length - 2 * overlap) // count) + 2 * overlap)
    starts = [index * (length - side) // (count - 1) for index in range(count)]
    cuts = [(after + before + side) // 2 for before, after in itertools.pairwise(starts)]
    return tuple(
        Span(start, start + side, first, last)
        for start, first, last in zip(starts, [0, *cuts], [*cuts, length], strict=True)
    )


def run_tiled(pixels: Pixels, scale: int, enlarge: Enlarge, side: int, overlap: int) -> Run[Tiled]:
    """Enlarge (H, W, 3) to (s*H, s*W, 3) tile by tile; beyond the output, memory is one tile's.

    Where `enlarge` raises MemoryError, that tile is cut in half and tried again, down to SMALLEST; the tiles after it
    are cut the same. Below SMALLEST it is `OutOfMemory`.
    """
    height, width, _ = pixels.shape
    planned = plan(height, width, side, overlap)
    if len(planned) == 1 and (whole := _whole(pixels, enlarge)) is not None:
        yield Step(1, 1, "tiles")
        return Tiled(_checked(whole, height * scale, width * scale), 1, None)
    out = np.empty((height * scale, width * scale, 3), np.float32)
    done, largest = 0, None
    for number, tile in enumerate(planned, 1):
        pending = [tile]
        while pending:
            piece = pending.pop()
            if largest is not None and _written_side(piece) > largest:
                pending.extend(_halves(piece, overlap, height, width))
                continue
            try:
                _write(out, scale, piece, enlarge(_read(pixels, piece)))
                done += 1
            except MemoryError as error:
                largest = (_written_side(piece) + 1) // 2
                if largest < SMALLEST:
                    raise OutOfMemory(f"Not enough memory even for a tile of {SMALLEST} pixels a side.") from error
                pending.append(piece)
        yield Step(number, len(planned), "tiles")
    return Tiled(out, done, None if largest is None else largest + 2 * overlap)


def _whole(pixels: Pixels, enlarge: Enlarge) -> Pixels | None:
    """The picture enlarged at once, its result needing no copy; None if there is not the memory for it."""
    try:
        return enlarge(np.ascontiguousarray(pixels))
    except MemoryError:
        return None


def _checked(enlarged: Pixels, height: int, width: int) -> Pixels:
    if enlarged.shape != (height, width, 3):
        raise ValueError(f"a tile came back as {enlarged.shape}, not {(height, width, 3)}")
    return enlarged


def _read(pixels: Pixels, tile: Tile) -> Pixels:
    rows, columns = tile
    return np.ascontiguousarray(pixels[rows.start : rows.stop, columns.start : columns.stop])


def _write(out: Pixels, scale: int, tile: Tile, enlarged: Pixels) -> None:
    rows, columns = tile
    _checked(enlarged, (rows.stop - rows.start) * scale, (columns.stop - columns.start) * scale)
    out[rows.first * scale : rows.last * scale, columns.first * scale : columns.last * scale] = enlarged[
        (rows.first - rows.start) * scale : (rows.last - rows.start) * scale,
        (columns.first - columns.start) * scale : (columns.last - columns.start) * scale,
    ]


def _written_side(tile: Tile) -> int:
    return max(span.last - span.first for span in tile)


def _halves(tile: Tile, overlap: int, height: int, width: int) -> Iterator[Tile]:
    for rows in _halved(tile.rows, overlap, height):
        for columns in _halved(tile.columns, overlap, width):
            yield Tile(rows, columns)


def _halved(span: Span, overlap: int, length: int) -> Iterator[Span]:
    middle = (span.first + span.last + 1) // 2
    for first, last in ((span.first, middle), (middle, span.last)):
        if first < last:
            yield Span(max(0, first - overlap), min(length, last + overlap), first, last)
