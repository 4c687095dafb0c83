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
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pipelines.errors import BadPicture
from pipelines.images import avif, bmp, gif, jpeg, metadata, png_reading, webp, xmp
from pipelines.images.exif import read_resolution, turn_exif_upright
from pipelines.images.formats import READABLE, name_other, recognise
from pipelines.images.inventory import Inventory, Unreadable, describe_first_of, describe_left_out
from pipelines.images.picture import Extras, Picture, Pixels, Resolution, strip_height
from pipelines.images.samples import EncodedFile, Opener, Samples, read_samples


def _take_tiff(data: bytes) -> Inventory:
    return Inventory(data, frames=metadata.count_tiff_pages(data), frame="pages")


# Pillow's own classes rather than Image.open: that one warns and fails by a process-wide limit, which gradio may rely
# on and which is not ours to change.
_FORMATS: dict[str, tuple[Callable[[bytes], Inventory], Opener]] = {
    "PNG": (png_reading.take_inventory, PngImagePlugin.PngImageFile),
    "JPEG": (jpeg.take_inventory, JpegImagePlugin.JpegImageFile),
    "WebP": (webp.take_inventory, WebPImagePlugin.WebPImageFile),
    "TIFF": (_take_tiff, TiffImagePlugin.TiffImageFile),
    "BMP": (bmp.take_inventory, BmpImagePlugin.BmpImageFile),
    "GIF": (gif.take_inventory, GifImagePlugin.GifImageFile),
    "AVIF": (avif.take_inventory, AvifImagePlugin.AvifImageFile),
}

_LONGEST_PROFILE = png_reading.LONGEST_PROFILE
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
    """The picture, or the first one, in the bytes of a PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF file.

    `name` begins the message of the BadPicture that is raised for anything else. `check_size` gets width and height
    before anything is decoded, to raise what it likes.
    """
    file, inventory, image, exif, turned, notes = _survey(data, name, check_size)
    samples, image, more = read_samples(file, image)
    if file.format == "JPEG":
        _check_all_there(file, image)
    samples = _cropped(samples, inventory)
    icc, icc_notes = _fitting_profile(image, inventory, grey=samples.colour.ndim == 2)
    alike = samples.colour.shape[1::-1] if turned < 5 else samples.colour.shape[:2]
    extras = _turn_extras(inventory.extras, image, turned, (int(alike[0]), int(alike[1])), exif)
    told = (*notes, *more, *icc_notes, *_resolution_note(extras.resolution), *describe_left_out(inventory.parts))
    return Picture(
        pixels=_floats(_upright(samples.colour, turned), samples.white, 3),
        alpha=None if samples.alpha is None else _floats(_upright(samples.alpha, turned), samples.white, 1),
        grey=samples.colour.ndim == 2,
        depth=16 if samples.white > 255 else 8,
        icc=icc,
        exif=exif,
        notes=told,
        extras=extras,
    )


def read_upright_size(data: bytes, name: str, check_size: Callable[[int, int], None]) -> tuple[int, int]:
    """Width and height of what `decode` would give, from the header alone. Raises BadPicture as far as that tells."""
    surveyed = _survey(data, name, check_size)
    left, top, right, bottom = surveyed.inventory.crop or (0, 0, *surveyed.image.size)
    size = right - left, bottom - top
    return size[::-1] if surveyed.turned >= 5 else size


def _survey(data: bytes, name: str, check_size: Callable[[int, int], None]) -> _Surveyed:
    """Takes the inventory of a file, checks its size, and opens it for decoding."""
    format_ = recognise(data)
    if format_ is None:
        *most, last = READABLE
        listed = f"{', '.join(most)} or {last}"
        other = name_other(data)
        if other is None:
            raise BadPicture(f"{name} is not a picture in a format that can be read: {listed}.")
        raise BadPicture(f"{name} is {other}, which cannot be read: convert it to {listed}.")
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
    exif, turned, thumbnail = None, None, False
    notes = describe_first_of(inventory.frames, inventory.frame) + inventory.notes
    if format_ == "AVIF":
        turned = turn_exif_upright(image.info.get("exif", b""), image.size).orientation
    if inventory.exif is not None:
        exif, turned, thumbnail = turn_exif_upright(inventory.exif, image.size, turned)
        if exif is None:
            notes += ("its EXIF block is broken and was left out",)
        if thumbnail:
            notes += ("left out: EXIF's thumbnail, which lies on its side",)
    return _Surveyed(file, inventory, image, exif, turned or 1, notes)


def _with_decoders_findings(inventory: Inventory, format_: str, image: ImageFile.ImageFile) -> Inventory:
    """Returns the inventory with what opening the file gives: TIFF's tags, AVIF's profile, XMP and frames."""
    if format_ == "TIFF":
        return replace(inventory, icc=image.info.get("icc_profile"), exif=_tiff_exif(image))
    if format_ == "AVIF":
        extras = replace(inventory.extras, xmp=image.info.get("xmp"))
        if icc := image.info.get("icc_profile"):
            extras = replace(extras, colour=tuple(each for each in extras.colour if each[0] != "cICP"))
        return replace(inventory, icc=icc, extras=extras, frames=getattr(image, "n_frames", 1))
    return inventory


def _check_all_there(file: EncodedFile, image: ImageFile.ImageFile) -> None:
    """Raises BadPicture for a JPEG whose coded pixels end early: a decoder makes the rest grey, and says nothing."""
    if jpeg.is_arithmetic(file.data):
        return  # There what is missing is zeros, by the standard.
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


def _fitting_profile(
    image: ImageFile.ImageFile, inventory: Inventory, grey: bool
) -> tuple[bytes | None, tuple[str, ...]]:
    """Returns the profile, if it fits the pixels as they were read; one that a conversion used is told of there."""
    icc = inventory.icc
    if icc is None or image.mode in ("CMYK", "LAB"):
        return None, ()
    if len(icc) > _LONGEST_PROFILE:
        return None, (f"its colour profile is longer than {_LONGEST_PROFILE // 1_000_000} MB and was left out",)
    if not metadata.is_profile_of(icc, b"GRAY" if grey else b"RGB "):
        return None, ("its colour profile does not fit it and was left out",)
    return icc, ()


def _turn_extras(
    extras: Extras, image: ImageFile.ImageFile, turned: int, size: tuple[int, int], exif: bytes | None
) -> Extras:
    """Returns what a file says of a picture that was turned upright, and is `size` wide and high now."""
    resolution = extras.resolution
    if resolution is None and exif is not None:
        resolution = read_resolution(exif)
    if resolution is not None and turned >= 5:
        resolution = Resolution(resolution.y, resolution.x, resolution.inches)
    packet = xmp.turn_upright(extras.xmp) if extras.xmp is not None and turned != 1 else extras.xmp
    colour = () if image.mode in ("CMYK", "LAB") else extras.colour
    return replace(extras, xmp=packet, resolution=resolution, colour=colour, size=size)


def _resolution_note(resolution: Resolution | None) -> tuple[str, ...]:
    """Returns the note that the number of pixels to an inch stays, unless it is one that means nothing."""
    if resolution is None or not resolution.inches:
        return ()
    x, y = round(resolution.x), round(resolution.y)
    if x == y and x in _USUAL_RESOLUTIONS:
        return ()
    return (f"{x if x == y else f'{x} by {y}'} dpi are kept, so that a print grows with the image",)


_DESCRIPTIVE = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432)  # description, maker, resolution, date, author
_SUBDIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS


def _tiff_exif(image: ImageFile.ImageFile) -> bytes | None:
    """Returns a block of what describes the picture: a TIFF file is an EXIF block itself."""
    kept = Image.Exif()
    try:
        source = image.getexif()
        kept.update({tag: source[tag] for tag in _DESCRIPTIVE if tag in source})
        for tag in _SUBDIRECTORIES:
            if fields := source.get_ifd(tag):
                kept.get_ifd(tag).update(fields)
        return kept.tobytes() if len(kept) else None
    except Exception:  # Tags of the wrong type fail in Pillow in many ways: an empty block then counts as broken.
        return b""


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
