"""How originals are shrunk: a kernel, and if wanted a JPEG file that the small image is stored in on the way.

"bicubic" is a kernel of `images.resample`; "bicubic+jpeg75" is it with the small image then stored as JPEG of quality
75: most images that people have were, and a model that sharpens shows what that left.
"""

import re
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from pipelines.errors import BadSetting
from pipelines.images.picture import Pixels8
from pipelines.images.resample import SHRINKING_KERNELS

KERNEL_NAMES = tuple(SHRINKING_KERNELS)
OFFERED_KERNELS = (*KERNEL_NAMES, "bicubic+jpeg90", "bicubic+jpeg75")
JPEG_QUALITIES = (1, 100)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One of SHRINKING_KERNELS, and the quality of the JPEG file that the small image is stored in; None without."""

    resampling: str
    quality: int | None = None


def parse_kernel(text: str) -> Kernel:
    """The kernel that the text names. Raises BadSetting for one that there is not."""
    name, plus, stored = str(text).partition("+")
    if name not in KERNEL_NAMES:
        names = ", ".join(KERNEL_NAMES)
        raise BadSetting(
            f"There is no kernel {str(text)[:60]!r} to shrink by. There are {names}, each also as KERNEL+jpeg75."
        )
    if not plus:
        return Kernel(name)
    quality = re.fullmatch(r"jpeg([0-9]{1,3})", stored)
    least, most = JPEG_QUALITIES
    if quality is None or not least <= int(quality[1]) <= most:
        raise BadSetting(
            f"After {name}+ comes jpeg and a quality from {least} to {most}, such as {name}+jpeg75, not "
            f"{stored[:60]!r}."
        )
    return Kernel(name, int(quality[1]))


def check_kernel(text: str) -> None:
    """Raises BadSetting for a kernel that there is not."""
    parse_kernel(text)


def describe_kernel(text: str) -> str:
    """Returns what a kernel does, in words; "" for one that is not known here."""
    try:
        kernel = parse_kernel(text)
    except BadSetting:
        return ""
    stored = "" if kernel.quality is None else f", then stored as JPEG of quality {kernel.quality}"
    return SHRINKING_KERNELS[kernel.resampling] + stored


def name_kernel(text: str) -> str:
    """Returns a kernel as a list offers it: "bicubic", "bicubic, then JPEG 75"."""
    kernel = parse_kernel(text)
    return kernel.resampling if kernel.quality is None else f"{kernel.resampling}, then JPEG {kernel.quality}"


def store_as_jpeg(values: Pixels8, quality: int) -> Pixels8:
    """Returns (H, W, 3) RGB or (H, W, 1) grey uint8 as a JPEG file of that quality gives it back.

    Colours are stored at half the resolution each way (4:2:0), as cameras and Pillow do.
    """
    grey, file = values.shape[2] == 1, BytesIO()
    Image.fromarray(values[..., 0] if grey else values).save(file, "JPEG", quality=quality, subsampling=2)
    with Image.open(file) as image:
        stored = np.asarray(image)
    return stored[..., None] if grey else stored
