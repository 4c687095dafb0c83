"""From the samples that a TIFF file stores to those of a picture: grey or RGB, and opacity."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.images.picture import strip_height
from pipelines.images.samples import Samples, to_srgb
from pipelines.images.tiff import codecs
from pipelines.images.tiff.directories import PROFILE, Directory, Unreadable
from pipelines.images.tiff.layout import CMYK, CONVERTED, ICCLAB, PALETTE, WHITE_IS_ZERO, YCBCR, Layout
from pipelines.images.tiff.pieces import Stored

_COLOUR_MAP, _COEFFICIENTS, _REFERENCE = 320, 529, 532


def to_samples(directory: Directory, layout: Layout, stored: Stored) -> tuple[Samples, tuple[str, ...]]:
    """Samples of grey or sRGB from stored ones (H, W, C), and notes of what was converted or left out."""
    white = 2**layout.bits - 1
    left_out = layout.channels - layout.colours - (layout.alpha is not None)
    notes: tuple[str, ...] = ()
    if left_out:
        notes = (f"{left_out} further channel{'s were' if left_out > 1 else ' was'} left out",)
    if layout.bits < 8 and layout.photometric != PALETTE:
        each = "pixel" if layout.channels == 1 else "channel"
        notes += (f"{layout.bits} bit{'s' * (layout.bits > 1)} a {each} became 8",)
    alpha = None if layout.alpha is None else stored[..., layout.alpha]
    colour: npt.NDArray[Any] = stored[..., : layout.colours]
    if layout.is_premultiplied and alpha is not None:
        colour = _unmultiplied(colour, alpha, white)
    if layout.photometric == PALETTE:
        colour, full = _mapped(colour[..., 0], directory, layout.bits)
        notes += ("indexed colours became full colour",)
        return Samples(colour, _rescaled(alpha, white, full), full), notes
    if layout.photometric in CONVERTED:
        rgb, said = _converted(colour, layout, directory)
        return Samples(rgb, _rescaled(alpha, white, 255), 255), (*said, *notes)
    if layout.photometric == YCBCR and layout.compression not in codecs.WHOLE:
        return Samples(_rgb_of_ycbcr(colour, directory), alpha, white), notes
    if layout.photometric == WHITE_IS_ZERO:
        colour = white - colour
    return Samples(colour[..., 0] if layout.colours == 1 else colour, alpha, white), notes


def _unmultiplied(colour: npt.NDArray[Any], alpha: npt.NDArray[Any], white: int) -> npt.NDArray[Any]:
    """Colour (H, W, C) that was stored multiplied by its alpha (H, W), without it; black where nothing can be seen."""
    result = np.empty_like(colour)
    step = strip_height(colour.shape[1], colour.shape[2])
    for top in range(0, len(colour), step):
        rows = np.s_[top : top + step]
        straight = colour[rows].astype(np.float64) * white / np.maximum(alpha[rows], 1)[..., None]
        result[rows] = np.rint(np.minimum(straight, white))
    return result


def _rescaled(alpha: npt.NDArray[Any] | None, white: int, full: int) -> npt.NDArray[np.uint16] | None:
    """Alpha of other bits than its colour came to have."""
    return None if alpha is None else np.rint(alpha * (full / white)).astype(np.uint16)


def _mapped(indices: npt.NDArray[Any], directory: Directory, bits: int) -> tuple[npt.NDArray[Any], int]:
    """Colours (H, W, 3) by the file's palette, and their full white.

    A palette has 16 bits a channel. Most writers fill them from 8, by 256 or by 257, and some leave them at 8.
    """
    table = directory.numbers(_COLOUR_MAP)
    if len(table) < 3 << bits:
        raise Unreadable("is damaged: its palette is missing or too short")
    table = table[: 3 << bits].reshape(3, -1).T
    for step in (1, 257, 256):
        if (table % step == 0).all() and (table // step < 256).all():
            return (table // step).astype(np.uint8)[indices], 255
    return table.astype(np.uint16)[indices], 65535


def _converted(
    colour: npt.NDArray[Any], layout: Layout, directory: Directory
) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """CMYK or CIELAB as sRGB, of 8 bits: Pillow converts no more."""
    mode = "CMYK" if layout.photometric == CMYK else "LAB"
    if mode == "LAB" and layout.bits not in (8, 16):
        raise Unreadable(f"keeps CIELAB in {layout.bits} bits, which cannot be read here")
    if layout.bits != 8:
        eight = np.right_shift(colour, layout.bits - 8) if layout.bits > 8 else colour * (255 // (2**layout.bits - 1))
        colour = eight.astype(np.uint8)
    if layout.photometric == ICCLAB:
        colour = colour ^ np.array([0, 128, 128], np.uint8)  # a and b from -128 on; Pillow reads them as signed
    image = Image.frombytes(mode, (layout.width, layout.height), np.ascontiguousarray(colour))
    profile = directory.field(PROFILE)
    rgb, notes = to_srgb(image, None if profile is None else profile[2])
    if layout.bits == 16:
        notes += ("16 bits a channel were read as 8",)
    return np.asarray(rgb), notes


def _rgb_of_ycbcr(stored: npt.NDArray[Any], directory: Directory) -> npt.NDArray[np.uint8]:
    """RGB from YCbCr of 8 bits by the file's own coefficients and ranges, else BT.601's (TIFF 6.0 section 21)."""
    given = directory.fractions(_COEFFICIENTS)
    if _COEFFICIENTS in directory.entries["tag"] and (len(given) < 3 or not (given[:3] > 0).all()):
        raise Unreadable("is damaged: its YCbCr coefficients have no value")
    red, green, blue = given[:3] if len(given) else (0.299, 0.587, 0.114)
    given = directory.fractions(_REFERENCE)
    low = given[:6:2] if len(given) >= 6 else np.array([0, 128, 128])
    high = given[1:6:2] if len(given) >= 6 else np.array([255, 255, 255])
    if (high == low).any():
        raise Unreadable("is damaged: the range of its YCbCr samples is empty")
    result = np.empty(stored.shape, np.uint8)
    step = strip_height(stored.shape[1], 3)
    for top in range(0, len(stored), step):
        luma, cb, cr = np.moveaxis((stored[top : top + step] - low) / (high - low) * (255, 127, 127), 2, 0)
        r, b = luma + cr * (2 - 2 * red), luma + cb * (2 - 2 * blue)
        rgb = np.stack((r, (luma - red * r - blue * b) / green, b), axis=2)
        result[top : top + step] = np.rint(np.clip(rgb, 0, 255))
    return result
