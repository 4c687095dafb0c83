"""The one door for pictures, in and out: files and bytes to Picture, Picture to files and bytes."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pipelines.environment import MEGA, Limits, limits
from pipelines.errors import BadPicture, BadSetting
from pipelines.files import check_writable, write_whole
from pipelines.images.addresses import Loaded, Place, is_same
from pipelines.images.condition import Condition, estimate_noise, has_jpeg_marks
from pipelines.images.decode import decode, read_upright_size
from pipelines.images.encode import (
    Format,
    check_fits,
    check_quality,
    encode,
    list_formats_too_small,
    list_losses,
)
from pipelines.images.formats import recognise
from pipelines.images.picture import Picture, Pixels, Pixels8, to_uint8
from pipelines.images.pyramid import CONSISTENCY_LEVELS, ERROR_LEVELS, HEAT, Pyramid, compute_heat, write_pyramid
from pipelines.images.resample import shrink
from pipelines.phrasing import printable_name

__all__ = [
    "CONSISTENCY_LEVELS",
    "ERROR_LEVELS",
    "FORMATS",
    "HEAT",
    "Condition",
    "Format",
    "ImageSource",
    "Picture",
    "Pixels",
    "Pixels8",
    "Place",
    "Pyramid",
    "check_format",
    "check_output",
    "compute_heat",
    "encode",
    "examine",
    "explain_too_large",
    "format_of",
    "is_same",
    "list_formats_too_small",
    "list_losses",
    "measure",
    "read",
    "read_back",
    "read_size",
    "shrink",
    "to_picture",
    "to_uint8",
    "write",
    "write_pyramid",
]

ImageSource: TypeAlias = Path | bytes
Growth: TypeAlias = int | Callable[[int, int], int]  # how many times a picture grows

FILES_REMEMBERED = 256  # whose size, and whose condition, is known without reading them again
EXAMINED_PIXELS = 24_000_000  # of an image that is decoded only to advise on it; a larger one counts as free of noise
PNG_BYTES_PER_PIXEL = 9  # of a PNG that we wrote, at the most: four channels of 16 bits, and a little

_FORMAT_BY_SUFFIX: dict[str, Format] = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
FORMATS = tuple(suffix.removeprefix(".") for suffix in _FORMAT_BY_SUFFIX)  # that `write` makes, by their suffixes


def read(source: ImageSource, scale: int = 1, bounds: Limits | None = None) -> Picture:
    """Decodes a picture of any supported format (see `decode.decode`), its EXIF orientation applied.

    `scale` is how many times it will be enlarged: a picture that, or whose enlargement, is beyond `bounds` (those of
    `environment.limits`) is refused by its header alone. Raises BadPicture for whatever cannot be read.
    """
    return decode(*_checked(source, scale, bounds or limits()))


def to_picture(image: "Picture | ImageSource | str | os.PathLike[str]", scale: int = 1) -> Picture:
    """The picture that a file, the bytes of one, or a caller of the library holds, to be enlarged `scale` times.

    Raises BadPicture as `read` does, and for what is none of these or a Picture whose arrays do not fit.
    """
    if isinstance(image, Picture):
        _check_arrays(image)
        height, width, _ = image.pixels.shape
        _check_size("The image", width, height, scale, limits())
        return image
    return read(_to_source(image), scale)


def measure(image: "Picture | ImageSource | str | os.PathLike[str]", scale: Growth = 1) -> tuple[int, int]:
    """Width and height of what `to_picture` takes; of a file, from its header alone. Raises as that does."""
    if not isinstance(image, Picture):
        return read_size(_to_source(image), scale)
    _check_arrays(image)
    height, width, _ = image.pixels.shape
    _check_size("The image", width, height, scale, limits())
    return width, height


def _to_source(image: "ImageSource | str | os.PathLike[str]") -> ImageSource:
    if not isinstance(image, (str, bytes, os.PathLike)):
        raise BadPicture(f"An image is a path, the bytes of a file, or a Picture, not {type(image).__name__}.")
    return image if isinstance(image, bytes) else Path(image)


def read_back(path: Path) -> Picture:
    """Decodes a PNG that `write` made.

    It may be larger than what is accepted from others, but not than what is made.
    """
    most = limits().output_pixels
    return read(path, bounds=Limits(input_pixels=most, output_pixels=most, file_bytes=PNG_BYTES_PER_PIXEL * most))


def read_size(source: ImageSource, scale: Growth = 1) -> tuple[int, int]:
    """Width and height that `read` would give, from the header alone. Raises BadPicture as `read` does by then.

    Where the scale depends on the size, it is a function of width and height. A file's size is remembered until the
    file changes: a page asks for it many times.
    """
    bounds = limits()
    if isinstance(source, Path) and (known := _remember_size(source, bounds)) is not None:
        _check_size(printable_name(source), *known, scale, bounds)
        return known
    return read_upright_size(*_checked(source, scale, bounds))  # which says first what is wrong in bytes, too


def _remember_size(path: Path, bounds: Limits) -> tuple[int, int] | None:
    """Width and height of a file, read again only where the file has changed; None where they cannot be read."""
    with suppress(OSError, ValueError, BadPicture):
        return _size_in_file(path, _state_of(path), bounds)
    return None


def _state_of(path: Path) -> tuple[int, int, int]:
    """What is another where a file has changed: its inode, time of change in nanoseconds and length in bytes."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


@lru_cache(FILES_REMEMBERED)
def _size_in_file(path: Path, state: tuple[int, int, int], bounds: Limits) -> tuple[int, int]:
    """Width and height of the file in this state."""
    return read_upright_size(*_checked(path, 1, bounds))


def examine(source: ImageSource) -> Condition:
    """What the image has been through. A JPEG with marks is told by its header alone. Raises BadPicture as `read`.

    A file's condition is remembered until the file changes: a page asks for it at each choice.
    """
    if isinstance(source, Path):
        with suppress(OSError, ValueError):
            return _condition_of_file(source, _state_of(source), limits())
    return _examine(source, limits())


@lru_cache(FILES_REMEMBERED)
def _condition_of_file(path: Path, state: tuple[int, int, int], bounds: Limits) -> Condition:
    """The condition of the file in this state."""
    return _examine(path, bounds)


def _examine(source: ImageSource, bounds: Limits) -> Condition:
    data, name, check_size = _checked(source, 1, bounds)
    width, height = read_upright_size(data, name, check_size)
    if recognise(data) == "JPEG" and has_jpeg_marks(data):
        return Condition(compressed=True, noise=0.0)
    too_large = width * height > EXAMINED_PIXELS
    return Condition(False, 0.0 if too_large else estimate_noise(decode(data, name, check_size).pixels))


def _checked(source: ImageSource, scale: Growth, bounds: Limits) -> tuple[bytes, str, Callable[[int, int], None]]:
    """The file's bytes, the name that its errors begin with, and the check of its size, once the header is read."""
    name = printable_name(source) if isinstance(source, Path | Loaded) else "The image"

    def check_size(width: int, height: int) -> None:
        _check_size(name, width, height, scale, bounds)

    data = source if isinstance(source, bytes) else _bytes_of(source, name, bounds.file_bytes)
    if not data:
        raise BadPicture(f"{name} is empty.")
    if len(data) > bounds.file_bytes:
        raise BadPicture(f"{name} is larger than {bounds.file_bytes / MEGA:g} MB, the most that can be read.")
    return data, name, check_size


def _check_size(name: str, width: int, height: int, scale: Growth, bounds: Limits) -> None:
    """Raises BadPicture for a picture that, or whose enlargement, is beyond the bounds."""
    if width * height > bounds.input_pixels:
        raise BadPicture(
            f"{name} is {_size(width, height)}, {_compared(width * height, bounds.input_pixels)} megapixels: "
            f"the limit is {bounds.input_pixels / MEGA:g}."
        )
    if not isinstance(scale, int):
        scale = scale(width, height)
    made, most = width * height * scale**2, bounds.output_pixels
    if made > most:
        raise BadPicture(
            f"{name} at x{scale} would be {_size(width * scale, height * scale)}, "
            f"{_compared(made, most)} megapixels: the limit is {most / MEGA:g}."
        )


def explain_too_large(width: int, height: int, scale: int) -> str | None:
    """Returns why an image of that size cannot be upscaled by that scale here; None where it can."""
    made, most = width * height * scale**2, limits().output_pixels
    if made <= most:
        return None
    return f"x{scale} would be {_compared(made, most)} megapixels, the limit is {most / MEGA:g}"


def _check_arrays(picture: Picture) -> None:
    """Raises BadPicture for a Picture whose pixels or alpha are not arrays as they should be.

    Their values are not read.
    """
    pixels, alpha = picture.pixels, picture.alpha
    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.float32 and pixels.shape[2:] == (3,) and pixels.size):
        raise BadPicture("The pixels of a Picture are an array of (height, width, 3) float32 from 0 to 1.")
    if alpha is not None and (getattr(alpha, "dtype", None) != np.float32 or alpha.shape != pixels.shape[:2]):
        raise BadPicture("The alpha of a Picture is an array of (height, width) float32 from 0 to 1.")


def format_of(path: Place) -> Format:
    """The format that `write` gives a file of this name, by its suffix. Raises BadSetting for any but those."""
    format_ = _FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if format_ is None:
        *most, last = _FORMAT_BY_SUFFIX
        raise BadSetting(f"{printable_name(path)} cannot be written: its name must end in {', '.join(most)} or {last}.")
    return format_


def check_format(name: object) -> None:
    """Raises BadSetting for what is none of FORMATS: strangers may send anything."""
    if str(name) not in FORMATS:
        raise BadSetting(f"There is no format {str(name)[:20]!r}: there are {', '.join(FORMATS)}.")


def check_output(path: Place, size: tuple[int, int] | None = None, quality: int | None = None) -> Format:
    """The format `write` would give the file, or what `write` would raise, found before there is anything to write.

    `size` is the width and height of what will be written, where that is known.
    """
    format_ = format_of(path)
    check_quality(quality, format_)
    if size is not None:
        check_fits(*size, format_)
    if isinstance(path, Path):
        check_writable(path)
    return format_


def write(picture: Picture, path: Path, metadata: bool = True, quality: int | None = None) -> None:
    """Writes the picture in the format its suffix names; an existing file is replaced only once the new one is whole.

    A link stays, and what it leads to is written; a file that is replaced hands on its permissions. Raises BadSetting
    for another suffix and as `encode` does, CannotWrite if the file cannot be made.
    """
    write_whole(path, encode(picture, format_of(path), metadata, quality))


def _bytes_of(path: Path, name: str, most: int) -> bytes:
    """The file's bytes, one more than `most` at the most."""
    try:
        if path.is_dir():
            raise BadPicture(f"{name} is a folder: name one image in it.")
        if path.exists() and not path.is_file():
            raise BadPicture(f"{name} is not a file.")
        with path.open("rb") as file:
            return file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    except FileNotFoundError as error:
        raise BadPicture(f"{name} does not exist.") from error
    except PermissionError as error:
        raise BadPicture(f"{name} may not be read.") from error
    except (OSError, ValueError) as error:
        raise BadPicture(f"{name} cannot be read.") from error


def _compared(pixels: int, most: int) -> str:
    """Megapixels with as few digits as show that they are more than the limit."""
    digits = next(digits for digits in range(int(pixels < 10 * MEGA), 7) if round(pixels / MEGA, digits) > most / MEGA)
    return f"{pixels / MEGA:.{digits}f}"


def _size(width: int, height: int) -> str:
    return f"{width} by {height} pixels"
