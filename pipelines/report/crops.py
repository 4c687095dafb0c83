"""Where the results of several methods differ most, and those places cut out to be looked at side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.images.picture import Pixels8

CROP_SIDE = 64  # px of the original: enlarged threefold it fills half a phone's width
MOST_CROPS = 3
LUMA_STRIP_ROWS = 64  # converted to luma at once
OVERVIEW_SIDE = 480  # px, the longer side
WINDOW_CELLS = 4  # how many cells of the search's grid a window's side has


class Square(NamedTuple):
    """A square of a picture, in its pixels from the top left."""

    x: int
    y: int
    side: int


@dataclass(frozen=True, slots=True)
class View:
    """A labelled picture, as the bytes of a PNG file."""

    label: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Crop:
    """One place of a picture: the original if it is known, the small picture, and each method's result there."""

    box: Square
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class PictureSection:
    """What a report shows of one picture: an overview of it, and where the methods differ most."""

    name: str
    width: int  # px of the results
    height: int
    small_width: int  # px of the small picture
    small_height: int
    overview: bytes  # PNG, at most OVERVIEW_SIDE px a side
    crops: tuple[Crop, ...]


@dataclass(frozen=True, slots=True)
class MissingSection:
    """A picture that a report would show, and a sentence why it cannot."""

    name: str
    reason: str


def find_differences(outputs: Iterable[Pixels8], count: int, side: int, border: int, step: int = 1) -> list[Square]:
    """Finds up to `count` squares that do not overlap, those first where the outputs differ most.

    The outputs are (H, W, 3) uint8 of one shape. What counts is the range of their luma in each pixel, summed over the
    square; `border` px at each edge are left out, and corners lie at multiples of `step` px. Where the picture is too
    small for a square of `side` px the largest that fits is taken; fewer are given where there is no room for more, or
    nothing differs there. One output is held at a time, and beside it three bytes a pixel.
    """
    return find_squares(_spread(outputs), count, side, border, step)


def find_squares(spread: Pixels8, count: int, side: int, border: int = 0, step: int = 1) -> list[Square]:
    """Finds up to `count` squares that do not overlap, those first where the sum of (H, W) is largest; the rest is as
    in `find_differences`.
    """
    inner = -(-border // step) * step
    height, width = (extent - inner - border for extent in spread.shape)
    side = min(side, height, width) // step * step
    if side < step:
        return []
    cell = max(step, side // WINDOW_CELLS // step * step)
    side = side // cell * cell
    cells = _cell_sums(spread[inner : inner + height, inner : inner + width], cell)
    span = side // cell
    sums = np.lib.stride_tricks.sliding_window_view(cells, (span, span)).sum(axis=(2, 3))
    found = []
    for _ in range(count):
        row, column = np.unravel_index(np.argmax(sums), sums.shape)
        if sums[row, column] <= 0:
            break
        found.append(Square(inner + int(column) * cell, inner + int(row) * cell, side))
        sums[max(row - span + 1, 0) : row + span, max(column - span + 1, 0) : column + span] = 0
    return found


def picture_section(
    name: str,
    original: Pixels8 | None,
    low: Pixels8,
    outputs: Mapping[str, Callable[[], Pixels8]],
    icc: bytes | None = None,
) -> PictureSection:
    """Makes what a report shows of a picture: `original` and outputs (s*H, s*W, 3), `low` (H, W, 3), all uint8.

    `icc` is the profile of them all. There must be at least one output. Each is asked for again where it is needed, and
    held alone: all of them would take more memory than making them did.
    """
    height, width = next(iter(outputs.values()))().shape[:2]
    scale = height // len(low)
    boxes = choose_places(original, list(outputs.values()), scale)
    views = [] if original is None else [_views("original", original, boxes, icc)]
    views.append(_views("small image", low, boxes, icc, scale))
    views += [_views(label, load(), boxes, icc) for label, load in outputs.items()]
    return PictureSection(
        name,
        width,
        height,
        low.shape[1],
        low.shape[0],
        _overview(low if original is None else original, icc),
        tuple(Crop(box, there) for box, there in zip(boxes, zip(*views, strict=True), strict=True)),
    )


def choose_places(original: Pixels8 | None, outputs: Sequence[Callable[[], Pixels8]], scale: int) -> list[Square]:
    """Finds where the outputs differ most, or where a single one does from the original if that is known."""
    loaded = (load() for load in outputs)
    compared = loaded if len(outputs) > 1 or original is None else chain([original], loaded)
    return find_differences(compared, MOST_CROPS, CROP_SIDE, border=scale, step=scale)


def _spread(outputs: Iterable[Pixels8]) -> Pixels8:
    """The range of the outputs' luma in each pixel, (H, W) uint8."""
    lumas = map(compute_luma, outputs)
    lowest = next(lumas)
    highest = lowest.copy()
    for luma in lumas:
        np.minimum(lowest, luma, out=lowest)
        np.maximum(highest, luma, out=highest)
    highest -= lowest
    return highest


def compute_luma(pixels: Pixels8) -> Pixels8:
    """BT.601 luma over the full range, (H, W) uint8: only differences count here."""
    result = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, len(pixels), LUMA_STRIP_ROWS):
        red, green, blue = np.moveaxis(pixels[top : top + LUMA_STRIP_ROWS].astype(np.uint16), 2, 0)
        result[top : top + LUMA_STRIP_ROWS] = (77 * red + 150 * green + 29 * blue) >> 8
    return result


def _cell_sums(values: Pixels8, cell: int) -> npt.NDArray[np.int64]:
    """Sums over whole cells of `cell` by `cell` px: a grid small enough to try every window of."""
    height, width = (extent // cell * cell for extent in values.shape)
    # Row by row of cells: a sum of the whole would first widen all of it.
    columns = [values[top : top + cell, :width].sum(axis=0, dtype=np.int64) for top in range(0, height, cell)]
    return np.add.reduceat(np.stack(columns), range(0, width, cell), axis=1)


def _views(label: str, pixels: Pixels8, boxes: Iterable[Square], icc: bytes | None, shrunk: int = 1) -> list[View]:
    """Each box cut out of a picture, which is so many times smaller than the original."""
    views = []
    for box in boxes:
        left, top, side = (extent // shrunk for extent in box)
        views.append(View(label, _png(pixels[top : top + side, left : left + side], icc)))
    return views


def _overview(pixels: Pixels8, icc: bytes | None) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((OVERVIEW_SIDE, OVERVIEW_SIDE), Image.Resampling.BICUBIC)
    return _encoded(image, icc)


def _png(pixels: Pixels8, icc: bytes | None) -> bytes:
    return _encoded(Image.fromarray(np.ascontiguousarray(pixels)), icc)


def _encoded(image: Image.Image, icc: bytes | None) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True, icc_profile=icc)
    return stream.getvalue()
