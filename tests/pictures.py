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
