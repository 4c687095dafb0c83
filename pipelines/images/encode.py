"""From a Picture to the bytes of a PNG, WebP or JPEG file, and what each of them cannot keep."""

from io import BytesIO
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.catalog.settings import QUALITY_RANGE, USUAL_QUALITY
from pipelines.errors import BadSetting
from pipelines.images import xmp
from pipelines.images.exif import resize_exif
from pipelines.images.picture import Picture, Pixels, Text, quantise, strip_height
from pipelines.images.png import ABOUT_KEYWORD, encode_png
from pipelines.images.png_texts import write_texts
from pipelines.images.profiles import describe_colour, make_profile

Format: TypeAlias = Literal["png", "webp", "jpeg"]

_LONGEST_SIDE: dict[Format, int] = {"png": 2**31 - 1, "webp": 16383, "jpeg": 65500}
_FORMAT_NAMES: dict[Format, str] = {"png": "PNG", "webp": "WebP", "jpeg": "JPEG"}
_JPEG_SEGMENT = 65533
_EXIF_MARK, _RESOURCES_MARK = b"Exif\0\0", b"Photoshop 3.0\0"
_JPEG_XMP = _JPEG_SEGMENT - len(b"http://ns.adobe.com/xap/1.0/\0")
_FULL_COLOUR = 90  # the JPEG quality from which colour is stored at full resolution
_COMMENT = "Comment"  # the keyword of PNG's text that is JPEG's comment


def encode(picture: Picture, format: Format = "png", metadata: bool = True, quality: int | None = None) -> bytes:
    """The picture as a file, rounded to its depth, with its ICC profile and, if `metadata`, all texts and blocks.

    PNG keeps everything, and tells as `metadata` too how the picture was made. WebP (lossless, colour under full
    transparency included, unless a quality is given) and JPEG (quality 95 unless given, and from 90 on no chroma
    subsampling) lose what `list_losses` lists. Sizes in an EXIF block or XMP packet become those of the picture. Raises
    BadSetting if the format cannot hold a picture this large, and as `check_quality` does.
    """
    check_quality(quality, format)
    height, width = picture.pixels.shape[:2]
    check_fits(width, height, format, "this image is")
    extras = picture.extras
    exif = resize_exif(picture.exif, extras.size, (width, height)) if metadata and picture.exif is not None else None
    packet = xmp.resize(extras.xmp, width, height) if metadata and extras.xmp is not None else None
    if format == "png":
        about = (Text(ABOUT_KEYWORD, picture.about),) if picture.about is not None else ()
        return encode_png(picture, exif, write_texts((*extras.texts, *about), packet, extras.iptc) if metadata else [])
    options: dict[str, Any] = {"icc_profile": _kept_icc(picture, format)}
    if exif is not None and (format == "webp" or len(exif) <= _JPEG_SEGMENT - len(_EXIF_MARK)):
        options["exif"] = _EXIF_MARK + exif
    if packet is not None and (format == "webp" or len(packet) <= _JPEG_XMP):
        options["xmp"] = packet
    if format == "webp":
        # Effort 1 of 6: more saves a few per cent of the size for several times the time.
        lossless = {"lossless": True, "method": 1, "quality": 20}
        options |= {"exact": True} | (lossless if quality is None else {"quality": quality})
    else:
        quality = quality or USUAL_QUALITY
        options |= {"quality": quality, "subsampling": 0 if quality >= _FULL_COLOUR else 2}
        options["extra"] = _jpeg_segments(picture) if metadata else b""
    stream = BytesIO()
    Image.fromarray(_eight_bits(picture, format)).save(stream, _FORMAT_NAMES[format], **options)
    return _with_resolution(stream.getvalue(), picture) if format == "jpeg" else stream.getvalue()


def check_fits(width: int, height: int, format: Format, subject: str = "the result would be") -> None:
    """Raises BadSetting if the format cannot hold a picture this large; `subject` begins what the message says of it.

    The limits are those of the formats: 14 bits a side in WebP, and what libjpeg takes of the 65535 of JPEG.
    """
    if max(height, width) > _LONGEST_SIDE[format]:
        raise BadSetting(
            f"{_FORMAT_NAMES[format]} holds at most {_LONGEST_SIDE[format]} pixels a side, "
            f"and {subject} {width} by {height}: use PNG."
        )


def check_quality(quality: int | None, format: Format) -> None:
    """Raises BadSetting for a quality out of its range, or of a format that has none."""
    least, most = QUALITY_RANGE
    if quality is not None and not (type(quality) is int and least <= quality <= most):
        raise BadSetting(f"The quality is a whole number from {least} to {most}, not {str(quality)[:20]!r}.")
    if quality is not None and format == "png":
        raise BadSetting("PNG is lossless and has no quality: choose JPEG or WebP.")


def list_formats_too_small(width: int, height: int) -> tuple[str, ...]:
    """Returns the names of the formats that cannot hold a picture this large."""
    return tuple(name for key, name in _FORMAT_NAMES.items() if max(width, height) > _LONGEST_SIDE[key])


def list_losses(picture: Picture, format: Format, metadata: bool = True, quality: int | None = None) -> tuple[str, ...]:
    """Returns what a file of this format does not keep of the picture, one message each; none for PNG."""
    if format == "png":
        return ()
    name, extras = _FORMAT_NAMES[format], picture.extras
    lost = []
    if picture.depth == 16:
        lost.append(f"{name} holds 8 bits a channel: 16 were rounded.")
    if format == "webp" and quality is not None:
        lost.append(f"WebP is lossy here: written at quality {quality}.")
    if format == "webp" and picture.grey:
        lost.append("WebP has no greyscale: written as colour with equal channels.")
    if format == "jpeg":
        lost.append(f"JPEG is lossy: written at quality {quality or USUAL_QUALITY}.")
        if picture.alpha is not None:
            lost.append("JPEG has no transparency: laid over white.")
    if picture.icc is not None and _kept_icc(picture, format) is None:
        lost.append("A greyscale profile does not fit a colour file: left out.")
    if describe_colour(picture) is not None and picture.icc is None:
        lost.append(f"{name} has no place for {_named_colour(picture)}: written as a colour profile.")
    elif beyond := [key for key, value in extras.colour if key in ("mDCV", "cLLI") or _is_beyond(picture, key, value)]:
        lost.append(f"{name} has no place for {' and '.join(beyond)}: left out.")
    if extras.background is not None:
        lost.append(f"{name} has no place for a background colour: left out.")
    if format == "webp" and extras.resolution is not None:
        lost.append("WebP has no place for a resolution: left out.")
    return (*lost, *(_list_lost_texts(picture, format) if metadata else ()))


def _list_lost_texts(picture: Picture, format: Format) -> list[str]:
    """Returns what of texts and blocks is lost."""
    name, extras, lost = _FORMAT_NAMES[format], picture.extras, []
    if format == "jpeg":
        if picture.exif is not None and len(picture.exif) > _JPEG_SEGMENT - len(_EXIF_MARK):
            lost.append("JPEG holds 64 kB of EXIF: a larger block was left out.")
        if extras.xmp is not None and len(xmp.resize(extras.xmp, *picture.pixels.shape[1::-1])) > _JPEG_XMP:
            lost.append("JPEG holds 64 kB of XMP: a larger packet was left out.")
        if extras.iptc is not None and not _fits(extras.iptc, _RESOURCES_MARK):
            lost.append("JPEG holds 64 kB of IPTC: a larger record was left out.")
    elif extras.iptc is not None:
        lost.append(f"{name} has no place for IPTC: left out.")
    keywords = [text.keyword for text in extras.texts if not (format == "jpeg" and _is_comment(text))]
    if keywords:
        lost.append(f"{name} has no place for texts ({', '.join(dict.fromkeys(keywords))}): left out.")
    return lost


def _is_comment(text: Text) -> bool:
    return text.keyword == _COMMENT and _fits(text.text.encode(errors="replace"))


def _fits(contents: bytes, mark: bytes = b"") -> bool:
    return len(mark) + len(contents) <= _JPEG_SEGMENT


def _jpeg_segments(picture: Picture) -> bytes:
    """Returns the segments that Pillow has no options for: Photoshop's, which hold IPTC, and comments."""
    segments = []
    if picture.extras.iptc is not None and _fits(picture.extras.iptc, _RESOURCES_MARK):
        segments.append((b"\xff\xed", _RESOURCES_MARK + picture.extras.iptc))
    segments += [
        (b"\xff\xfe", text.text.encode(errors="replace")) for text in picture.extras.texts if _is_comment(text)
    ]
    return b"".join(marker + (len(contents) + 2).to_bytes(2) + contents for marker, contents in segments)


def _with_resolution(data: bytes, picture: Picture) -> bytes:
    """Writes the resolution into the JFIF segment that Pillow begins a JPEG file with."""
    resolution = picture.extras.resolution
    if resolution is None or data[6:11] != b"JFIF\0":
        return data
    x, y = resolution.x, resolution.y
    if not resolution.inches and (x != int(x) or y != int(y) or max(x, y) > 65535):
        x, y = 1000 * x / max(x, y), 1000 * y / max(x, y)
    values = [min(max(round(value), 1), 65535).to_bytes(2) for value in (x, y)]
    return data[:13] + bytes((resolution.inches,)) + b"".join(values) + data[18:]


def _kept_icc(picture: Picture, format: Format) -> bytes | None:
    """Returns the picture's profile where it fits the file, or one of what its extras say of colours."""
    if picture.icc is None:
        return make_profile(picture, grey=picture.grey and format == "jpeg")
    return None if format == "webp" and picture.grey else picture.icc


def _named_colour(picture: Picture) -> str:
    names = [key for key, _ in picture.extras.colour if key not in ("mDCV", "cLLI")]
    return "cICP" if "cICP" in names else " and ".join(names)


def _is_beyond(picture: Picture, key: str, value: bytes) -> bool:
    """Returns whether code points name colours that no profile of ours can tell."""
    return key == "cICP" and describe_colour(picture) is None and value[:2] != b"\1\x0d"


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
