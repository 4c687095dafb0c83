"""Run a network over a picture in tiles: plan, split, merge.

A tile reads more than it writes. With an overlap of at least the receptive field's radius, what a tile writes does not
depend on where the tile ends: cropped, the tiles equal the whole picture's result. Where no affordable overlap is that
large, neighbouring tiles are feathered: blended where both read. Knows nothing of any network: it is given a function
from a batch of pictures to their enlarged ones.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import OutOfMemory
from pipelines.images.picture import Pixels, Pixels8, to_uint8
from pipelines.runs import Preview, Run, Step, map_steps

SMALLEST_WRITTEN = 32  # low-resolution pixels a tile writes; if that is too much memory, it is not the tile's fault

# Radii of receptive fields: where nobody has measured it, and where every output depends on the whole picture, which is
# run as a whole where memory allows that.
UNKNOWN, UNBOUNDED = 1 << 20, 1 << 21

# How far a feathered handover reaches to either side, as a share of the overlap. A tile is worst next to its border,
# for it saw padding there: measured, blending over the whole overlap lets in more error than a hard cut has once the
# overlap nears the receptive field's radius. A narrower ramp smooths less where the overlap is small.
RAMP = 0.4

PREVIEW_SECONDS = 0.5  # between two looks at what there is so far
PREVIEW_SIDE = 1024  # px of the longer side, at most

Enlarge: TypeAlias = Callable[[Pixels], Pixels | Run[Pixels]]
"""From (N, h, w, 3) float32, contiguous, to (N, s*h, s*w, 3) float32, or to a run that gives that.

Raises MemoryError where that is too much.
"""

Lines: TypeAlias = dict[tuple[int, int, int], Pixels]
"""Rows and columns of output pixels that await a neighbour to be compared with: by axis, cut, and `first` across."""


class Span(NamedTuple):
    """One tile along one axis, in low-resolution pixels: it reads [start, stop) and writes [first, last).

    Feathered, it fades in about `first` and out about `last` unless the picture ends there.
    """

    start: int
    stop: int
    first: int
    last: int


class Tile(NamedTuple):
    """One tile of a picture: a span of rows and a span of columns."""

    rows: Span
    columns: Span


class Tiled(NamedTuple):
    """The enlarged picture, (s*H, s*W, 3) float32, and how it came about.

    `tiles` is how many were enlarged. `halved_to` is the largest side that they read in the end, in low-resolution
    pixels, if memory made them smaller. `seam` is None where nothing was feathered; else the largest absolute
    difference between two neighbouring tiles where one hands over to the other: along the first row (or column) of
    output pixels that the later one writes, where both count about half, as far as both write across it.
    """

    pixels: Pixels
    tiles: int
    halved_to: int | None = None
    seam: float | None = None


class TileOptions(NamedTuple):
    """How a picture is enlarged in tiles, whatever their side: see `run_tiled`."""

    scale: int
    enlarge: Enlarge
    overlap: int
    feather: bool
    grid: int
    channels: int


def plan_tiles(height: int, width: int, side: int, overlap: int, grid: int = 1) -> tuple[Tile, ...]:
    """Covers a picture with tiles that read at most `side` pixels a side, `overlap` of them beyond what they write.

    All tiles along an axis read the same number of pixels, so that none is a sliver and a network sees one shape. What
    they write differs by a pixel, and the first and the last write the overlap more. `side` must be larger than
    2*overlap, or there would be nothing to write. An overlap of less than the receptive field's radius costs quality,
    feathered or not: each tile is enlarged as if the picture ended where it does. Height and width are multiples of
    `grid`, and tiles begin and end at its lines: a network that folds squares of pixels sees the same squares.
    """
    rows, columns = (_on_grid(length, side, overlap, grid) for length in (height, width))
    return tuple(Tile(*pair) for pair in itertools.product(rows, columns))


def _on_grid(length: int, side: int, overlap: int, grid: int) -> list[Span]:
    spans = _spans(length // grid, side // grid, -(-overlap // grid))
    return [Span(*(grid * place for place in span)) for span in spans]


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


def run_tiled(
    pixels: Pixels,
    scale: int,
    enlarge: Enlarge,
    side: int,
    overlap: int,
    *,
    batch: int = 1,
    feather: bool = False,
    grid: int = 1,
    channels: int = 3,
    previews: bool = False,
) -> Run[Tiled]:
    """Enlarges (H, W, 3) float32 to (s*H, s*W, 3) in batches of tiles; beyond the output, memory is one batch's.

    What is no picture may have any number of channels, and `channels` of them in the result.

    Tiles are cropped, or with `feather` blended about each handover, over RAMP of the overlap to either side; that
    takes an overlap of at least 1. The result does not depend on the batch. After each, a step tells the tiles done.
    `grid` is as in `plan_tiles`. With `previews` a step has, now and then, what there is of a picture so far.

    Where `enlarge` raises MemoryError, the batch is halved and tried again, down to one tile; then that tile is
    enlarged in tiles of half its side, as are those after it. One that is no larger than it takes to write SMALLEST
    pixels a side is `OutOfMemory`. Raises ValueError where `enlarge` gives back another shape than it should.
    """
    if feather and overlap < 1:
        raise ValueError("tiles without an overlap cannot be feathered")
    height, width, _ = pixels.shape
    tiles = plan_tiles(height, width, side, overlap, grid)
    options = TileOptions(scale, enlarge, overlap, feather, grid, channels)
    if len(tiles) == 1:
        whole = yield from _run_batch(np.ascontiguousarray(pixels)[None], options, None)
        yield Step(1, 1, "tiles")
        return whole._replace(pixels=whole.pixels[0])
    out = np.zeros((height * scale, width * scale, channels), np.float32)
    merge = partial(_blend, out, scale, overlap, {}) if feather else partial(write_tile, out, scale)
    done, count, halved_to, seams = 0, 0, None, list[float | None]()
    shown = time.monotonic()
    while done < len(tiles):
        group = tiles[done : done + batch]
        run = _run_batch(_read(pixels, group), options, halved_to)
        try:
            enlarged = yield from _under(run, Step(done, len(tiles), "tiles"))
        except MemoryError:
            if len(group) == 1:
                raise
            batch = len(group) // 2
            continue
        done, count, halved_to = done + len(group), count + enlarged.tiles, enlarged.halved_to
        seams += [enlarged.seam, *map(merge, group, enlarged.pixels)]
        del enlarged  # or it would still be held while the next batch is made
        if previews and time.monotonic() - shown >= PREVIEW_SECONDS:
            shown = time.monotonic()
            so_far = show_done(out, scale, tiles[:done], overlap if feather else 0)
            yield Preview(done, len(tiles), "tiles", so_far)
        else:
            yield Step(done, len(tiles), "tiles")
    return Tiled(out, count, halved_to, max((seam for seam in seams if seam is not None), default=None))


def _run_batch(stack: Pixels, options: TileOptions, halved_to: int | None) -> Run[Tiled]:
    """Enlarges tiles (N, h, w, 3), as `pixels` of (N, s*h, s*w, 3). Steps where a tile has to be cut, or is a run.

    A single tile that is too much, or all are since memory ran short (`halved_to`), is enlarged as a small picture in
    tiles of its own: it ends where the tile would have ended, so nothing else changes. Several raise MemoryError.
    """
    number, height, width, _ = stack.shape
    if halved_to is None:
        try:
            shape = (number, height * options.scale, width * options.scale, options.channels)
            made = options.enlarge(stack)
            if isinstance(made, Generator):
                made = yield from made
            return Tiled(_checked(made, shape), number)
        except MemoryError:
            if number > 1:
                raise
        halved_to = _halved(height, width, options.overlap, options.grid)
    cut = yield from run_tiled(stack[0], side=halved_to, **options._asdict())
    return Tiled(cut.pixels[None], cut.tiles, cut.halved_to or halved_to, cut.seam)


def _halved(height: int, width: int, overlap: int, grid: int) -> int:
    """The largest side read by the tiles that a tile is cut into.

    That is half its own, or what it takes to write SMALLEST if that is more; less where the plan makes them equal.
    """
    # Of whole squares of `grid` pixels a tile has at least one that it writes, and one beyond it on either side.
    smallest, side = max(SMALLEST_WRITTEN + 2 * overlap, 3 * grid), max(height, width)
    if side <= smallest:
        raise OutOfMemory(f"Not enough memory even for a tile of {SMALLEST_WRITTEN} pixels a side.")
    first = plan_tiles(height, width, max(smallest, (side + 1) // 2), overlap, grid)[0]
    return max(span.stop - span.start for span in first)


def _under(run: Run[Tiled], step: Step) -> Run[Tiled]:
    """The same run, each step as `step`: the tiles that a tile is cut into are none of the plan's."""
    return map_steps(run, lambda _: step)


def _checked(enlarged: Pixels, shape: tuple[int, ...]) -> Pixels:
    if enlarged.shape != shape:
        raise ValueError(f"tiles came back as {enlarged.shape}, not {shape}")
    return enlarged


def _read(pixels: Pixels, tiles: Sequence[Tile]) -> Pixels:
    return np.stack([pixels[rows.start : rows.stop, columns.start : columns.stop] for rows, columns in tiles])


def write_tile(out: Any, scale: int, tile: Tile, enlarged: Any) -> None:
    """Writes what a tile writes of (s*h, s*w, channels), as `out` has it: both arrays, or both of torch."""
    rows, columns = tile
    out[rows.first * scale : rows.last * scale, columns.first * scale : columns.last * scale] = enlarged[
        (rows.first - rows.start) * scale : (rows.last - rows.start) * scale,
        (columns.first - columns.start) * scale : (columns.last - columns.start) * scale,
    ]


def show_done(out: Pixels, scale: int, tiles: Sequence[Tile], fading: int) -> Pixels8:
    """What there is so far, small: (h, w, 4) uint8, clear where no tile is done, or the last ones fade out."""
    stride = -(-max(out.shape[:2]) // PREVIEW_SIDE)
    small = out[::stride, ::stride]
    shown = np.zeros((*small.shape[:2], 4), np.uint8)
    for tile in tiles:
        rows, columns = (
            slice(-(-first * scale // stride), -(-last * scale // stride))
            for first, last in (_find_settled(span, fading) for span in tile)
        )
        if (there := small[rows, columns]).size:
            shown[rows, columns, :3] = to_uint8(there)
            shown[rows, columns, 3] = 255
    return shown


def _find_settled(span: Span, fading: int) -> tuple[int, int]:
    """Where a done tile's pixels, and those before it, change no more: the tiles after it blend into its end."""
    return span.first - fading * (span.first > span.start), span.last - fading * (span.last < span.stop)


def _blend(out: Pixels, scale: int, overlap: int, lines: Lines, tile: Tile, enlarged: Pixels) -> float:
    """Adds a tile, weighted, to `out`; returns its largest difference to those before it (see `Tiled.seam`)."""
    rows, columns = tile
    weighted = enlarged * _weights(rows, scale, overlap)[:, None, None]
    weighted *= _weights(columns, scale, overlap)[:, None]
    out[rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale] += weighted
    return max(_differences(lines, scale, tile, enlarged), default=0.0)


def _weights(span: Span, scale: int, overlap: int) -> Pixels:
    """Returns how much a tile counts at each output pixel along one axis, (s*(stop - start),) float32 in [0, 1].

    It is the ramp about its first pixel less the ramp about the next tile's: over all tiles that makes 1, even where
    more than two read the same pixel.
    """
    at = (np.arange(span.start * scale, span.stop * scale) + 0.5) / scale
    fade_in = 1.0 if span.first == span.start else _ramp(at - span.first, overlap)
    fade_out = 0.0 if span.last == span.stop else _ramp(at - span.last, overlap)
    return np.broadcast_to(fade_in - fade_out, at.shape).astype(np.float32)


def _ramp(distance: npt.NDArray[np.float64], overlap: int) -> npt.NDArray[np.float64]:
    """Rises from 0 to 1 over RAMP * overlap to either side of a handover, level at both ends (3t^2 - 2t^3)."""
    share = np.clip(0.5 + distance / (2 * RAMP * overlap), 0, 1)
    return share * share * (3 - 2 * share)


def _differences(lines: Lines, scale: int, tile: Tile, enlarged: Pixels) -> Iterator[float]:
    """The largest difference to each neighbour that came before; what later ones are compared with goes to `lines`."""
    for axis, (along, across) in enumerate([(tile.rows, tile.columns), (tile.columns, tile.rows)]):
        written = slice((across.first - across.start) * scale, (across.last - across.start) * scale)
        for cut in {along.first, along.last} - {along.start, along.stop}:
            line = enlarged.swapaxes(0, axis)[(cut - along.start) * scale, written]
            neighbour = lines.pop((axis, cut, across.first), None)
            if neighbour is None:
                lines[axis, cut, across.first] = line.copy()
            else:
                yield float(np.abs(line - neighbour).max())
