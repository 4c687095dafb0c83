"""From a Picture to the bytes of a PNG, WebP or JPEG file, and what each of them cannot keep."""

from io import BytesIO
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.errors import BadSetting
from pipelines.images.picture import Picture, Pixels, quantise, strip_height
from pipelines.images.png import encode_png

Format: TypeAlias = Literal["png", "webp", "jpeg"]

_LONGEST_SIDE: dict[Format, int] = {"png": 2**31 - 1, "webp": 16383, "jpeg": 65500}
_FORMAT_NAMES: dict[Format, str] = {"png": "PNG", "webp": "WebP", "jpeg": "JPEG"}
_JPEG_SEGMENT = 65533
_EXIF_MARK = b"Exif\0\0"


def encode(picture: Picture, format: Format = "png", metadata: bool = True) -> bytes:
    """The picture as a file, rounded to its depth, with its ICC profile and, if `metadata`, its EXIF block.

    PNG keeps everything, and tells as `metadata` too how the picture was made. WebP (lossless, colour under full
    transparency included) and JPEG (quality 95, no chroma subsampling) lose what `list_losses` lists. Raises BadSetting
    if the format cannot hold a picture this large.
    """
    height, width = picture.pixels.shape[:2]
    check_fits(width, height, format, "this picture is")
    exif = picture.exif if metadata else None
    if format == "png":
        return encode_png(picture, exif, picture.about if metadata else None)
    options: dict[str, Any] = {"icc_profile": _kept_icc(picture, format)}
    if exif is not None and (format == "webp" or len(exif) <= _JPEG_SEGMENT - len(_EXIF_MARK)):
        options["exif"] = _EXIF_MARK + exif
    if format == "webp":
        # Effort 1 of 6: more saves a few per cent of the size for several times the time.
        options |= {"lossless": True, "exact": True, "method": 1, "quality": 20}
    else:
        options |= {"quality": 95, "subsampling": 0}
    stream = BytesIO()
    Image.fromarray(_eight_bits(picture, format)).save(stream, _FORMAT_NAMES[format], **options)
    return stream.getvalue()


def check_fits(width: int, height: int, format: Format, subject: str = "the result would be") -> None:
    """Raises BadSetting if the format cannot hold a picture this large; `subject` begins what the message says of it.

    The limits are those of the formats: 14 bits a side in WebP, and what libjpeg takes of the 65535 of JPEG.
    """
    if max(height, width) > _LONGEST_SIDE[format]:
        raise BadSetting(
            f"{_FORMAT_NAMES[format]} holds at most {_LONGEST_SIDE[format]} pixels a side, "
            f"and {subject} {width} by {height}: use PNG."
        )


def list_formats_too_small(width: int, height: int) -> tuple[str, ...]:
    """Returns the names of the formats that cannot hold a picture this large."""
    return tuple(name for key, name in _FORMAT_NAMES.items() if max(width, height) > _LONGEST_SIDE[key])


def list_losses(picture: Picture, format: Format, metadata: bool = True) -> tuple[str, ...]:
    """Returns what a file of this format does not keep of the picture, one message each; none for PNG."""
    lost = []
    if format != "png" and picture.depth == 16:
        lost.append(f"{_FORMAT_NAMES[format]} holds 8 bits a channel: 16 were rounded.")
    if format == "webp" and picture.grey:
        lost.append("WebP has no greyscale: written as colour with equal channels.")
    if format == "jpeg":
        lost.append("JPEG is lossy: written at quality 95.")
        if picture.alpha is not None:
            lost.append("JPEG has no transparency: laid over white.")
        if metadata and picture.exif is not None and len(picture.exif) > _JPEG_SEGMENT - len(_EXIF_MARK):
            lost.append("JPEG holds 64 kB of EXIF: a larger block was left out.")
    if picture.icc is not None and _kept_icc(picture, format) is None:
        lost.append("A greyscale profile does not fit a colour file: left out.")
    return tuple(lost)


def _kept_icc(picture: Picture, format: Format) -> bytes | None:
    return None if format == "webp" and picture.grey else picture.icc


def _eight_bits(picture: Picture, format: Format) -> npt.NDArray[np.uint8]:
    """The picture as uint8 (H, W) or (H, W, C) for Pillow, strip by strip, so that no second float copy is made."""
    height, width = picture.pixels.shape[:2]
    grey = picture.grey and format == "jpeg"
    with_alpha = picture.alpha is not None and format == "webp"
    result = np.empty((height, width) if grey else (height, width, 4 if with_alpha else 3), np.uint8)
    rows = strip_height(width, 4)
    for top in range(0, height, rows):
        strip = slice(top, top + rows)
        colour: Pixels = picture.pixels[strip, :, 0] if grey else picture.pixels[strip]
        if picture.alpha is None:
            result[strip] = quantise(colour, 8)
        elif with_alpha:
            result[strip, :, :3] = quantise(colour, 8)
            result[strip, :, 3] = quantise(picture.alpha[strip], 8)
        else:
            alpha = picture.alpha[strip] if grey else picture.alpha[strip, :, None]
            result[strip] = quantise(colour * alpha + (1 - alpha), 8)
    return result
