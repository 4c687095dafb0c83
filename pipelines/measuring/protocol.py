"""What a protocol is: how a picture at hand becomes a small one to enlarge, and what the result is compared with.

Whatever is changed on the way to a score is said in `Trial.notes`. What a caller has to know of a protocol it asks of
the `Protocol`: nobody compares keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.errors import BadPicture
from pipelines.images import resample
from pipelines.images.picture import Picture, Pixels, Pixels8, to_uint8
from pipelines.images.profiles import find_profile
from pipelines.measuring.kernels import parse_kernel, store_as_jpeg
from pipelines.runs import Run, prefix_notes

BACKGROUND = 1.0  # white: what transparent pictures lie on, mostly


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A picture to win back, and what is left to do it from.

    `reference` is (H, W, 3) uint8, of a greyscale picture (H, W), both a multiple of `scale`; `low` is it shrunk by the
    scale and rounded to 8 bits, as a file that somebody could have. Where no original is known there is only `low`.
    """

    reference: Pixels8 | None
    low: Picture
    scale: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way to measure. `make_trial(picture, scale, kernel)` makes the small picture; it raises BadPicture."""

    key: str  # the value in JSON, of the command line and of the API: never changes
    name: str  # as the page offers it
    about: str
    make_trial: Callable[[Picture, int, str], Run[Trial]]
    shrinks: bool = True  # whether the picture at hand is the original, and a kernel shrinks it
    fixed_scale: int | None = None  # the only scale there is
    chain_scales: tuple[int, ...] = ()  # of each stage of the chains that it is about; empty where it is about models
    always: tuple[str, ...] = ()  # models that take part unasked

    @property
    def has_chains(self) -> bool:
        """Returns whether it is about chains, with single models beside them."""
        return bool(self.chain_scales)

    def shrunk_by(self, scale: int) -> int:
        """Returns how many times smaller than the picture at hand is what will be enlarged."""
        return scale if self.shrinks else 1

    def grows_by(self, scale: int) -> int:
        """Returns how many times larger than the picture at hand a result will be."""
        return 1 if self.shrinks else scale

    def small_size(self, width: int, height: int, scale: int) -> tuple[int, int]:
        """Width and height of what will be enlarged, at least 1 by 1."""
        by = self.shrunk_by(scale)
        return max(1, width // by), max(1, height // by)


def shrink_original(picture: Picture, scale: int, kernel: str) -> Run[Trial]:
    """Crops the picture to a multiple of the scale, and shrinks it by the scale with the kernel (kernels.py).

    First it is laid over white where it has transparency, and rounded to 8 bits where it has more: scores are of 8-bit
    colours. Raises BadPicture where it is smaller than the scale, BadSetting for a kernel that there is not.
    """
    by = parse_kernel(kernel)
    height, width, _ = picture.pixels.shape
    check_size(width, height, scale)
    rows, columns = height // scale * scale, width // scale * scale
    notes = _changes(picture)
    if (rows, columns) != (height, width):
        notes.append(f"cropped from {width} x {height} to {columns} x {rows}, a multiple of {scale}")
    reference = to_uint8(flatten(picture)[:rows, :columns])
    shrunk = yield from prefix_notes(
        resample.shrink(_floats(reference), scale, by.resampling), f"shrinking by {scale}, "
    )
    small = to_uint8(shrunk)
    low = _picture(small if by.quality is None else store_as_jpeg(small, by.quality), picture)
    return Trial(reference[..., 0] if picture.grey else reference, low, scale, tuple(notes))


def take_as_small(picture: Picture, scale: int, kernel: str) -> Run[Trial]:
    """The picture as the small one of which no original is known; over white and at 8 bits, as in `shrink_original`."""
    yield from ()  # at once: there is nothing to follow
    low = _picture(to_uint8(flatten(picture)), picture)
    return Trial(None, low, scale, tuple(_changes(picture)))


def check_size(width: int, height: int, scale: int) -> None:
    """Raises BadPicture for a picture that shrinking by the scale leaves nothing of."""
    if min(width, height) < scale:
        raise BadPicture(f"An image of {width} by {height} pixels is too small to be shrunk by {scale}.")


def flatten(picture: Picture) -> Pixels:
    """The colours over BACKGROUND: (H, W, 3), of a greyscale picture (H, W, 1)."""
    pixels = picture.pixels[..., : 1 if picture.grey else 3]
    if picture.alpha is None:
        return pixels
    alpha = picture.alpha[..., None]
    laid: Pixels = pixels * alpha + np.float32(BACKGROUND) * (1 - alpha)
    return laid


def as_scored(picture: Picture) -> Pixels8:
    """Clips and rounds a picture's colours to what is scored: (H, W, 3) uint8, of a greyscale picture (H, W)."""
    return to_uint8(picture.pixels[..., 0] if picture.grey else picture.pixels)


def _changes(picture: Picture) -> list[str]:
    """Returns what laying a picture over white at 8 bits changes, in words."""
    notes = []
    if picture.alpha is not None:
        notes.append("transparency: scored over white")
    if picture.depth != 8:
        notes.append(f"{picture.depth} bits a channel: scored at 8")
    return notes


def _floats(values: Pixels8) -> Pixels:
    return np.divide(values, np.float32(255), dtype=np.float32)


def _picture(values: Pixels8, like: Picture) -> Picture:
    """An opaque picture of (H, W, 3) uint8, or of (H, W, 1) where it is greyscale, with another one's profile."""
    pixels = _floats(values)
    colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if like.grey else pixels
    return Picture(colours, grey=like.grey, icc=find_profile(like))
