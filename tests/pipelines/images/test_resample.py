"""The classical kernels are Pillow's, and do not depend on the strips they are computed in."""

import numpy as np
import pytest
from PIL import Image

from pipelines.catalog.schema import SCALES
from pipelines.images import resample
from pipelines.runs import finish
from tests.conftest import smooth


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel", resample.PILLOW_KERNELS)
def test_strips_equal_pillow_on_the_whole(kernel: str, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "RESAMPLED_STRIP", 1000)
    pixels = smooth(50, 37)
    size = (37 * scale, 50 * scale)
    whole = [
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize(size, resample.PILLOW_KERNELS[kernel]))
        for c in range(3)
    ]
    expected = np.stack(whole, axis=2).clip(0, 1)
    # Pillow's weights depend on where its box starts by a unit in the last place.
    np.testing.assert_allclose(finish(resample.enlarge(pixels, scale, kernel)), expected, atol=2e-7, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_nearest_repeats_pixels(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "RESAMPLED_STRIP", 1000)
    pixels = smooth(50, 37)
    expected = np.repeat(np.repeat(pixels, scale, axis=0), scale, axis=1)
    np.testing.assert_array_equal(finish(resample.enlarge(pixels, scale, "nearest")), expected)


@pytest.mark.parametrize("kernel", ["nearest", *resample.PILLOW_KERNELS])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 1)])
def test_the_smallest_pictures(kernel: str, size: tuple[int, int]) -> None:
    out = finish(resample.enlarge(np.full((*size, 3), 0.25, np.float32), 8, kernel))
    assert out.shape == (size[0] * 8, size[1] * 8, 3)
    np.testing.assert_allclose(out, 0.25, atol=1e-6)


def test_overshoot_is_clipped() -> None:
    edge = np.zeros((8, 8, 3), np.float32)
    edge[:, 4:] = 1
    out = finish(resample.enlarge(edge, 4, "lanczos"))
    assert out.min() == 0 and out.max() == 1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel", ["bicubic", "lanczos"])
def test_shrinking_in_strips_equals_pillow_on_the_whole(
    kernel: str, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resample, "RESAMPLED_STRIP", 1000)
    pixels = smooth(16 * scale, 9 * scale)
    whole = [
        np.asarray(Image.fromarray(plane).resize((9, 16), resample.PILLOW_KERNELS[kernel]))
        for plane in map(np.ascontiguousarray, np.moveaxis(pixels, 2, 0))
    ]
    expected = np.stack(whole, axis=2).clip(0, 1)
    np.testing.assert_allclose(finish(resample.shrink(pixels, scale, kernel)), expected, atol=2e-7, rtol=0)


@pytest.mark.parametrize("kernel", resample.SHRINKING_KERNELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_keeps_a_flat_picture_flat(kernel: str, channels: int) -> None:
    out = finish(resample.shrink(np.full((8, 24, channels), 0.25, np.float32), 8, kernel))
    assert out.shape == (1, 3, channels)
    np.testing.assert_allclose(out, 0.25, atol=1e-6)


@pytest.mark.parametrize("kernel", resample.SHRINKING_KERNELS)
def test_only_antialiased_kernels_average_a_fine_pattern(kernel: str) -> None:
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::4] = 1
    inner = finish(resample.shrink(stripes, 4, kernel))[2:-2, 2:-2]
    assert (np.abs(inner - 0.25).max() < 0.01) == (kernel != "opencv-cubic")


def test_shrinking_needs_a_multiple() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        finish(resample.shrink(smooth(9, 8), 2, "bicubic"))
