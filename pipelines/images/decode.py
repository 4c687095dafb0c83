"""From the bytes of a file to a Picture. Knows formats and modes; knows no path and no limit."""

import logging
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from pipelines.errors import BadPicture
from pipelines.images import avif, bmp, gif, jpeg, metadata, png_reading, webp, xmp
from pipelines.images.condition import read_jpeg_quality
from pipelines.images.exif import read_resolution, turn_exif_upright
from pipelines.images.formats import READABLE, name_other, recognise
from pipelines.images.heif import read_heif, read_heif_size
from pipelines.images.inventory import Inventory, Unreadable, describe_first_of, describe_left_out
from pipelines.images.picture import Extras, Picture, Pixels, Resolution, strip_height
from pipelines.images.png_reading import LONGEST_PROFILE
from pipelines.images.samples import EncodedFile, Opener, Samples, read_samples
from pipelines.images.tiff.read import read_tiff, read_tiff_size

# Pillow's own classes rather than Image.open: that one warns and fails by a process-wide limit, which gradio may rely
# on and which is not ours to change.
_FORMATS: dict[str, tuple[Callable[[bytes], Inventory], Opener]] = {
    "PNG": (png_reading.take_inventory, PngImagePlugin.PngImageFile),
    "JPEG": (jpeg.take_inventory, JpegImagePlugin.JpegImageFile),
    "WebP": (webp.take_inventory, WebPImagePlugin.WebPImageFile),
    "BMP": (bmp.take_inventory, BmpImagePlugin.BmpImageFile),
    "GIF": (gif.take_inventory, GifImagePlugin.GifImageFile),
    "AVIF": (avif.take_inventory, AvifImagePlugin.AvifImageFile),
}

_USUAL_RESOLUTIONS = (72, 96)  # what writers put in that know of none

# Without a handler of its own Pillow's logger would print to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Surveyed(NamedTuple):
    """A file whose inventory was taken and whose header was opened; `turned` is its orientation, 1 to 8."""

    file: EncodedFile
    inventory: Inventory
    image: ImageFile.ImageFile
    exif: bytes | None
    turned: int
    notes: tuple[str, ...]


def decode(data: bytes, name: str, check_size: Callable[[int, int], None]) -> Picture:
    """The picture, or the first one, in the bytes of a PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC file.

    `name` begins the message of the BadPicture that is raised for anything else. `check_size` gets width and height
    before anything is decoded, to raise what it likes.
    """
    format_ = _recognised(data, name)
    if format_ == "TIFF":
        tiff = read_tiff(data, name, check_size)
        height, width = tiff.samples.colour.shape[:2]
        exif, turned, notes = _turned_exif(tiff.exif, (width, height), tiff.orientation)
        return _picture(tiff.samples, turned, tiff.icc, exif, tiff.extras, tiff.notes + notes)
    if format_ == "HEIC":
        heif = read_heif(data, name, check_size)
        height, width = heif.samples.colour.shape[:2]
        exif, _, notes = _turned_exif(heif.exif, (width, height)[:: -1 if heif.turned >= 5 else 1], heif.turned)
        return _picture(heif.samples, 1, heif.icc, exif, heif.extras, heif.notes + notes)
    file, inventory, image, exif, turned, notes = _survey(data, format_, name, check_size)
    samples, image, more = read_samples(file, image)
    if file.format == "JPEG":
        _check_all_there(file, image)
    samples, icc, extras = _cropped(samples, inventory), inventory.icc, inventory.extras
    if image.mode == "CMYK":  # What its colours are was used to convert them.
        icc, extras = None, replace(extras, colour=())
    picture = _picture(samples, turned, icc, exif, extras, notes + more)
    jpeg = read_jpeg_quality(getattr(image, "quantization", {})) if file.format == "JPEG" else None
    return replace(picture, jpeg=jpeg, notes=picture.notes + describe_left_out(inventory.parts))


def _picture(
    samples: Samples, turned: int, icc: bytes | None, exif: bytes | None, extras: Extras, notes: tuple[str, ...]
) -> Picture:
    """Returns a picture turned upright, with a profile that fits it and extras that speak of it as it is now."""
    pixels = _floats(_upright(samples.colour, turned), samples.white, 3)
    grey, (height, width, _) = samples.colour.ndim == 2, pixels.shape
    icc, icc_notes = _fitting_profile(icc, grey)
    extras = _turned_extras(extras, exif, turned, (width, height))
    return Picture(
        pixels=pixels,
        alpha=None if samples.alpha is None else _floats(_upright(samples.alpha, turned), samples.white, 1),
        grey=grey,
        depth=16 if samples.white > 255 else 8,
        icc=icc,
        exif=exif,
        notes=(*notes, *icc_notes, *_resolution_note(extras.resolution)),
        extras=extras,
    )


def read_upright_size(data: bytes, name: str, check_size: Callable[[int, int], None]) -> tuple[int, int]:
    """Width and height of what `decode` would give, from the header alone. Raises BadPicture as far as that tells."""
    format_ = _recognised(data, name)
    if format_ == "TIFF":
        return read_tiff_size(data, name, check_size)
    if format_ == "HEIC":
        return read_heif_size(data, name, check_size)
    surveyed = _survey(data, format_, name, check_size)
    left, top, right, bottom = surveyed.inventory.crop or (0, 0, *surveyed.image.size)
    size = right - left, bottom - top
    return size[::-1] if surveyed.turned >= 5 else size


def _recognised(data: bytes, name: str) -> str:
    """Returns the format of a file, one of READABLE. Raises BadPicture with the name of what it is otherwise."""
    format_ = recognise(data)
    if format_ is not None:
        return format_
    *most, last = READABLE
    listed = f"{', '.join(most)} or {last}"
    other = name_other(data)
    if other is None:
        raise BadPicture(f"{name} is not an image in a format that can be read: {listed}.")
    raise BadPicture(f"{name} is {other}, which cannot be read: convert it to {listed}.")


def _survey(data: bytes, format_: str, name: str, check_size: Callable[[int, int], None]) -> _Surveyed:
    """Takes the inventory of a file, checks its size, and opens it for decoding."""
    take_inventory, opener = _FORMATS[format_]
    try:
        inventory = take_inventory(data)
    except Unreadable as why:
        raise BadPicture(f"{name} {why}.") from why
    except (struct.error, IndexError, ValueError) as error:  # what a part that is cut within raises
        raise BadPicture(f"{name} is damaged or cut short.") from error
    if inventory.size is not None:
        check_size(*inventory.size)
    if inventory.refusal:
        raise BadPicture(f"{name} {inventory.refusal}.")
    file = EncodedFile(name, format_, inventory.data, opener)
    image = file.open()
    check_size(*image.size)
    inventory = _with_decoders_findings(inventory, format_, image)
    file = file._replace(icc=inventory.icc)
    turned = None
    if format_ == "AVIF":
        turned = turn_exif_upright(image.info.get("exif", b""), image.size).orientation
    exif, orientation, notes = _turned_exif(inventory.exif, image.size, turned)
    notes = describe_first_of(inventory.frames, inventory.frame) + inventory.notes + notes
    return _Surveyed(file, inventory, image, exif, orientation, notes)


def _turned_exif(
    block: bytes | None, size: tuple[int, int], turned: int | None
) -> tuple[bytes | None, int, tuple[str, ...]]:
    """Returns an EXIF block turned upright, the orientation, 1 to 8, that it or else the file tells, and notes."""
    if block is None:
        return None, turned or 1, ()
    exif, orientation, thumbnail_left_out = turn_exif_upright(block, size, turned)
    notes: tuple[str, ...] = () if exif is not None else ("its EXIF block is broken and was left out",)
    if thumbnail_left_out:
        notes += ("left out: EXIF's thumbnail, which lies on its side",)
    return exif, orientation, notes


def _with_decoders_findings(inventory: Inventory, format_: str, image: ImageFile.ImageFile) -> Inventory:
    """Returns the inventory with what opening the file gives: AVIF's profile, XMP and frames."""
    if format_ == "AVIF":
        extras = replace(inventory.extras, xmp=image.info.get("xmp"))
        if icc := image.info.get("icc_profile"):
            extras = replace(extras, colour=tuple(each for each in extras.colour if each[0] != "cICP"))
        return replace(inventory, icc=icc, extras=extras, frames=getattr(image, "n_frames", 1))
    return inventory


def _check_all_there(file: EncodedFile, image: ImageFile.ImageFile) -> None:
    """Raises BadPicture for a JPEG whose coded pixels end early: a decoder makes the rest grey, and says nothing."""
    again = file._replace(data=jpeg.add_probe(file.data))
    other = again.load(again.open())
    rows = strip_height(image.width, 4)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        if image.crop(box).tobytes() != other.crop(box).tobytes():
            raise file.refuse("is cut short or damaged: part of its pixels is missing")


def _cropped(samples: Samples, inventory: Inventory) -> Samples:
    if inventory.crop is None:
        return samples
    left, top, right, bottom = inventory.crop
    inside = np.s_[top:bottom, left:right]
    alpha = None if samples.alpha is None else samples.alpha[inside]
    return samples._replace(colour=samples.colour[inside], alpha=alpha)


def _fitting_profile(icc: bytes | None, grey: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """Returns the profile, if it fits the pixels as they were read, and a note if not."""
    if icc is None:
        return None, ()
    if len(icc) > LONGEST_PROFILE:
        return None, (f"its colour profile is longer than {LONGEST_PROFILE // 1_000_000} MB and was left out",)
    if not metadata.is_profile_of(icc, b"GRAY" if grey else b"RGB "):
        return None, ("its colour profile does not fit it and was left out",)
    return icc, ()


def _turned_extras(extras: Extras, exif: bytes | None, turned: int, size: tuple[int, int]) -> Extras:
    """Returns what a file says of a picture that was turned upright, and is `size` wide and high now."""
    resolution = extras.resolution
    if resolution is None and exif is not None:
        resolution = read_resolution(exif)
    if resolution is not None and turned >= 5:
        resolution = Resolution(resolution.y, resolution.x, resolution.inches)
    packet = xmp.turn_upright(extras.xmp) if extras.xmp is not None and turned != 1 else extras.xmp
    return replace(extras, xmp=packet, resolution=resolution, size=size)


def _resolution_note(resolution: Resolution | None) -> tuple[str, ...]:
    """Returns the note that the number of pixels to an inch stays, unless it is one that means nothing."""
    if resolution is None or not resolution.inches:
        return ()
    x, y = round(resolution.x), round(resolution.y)
    if x == y and x in _USUAL_RESOLUTIONS:
        return ()
    return (f"{x if x == y else f'{x} by {y}'} dpi are kept, so that a print grows with the image",)


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
