"""Colours around a network that enlarges the luma alone, as `cv2.dnn_superres` brings them back.

Chroma is enlarged bilinearly. Where a picture has 8 bits, luma and chroma are whole levels of 255, and the chroma is
rounded to them again: by OpenCV's own arithmetic, because one halfway between two levels is what that makes of it.
Any other picture is rounded nowhere.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Pixels, strip_height, to_uint8

Plane: TypeAlias = npt.NDArray[np.float32]

# BT.601, full range, as OpenCV has it: what one level of Cr or Cb above the middle adds to red, green and blue.
RED_OF_CR, GREEN_OF_CR = np.float32(1.403), np.float32(-0.714)
GREEN_OF_CB, BLUE_OF_CB = np.float32(-0.344), np.float32(1.773)
MIDDLE = {True: np.float32(128 / 255), False: np.float32(0.5)}  # of chroma, of 8 bits and of any number of them
EIGHT_BITS = np.float32(1 / 255)


def with_colours(enlarge: Callable[[Pixels], Pixels], scale: int, eight_bits: bool) -> Callable[[Pixels], Pixels]:
    """Returns what enlarges (N, h, w, 3) in colour by what enlarges luma, which it is given three times for each pixel.

    Both give numbers in [0, 1]. `eight_bits` is whether all of the picture are levels of 8 bits, not this tile alone.
    """

    def enlarge_colours(batch: Pixels) -> Pixels:
        luma, *chroma = _split(batch, eight_bits)
        made = enlarge(np.repeat(luma[..., None], 3, axis=-1))
        for number in range(len(made)):
            _add(made[number], [plane[number] for plane in chroma], scale, eight_bits)
        return np.clip(made, 0, 1, out=made)

    return enlarge_colours


def _split(batch: Pixels, eight_bits: bool) -> list[Plane]:
    """Luma, Cr and Cb of each picture, (N, h, w) in [0, 1]."""
    import cv2

    number, height, width, _ = batch.shape
    given = batch.reshape(number * height, width, 3)
    apart = cv2.cvtColor(to_uint8(given) if eight_bits else given, cv2.COLOR_RGB2YCrCb)
    levels = np.multiply(apart, EIGHT_BITS, dtype=np.float32) if eight_bits else apart
    return [np.ascontiguousarray(levels[..., each]).reshape(number, height, width) for each in range(3)]


def _add(made: Pixels, chroma: list[Plane], scale: int, eight_bits: bool) -> None:
    """Adds the chroma, enlarged, to a grey picture, in place; one after the other, which takes less memory."""
    import cv2

    shares = ((0, RED_OF_CR, GREEN_OF_CR), (2, BLUE_OF_CB, GREEN_OF_CB))
    for plane, (own, of_own, of_green) in zip(chroma, shares, strict=True):
        large = cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        rows = strip_height(made.shape[1], 3)
        for top in range(0, len(made), rows):
            above = large[top : top + rows]
            if eight_bits:
                above = np.rint(above * np.float32(255)) * EIGHT_BITS
            above = above - MIDDLE[eight_bits]
            made[top : top + rows, :, own] += of_own * above
            made[top : top + rows, :, 1] += of_green * above


def is_8_bit(pixels: Pixels) -> bool:
    """Returns whether every value is a multiple of 1/255, to float32's precision."""
    rows = strip_height(pixels.shape[1], 3)
    for top in range(0, len(pixels), rows):
        scaled = pixels[top : top + rows] * np.float32(255)
        if np.abs(scaled - np.rint(scaled)).max() > 1e-3:
            return False
    return True
