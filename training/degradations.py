"""What happens to a picture before somebody wants it enlarged: shrunk by one of many kernels, often stored as JPEG.

Pictures here are uint8 RGB, (H, W, 3). Pixel centres are aligned at half pixels, as everywhere in this project; only
the nearest pixel has no such centre where the scale is even: it lies half a pixel before or behind it.

Knows nothing of networks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

from pipelines.images.picture import Pixels8

WIDEST_BLUR = 0.8  # standard deviation of the widest blur, in low-resolution pixels
# How many low-resolution pixels away a degraded pixel reads at most, JPEG apart: three deviations, or Lanczos.
DEGRADATION_REACH = 4
JPEG_BLOCK = 16  # side of what JPEG treats alike where it halves the colours' resolution
AS_IT_IS = "as it is"  # the kernel that changes nothing: the scale is 1
HALF_COLOUR = 2  # Pillow's number for 4:2:0, as most files have it; 0 is 4:4:4


@dataclass(frozen=True, slots=True)
class Degradation:
    """One way from a large picture to a small one, or to one of the same size that is damaged."""

    kernel: str  # one of SHRINK_BY_KERNEL, or AS_IT_IS
    quality: int | None = None  # of JPEG, 1 to 100; None leaves the picture as it is
    deviation: float = 0.6  # of "blur", in low-resolution pixels
    subsampling: int = HALF_COLOUR
    noise: float = 0.0  # standard deviation in levels of 255, added before JPEG
    grey_noise: bool = False  # the same in all three channels
    seed: int = 0  # of the noise

    @property
    def name(self) -> str:
        """The name that the robustness table has: "area" or "area, JPEG 80"."""
        parts = [f"noise {self.noise:g}"] * (self.noise > 0) + [f"JPEG {self.quality}"] * (self.quality is not None)
        return ", ".join([*([self.kernel] if self.kernel != AS_IT_IS else []), *parts]) or AS_IT_IS


Shrink: TypeAlias = Callable[[Pixels8, int, Degradation], Pixels8]


def degrade(high: Pixels8, scale: int, by: Degradation) -> Pixels8:
    """The small picture, (H/scale, W/scale, 3), of a large one whose sides are multiples of the scale."""
    low = high if by.kernel == AS_IT_IS else SHRINK_BY_KERNEL[by.kernel](high, scale, by)
    if by.noise > 0:
        low = add_noise(low, by)
    return low if by.quality is None else compress_jpeg(low, by.quality, by.subsampling)


def add_noise(picture: Pixels8, by: Degradation) -> Pixels8:
    """The picture with Gaussian noise, rounded to 8 bits as a file has it."""
    random = np.random.default_rng(by.seed)
    height, width, channels = picture.shape
    noise = random.standard_normal((height, width, 1 if by.grey_noise else channels), np.float32)
    return np.clip(np.rint(picture + by.noise * noise), 0, 255).astype(np.uint8)


def compress_jpeg(picture: Pixels8, quality: int, subsampling: int = HALF_COLOUR) -> Pixels8:
    """The picture as it comes back from a JPEG file of this quality."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream))


def draw_degradation(random: np.random.Generator) -> Degradation:
    """A degradation as people's pictures may have seen it: any kernel, and JPEG half of the time."""
    names = list(KERNEL_SHARES)
    shares = np.array(list(KERNEL_SHARES.values()), float)
    kernel = names[random.choice(len(names), p=shares / shares.sum())]
    quality = int(random.integers(LOWEST_QUALITY, HIGHEST_QUALITY + 1)) if random.random() < JPEG_SHARE else None
    deviation = float(random.uniform(0.3, WIDEST_BLUR))
    return Degradation(kernel, quality, deviation, 0 if random.random() < FULL_COLOUR_SHARE else HALF_COLOUR)


def draw_damage(random: np.random.Generator) -> Degradation:
    """What a picture of its own size may have suffered: noise, JPEG, first one and then the other, or nothing."""
    noisy, compressed = random.choice(((True, False), (False, True), (True, True), (False, False)), p=DAMAGE_SHARES)
    return Degradation(
        AS_IT_IS,
        _draw_quality(random) if compressed else None,
        subsampling=0 if random.random() < FULL_COLOUR_SHARE else HALF_COLOUR,
        noise=float(MOST_NOISE * random.random() ** 1.5) if noisy else 0.0,  # weak noise is the more common one
        grey_noise=bool(random.random() < GREY_NOISE_SHARE),
        seed=int(random.integers(1 << 31)),
    )


def _draw_quality(random: np.random.Generator) -> int:
    """A quality of JPEG, 1 to 100; low ones are drawn more often, as there is more to learn of them."""
    return int(LOWEST_DAMAGE_QUALITY + (HIGHEST_QUALITY + 1 - LOWEST_DAMAGE_QUALITY) * random.random() ** 1.5)


def _pillow(high: Pixels8, scale: int, by: Degradation, kernel: Image.Resampling) -> Pixels8:
    height, width, _ = high.shape
    return np.asarray(Image.fromarray(high).resize((width // scale, height // scale), kernel))


def _opencv(high: Pixels8, scale: int, by: Degradation, kernel: int) -> Pixels8:
    height, width, _ = high.shape
    return np.asarray(cv2.resize(high, (width // scale, height // scale), interpolation=kernel), np.uint8)


def _blur(high: Pixels8, scale: int, by: Degradation) -> Pixels8:
    """Blurs by a Gaussian, then takes the value at each small pixel's centre."""
    blurred = cv2.GaussianBlur(high, (0, 0), by.deviation * scale)
    return _opencv(np.asarray(blurred, np.uint8), scale, by, cv2.INTER_LINEAR)


SHRINK_BY_KERNEL: Mapping[str, Shrink] = {
    "bicubic": partial(_pillow, kernel=Image.Resampling.BICUBIC),
    "lanczos": partial(_pillow, kernel=Image.Resampling.LANCZOS),
    "bilinear": partial(_pillow, kernel=Image.Resampling.BILINEAR),
    "area": partial(_opencv, kernel=cv2.INTER_AREA),
    "opencv-linear": partial(_opencv, kernel=cv2.INTER_LINEAR),
    "opencv-cubic": partial(_opencv, kernel=cv2.INTER_CUBIC),
    "blur": _blur,
    "nearest": partial(_opencv, kernel=cv2.INTER_NEAREST),
    "nearest-behind": partial(_pillow, kernel=Image.Resampling.NEAREST),
}
"""How pictures are shrunk. Bicubic to area antialias, OpenCV's and the nearest pixel do not."""

KERNEL_SHARES = {
    "bicubic": 4,
    "lanczos": 2,
    "bilinear": 2,
    "area": 2,
    "opencv-linear": 1,
    "opencv-cubic": 4,
    "blur": 2,
    "nearest": 1.5,
    "nearest-behind": 1.5,
}
JPEG_SHARE, LOWEST_QUALITY, HIGHEST_QUALITY = 0.5, 40, 97
FULL_COLOUR_SHARE = 0.25
DAMAGE_SHARES = (0.25, 0.6, 0.1, 0.05)  # noise, JPEG, both, neither
LOWEST_DAMAGE_QUALITY, MOST_NOISE, GREY_NOISE_SHARE = 10, 55.0, 0.15
