"""Tiles cover the picture once, none is a sliver, and they give the whole's result or come near it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve1d

from pipelines.errors import OutOfMemory
from pipelines.images.picture import Pixels, to_uint8
from pipelines.networks import tiling
from pipelines.networks.tiling import SMALLEST_WRITTEN, Span, Tiled, plan_tiles, run_tiled
from pipelines.runs import Preview, Step, finish
from tests.conftest import smooth

RADIUS = 3
WIDE = 40
SIZES = [(1, 1), (1, 90), (7, 5), (64, 64), (65, 200), (131, 97)]


def box_blur_x2(batch: Pixels) -> Pixels:
    """A made network of receptive radius 3: the mean over 7x7, then each pixel doubled. Sums in one fixed order."""
    padded = np.pad(batch, ((0, 0), (RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="constant")
    _, height, width, _ = batch.shape
    window = range(2 * RADIUS + 1)
    total = sum(padded[:, y : y + height, x : x + width] for y in window for x in window)
    return nearest_x2(total / 49)


def nearest_x2(batch: Pixels) -> Pixels:
    return batch.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)


def wide_x2(batch: Pixels) -> Pixels:
    """A made network of receptive radius 40, as RRDB's is wide: random taps that decay, zeros beyond the border."""
    distance = np.abs(np.arange(-WIDE, WIDE + 1))
    taps = np.random.default_rng(1).normal(size=(3, 2 * WIDE + 1)) * np.exp(-distance / 8)
    taps[:, WIDE] = 2
    taps /= np.abs(taps).sum(axis=1, keepdims=True)
    channels = []
    for channel, own in zip(np.moveaxis(batch, 3, 0), taps, strict=True):
        rows = convolve1d(channel, own, axis=1, mode="constant")
        channels.append(convolve1d(rows, own, axis=2, mode="constant"))
    return nearest_x2(np.stack(channels, axis=3))


def noisy(height: int, width: int) -> Pixels:
    """Smooth with noise of every frequency, so that no tap goes unseen."""
    noise = np.random.default_rng(2).normal(scale=0.1, size=(height, width, 3))
    return np.clip(smooth(height, width) + noise, 0, 1).astype(np.float32)


def once(pixels: Pixels) -> Pixels:
    """`pixels` enlarged whole by the wide network."""
    return wide_x2(pixels[None])[0]


def inner_cuts(height: int, width: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """Where tiles hand over, as (axis, low-resolution pixel)."""
    tiles = plan_tiles(height, width, side, overlap)
    return sorted({(axis, tile[axis].first) for tile in tiles for axis in (0, 1) if tile[axis].first})


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 20), st.integers(1, 90))
def test_plan_covers_every_pixel_once(height: int, width: int, overlap: int, extra: int) -> None:
    side = 2 * overlap + extra
    written = np.zeros((height, width), int)
    tiles = plan_tiles(height, width, side, overlap)
    for rows, columns in tiles:
        written[rows.first : rows.last, columns.first : columns.last] += 1
        for span, length in ((rows, height), (columns, width)):
            assert span.stop - span.start <= max(side, 1)
            assert span.first == 0 or span.first - span.start >= overlap
            assert span.last == length or span.stop - span.last >= overlap
    assert (written == 1).all()
    assert len({(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in tiles}) == 1


def written(span: Span) -> int:
    return span.last - span.first


@given(st.integers(1, 2000), st.integers(0, 40), st.integers(1, 200))
def test_plan_leaves_no_sliver(length: int, overlap: int, extra: int) -> None:
    """Each writes the same to a pixel, but for the first and the last, which write the overlap more."""
    spans = [columns for _, columns in plan_tiles(1, length, 2 * overlap + extra, overlap)]
    if len(spans) > 1:
        sizes = [written(span) for span in spans]
        sizes[0], sizes[-1] = sizes[0] - overlap, sizes[-1] - overlap
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("batch", [1, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_tiled_equals_whole(size: tuple[int, int], batch: int) -> None:
    """With an overlap of the receptive field's radius a tile cannot see its border: not one value differs."""
    pixels = smooth(*size)
    tiled = finish(run_tiled(pixels, 2, box_blur_x2, 32, RADIUS, batch=batch))
    np.testing.assert_array_equal(tiled.pixels, box_blur_x2(pixels[None])[0])
    assert (tiled.tiles, tiled.halved_to, tiled.seam) == (len(plan_tiles(*size, 32, RADIUS)), None, None)


def test_too_small_an_overlap_shows() -> None:
    """The test above can fail: one pixel less of overlap and the seams are there."""
    pixels = smooth(65, 200)
    tiled = finish(run_tiled(pixels, 2, box_blur_x2, 32, RADIUS - 1))
    assert not np.array_equal(tiled.pixels, box_blur_x2(pixels[None])[0])


@pytest.mark.parametrize("feather", [False, True])
def test_one_tile_is_not_copied(feather: bool) -> None:
    made = np.zeros((1, 60, 80, 3), np.float32)
    tiled = finish(run_tiled(smooth(30, 40), 2, lambda batch: made, 40, 8, feather=feather))
    assert np.shares_memory(tiled.pixels, made) and tiled.pixels.shape == (60, 80, 3)
    assert (tiled.tiles, tiled.seam) == (1, None)


@pytest.fixture(scope="module")
def by_overlap() -> dict[int, tuple[Tiled, Tiled]]:
    """The wide network over tiles that write about 64 px: cropped and feathered, by overlap."""
    pixels = noisy(230, 250)
    return {
        overlap: (
            finish(run_tiled(pixels, 2, wide_x2, 64 + 2 * overlap, overlap)),
            finish(run_tiled(pixels, 2, wide_x2, 64 + 2 * overlap, overlap, feather=True)),
        )
        for overlap in (4, 8, 16, 32, WIDE)
    }


def test_a_wider_overlap_feathers_better(by_overlap: dict[int, tuple[Tiled, Tiled]]) -> None:
    whole = once(noisy(230, 250))
    errors = [np.sqrt(np.mean((feathered.pixels - whole) ** 2)) for _, feathered in by_overlap.values()]
    seams = [feathered.seam for _, feathered in by_overlap.values()]
    assert errors == sorted(errors, reverse=True) and seams == sorted(seams, reverse=True)
    assert errors[0] > 1e-3 and seams[0] > 1e-2


@pytest.mark.parametrize("overlap", [4, 8, 16, 32])
def test_feathering_beats_a_hard_cut(overlap: int, by_overlap: dict[int, tuple[Tiled, Tiled]]) -> None:
    """Both the steps between the pixels on the two sides of a cut and the error within the overlap are smaller."""
    whole = once(noisy(230, 250))
    steps, errors = [], []
    for tiled in by_overlap[overlap]:
        error = tiled.pixels - whole
        cuts = inner_cuts(230, 250, 64 + 2 * overlap, overlap)
        near = [error.swapaxes(0, axis)[2 * (cut - overlap) : 2 * (cut + overlap)] for axis, cut in cuts]
        steps.append(max(np.abs(band[2 * overlap] - band[2 * overlap - 1]).max() for band in near))
        errors.append(np.sqrt(np.mean(np.concatenate([band.ravel() for band in near]) ** 2)))
    assert steps[1] < 0.8 * steps[0] and errors[1] < errors[0]


def test_beyond_the_radius_a_feathered_tile_is_the_whole() -> None:
    """The ramp is part of the overlap: what remains of twice the radius keeps it clear of what saw the border."""
    pixels = noisy(230, 250)
    tiled = finish(run_tiled(pixels, 2, wide_x2, 64 + 4 * WIDE, 2 * WIDE, feather=True))
    assert tiled.tiles > 1 and np.abs(tiled.pixels - once(pixels)).max() < 1e-6
    assert tiled.seam is not None and tiled.seam < 1e-6


@pytest.mark.parametrize("feather", [False, True])
@pytest.mark.parametrize("size", [(1, 90), (97, 131)])
def test_the_batch_does_not_show(size: tuple[int, int], feather: bool) -> None:
    runs = [finish(run_tiled(noisy(*size), 2, wide_x2, 40, 8, batch=n, feather=feather)) for n in (1, 3, 4)]
    for other in runs[1:]:
        np.testing.assert_array_equal(other.pixels, runs[0].pixels)
        assert (other.tiles, other.seam) == (runs[0].tiles, runs[0].seam)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 9), st.integers(1, 30), st.sampled_from([1, 2, 3]))
def test_weights_sum_to_one(height: int, width: int, overlap: int, extra: int, scale: int) -> None:
    """A constant stays constant, even where the overlap is so wide that many tiles read a pixel."""

    def constant(batch: Pixels) -> Pixels:
        return np.ones((len(batch), batch.shape[1] * scale, batch.shape[2] * scale, 3), np.float32)

    pixels = np.ones((height, width, 3), np.float32)
    tiled = finish(run_tiled(pixels, scale, constant, 2 * overlap + extra, overlap, feather=True))
    np.testing.assert_allclose(tiled.pixels, 1, rtol=0, atol=1e-6)
    assert tiled.seam == (0 if tiled.tiles > 1 else None)


def test_the_seam_is_the_difference_of_two_tiles() -> None:
    """Each tile is flat, of its own value: what hands over differs by what the two values do."""
    values = iter([0.1, 0.2, 0.5, 0.3])

    def flat(batch: Pixels) -> Pixels:
        return np.full((1, 2 * batch.shape[1], 2 * batch.shape[2], 3), next(values), np.float32)

    tiled = finish(run_tiled(smooth(60, 60), 2, flat, 40, 8, feather=True))
    assert tiled.tiles == 4 and tiled.seam == pytest.approx(0.4)  # the first and the third, one above the other
    assert tiled.pixels[0, 0, 0] == np.float32(0.1)
    assert tiled.pixels[59:61, 0, 0] == pytest.approx([0.3, 0.3], abs=0.03)


def test_the_seam_is_measured_where_the_later_tile_begins_to_write() -> None:
    def squares(batch: Pixels) -> Pixels:
        row = np.arange(2 * batch.shape[2], dtype=np.float32) ** 2
        return np.broadcast_to(row[:, None], (1, 2 * batch.shape[1], len(row), 3))

    tiled = finish(run_tiled(smooth(20, 60), 2, squares, 40, 8, feather=True))
    before, after = (columns for _, columns in plan_tiles(20, 60, 40, 8))
    cut = 2 * after.first
    assert tiled.seam == (cut - 2 * before.start) ** 2 - (cut - 2 * after.start) ** 2


def test_the_seam_within_a_tile_that_was_cut_counts() -> None:
    """Only the very first piece has another value, far from where its tile hands over to the next."""
    values = iter([0.9])

    def spot(batch: Pixels) -> Pixels:
        if batch.shape[1] > 60:
            raise MemoryError
        return np.full((1, 2 * batch.shape[1], 2 * batch.shape[2], 3), next(values, 0), np.float32)

    tiled = finish(run_tiled(smooth(100, 180), 2, spot, 100, 4, feather=True))
    assert tiled.halved_to is not None and tiled.seam == np.float32(0.9)


def test_feathering_needs_an_overlap() -> None:
    with pytest.raises(ValueError, match="cannot be feathered"):
        finish(run_tiled(smooth(8, 8), 2, wide_x2, 32, 0, feather=True))


@pytest.mark.parametrize("feather", [False, True])
def test_memory_does_not_grow_with_the_picture(feather: bool) -> None:
    small, large = (peak_beyond_output(height, feather) for height in (200, 1600))
    tile = 4 * (2 * 64) ** 2 * 3  # bytes; two are made at once, from what is half of one, and feathering weights a copy
    assert large - small < tile / 2 and small < (4 if feather else 3) * tile


def peak_beyond_output(height: int, feather: bool) -> int:
    pixels = smooth(height, 150)

    def nearest(batch: Pixels) -> Pixels:
        enlarged = np.empty((len(batch), 2 * batch.shape[1], 2 * batch.shape[2], 3), np.float32)
        enlarged.reshape(len(batch), batch.shape[1], 2, batch.shape[2], 2, 3)[:] = batch[:, :, None, :, None]
        return enlarged

    tracemalloc.start()
    try:
        done = finish(run_tiled(pixels, 2, nearest, 64, 8, batch=2, feather=feather))
        return tracemalloc.get_traced_memory()[1] - done.pixels.nbytes
    finally:
        tracemalloc.stop()


class Short:
    """The 7x7 mean for which a batch of more than `most` low-resolution pixels is too much; keeps the shapes it saw."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.refused: list[tuple[int, ...]] = []
        self.done: list[tuple[int, ...]] = []

    def __call__(self, batch: Pixels) -> Pixels:
        short = batch[..., 0].size > self.most
        (self.refused if short else self.done).append(batch.shape[:3])
        if short:
            raise MemoryError
        return box_blur_x2(batch)


@pytest.mark.parametrize("batch", [1, 4])
def test_out_of_memory_halves_the_batch_then_the_tile(batch: int) -> None:
    """The tiles after the one that was too much are cut before they are tried, and no finished one is done again."""
    pixels, short = smooth(300, 200), Short(60 * 60)
    tiled = finish(run_tiled(pixels, 2, short, 150, RADIUS, batch=batch))
    np.testing.assert_array_equal(tiled.pixels, box_blur_x2(pixels[None])[0])
    assert [shape[0] for shape in short.refused] == ([4, 2, 1] if batch == 4 else [1])
    assert tiled.halved_to == max(max(shape[1:]) for shape in short.done) >= SMALLEST_WRITTEN + 2 * RADIUS
    assert tiled.tiles == len(short.done)


def test_out_of_memory_halves_the_batch_alone_where_that_does() -> None:
    pixels, short = smooth(100, 100), Short(2 * 32 * 32)
    tiled = finish(run_tiled(pixels, 2, short, 32, RADIUS, batch=4))
    np.testing.assert_array_equal(tiled.pixels, box_blur_x2(pixels[None])[0])
    assert (len(short.refused), tiled.halved_to, tiled.tiles) == (1, None, 16)


def test_out_of_memory_cuts_a_whole_picture_twice() -> None:
    pixels, short = smooth(300, 200), Short(90 * 90)
    tiled = finish(run_tiled(pixels, 2, short, 400, RADIUS, batch=4))
    np.testing.assert_array_equal(tiled.pixels, box_blur_x2(pixels[None])[0])
    assert len(short.refused) == 2 and tiled.halved_to == max(max(shape) for shape in short.done)


def test_out_of_memory_among_feathered_tiles() -> None:
    """A tile in pieces is feathered within as the tiles are, so the result stays near; the seams within it count."""
    pixels, whole = noisy(200, 160), once(noisy(200, 160))

    def short(batch: Pixels) -> Pixels:
        if batch[..., 0].size > 80 * 80:
            raise MemoryError
        return wide_x2(batch)

    tiled = finish(run_tiled(pixels, 2, short, 120, 16, batch=2, feather=True))
    untroubled = finish(run_tiled(pixels, 2, wide_x2, 120, 16, feather=True))
    assert tiled.halved_to is not None and tiled.tiles > untroubled.tiles
    assert tiled.seam is not None and untroubled.seam is not None and tiled.seam >= untroubled.seam / 2
    assert np.abs(tiled.pixels - whole).max() < 3 * np.abs(untroubled.pixels - whole).max()


@pytest.mark.parametrize("side", [16, 64, 400])
def test_out_of_memory_ends_in_a_sentence(side: int) -> None:
    short = Short(0)
    with pytest.raises(OutOfMemory, match=f"tile of {SMALLEST_WRITTEN} pixels"):
        finish(run_tiled(smooth(100, 100), 2, short, side, RADIUS, batch=4))
    assert short.done == [] and max(short.refused[-1]) <= SMALLEST_WRITTEN + 2 * RADIUS


@pytest.mark.parametrize("shape", [(1, 63, 64, 3), (1, 32, 32, 3), (64, 64, 3), (2, 64, 64, 3)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"came back as .*, not \(1, 64, 64, 3\)"):
        finish(run_tiled(smooth(32, 32), 2, lambda batch: np.zeros(shape, np.float32), 32, RADIUS))


def test_closing_stops_at_the_next_tile() -> None:
    short = Short(60 * 60)
    run = run_tiled(smooth(100, 100), 2, short, 32, RADIUS)
    next(run)
    run.close()
    assert len(short.done) == 1


def test_closing_stops_within_a_tile_that_was_cut() -> None:
    short = Short(60 * 60)
    run = run_tiled(smooth(300, 200), 2, short, 150, RADIUS)
    assert next(run).done == 0
    run.close()
    assert len(short.done) == 1


def test_steps_count_tiles() -> None:
    steps = []
    finish(run_tiled(smooth(60, 90), 2, box_blur_x2, 32, RADIUS), steps.append)
    assert [(step.done, step.total) for step in steps] == [(n, len(steps)) for n in range(1, len(steps) + 1)]


def test_steps_count_the_tiles_of_a_batch() -> None:
    steps = []
    finish(run_tiled(smooth(60, 90), 2, box_blur_x2, 36, RADIUS, batch=4), steps.append)
    assert [(step.done, step.total) for step in steps] == [(4, 6), (6, 6)]


@pytest.mark.parametrize(("feather", "side"), [(False, 40), (True, 40), (True, 24)])
def test_what_there_is_so_far_is_what_will_be(feather: bool, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear where no tile is done; what is shown does not change any more, but for the last tile's fading edge."""
    monkeypatch.setattr(tiling, "PREVIEW_SECONDS", 0)
    run = run_tiled(smooth(90, 70), 2, box_blur_x2, side, 8, feather=feather, previews=True)
    seen: list[Preview] = []

    def see(step: Step) -> None:
        assert isinstance(step, Preview)
        seen.append(step)

    whole = to_uint8(finish(run, see).pixels)
    shares = [preview.picture[..., 3].mean() / 255 for preview in seen]
    assert shares == sorted(shares) and 0 < shares[0] < 0.3 and shares[-1] == 1
    for preview in seen:
        there = preview.picture[..., 3] == 255
        np.testing.assert_array_equal(preview.picture[there][:, :3], whole[there])
        assert not preview.picture[~there].any()


def test_a_large_result_is_shown_small_and_nobody_is_shown_what_was_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiling, "PREVIEW_SECONDS", 0)
    pixels = np.full((20, 900, 3), 0.5, np.float32)
    *_, last = run_tiled(pixels, 2, nearest_x2, 100, 4, previews=True)
    assert isinstance(last, Preview) and last.picture.shape == (20, 900, 4)
    assert not any(isinstance(step, Preview) for step in run_tiled(pixels, 2, nearest_x2, 100, 4))
