"""The metrics that compare pixels in their places: MSE, PSNR, SSIM and MS-SSIM, of the colours and of the luma.

`measure_differences` gives all of them in one pass over the images; each also has its own function. Images are uint8,
(H, W, 3) RGB or (H, W) grey. Nothing is resized or converted to make two of them fit.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipelines.images.picture import Pixels8
from pipelines.images.strips import map_strips
from pipelines.measuring.metrics import ssim as structural
from pipelines.measuring.metrics.metric import Metric, Sample, Scores, check_shapes, decibels
from pipelines.measuring.metrics.ssim import MS_SSIM_SIDE, WINDOW_SIDE, Floats, Likeness, Values
from pipelines.runs import Run, finish


def mse(reference: Values, output: Values) -> float:
    """Mean squared error in levels of 255, of two images in 0..255 of one shape: uint8, or `luma`."""
    check_shapes(reference, output)

    def compare(top: int, stop: int) -> float:
        return _squares(reference[top:stop].astype(np.float64), output[top:stop].astype(np.float64))

    strips = finish(map_strips(compare, len(reference), structural.choose_strip_rows(reference.shape), "MSE"))
    return math.fsum(strips) / reference.size


def psnr(reference: Values, output: Values) -> float | None:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / MSE); None where the images are equal and it is infinite."""
    return decibels(mse(reference, output))


def ssim(reference: Values, output: Values) -> float:
    """Mean SSIM over all windows and channels, at most 1, of two images in 0..255 of one shape: uint8, or `luma`.

    Equals scikit-image's `structural_similarity` with Gaussian weights, sigma 1.5, data range 255 and the covariance of
    the population, to 1e-6 and on every image. Raises ValueError for a side of less than WINDOW_SIDE pixels.
    """
    check_shapes(reference, output)
    if min(reference.shape[:2]) < WINDOW_SIDE:
        raise ValueError(f"SSIM needs {WINDOW_SIDE} pixels a side")
    return finish(structural.measure_likeness(reference, output)).ssim


def ms_ssim(reference: Values, output: Values) -> float:
    """MS-SSIM, 0 to 1, of two planes (H, W) in 0..255: of a colour image its `luma`.

    Raises ValueError for a side of less than MS_SSIM_SIDE pixels, and for images with channels.
    """
    check_shapes(reference, output)
    if reference.ndim != 2 or min(reference.shape) < MS_SSIM_SIDE:
        raise ValueError(f"MS-SSIM needs planes of {MS_SSIM_SIDE} pixels a side")
    first = finish(structural.measure_likeness(reference, output))
    halves = structural.halve(reference), structural.halve(output)
    return finish(structural.combine_ms_ssim(first.structure, *halves))


def luma(image: Values) -> Floats:
    """The luma of BT.601, 16 to 235 and unrounded, of (H, W, 3) RGB in 0..255; grey values (H, W) as they are.

    That a grey image is its own luma is the literature's convention, from MATLAB's code (Set14's bridge).
    """
    if image.ndim == 2:
        return image.astype(np.float64)
    red, green, blue = (image[..., channel].astype(np.float64) for channel in range(3))
    return (65.481 * red + 128.553 * green + 24.966 * blue) / 255 + 16


def measure_differences(sample: Sample) -> Run[Scores]:
    """Every metric of this module, of images whose border is cropped."""
    reference, output = sample.inner
    smallest = min(reference.shape[:2])
    if not smallest:
        return Scores({}, ("mse, psnr, ssim and ms_ssim have nothing to compare: the border is all there is",))
    in_colour, in_luma, halves = yield from _differences(reference, output)
    values: dict[str, float | None] = {
        "mse": in_colour.squares,
        "mse_y": in_luma.squares,
        "psnr": decibels(in_colour.squares),
        "psnr_y": decibels(in_luma.squares),
    }
    infinite = [key for key in ("psnr", "psnr_y") if values[key] is None]
    notes = [f"{key} is infinite: inside the border the images are equal" for key in infinite]
    is_small = f"pixels a side after the border is cropped; here are {smallest}"
    if in_colour.likeness and in_luma.likeness:
        values |= {"ssim": in_colour.likeness.ssim, "ssim_y": in_luma.likeness.ssim}
    else:
        notes.append(f"ssim and ssim_y need {WINDOW_SIDE} {is_small}")
    if smallest >= MS_SSIM_SIDE and in_luma.likeness:
        values["ms_ssim"] = yield from structural.combine_ms_ssim(in_luma.likeness.structure, *halves)
    else:
        notes.append(f"ms_ssim needs {MS_SSIM_SIDE} {is_small}")
    return Scores(values, tuple(notes))


TIE_DB = 0.05  # 1 % of the error's energy: nobody sees it, and papers differ by as much in how they shrink

PSNR = Metric(
    key="psnr",
    name="PSNR",
    about="Closeness of red, green and blue, pixel by pixel.",
    unit="dB",
    better="higher",
    digits=2,
    of=measure_differences,
    infinite_at_zero="mse",
)
PSNR_Y = replace(
    PSNR,
    key="psnr_y",
    name="PSNR Y",
    about="Closeness of the luma to the original's, pixel by pixel.",
    infinite_at_zero="mse_y",
    says="closeness",
    main=True,
    tie=TIE_DB,
)
SSIM = Metric(
    key="ssim",
    name="SSIM",
    about="Likeness of local structure in red, green and blue, at most 1.",
    unit="",
    better="higher",
    digits=4,
    of=measure_differences,
)
SSIM_Y = replace(
    SSIM, key="ssim_y", name="SSIM Y", about="Likeness of the luma's local structure, at most 1.", main=True
)
MS_SSIM = replace(SSIM, key="ms_ssim", name="MS-SSIM", about="SSIM of the luma over five sizes, at most 1.")
MSE = Metric(
    key="mse",
    name="MSE",
    about="Mean squared error of red, green and blue, in levels of 255.",
    unit="",
    better="lower",
    digits=2,
    of=measure_differences,
)
MSE_Y = replace(MSE, key="mse_y", name="MSE Y", about="Mean squared error of the luma.")


# --- the one pass -------------------------------------------------------------------------------------------------


class _Difference(NamedTuple):
    """Of two images the means, of two strips the sums: squared error, and likeness, None where no window fits."""

    squares: float
    likeness: Likeness | None


def _differences(reference: Pixels8, output: Pixels8) -> Run[tuple[_Difference, _Difference, tuple[Floats, Floats]]]:
    """Returns how the colours differ, how the lumas differ, and both lumas halved, in one pass over the images.

    No luma is held in full: MS-SSIM's finest size is compared and halved strip by strip with the rest.
    """
    height, width = reference.shape[:2]
    halves = np.empty((2, (height + 1) // 2, (width + 1) // 2))

    def compare(top: int, stop: int) -> tuple[_Difference, _Difference]:
        rows, own = slice(top, stop + WINDOW_SIDE - 1), stop - top
        x, y = reference[rows].astype(np.float64), output[rows].astype(np.float64)
        in_colour = _difference(x, y, own)
        x, y = luma(x), luma(y)
        for half, plane in zip(halves, (x, y), strict=True):
            half[top // 2 : (stop + 1) // 2] = structural.halve(plane[:own])
        return in_colour, _difference(x, y, own) if reference.ndim == 3 else in_colour

    strips = yield from map_strips(compare, height, structural.choose_strip_rows(reference.shape), "comparing pixels")
    in_colour, in_luma = zip(*strips, strict=True)
    return _mean(in_colour, reference.shape), _mean(in_luma, (height, width)), (halves[0], halves[1])


def _difference(x: Floats, y: Floats, own: int) -> _Difference:
    """Sums over a strip: the error of its `own` first rows, the likeness of the windows that begin in them."""
    fits = min(x.shape[:2]) >= WINDOW_SIDE
    return _Difference(_squares(x[:own], y[:own]), structural.sum_windows(x, y) if fits else None)


def _mean(strips: Sequence[_Difference], shape: Sequence[int]) -> _Difference:
    """Returns means from the sums over strips, which make images of that shape; a last strip may hold no window."""
    likenesses = [strip.likeness for strip in strips if strip.likeness]
    return _Difference(
        math.fsum(strip.squares for strip in strips) / math.prod(shape),
        structural.average_sums(likenesses, shape) if likenesses else None,
    )


def _squares(x: Floats, y: Floats) -> float:
    return float(np.square(x - y).sum())
