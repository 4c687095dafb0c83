"""Integer samples out of a file: every mode and depth that Pillow opens, at its full depth. Knows no metadata."""

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile

from pipelines.errors import BadPicture
from pipelines.images import metadata
from pipelines.images.rle import decode_runs

T = TypeVar("T")
Opener: TypeAlias = Callable[[BytesIO], ImageFile.ImageFile]

_RAW_16_BITS = re.compile(r"(LA|RGB|RGBA);16B")
_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\b"), 0)
_OTHER_SPACES = (b"RGB ", b"GRAY", b"Lab ", b"YCbr")


class Samples(NamedTuple):
    """Integer samples as the file has them: colour (H, W) or (H, W, 3), alpha (H, W), and the value of full white."""

    colour: npt.NDArray[Any]
    alpha: npt.NDArray[Any] | None
    white: int = 255


class EncodedFile(NamedTuple):
    """A file whose header was read: what to call it, its format, its bytes, how to open them afresh, its profile."""

    name: str
    format: str
    data: bytes
    opener: Opener
    icc: bytes | None = None

    def open(self) -> ImageFile.ImageFile:
        """Opens the file afresh, its header read. Raises BadPicture."""
        # Pillow warns of odd metadata. catch_warnings would swap the filters of every thread, so one filter for
        # Pillow's own modules is kept in front instead.
        if list(warnings.filters[:1]) != [_PILLOW_WARNINGS]:
            warnings.filterwarnings("ignore", module=_PILLOW_WARNINGS[3].pattern)
        return self._trying(lambda: self.opener(BytesIO(self.data)))

    def pixels(self, image: ImageFile.ImageFile) -> npt.NDArray[Any]:
        """Decodes the samples as Pillow has them. Raises BadPicture."""
        return np.asarray(self.load(image))

    def load(self, image: ImageFile.ImageFile) -> Image.Image:
        """Decodes the image. Raises BadPicture."""
        if image.tile and image.tile[0].codec_name == "bmp_rle":
            return self._trying(lambda: _run_lengths(self.data, image))
        self._trying(image.load)
        return image

    def refuse(self, why: str) -> BadPicture:
        """Returns the error that says why the file cannot be read."""
        return BadPicture(f"{self.name} {why}.")

    def _trying(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except MemoryError:  # The machine's fault, not the file's.
            raise
        except Exception as error:  # A decoder given hostile bytes may raise anything: each means the same here.
            raise self.refuse(f"is damaged, cut short, or a kind of {self.format} that cannot be read here") from error


def read_samples(file: EncodedFile, image: ImageFile.ImageFile) -> tuple[Samples, ImageFile.ImageFile, tuple[str, ...]]:
    """Decodes: returns the samples, the image with what Pillow learnt while decoding, and notes."""
    raw = _raw_mode(image)
    if image.mode.startswith("I;16"):
        grey = file.pixels(image).astype(np.uint16)
        return Samples(grey, _keyed(grey, image.info.get("transparency"), 65535), 65535), image, ()
    if match := _RAW_16_BITS.fullmatch(raw):
        return _colour16(file, image, match[1]), image, ()
    extents = image.tile[0].extents if file.format == "GIF" else None
    loaded = file.load(image)
    if image.mode == "CMYK":
        colour, notes = to_srgb(image, file.icc)
        return Samples(np.asarray(colour), None), image, notes
    samples = _eight_bits(file, loaded)
    if extents is not None and extents != (0, 0, *image.size):
        samples = samples._replace(alpha=_clear_outside(samples, extents))
    return samples, image, ()


def _read_as_eight(depth: int) -> tuple[str, ...]:
    """The note for a depth that Pillow does not keep."""
    return (f"{depth} bits a channel were read as 8",) if depth > 8 else ()


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Returns how Pillow will unpack the file's samples, such as "RGB;16B".

    That is empty where the format has no such thing.
    """
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _colour16(file: EncodedFile, image: ImageFile.ImageFile, kind: str) -> Samples:
    """Samples of 16 bits, of which Pillow keeps eight: its two raw modes tell which, so each half is read once."""
    if kind == "LA":
        # Four bytes a pixel, the same as RGBA of eight bits.
        pairs = file.pixels(_reopened(file, image, "RGBA", "RGBA")).view(">u2")
        return Samples(pairs[..., 0], pairs[..., 1], 65535)
    high, low = (file.pixels(_reopened(file, image, kind, f"{kind};16{half}")) for half in "BL")
    joined = high.astype(np.uint16) << 8 | low
    colour = joined[..., :3]
    if kind == "RGB":
        return Samples(colour, _keyed(colour, image.info.get("transparency"), 65535), 65535)
    return Samples(colour, joined[..., 3], 65535)


def _reopened(file: EncodedFile, image: ImageFile.ImageFile, mode: str, raw: str) -> ImageFile.ImageFile:
    again = file.open()
    again._mode = mode
    again.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in again.tile
    ]
    return again


def _eight_bits(file: EncodedFile, image: Image.Image) -> Samples:
    key = image.info.get("transparency")
    if image.mode in ("1", "L"):
        grey = np.asarray(image.convert("L"))
        if file.format == "PNG" and image.mode == "L" and key is not None:
            # Pillow stretches grey of 2 and 4 bits to eight, and leaves the key as it was.
            key *= 255 // (2 ** file.data[24] - 1)
        return Samples(grey, _keyed(grey, key, 255))
    if image.mode == "LA":
        both = np.asarray(image)
        return Samples(both[..., 0], both[..., 1])
    if image.mode == "RGB" and key is not None:
        colour = np.asarray(image)
        return Samples(colour, _keyed(colour, key, 255))
    if image.has_transparency_data:
        four = np.asarray(image.convert("RGBA"))
        return Samples(four[..., :3], four[..., 3])
    return Samples(np.asarray(image.convert("RGB")), None)


def _run_lengths(data: bytes, image: ImageFile.ImageFile) -> Image.Image:
    tile = image.tile[0]
    assert isinstance(tile.args, tuple)
    _, nibbles, direction = tile.args
    indices = decode_runs(data, tile.offset, *image.size, nibbles)
    result = Image.fromarray(indices[::direction])
    palette = image.getpalette()
    if palette is not None:
        result.putpalette(palette)
    return result


def _clear_outside(samples: Samples, extents: tuple[int, int, int, int]) -> npt.NDArray[Any]:
    """Alpha for a first frame smaller than its canvas: nothing is there around it, whatever Pillow fills in."""
    left, top, right, bottom = extents
    alpha = np.zeros(samples.colour.shape[:2], np.uint8)
    inside = np.s_[top:bottom, left:right]
    alpha[inside] = samples.white if samples.alpha is None else samples.alpha[inside]
    return alpha


def _keyed(
    colour: npt.NDArray[Any], key: int | tuple[int, int, int] | None, white: int
) -> npt.NDArray[np.uint16] | None:
    """Alpha of a picture that names one colour as transparent."""
    if key is None:
        return None
    seen = colour != key if colour.ndim == 2 else np.any(colour != key, axis=2)
    return np.where(seen, np.uint16(white), np.uint16(0))


def to_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """A CMYK or CIELAB image as sRGB: by its own profile if it has a fitting one, else by rule."""
    srgb = ImageCms.createProfile("sRGB")
    if image.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), srgb, "LAB", "RGB")
        return _transformed(image, transform), ("CIELAB was converted to sRGB",)
    if icc is None:
        return image.convert("RGB"), ("CMYK was converted to RGB by rule, because it has no colour profile",)
    if metadata.is_profile_of(icc, b"CMYK"):
        with suppress(ImageCms.PyCMSError):
            transform = ImageCms.buildTransform(
                ImageCms.getOpenProfile(BytesIO(icc)), srgb, "CMYK", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
            )
            return _transformed(image, transform), ("CMYK was converted to sRGB by its colour profile",)
    why = "is for other colours" if any(metadata.is_profile_of(icc, each) for each in _OTHER_SPACES) else "is broken"
    return image.convert("RGB"), (f"CMYK was converted to RGB by rule, because its colour profile {why}",)


def _transformed(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    result = ImageCms.applyTransform(image, transform)
    assert result is not None  # only None in place
    return result
