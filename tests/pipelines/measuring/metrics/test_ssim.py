"""SSIM against scikit-image on pictures that lead rounding astray, MS-SSIM against msssim.m written out plainly."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import correlate
from scipy.signal import convolve2d
from skimage.metrics import structural_similarity

from pipelines.measuring.metrics import pixelwise, ssim
from tests.support.pictures import KINDS, pair

SIZES = [(11, 11), (11, 40), (61, 47), (90, 12)]


def by_scikit_image(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    channels = 2 if x.ndim == 3 else None
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(structural_similarity(x, y, channel_axis=channels, **options))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_ssim_equals_scikit_image(kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of RGB, of grey and of the luma, in strips so small that every picture has several."""
    monkeypatch.setattr(ssim, "SSIM_STRIP_VALUES", 1)
    monkeypatch.setattr(ssim, "LEAST_STRIP_ROWS", 4)
    x, y = pair(kind, *size)
    for one, other in ((x, y), (x[..., 0], y[..., 0]), (pixelwise.luma(x), pixelwise.luma(y))):
        assert pixelwise.ssim(one, other) == pytest.approx(by_scikit_image(one, other), abs=1e-9)


def gaussian(offsets: npt.NDArray[Any]) -> npt.NDArray[Any]:
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    return weights / weights.sum()


def by_msssim_m(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """The authors' code, line by line: one full window, one filter, every second pixel of the result."""
    window = gaussian(np.arange(-5.0, 6.0))
    structures, ssims = [], []
    for _ in range(5):
        mean_x, mean_y = convolve2d(x, window, "valid"), convolve2d(y, window, "valid")
        variance_x = convolve2d(x * x, window, "valid") - mean_x**2
        variance_y = convolve2d(y * y, window, "valid") - mean_y**2
        covariance = convolve2d(x * y, window, "valid") - mean_x * mean_y
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
        structures.append(structure.mean())
        ssims.append((structure * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)).mean())
        # imfilter with ones(2)/4, 'symmetric', which begins at the pixel itself
        x, y = (correlate(plane, np.full((2, 2), 0.25), mode="reflect", origin=-1)[::2, ::2] for plane in (x, y))
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    factors = [*structures[:4], ssims[4]]
    return math.prod(max(factor, 0) ** exponent for factor, exponent in zip(factors, exponents, strict=True))


@pytest.mark.parametrize("size", [(176, 176), (177, 203), (250, 179)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_ms_ssim_equals_the_authors_code(kind: str, size: tuple[int, int]) -> None:
    x, y = (pixelwise.luma(picture) for picture in pair(kind, *size))
    assert pixelwise.ms_ssim(x, y) == pytest.approx(by_msssim_m(x, y), abs=1e-9)


def test_a_negative_is_as_unlike_as_can_be() -> None:
    """Its contrast-structure is below zero, which has no real power."""
    x, _ = pair("random", 176, 176)
    assert pixelwise.ms_ssim(x[..., 0], 255 - x[..., 0]) == 0
    assert pixelwise.ssim(x, 255 - x) < 0


def test_equal_pictures_are_1() -> None:
    x, _ = pair("random", 180, 180)
    assert pixelwise.ssim(x, x) == pytest.approx(1, abs=1e-12)
    assert pixelwise.ms_ssim(x[..., 0], x[..., 0]) == pytest.approx(1, abs=1e-12)


def test_an_odd_edge_counts_twice() -> None:
    plane = np.array([[0, 2, 4], [2, 4, 8], [10, 20, 30]], np.uint8)
    np.testing.assert_array_equal(ssim.halve(plane), [[2, 6], [15, 30]])


@pytest.mark.parametrize("size", [(10, 40), (40, 10)], ids=str)
def test_a_side_without_a_window_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="SSIM needs 11 pixels a side"):
        pixelwise.ssim(np.zeros(size, np.uint8), np.zeros(size, np.uint8))


@pytest.mark.parametrize("shape", [(175, 300), (300, 175), (200, 200, 3)], ids=str)
def test_ms_ssim_needs_large_planes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="MS-SSIM needs planes of 176 pixels a side"):
        pixelwise.ms_ssim(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
