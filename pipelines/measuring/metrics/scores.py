"""How near an enlarged picture comes to the original: MSE, PSNR, SSIM, MS-SSIM, LPIPS, and consistency.

Pictures are uint8, (H, W, 3) RGB or (H, W) grey. Nothing is resized or converted to make two of them fit: pictures of
different shapes are a ValueError. `score` gives all metrics at once, sharing work; each can also be had alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import to_uint8
from pipelines.images.resample import shrink
from pipelines.images.strips import by_strips
from pipelines.measuring.metrics import ssim as structural
from pipelines.measuring.metrics.lpips import SMALLEST_SIDE as LPIPS_SIDE
from pipelines.measuring.metrics.lpips import Lpips, distance
from pipelines.measuring.metrics.lpips import load as load_lpips
from pipelines.measuring.metrics.lpips import prepare as prepare_lpips
from pipelines.measuring.metrics.ssim import MS_SIDE, SIDE, Floats, Likeness, Values
from pipelines.measuring.rows import CONSISTENT
from pipelines.runs import Run, finish, noted

__all__ = [
    "Lpips",
    "Scores",
    "consistency_psnr",
    "cropped",
    "load_lpips",
    "luma",
    "ms_ssim",
    "mse",
    "prepare_lpips",
    "psnr",
    "score",
    "score_without_original",
    "ssim",
]

Picture8: TypeAlias = npt.NDArray[np.uint8]

WITHOUT_ORIGINAL = "no original is known: nothing but consistency can be measured"


@dataclass(frozen=True, slots=True)
class Scores:
    """Every metric, as `results.Row` names them. One that cannot be had is None, and one of the notes says why."""

    mse: float | None = None
    mse_y: float | None = None
    psnr: float | None = None
    psnr_y: float | None = None
    ssim: float | None = None
    ssim_y: float | None = None
    ms_ssim: float | None = None
    lpips: float | None = None
    consistency_psnr: float | None = None
    notes: tuple[str, ...] = ()


def score(reference: Picture8, output: Picture8, low: Picture8, scale: int, lpips: Lpips | str) -> Run[Scores]:
    """Every metric of `output` against `reference`, both (H, W, 3) or (H, W) uint8; `low` is what was enlarged.

    A border of `scale` pixels is cropped, as in the super-resolution literature, for all but LPIPS and consistency,
    which take the whole picture. `lpips` is the loaded metric, or why it is not at hand, as a sentence for the notes.
    Raises ValueError where shapes do not fit, or a picture is not uint8. Closing the run ends it within one strip.
    """
    _check(reference, output)
    if not reference.dtype == output.dtype == low.dtype == np.uint8:
        raise ValueError("pictures are scored as uint8, which is what a file would hold")
    pixelwise = yield from _pixelwise(cropped(reference, scale), cropped(output, scale))
    distant, without_lpips = yield from _lpips(reference, output, lpips)
    consistent = _decibels((yield from _consistency_mse(output, low, scale)))
    equal = (CONSISTENT,) * (consistent is None)
    notes = (*pixelwise.notes, *without_lpips, *equal)
    return replace(pixelwise, lpips=distant, consistency_psnr=consistent, notes=notes)


def score_without_original(output: Picture8, low: Picture8, scale: int) -> Run[Scores]:
    """What can be told of `output` where no original is known: how well it agrees with `low`, its input."""
    consistent = _decibels((yield from _consistency_mse(output, low, scale)))
    equal = (CONSISTENT,) * (consistent is None)
    return Scores(consistency_psnr=consistent, notes=(WITHOUT_ORIGINAL, *equal))


def mse(reference: Values, output: Values) -> float:
    """Mean squared error in levels of 255, of two pictures in 0..255 of one shape: uint8, or `luma`."""
    _check(reference, output)

    def compare(top: int, stop: int) -> float:
        return _squares(reference[top:stop].astype(np.float64), output[top:stop].astype(np.float64))

    strips = finish(by_strips(compare, len(reference), structural.strip_rows(reference.shape), "MSE"))
    return math.fsum(strips) / reference.size


def psnr(reference: Values, output: Values) -> float | None:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / MSE); None where the pictures are equal and it is infinite."""
    return _decibels(mse(reference, output))


def ssim(reference: Values, output: Values) -> float:
    """Mean SSIM over all windows and channels, at most 1, of two pictures in 0..255 of one shape: uint8, or `luma`.

    Equals scikit-image's `structural_similarity` with Gaussian weights, sigma 1.5, data range 255 and the covariance of
    the population, to 1e-6 and on every picture. Raises ValueError for a side of less than SIDE pixels.
    """
    _check(reference, output)
    if min(reference.shape[:2]) < SIDE:
        raise ValueError(f"SSIM needs {SIDE} pixels a side")
    return finish(structural.likeness(reference, output)).ssim


def ms_ssim(reference: Values, output: Values) -> float:
    """MS-SSIM, 0 to 1, of two planes (H, W) in 0..255: of a colour picture its `luma`.

    Raises ValueError for a side of less than MS_SIDE pixels, and for pictures with channels.
    """
    _check(reference, output)
    if reference.ndim != 2 or min(reference.shape) < MS_SIDE:
        raise ValueError(f"MS-SSIM needs planes of {MS_SIDE} pixels a side")
    first = finish(structural.likeness(reference, output))
    halves = structural.halved(reference), structural.halved(output)
    return finish(structural.ms_ssim_from(first.structure, *halves))


def consistency_psnr(output: Picture8, low: Picture8, scale: int) -> float | None:
    """How well `output`, shrunk again, agrees with `low`, from which it was made: PSNR in dB over RGB or grey.

    Nothing is cropped. It needs no original, and shows content that was made up or shifted. `output` (H, W, 3) or
    (H, W) uint8 is shrunk by the antialiased bicubic kernel and rounded. None where the two are equal and it is
    infinite. Raises ValueError where `low` is not exactly (H/scale, W/scale).
    """
    return _decibels(finish(_consistency_mse(output, low, scale)))


def luma(picture: Values) -> Floats:
    """The luma of BT.601, 16 to 235 and unrounded, of (H, W, 3) RGB in 0..255; grey values (H, W) as they are.

    That a grey picture is its own luma is the literature's convention, from MATLAB's code (Set14's bridge).
    """
    if picture.ndim == 2:
        return picture.astype(np.float64)
    red, green, blue = (picture[..., channel].astype(np.float64) for channel in range(3))
    return (65.481 * red + 128.553 * green + 24.966 * blue) / 255 + 16


def cropped(picture: Picture8, border: int) -> Picture8:
    """The picture without `border` pixels on each side, as a view; without any pixel where it is too small."""
    height, width = picture.shape[:2]
    return picture[border : max(border, height - border), border : max(border, width - border)]


def _check(reference: Values, output: Values) -> None:
    if reference.shape != output.shape:
        raise ValueError(f"a reference of shape {reference.shape} and an output of shape {output.shape}")


# --- what score is made of ----------------------------------------------------------------------------------------


class _Difference(NamedTuple):
    """Of two pictures the means, of two strips the sums: squared error, and likeness, None where no window fits."""

    squares: float
    likeness: Likeness | None


def _pixelwise(reference: Picture8, output: Picture8) -> Run[Scores]:
    """The metrics that compare pixels in their places, of pictures whose border is cropped."""
    smallest = min(reference.shape[:2])
    if not smallest:
        return Scores(notes=("mse, psnr, ssim and ms_ssim have nothing to compare: the border is all there is",))
    in_colour, in_luma, halves = yield from _differences(reference, output)
    scores = Scores(
        mse=in_colour.squares,
        mse_y=in_luma.squares,
        psnr=_decibels(in_colour.squares),
        psnr_y=_decibels(in_luma.squares),
    )
    infinite = [name for name in ("psnr", "psnr_y") if getattr(scores, name) is None]
    notes = [f"{name} is infinite: inside the border the pictures are equal" for name in infinite]
    is_small = f"pixels a side after the border is cropped; here are {smallest}"
    if in_colour.likeness and in_luma.likeness:
        scores = replace(scores, ssim=in_colour.likeness.ssim, ssim_y=in_luma.likeness.ssim)
    else:
        notes.append(f"ssim and ssim_y need {SIDE} {is_small}")
    if smallest >= MS_SIDE and in_luma.likeness:
        scores = replace(scores, ms_ssim=(yield from structural.ms_ssim_from(in_luma.likeness.structure, *halves)))
    else:
        notes.append(f"ms_ssim needs {MS_SIDE} {is_small}")
    return replace(scores, notes=tuple(notes))


def _differences(reference: Picture8, output: Picture8) -> Run[tuple[_Difference, _Difference, tuple[Floats, Floats]]]:
    """How the colours differ, how the lumas differ, and both lumas halved, in one pass over the pictures.

    No luma is held in full: MS-SSIM's finest size is compared and halved strip by strip with the rest.
    """
    height, width = reference.shape[:2]
    halves = np.empty((2, (height + 1) // 2, (width + 1) // 2))

    def compare(top: int, stop: int) -> tuple[_Difference, _Difference]:
        rows, own = slice(top, stop + SIDE - 1), stop - top
        x, y = reference[rows].astype(np.float64), output[rows].astype(np.float64)
        in_colour = _difference(x, y, own)
        x, y = luma(x), luma(y)
        for half, plane in zip(halves, (x, y), strict=True):
            half[top // 2 : (stop + 1) // 2] = structural.halved(plane[:own])
        return in_colour, _difference(x, y, own) if reference.ndim == 3 else in_colour

    strips = yield from by_strips(compare, height, structural.strip_rows(reference.shape), "comparing pixels")
    in_colour, in_luma = zip(*strips, strict=True)
    return _mean(in_colour, reference.shape), _mean(in_luma, (height, width)), (halves[0], halves[1])


def _difference(x: Floats, y: Floats, own: int) -> _Difference:
    """Sums over a strip: the error of its `own` first rows, the likeness of the windows that begin in them."""
    fits = min(x.shape[:2]) >= SIDE
    return _Difference(_squares(x[:own], y[:own]), structural.window_sums(x, y) if fits else None)


def _mean(strips: Sequence[_Difference], shape: Sequence[int]) -> _Difference:
    """From the sums over strips, which make pictures of that shape; a last strip may hold no window."""
    likenesses = [strip.likeness for strip in strips if strip.likeness]
    return _Difference(
        math.fsum(strip.squares for strip in strips) / math.prod(shape),
        structural.mean_of(likenesses, shape) if likenesses else None,
    )


def _lpips(reference: Picture8, output: Picture8, lpips: Lpips | str) -> Run[tuple[float | None, tuple[str, ...]]]:
    """LPIPS, or None and why."""
    smallest = min(reference.shape[:2])
    if isinstance(lpips, str):
        return None, (f"lpips: {lpips}",)
    if smallest < LPIPS_SIDE:
        return None, (f"lpips needs {LPIPS_SIDE} pixels a side; here are {smallest}",)
    value = yield from distance(lpips, reference, output)
    if not math.isfinite(value):
        return None, ("lpips came out as no number: its files are damaged",)
    return value, ()


def _consistency_mse(output: Picture8, low: Picture8, scale: int) -> Run[float]:
    if low.shape != (output.shape[0] // scale, output.shape[1] // scale, *output.shape[2:]):
        raise ValueError(f"a small picture of shape {low.shape} and an output of shape {output.shape} at x{scale}")
    planes, small = (picture.reshape(*picture.shape[:2], -1) for picture in (output, low))
    errors = []
    for channel in range(planes.shape[2]):  # one at a time: a float32 copy of the whole is four times the output
        plane = np.divide(planes[..., channel : channel + 1], np.float32(255), dtype=np.float32)
        shrunk = yield from noted(shrink(plane, scale, "bicubic"), "consistency: ")
        errors.append(mse(to_uint8(shrunk[..., 0]), small[..., channel]))
    return math.fsum(errors) / len(errors)


def _squares(x: Floats, y: Floats) -> float:
    return float(np.square(x - y).sum())


def _decibels(error: float) -> float | None:
    return 10 * math.log10(255**2 / error) if error else None
