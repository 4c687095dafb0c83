"""How alike two pictures are in their local structure: SSIM, and MS-SSIM over five sizes.

SSIM is that of Wang, Bovik, Sheikh and Simoncelli 2004: Gaussian windows of 11 x 11 with sigma 1.5, K1 0.01, K2 0.03,
data range 255, only windows that lie wholly in the picture. MS-SSIM is that of Wang, Simoncelli and Bovik 2003, as the
authors' msssim.m computes it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.images.strips import map_strips
from pipelines.runs import Run

Values: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.float64]

WINDOW_SIDE = 11  # pixels
WINDOW_RADIUS = WINDOW_SIDE // 2
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five sizes, finest first: Wang et al. 2003, section 3.2
MS_SSIM_SIDE = WINDOW_SIDE * 2 ** (len(EXPONENTS) - 1)  # the smallest that still holds a window when halved four times
SSIM_STRIP_VALUES = 1 << 18  # float64: a strip and what is made of it stay in the processor's cache
LEAST_STRIP_ROWS = 32  # at least: each strip reads ten rows of the next one

_gauss = np.exp(-0.5 * (np.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1) / 1.5) ** 2)
WINDOW: Floats = _gauss / _gauss.sum()


class Likeness(NamedTuple):
    """Means over all windows and channels of two pictures, or sums where so said; at most 1 for each window."""

    ssim: float
    structure: float  # contrast times structure: SSIM without its comparison of luminance


def choose_strip_rows(shape: Sequence[int]) -> int:
    """Returns how many rows of such a picture to compare at once: even, so that a strip can be halved alone."""
    return max(LEAST_STRIP_ROWS, SSIM_STRIP_VALUES // math.prod(shape[1:]) // 2 * 2)


def measure_likeness(x: Values, y: Values) -> Run[Likeness]:
    """Mean SSIM and contrast-structure of two pictures (H, W) or (H, W, C) in 0..255, no side under WINDOW_SIDE."""

    def compare(top: int, stop: int) -> Likeness:
        rows = slice(top, stop + WINDOW_SIDE - 1)
        return sum_windows(x[rows].astype(np.float64), y[rows].astype(np.float64))

    height, rows = len(x) - WINDOW_SIDE + 1, choose_strip_rows(x.shape)
    return average_sums((yield from map_strips(compare, height, rows, "SSIM")), x.shape)


def sum_windows(x: Floats, y: Floats) -> Likeness:
    """Sums over all windows and channels of two strips (h, w) or (h, w, C) in 0..255, both sides at least WINDOW_SIDE.

    Float64, because a variance is the small difference of large means: with float32 a bright flat part is 7e-5 off.
    """
    # In place throughout: asking for memory would take three times as long as the arithmetic.
    scratch = np.multiply(x, y)
    covariance = _blurred(scratch)
    np.square(x, out=scratch)
    scratch += y * y
    variances = _blurred(scratch)  # of x and of y, added
    mean_x, mean_y = _blurred(x), _blurred(y)
    product = mean_x * mean_y
    squares = np.square(mean_x, out=mean_x)
    squares += np.square(mean_y, out=mean_y)
    covariance -= product
    variances -= squares
    structure = _ratio(covariance, variances, C2)
    ssim = _ratio(product, squares, C1)
    ssim *= structure
    return Likeness(float(ssim.sum()), float(structure.sum()))


def average_sums(sums: Sequence[Likeness], shape: Sequence[int]) -> Likeness:
    """The means, from the sums over strips that together make a picture of that shape."""
    count = (shape[0] - WINDOW_SIDE + 1) * (shape[1] - WINDOW_SIDE + 1) * math.prod(shape[2:])
    return Likeness(*(math.fsum(each) / count for each in zip(*sums, strict=True)))


def halve(plane: Values) -> Floats:
    """Halves (H, W) to (⌈H/2⌉, ⌈W/2⌉) float64, means of 2 x 2 pixels; an odd last row or column counts twice."""
    height, width = plane.shape
    even = np.pad(plane.astype(np.float64), ((0, height % 2), (0, width % 2)), mode="edge")
    rows = even[0::2] + even[1::2]
    mean: Floats = (rows[:, 0::2] + rows[:, 1::2]) / 4
    return mean


def combine_ms_ssim(structure: float, x: Floats, y: Floats) -> Run[float]:
    """MS-SSIM from the contrast-structure of the full size, and the two planes halved once (H, W) float64.

    The product of the contrast-structure at the four finer sizes and of SSIM at the coarsest, each to its exponent. A
    negative mean, which has no real power, counts as 0.
    """
    factors = [structure]
    for _ in EXPONENTS[1:-1]:
        factors.append((yield from measure_likeness(x, y)).structure)
        x, y = halve(x), halve(y)
    factors.append((yield from measure_likeness(x, y)).ssim)
    powers = [max(0.0, factor) ** exponent for factor, exponent in zip(factors, EXPONENTS, strict=True)]
    return float(math.prod(powers))


def _ratio(product: Floats, squares: Floats, constant: float) -> Floats:
    """Computes (2 product + constant) / (squares + constant), in place: the form of both factors of SSIM."""
    product *= 2
    product += constant
    squares += constant
    product /= squares
    return product


def _blurred(plane: Floats) -> Floats:
    """The mean of each window: (h, w) or (h, w, C) as ten rows and columns less."""
    import cv2

    whole = np.asarray(cv2.sepFilter2D(plane, cv2.CV_64F, WINDOW, WINDOW), np.float64)
    return whole[WINDOW_RADIUS:-WINDOW_RADIUS, WINDOW_RADIUS:-WINDOW_RADIUS]
