"""What a picture is between reading and writing, and how its values become integers. Knows no file format."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.float32]
Pixels8: TypeAlias = npt.NDArray[np.uint8]  # what a file of 8 bits a channel holds, and what is scored
Depth: TypeAlias = Literal[8, 16]

STRIP_VALUES = 1 << 20
"""How many values are converted at once: a strip and its scratch copies stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` is (H, W, 3) float32 RGB, sRGB-coded, in [0, 1]; a greyscale picture has three equal channels and `grey`
    set, so that it is given back as greyscale. `alpha` is (H, W) float32 in [0, 1], not multiplied into the pixels.
    `depth` is 8 or 16 bits a channel. `icc` is an ICC profile that fits the pixels (RGB, or grey for a greyscale
    picture); `exif` an EXIF block from its TIFF header on, its orientation 1. `about` tells as JSON how it was made
    here; reading a file does not bring it back. `notes` tells what reading it changed ("first of 12 frames").
    """

    pixels: Pixels
    alpha: Pixels | None = None
    grey: bool = False
    depth: Depth = 8
    icc: bytes | None = None
    exif: bytes | None = None
    about: str | None = None
    notes: tuple[str, ...] = ()


def strip_height(width: int, channels: int) -> int:
    """Returns how many rows of `width` pixels make a strip of about STRIP_VALUES values; at least one."""
    return max(1, STRIP_VALUES // (width * channels))


def quantise(values: npt.NDArray[Any], depth: Depth) -> npt.NDArray[Any]:
    """Values in [0, 1], any shape, as uint8 or uint16: clipped and rounded to the nearest, never truncated."""
    most = 255 if depth == 8 else 65535
    scaled: Pixels = np.multiply(values, np.float32(most), dtype=np.float32)
    np.clip(scaled, 0, most, out=scaled)
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8) if depth == 8 else scaled.astype(np.uint16)


def to_uint8(pixels: Pixels) -> Pixels8:
    """Pixels (H, W) or (H, W, C), float32 in [0, 1], as uint8 of the same shape: clipped and rounded.

    Goes strip by strip, so that a large picture needs no second float copy.
    """
    result = np.empty(pixels.shape, np.uint8)
    rows = strip_height(pixels.shape[1], pixels[0, 0].size)
    for top in range(0, len(pixels), rows):
        result[top : top + rows] = quantise(pixels[top : top + rows], 8)
    return result
