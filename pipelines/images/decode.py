"""From the bytes of a file to a Picture. Knows formats and modes; knows no path and no limit."""

import logging
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pipelines.errors import BadPicture
from pipelines.images import metadata, png
from pipelines.images.picture import Picture, Pixels, strip_height
from pipelines.images.samples import EncodedFile, Opener, Samples, read_samples
from pipelines.images.tiff.read import read_tiff, read_tiff_size

# Pillow's own classes rather than Image.open: that one warns and fails by a process-wide limit, which gradio may rely
# on and which is not ours to change.
_FORMATS: tuple[tuple[str, re.Pattern[bytes], Opener], ...] = (
    ("PNG", re.compile(re.escape(png.PNG_SIGNATURE)), PngImagePlugin.PngImageFile),
    ("JPEG", re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.jpeg_factory),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WebPImagePlugin.WebPImageFile),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    ("BMP", re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
    ("GIF", re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    ("AVIF", re.compile(rb".{4}ftyp(avif|avis|mif1|msf1)", re.DOTALL), AvifImagePlugin.AvifImageFile),
)

_LONGEST_PROFILE = 16_000_000

# Without a handler of its own Pillow's logger would print to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def decode(data: bytes, name: str, check_size: Callable[[int, int], None]) -> Picture:
    """The picture, or the first one, in the bytes of a PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF file.

    `name` begins the message of the BadPicture that is raised for anything else. `check_size` gets width and height
    before anything is decoded, to raise what it likes.
    """
    file = _recognised(data, name)
    if file.format == "TIFF":
        return _picture(*read_tiff(data, name, check_size))
    image = file.open()
    check_size(*image.size)
    notes = _first_of(file, image)
    if file.format == "PNG" and not png.is_whole(data):
        raise file.refuse("is damaged or cut short")
    samples, image, more = read_samples(file, image)
    notes += more
    if file.format == "BMP" and samples.alpha is None and metadata.is_masked_bmp(data):
        notes += ("its transparency cannot be read and was left out",)
    icc = png.read_profile(data, _LONGEST_PROFILE + 1) if file.format == "PNG" else image.info.get("icc_profile")
    if image.mode == "CMYK":
        icc = None
    return _picture(samples, 1, icc, _exif(image), notes)


def _picture(
    samples: Samples, orientation: int, icc: bytes | None, exif: bytes | None, notes: tuple[str, ...]
) -> Picture:
    """A picture turned upright, by its EXIF block or as told, with a profile that fits it."""
    if icc is not None and len(icc) > _LONGEST_PROFILE:
        icc = None
        notes += (f"its colour profile is longer than {_LONGEST_PROFILE // 1_000_000} MB and was left out",)
    if icc is not None and not metadata.is_profile_of(icc, b"GRAY" if samples.colour.ndim == 2 else b"RGB "):
        icc = None
        notes += ("its colour profile does not fit it and was left out",)
    if exif is not None:
        exif, found = metadata.turn_exif_upright(exif)
        orientation = orientation if orientation > 1 else found
        if exif is None:
            notes += ("its EXIF block is broken and was left out",)
    return Picture(
        pixels=_floats(_upright(samples.colour, orientation), samples.white, 3),
        alpha=None if samples.alpha is None else _floats(_upright(samples.alpha, orientation), samples.white, 1),
        grey=samples.colour.ndim == 2,
        depth=16 if samples.white > 255 else 8,
        icc=icc,
        exif=exif,
        notes=notes,
    )


def read_upright_size(data: bytes, name: str, check_size: Callable[[int, int], None]) -> tuple[int, int]:
    """Width and height of what `decode` would give, from the header alone. Raises BadPicture as far as that tells."""
    file = _recognised(data, name)
    if file.format == "TIFF":
        return read_tiff_size(data, name, check_size)
    image = file.open()
    check_size(*image.size)
    exif = _exif(image)
    turned = exif is not None and metadata.turn_exif_upright(exif)[1] >= 5
    return image.size[::-1] if turned else image.size


def _recognised(data: bytes, name: str) -> EncodedFile:
    for format_, start, opener in _FORMATS:
        if start.match(data):
            return EncodedFile(name, format_, png.strip_texts(data) if format_ == "PNG" else data, opener)
    *most, last = (format_ for format_, _, _ in _FORMATS)
    raise BadPicture(f"{name} is not a picture in a format that can be read: {', '.join(most)} or {last}.")


def _first_of(file: EncodedFile, image: ImageFile.ImageFile) -> tuple[str, ...]:
    if file.format == "GIF":
        return metadata.describe_first_of(metadata.count_gif_frames(file.data), "frames")
    return metadata.describe_first_of(getattr(image, "n_frames", 1), "pictures" if file.format == "JPEG" else "frames")


def _exif(image: ImageFile.ImageFile) -> bytes | None:
    """The file's EXIF block as it stands."""
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:
        # ImageMagick's way for PNG: a text of three lines of heading, then hexadecimal digits.
        try:
            return bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
        except ValueError:
            return b""
    return block


def _upright(samples: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Samples (H, W, …) turned and mirrored by EXIF orientation 1 to 8 (EXIF 2.32, 4.6.4)."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _floats(samples: npt.NDArray[Any], white: int, channels: int) -> Pixels:
    """Integer samples as float32 in [0, 1], (H, W) or, for three channels, (H, W, 3) with grey repeated."""
    height, width = samples.shape[:2]
    result = np.empty((height, width, 3) if channels == 3 else (height, width), np.float32)
    if channels == 3 and samples.ndim == 2:
        samples = samples[..., None]
    rows = strip_height(width, channels)
    for top in range(0, height, rows):
        strip = samples[top : top + rows]
        np.divide(strip, np.float32(white), out=result[top : top + rows], dtype=np.float32)
    return result
