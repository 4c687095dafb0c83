"""The metric NIQE: how far an image's statistics are from those of untouched photographs. It needs no original.

Mittal, Soundararajan and Bovik, "Making a “Completely Blind” Image Quality Analyzer", IEEE Signal Processing Letters
2013; features as in their BRISQUE, section III. The parameters are the authors', as github.com/XPixelGroup/BasicSR
publishes them (Apache-2.0), and blocks, rounding and the way to halve are theirs.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import BadWeights
from pipelines.measuring.metrics.metric import Metric, Sample, Scores
from pipelines.measuring.metrics.networks import load_once
from pipelines.measuring.metrics.pixelwise import luma
from pipelines.runs import Run, Step

Plane: TypeAlias = npt.NDArray[np.float64]

BLOCK = 96  # pixels a side; at half the size 48
LEAST_BLOCKS = 2  # else there is no spread to compare
TIE = 0.1
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
SHAPES = np.arange(0.2, 10.001, 0.001)  # of a generalised Gaussian, among which the nearest is taken
FEATURES = 36  # 18 at each of two sizes
# MATLAB's antialiased bicubic kernel (a = -0.5) at half the size: weights of the eight nearest pixels.
HALVING: Plane = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


@dataclass(frozen=True, slots=True, eq=False)
class Pristine:
    """Statistics of untouched photographs: mean (36,) and covariance (36, 36); and the window (7, 7) to smooth by."""

    mean: Plane
    covariance: Plane
    window: Plane
    weights_sha256: tuple[str, ...]


def load_niqe() -> Pristine:
    """Loads the parameters from their file on this machine. Raises WeightsUnavailable, and BadWeights for another."""
    return load_once("niqe", "NIQE", Pristine, lambda file: read_niqe(file.path, file.sha256))


def read_niqe(path: Path, sha256: str) -> Pristine:
    """The parameters in a file of NumPy's. Raises BadWeights where they are not those of NIQE."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = ("mu_pris_param", "cov_pris_param", "gaussian_window")
            mean, covariance, window = (np.asarray(file[name], np.float64) for name in names)
    except Exception as error:  # broken bytes lead NumPy and zipfile to errors of many kinds
        raise BadWeights(f"{path.name} does not hold the parameters of NIQE.") from error
    if (mean.size, covariance.shape, window.ndim) != (FEATURES, (FEATURES, FEATURES), 2):
        raise BadWeights(f"{path.name} does not hold the parameters of NIQE.")
    return Pristine(mean.reshape(-1), covariance, window, (sha256,))


def measure_niqe(sample: Sample) -> Run[Scores]:
    """NIQE of the luma of the whole image, or a note why not."""
    height, width = sample.output.shape[:2]
    rows, columns = height // BLOCK, width // BLOCK
    if rows * columns < LEAST_BLOCKS:
        return Scores(
            {}, (f"niqe needs {LEAST_BLOCKS} blocks of {BLOCK} by {BLOCK} pixels; here are {rows * columns}",)
        )
    pristine = sample.judges.find("niqe", Pristine)
    plane: Plane = np.asarray(np.round(luma(sample.output[: rows * BLOCK, : columns * BLOCK])), np.float64)
    features: list[Plane] = []
    for side in (BLOCK, BLOCK // 2):
        normalised = _normalise(plane, pristine.window)
        made = []
        for column in range(columns):
            for row in range(rows):
                made.append(_describe(normalised[row * side : (row + 1) * side, column * side : (column + 1) * side]))
            yield Step(column + 1, columns, "NIQE")
        features.append(np.array(made))
        plane = halve(plane)
    value = _distance(pristine, np.concatenate(features, axis=1))
    if value is None:
        return Scores({}, ("niqe cannot be computed for an image that is flat almost everywhere",))
    return Scores({"niqe": value})


def halve(plane: Plane) -> Plane:
    """The plane at half its height and width, which are even, by antialiased bicubic; mirrored at its border."""
    from scipy.ndimage import correlate1d

    for axis in (0, 1):
        # The eight nearest pixels of place 2 i + 0.5 are 2 i - 3 to 2 i + 4: one further on than SciPy centres them.
        plane = correlate1d(plane, HALVING, axis, mode="reflect", origin=-1)
        plane = plane[::2] if axis == 0 else plane[:, ::2]
    return plane


def _normalise(plane: Plane, window: Plane) -> Plane:
    """Each pixel less the mean around it, over the deviation around it (equation 1)."""
    from scipy.ndimage import convolve

    mean = convolve(plane, window, mode="nearest")
    deviation = np.sqrt(np.abs(convolve(np.square(plane), window, mode="nearest") - np.square(mean)))
    normalised: Plane = (plane - mean) / (deviation + 1)
    return normalised


def _describe(block: Plane) -> list[float]:
    """The 18 features of a block: two of its values, and four of their products with each of four neighbours."""
    shape, left, right = _fit(block)
    features = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:
        shape, left, right = _fit(block * np.roll(block, shift, axis=(0, 1)))
        features += [shape, (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape), left, right]
    return features


def _fit(values: Plane) -> tuple[float, float, float]:
    """Shape, and scales to the left and right, of an asymmetric generalised Gaussian, by its moments (equation 7).

    The scales are no numbers where all values are of one sign.
    """
    below, above = values[values < 0], values[values > 0]
    if not below.size or not above.size:
        return float(SHAPES[0]), math.nan, math.nan
    left, right = math.sqrt(np.mean(np.square(below))), math.sqrt(np.mean(np.square(above)))
    ratio = left / right
    moments = np.mean(np.abs(values)) ** 2 / np.mean(np.square(values))
    moments *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = float(SHAPES[np.argmin(np.square(_ratios() - moments))])
    scale = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * scale, right * scale


@cache
def _ratios() -> Plane:
    """What the moments of a generalised Gaussian come to, for each of SHAPES."""
    from scipy.special import gamma

    ratios: Plane = np.square(gamma(2 / SHAPES)) / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
    return ratios


def _distance(pristine: Pristine, features: Plane) -> float | None:
    """How far the blocks' Gaussian is from that of untouched photographs (equation 10); None where they have none."""
    whole = features[~np.isnan(features).any(axis=1)]
    if len(whole) < LEAST_BLOCKS:
        return None
    apart = pristine.mean - np.nanmean(features, axis=0)
    inverse = np.linalg.pinv((pristine.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


NIQE = Metric(
    key="niqe",
    name="NIQE",
    about="How far its statistics are from those of untouched photographs. Needs no original.",
    unit="",
    better="lower",
    digits=2,
    of=measure_niqe,
    needs="nothing",
    load=load_niqe,
    says="naturalness",
    main=True,
    tie=TIE,
)
