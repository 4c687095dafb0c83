"""Tiles cover the picture once, none is a sliver, and what they give equals the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import OutOfMemory
from pipelines.images import Pixels
from pipelines.runs import finish
from pipelines.tiling import SMALLEST, plan, run_tiled
from tests.conftest import smooth

RADIUS = 3


def box_blur_x2(pixels: Pixels) -> Pixels:
    """A made network of receptive radius 3: the mean over 7x7, then each pixel doubled. Sums in one fixed order."""
    padded = np.pad(pixels, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="constant")
    height, width, _ = pixels.shape
    window = range(2 * RADIUS + 1)
    total = sum(padded[y : y + height, x : x + width] for y in window for x in window)
    return np.repeat(np.repeat(total / 49, 2, axis=0), 2, axis=1).astype(np.float32)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 20), st.integers(1, 90))
def test_plan_covers_every_pixel_once(height: int, width: int, overlap: int, extra: int) -> None:
    side = 2 * overlap + extra
    written = np.zeros((height, width), int)
    tiles = plan(height, width, side, overlap)
    for rows, columns in tiles:
        written[rows.first : rows.last, columns.first : columns.last] += 1
        for span, length in ((rows, height), (columns, width)):
            assert span.stop - span.start <= max(side, 1)
            assert span.first == 0 or span.first - span.start >= overlap
            assert span.last == length or span.stop - span.last >= overlap
    assert (written == 1).all()
    assert len({(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in tiles}) == 1


def test_plan_leaves_no_sliver() -> None:
    """One pixel more than a tile gives two halves, not a tile and a strip."""
    spans = [columns for _, columns in plan(10, 257, 256, 8)]
    assert [span.last - span.first for span in spans] == [128, 129]


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 64), (65, 200), (131, 97)])
def test_tiled_equals_whole(size: tuple[int, int]) -> None:
    """With an overlap of the receptive field's radius a tile cannot see its border: not one value differs."""
    pixels = smooth(*size)
    tiled = finish(run_tiled(pixels, 2, box_blur_x2, 32, RADIUS))
    np.testing.assert_array_equal(tiled.pixels, box_blur_x2(pixels))
    assert tiled.tiles == len(plan(*size, 32, RADIUS))


def test_too_small_an_overlap_shows() -> None:
    """The test above can fail: one pixel less of overlap and the seams are there."""
    pixels = smooth(65, 200)
    tiled = finish(run_tiled(pixels, 2, box_blur_x2, 32, RADIUS - 1))
    assert not np.array_equal(tiled.pixels, box_blur_x2(pixels))


def test_out_of_memory_halves_the_tile_and_goes_on() -> None:
    seen: list[int] = []

    def short_of_memory(pixels: Pixels) -> Pixels:
        seen.append(max(pixels.shape))
        if max(pixels.shape) > 70:
            raise MemoryError
        return box_blur_x2(pixels)

    pixels = smooth(300, 200)
    tiled = finish(run_tiled(pixels, 2, short_of_memory, 150, RADIUS))
    np.testing.assert_array_equal(tiled.pixels, box_blur_x2(pixels))
    assert tiled.halved_to is not None and SMALLEST + 2 * RADIUS <= tiled.halved_to <= 70
    assert sum(side > 70 for side in seen) <= 2, "the tiles after the first are cut before they are tried"


def test_out_of_memory_ends_in_a_sentence() -> None:
    def no_memory(pixels: Pixels) -> Pixels:
        raise MemoryError

    with pytest.raises(OutOfMemory, match=f"tile of {SMALLEST} pixels"):
        finish(run_tiled(smooth(100, 100), 2, no_memory, 64, RADIUS))


def test_closing_stops_at_the_next_tile() -> None:
    seen: list[int] = []

    def count(pixels: Pixels) -> Pixels:
        seen.append(1)
        return box_blur_x2(pixels)

    run = run_tiled(smooth(100, 100), 2, count, 32, RADIUS)
    next(run)
    run.close()
    assert len(seen) == 1


def test_steps_count_tiles() -> None:
    steps = []
    finish(run_tiled(smooth(60, 90), 2, box_blur_x2, 32, RADIUS), steps.append)
    assert [(step.done, step.total) for step in steps] == [(n, len(steps)) for n in range(1, len(steps) + 1)]
