"""Small pictures, shared by the tests of the picture modules."""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def ramp(height: int, width: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 in which every pixel of up to 256 × 256 differs."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, (x + y) % 256], axis=2).astype(np.uint8)


def file_of(values: npt.NDArray[Any] | Image.Image, format_: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    stream = BytesIO()
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(stream, format_, **options)
    return stream.getvalue()


KINDS = ("random", "flat", "near white", "saturated", "half and half", "shapes")


def pair(kind: str, height: int, width: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Two pictures (H, W, 3) uint8 to compare, such as lead rounding astray: one of KINDS."""
    random = np.random.default_rng(KINDS.index(kind))
    shape = (height, width, 3)
    if kind == "random":
        return random.integers(0, 256, shape, np.uint8), random.integers(0, 256, shape, np.uint8)
    if kind == "flat":
        return np.full(shape, 200, np.uint8), np.full(shape, 203, np.uint8)
    if kind == "near white":  # hardly any variance on a large mean
        return random.integers(252, 256, shape, np.uint8), random.integers(253, 256, shape, np.uint8)
    if kind == "saturated":
        return random.choice(np.array([0, 255], np.uint8), shape), random.choice(np.array([0, 255], np.uint8), shape)
    if kind == "half and half":
        halves = np.where(np.arange(width)[None, :, None] < width // 2, 0, 252).astype(np.uint8)
        return halves + random.integers(0, 4, shape, np.uint8), halves + random.integers(0, 4, shape, np.uint8)
    noise = random.integers(0, 20, shape, np.uint8)
    return ramp(height, width), ramp(height, width) // 2 + noise
