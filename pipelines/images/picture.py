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


@dataclass(frozen=True, slots=True)
class Resolution:
    """Pixels to an inch across and down, or where nothing says how long an inch is (`inches` unset), their ratio."""

    x: float
    y: float
    inches: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a file holds under a keyword. `kind` is the PNG chunk it came in, or is best written as."""

    keyword: str
    text: str
    kind: Literal["tEXt", "zTXt", "iTXt"] = "iTXt"
    language: str = ""
    translated: str = ""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a file says beside pixels, profile and EXIF block, carried to where the output has a place for it.

    `xmp` is an XMP packet, `iptc` Photoshop's image resources (8BIM) with the IPTC record among them. `colour` says
    what the values mean where no profile does, as PNG chunks: gAMA, cHRM, sRGB, cICP, mDCV and cLLI, in that order.
    `background` is a colour in [0, 1] to show what is transparent over. `size` is width and height of the picture
    that all of this, and the EXIF block, speak of, upright.
    """

    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: tuple[Text, ...] = ()
    resolution: Resolution | None = None
    colour: tuple[tuple[str, bytes], ...] = ()
    background: tuple[float, float, float] | None = None
    size: tuple[int, int] | None = None


NO_EXTRAS = Extras()


def wrap_iptc(record: bytes) -> bytes:
    """Returns a bare IPTC record as the resource that holds one in Photoshop's blocks."""
    return b"8BIM\4\4\0\0" + len(record).to_bytes(4) + record + b"\0" * (len(record) % 2)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` is (H, W, 3) float32 RGB, sRGB-coded, in [0, 1]; a greyscale picture has three equal channels and `grey`
    set, so that it is given back as greyscale. `alpha` is (H, W) float32 in [0, 1], not multiplied into the pixels.
    `depth` is 8 or 16 bits a channel; `jpeg` the quality, 1 to 100, of the JPEG file that it was read from. `icc` is an
    ICC profile that fits the pixels (RGB, or grey for a greyscale picture); `exif` an EXIF block from its TIFF header
    on, its orientation 1; `extras` what else its file says. `about` tells as JSON how it was made here; reading a file
    brings it back among the texts of `extras`. `notes` tells what reading it changed ("first of 12 frames").
    """

    pixels: Pixels
    alpha: Pixels | None = None
    grey: bool = False
    depth: Depth = 8
    jpeg: int | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    about: str | None = None
    notes: tuple[str, ...] = ()
    extras: Extras = NO_EXTRAS


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
