"""Bringing an enlarged picture's colours back to those of the small one.

A latent diffusion model shifts colours by a little. Both ways here take them from a plain enlargement of the small
picture: "wavelet" its low frequencies, "adain" its mean and contrast by channel (Wang et al. 2023, StableSR,
arXiv:2305.07015, and Huang and Belongie 2017, arXiv:1703.06868).
"""

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Pixels
from pipelines.images.strips import map_strips
from pipelines.runs import Run, Step

WAVELET_LEVELS = 5  # of the à trous wavelet: the last one's taps are 2^4 pixels apart
WAVELET_REACH = 2**WAVELET_LEVELS - 1  # pixels that the smoothing sees to either side
COLOUR_STRIP_ROWS = 256  # a strip's; what it reads beyond is twice WAVELET_REACH


def fix_colours(made: Pixels, plain: Pixels, how: str, clip: bool = True) -> Run[None]:
    """Gives `made`, (H, W, 3) in [0, 1], the colours of `plain`, of the same shape: "wavelet", "adain" or "none".

    Works in place: `made` holds the result, in [0, 1] unless it is not to `clip`, and what `plain` holds afterwards is
    of no use. A step tells each strip done.
    """
    ends = (0.0, 1.0) if clip else (-np.inf, np.inf)
    if how == "wavelet":
        yield from _wavelet(made, plain, ends)
    elif how == "adain":
        yield from _adain(made, plain, ends)


def _wavelet(made: Pixels, plain: Pixels, ends: tuple[float, float]) -> Run[None]:
    """Gives `made` the low frequencies of `plain`: smoothing is linear, so only their difference is smoothed."""
    np.subtract(plain, made, out=plain)

    def add(top: int, bottom: int) -> None:
        first = max(0, top - WAVELET_REACH)
        smooth = _smoothed(plain[first : bottom + WAVELET_REACH])
        strip = made[top:bottom]
        strip += smooth[top - first : bottom - first]
        np.clip(strip, *ends, out=strip)

    yield from map_strips(add, len(made), COLOUR_STRIP_ROWS, "colours")


def _smoothed(values: Pixels) -> Pixels:
    """The à trous low-pass: a [1, 2, 1]/4 kernel along both axes, its taps 1, 2, 4, ... apart; edges are repeated.

    What is repeated at a strip's end instead of read reaches WAVELET_REACH rows into it.
    """
    for level in range(WAVELET_LEVELS):
        for axis in (0, 1):
            values = _tripled(values, 2**level, axis)
    return values


def _tripled(values: Pixels, apart: int, axis: int) -> Pixels:
    length = values.shape[axis]
    places = np.arange(length)
    before, after = (values.take(np.clip(places + shift, 0, length - 1), axis) for shift in (-apart, apart))
    before += after
    before *= np.float32(0.25)
    before += np.float32(0.5) * values
    return before


def _adain(made: Pixels, plain: Pixels, ends: tuple[float, float]) -> Run[None]:
    """Mean and standard deviation of each channel of `plain`. A channel of one value alone is moved, not stretched."""
    (mean, deviation), (wanted, contrast) = (_moments(pixels) for pixels in (made, plain))
    yield Step(1, 2, "colours")
    gain = np.divide(contrast, deviation, out=np.ones(3), where=deviation > 1e-6).astype(np.float32)
    made *= gain
    made += (wanted - gain * mean).astype(np.float32)
    np.clip(made, *ends, out=made)
    yield Step(2, 2, "colours")


def _moments(pixels: Pixels) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    mean = pixels.mean(axis=(0, 1), dtype=np.float64)
    square = sum(np.square(row - mean).sum(axis=0) for row in pixels)
    return mean, np.sqrt(square / pixels[..., 0].size)
