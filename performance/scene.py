"""The made picture that most is measured on."""

import numpy as np
from PIL import Image

from pipelines.images.picture import Pixels, to_uint8


def make_scene(side: int) -> Pixels:
    """Soft shapes and noise, at 8 bits: (side, side, 3), the same in every run."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).resize((side, side))
    noisy = np.asarray(coarse, np.float32) / 255 + random.normal(0, 0.05, (side, side, 3))
    return to_uint8(noisy.astype(np.float32)).astype(np.float32) / np.float32(255)
