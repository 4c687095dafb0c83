"""Colours brought back from the plain enlargement."""

import numpy as np
import pytest

from pipelines.images.picture import Pixels
from pipelines.runs import finish
from pipelines.upscalers.diffusion.colour import fix_colours
from tests.conftest import smooth


def fixed(made: Pixels, plain: Pixels, how: str) -> Pixels:
    made = made.copy()
    finish(fix_colours(made, plain.copy(), how))
    return made


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(1).uniform(0.3, 0.7, (height, width, 3)).astype(np.float32)


def low_pass(pixels: Pixels) -> Pixels:
    """Five levels of the wavelet's smoothing as it is defined: one 3x3 kernel, its taps apart, edges repeated."""
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    values = pixels.astype(np.float64)
    height, width, _ = values.shape
    for level in range(5):
        apart = 2**level
        padded = np.pad(values, ((apart, apart), (apart, apart), (0, 0)), mode="edge")
        values = sum(
            kernel[i, j] * padded[i * apart : i * apart + height, j * apart : j * apart + width]
            for i in range(3)
            for j in range(3)
        )
    return values


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (700, 33)])
def test_wavelet_is_high_frequencies_of_one_and_low_ones_of_the_other(size: tuple[int, int]) -> None:
    """The tallest goes through in three strips."""
    made, plain = noise(*size), smooth(*size) * np.float32(0.2) + np.float32(0.4)
    expected = np.clip(made - low_pass(made) + low_pass(plain), 0, 1)
    np.testing.assert_allclose(fixed(made, plain, "wavelet"), expected, atol=1e-6)


def test_adain_gives_mean_and_contrast_of_the_other() -> None:
    made, plain = noise(60, 50), noise(50, 60).transpose(1, 0, 2) * np.float32([0.5, 0.7, 0.2]) + np.float32(0.1)
    done = fixed(made, plain, "adain")
    np.testing.assert_allclose(done.mean((0, 1)), plain.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(done.std((0, 1)), plain.std((0, 1)), atol=1e-5)
    assert np.corrcoef(done[..., 0].ravel(), made[..., 0].ravel())[0, 1] > 0.9999


def test_adain_of_a_flat_picture_moves_it() -> None:
    flat = np.full((8, 8, 3), 0.5, np.float32)
    np.testing.assert_allclose(
        fixed(flat, noise(8, 8), "adain"), noise(8, 8).mean((0, 1))[None, None] + 0 * flat, atol=1e-6
    )


@pytest.mark.parametrize("how", ["wavelet", "adain"])
def test_a_shift_of_colour_is_taken_out(how: str) -> None:
    right = noise(90, 80)
    shifted = right * np.float32(0.9) + np.float32([0.05, -0.04, 0.02])
    done = fixed(shifted, right, how)
    assert np.abs(done.mean((0, 1)) - right.mean((0, 1))).max() < 1e-4
    assert np.abs(shifted - right).mean() > 3 * np.abs(done - right).mean()


def test_none_leaves_it() -> None:
    np.testing.assert_array_equal(fixed(noise(9, 9), smooth(9, 9), "none"), noise(9, 9))
