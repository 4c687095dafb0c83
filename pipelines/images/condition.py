"""What an image has been through, as far as it shows: whether JPEG left marks in it, and how noisy it is.

Only for advice on which model to take: both are estimates, and nothing is refused or changed by them.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipelines.images.picture import Pixels

LEAST_STEP = 4.0  # mean quantisation step of luma from which marks show: quality 96 and below of the IJG's tables
LEAST_NOISE = 3.5  # standard deviation, in levels of 255, from which upscaling makes noise plain
PATCH = 16  # side of the patches that noise is estimated in
SEEN_SIDE = 1024  # of the middle of an image, which stands for all of it
CALMEST = 25  # per cent of the patches that count: texture is in some places, noise is everywhere
# The luma table of ITU-T T.81, annex K.1, which the IJG's library scales by the quality.
STANDARD_TABLE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether the file is a JPEG whose compression shows, and the noise's standard deviation in levels of 255."""

    compressed: bool
    noise: float

    @property
    def noisy(self) -> bool:
        """Returns whether the noise would be plain in an upscaled image."""
        return self.noise >= LEAST_NOISE


def has_jpeg_marks(data: bytes) -> bool:
    """Returns whether the JPEG in these bytes is quantised so that it shows, by its luma table (ITU-T T.81, B.2.4)."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        tables = getattr(image, "quantization", {})
    return bool(tables) and float(np.mean(tables[min(tables)])) >= LEAST_STEP


def read_jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """Returns the quality, 1 to 100, at which the IJG's luma table is nearest to a file's; None without tables.

    Both are compared by their sums: other programs scale other tables, and write them in another order.
    """
    if not tables:
        return None
    wanted = sum(tables[min(tables)])
    return min(range(1, 101), key=lambda quality: abs(_table_sum(quality) - wanted))


def _table_sum(quality: int) -> int:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return int(np.clip((STANDARD_TABLE * percent + 50) // 100, 1, 255).sum())


def estimate_noise(pixels: Pixels) -> float:
    """Estimates the standard deviation of an image's noise in levels of 255; `pixels` are (H, W, 3), from 0 to 1.

    Immerkær's estimate ("Fast noise variance estimation", CVIU 1996) of the middle of the image. It takes fine texture
    for noise; but halving an image halves noise, whose pixels know nothing of each other, and texture stays. So what
    is left at half the size is subtracted. 0 for an image that is too small to tell.
    """
    height, width, _ = pixels.shape
    top, left = max(0, height - SEEN_SIDE) // 2, max(0, width - SEEN_SIDE) // 2
    luma = pixels[top : top + SEEN_SIDE, left : left + SEEN_SIDE] @ LUMA
    high, wide = luma.shape[0] // 2, luma.shape[1] // 2
    halved = luma[: 2 * high, : 2 * wide].reshape(high, 2, wide, 2).mean(axis=(1, 3))
    whole, half = _spread(luma), _spread(halved)
    return 255 * math.sqrt(max(0.0, 4 / 3 * (whole**2 - half**2)))


def _spread(luma: Pixels) -> float:
    """Returns the standard deviation that noise would have, were it all that the mask sees: it sees no slopes.

    In patches, of which the calmest count that are neither flat black nor white: texture and edges are in some places,
    noise is in all.
    """
    rows = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    seen = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    high, wide = seen.shape[0] // PATCH, seen.shape[1] // PATCH
    if not (high and wide):
        return 0.0

    def by_patch(values: Pixels) -> Pixels:
        patches = values[: high * PATCH, : wide * PATCH].reshape(high, PATCH, wide, PATCH)
        means: Pixels = patches.mean(axis=(1, 3)).ravel()
        return means

    mean = by_patch(luma[1:-1, 1:-1])
    inside = (mean > 0.03) & (mean < 0.97)  # what is clipped shows no noise
    if not inside.any():
        return 0.0
    return float(np.percentile(by_patch(seen)[inside], CALMEST)) * math.sqrt(math.pi / 2) / 6
