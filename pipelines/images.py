"""The one door for pictures, in and out."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` is (H, W, 3) float32 RGB, sRGB-coded, in [0, 1]; a greyscale picture has three equal channels and `grey`
    set, so that it is given back as greyscale. `alpha` is (H, W) float32 in [0, 1]. `depth` is 8 or 16 bits a channel.
    `notes` tells what reading it changed ("first of 12 frames").
    """

    pixels: Pixels
    alpha: Pixels | None = None
    grey: bool = False
    depth: Literal[8, 16] = 8
    icc: bytes | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()
