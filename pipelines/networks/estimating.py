"""What was done to a picture before it came here, told from its pixels by a tiny network, once for the whole picture.

Tiles must not ask for themselves: they would answer differently, and differ at their seams. So a few sections of the
picture are looked at, and all of them together give one answer.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from pipelines.images.picture import Pixels
from pipelines.networks.archs.estimate import CLASSES, LEAST_SIDE, luma_of

SIDE, GRID, SECTIONS = 96, 5, 8  # sections are squares of SIDE pixels, the SECTIONS of GRID by GRID that say most
JAGGED = "not antialiased", "pixels left out"
JAGGED_MOST = 0.1  # of probability: a jagged picture taken for a smooth one costs 3 dB, the opposite at most one
CAREFUL_QUALITY = 88  # of JPEG: from here on its traces are no matter
CAREFUL_NOISE = 5.6  # levels of 255: up to here noise is no matter
# What the network tells of noise, and how much there was: medians over photographs of BSDS500 with Gaussian noise.
TOLD_NOISE = (0.0, 2.1, 4.9, 9.2, 14.9, 24.7, 33.6, 46.7)
TRUE_NOISE = (0.0, 5.0, 7.0, 10.0, 15.0, 25.0, 35.0, 50.0)
SAVED_TWICE = 20  # so much less quality in the pixels than in the file's tables is no error of judgement
NO_JPEG = 97  # what was never a JPEG is told to be of this quality or above


@dataclass(frozen=True, slots=True)
class Judged:
    """What a picture went through, as far as it can be told.

    `kind` is one of CLASSES, or empty where the picture is too small to tell; `quality` is JPEG's, 1 to 100, and 100
    without JPEG; `noise` is the deviation of Gaussian noise in levels of 255, 50 at most; `jagged` the probability of
    one of JAGGED.
    """

    kind: str
    quality: float
    noise: float
    jagged: float = 0.0

    @property
    def careful(self) -> bool:
        """Returns whether it was shrunk and stored with care: antialiased, hardly compressed, without noise."""
        smooth = self.kind == CLASSES[0] and self.jagged <= JAGGED_MOST
        return smooth and self.quality >= CAREFUL_QUALITY and self.noise <= CAREFUL_NOISE

    def describe(self) -> str:
        """Returns it in words: "JPEG 78, antialiased", with the noise where there is any."""
        words = [f"JPEG {self.quality:.0f}"] * (self.quality < NO_JPEG) + [self.kind or "too small to tell"]
        return ", ".join([*words, *[f"noise of {self.noise:.0f} levels"] * (self.noise > CAREFUL_NOISE)])


def judge(network: nn.Module, pixels: Pixels, quality: int | None = None) -> Judged:
    """Judges (H, W, 3) float32 in [0, 1]; `quality` is JPEG's, where the picture's file tells it.

    The file may be a JPEG of high quality of what was one of low quality before: what is seen counts where it is far
    lower.
    """
    if min(pixels.shape[:2]) < LEAST_SIDE:
        return Judged("", quality or 100, 0.0)
    sections = torch.from_numpy(_cut_sections(pixels)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        told = network(luma_of(sections)).double().mean(0)
        shares = told[: len(CLASSES)].softmax(0).tolist()
    seen = min(100.0, max(1.0, 100 * float(told[len(CLASSES)])))
    noise = float(np.interp(math.expm1(float(told[len(CLASSES) + 1])), TOLD_NOISE, TRUE_NOISE))
    believed = seen if quality is None or seen < quality - SAVED_TWICE else float(quality)
    kinds = dict(zip(CLASSES, shares, strict=True))
    return Judged(max(kinds, key=kinds.__getitem__), believed, noise, sum(kinds[kind] for kind in JAGGED))


def _cut_sections(pixels: Pixels) -> Pixels:
    """(N, side, side, 3): of a grid of sections those with most in them, which tell most of what was done."""
    height, width, _ = pixels.shape
    side = min(SIDE, height, width)
    rows, columns = (_spread(length, side) for length in (height, width))
    cut = [pixels[top : top + side, left : left + side] for top in rows for left in columns]
    cut.sort(key=lambda section: -float(section.std()))
    return np.stack(cut[:SECTIONS])


def _spread(length: int, side: int) -> list[int]:
    """Where sections begin: as many as fit side by side, GRID at the most, from one end to the other."""
    count = min(GRID, length // side)
    return [round(number * (length - side) / max(1, count - 1)) for number in range(count)]
