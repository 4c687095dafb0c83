"""How large a result shall be, as people write it, and by which of its scales a model gets there.

"x2.5" is a factor, "500x" a width, "x500" a height, and "500x400" the largest that fits within both. Plain arithmetic,
exact to the pixel: factors are fractions here, and halves are rounded up.
"""

import itertools
import math
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import cast

from pipelines.errors import BadSetting
from pipelines.phrasing import printable

FACTOR_RANGE = (1.5, 16)
LONGEST_STRIP = 16  # times as long as it is wide: nothing longer grows for a network
LONGEST_SIDE = 1_000_000  # pixels, far beyond what any limit lets through
EXAMPLES = '"x2.5", "800x" (a width), "x600" (a height) or "800x600" (fits within)'

_NUMBER = re.compile(r"\d{1,3}(?:\.\d{0,20})?", re.ASCII)
_SIDES = re.compile(r"(\d{0,7})x(\d{0,7})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Size:
    """A size to upscale to: a factor, or a width, a height or both, in pixels, that the result fits within."""

    factor: float | None = None
    width: int | None = None
    height: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Returns width and height of the result for an image of that size; its proportions stay.

        Raises BadSetting where that would be smaller than the image, or more than 16 times as large.
        """
        factor = self._factor(width, height)
        if factor < 1:
            raise BadSetting(
                f"{self._in_words()} is smaller than the image ({width} × {height}). "
                f"A factor is from {FACTOR_RANGE[0]} to {FACTOR_RANGE[1]}."
            )
        if factor > FACTOR_RANGE[1]:
            most = f"{width * FACTOR_RANGE[1]} × {height * FACTOR_RANGE[1]}"
            raise BadSetting(
                f"{self._in_words()} is more than {FACTOR_RANGE[1]} times the image ({width} × {height}). "
                f"{most} pixels are the most."
            )
        return _rounded(width * factor), _rounded(height * factor)

    def _factor(self, width: int, height: int) -> Fraction:
        if self.factor is not None:
            return Fraction(repr(self.factor))
        sides = [(self.width, width), (self.height, height)]
        return min(Fraction(wanted, given) for wanted, given in sides if wanted is not None)

    def _in_words(self) -> str:
        """Returns a size in pixels as a sentence begins with it: "A width of 500 pixels"."""
        if self.width is not None and self.height is not None:
            return f"A size of {self.width} × {self.height} pixels"
        return f"A height of {self.height} pixels" if self.width is None else f"A width of {self.width} pixels"

    def __str__(self) -> str:
        return f"x{self.factor:g}" if self.factor is not None else f"{self.width or ''}x{self.height or ''}"


def parse_size(text: object) -> Size:
    """Reads a size, or a number, which is a factor; a whole number above 16 behind an x is a height.

    Raises BadSetting for anything else.
    """
    given = _shorten(text)
    plain = "".join(given.split()).lower().replace("×", "x")
    if _NUMBER.fullmatch(plain.removeprefix("x")):
        number = float(plain.removeprefix("x"))
        if FACTOR_RANGE[0] <= number <= FACTOR_RANGE[1]:
            return Size(factor=number)
    sides = _SIDES.fullmatch(plain)
    if sides and (sides[1] or sides[2]):
        width, height = (int(side) if side else None for side in sides.groups())
        if all(side is None or 0 < side <= LONGEST_SIDE for side in (width, height)) and (
            width is not None or (height or 0) > FACTOR_RANGE[1]
        ):
            return Size(width=width, height=height)
    least, most = FACTOR_RANGE
    raise BadSetting(f"There is no size {given!r}: give {EXAMPLES}. A factor is from {least} to {most}.")


def parse_factor(scale: object) -> Size:
    """Reads a factor alone: a number, or text such as "2.5" or "x2.5". Raises BadSetting for anything else."""
    with suppress(BadSetting):
        size = parse_size(scale)
        if size.factor is not None:
            return size
    least, most = FACTOR_RANGE
    raise BadSetting(f"The scale is a number from {least} to {most}, not {_shorten(scale)!r}.")


def choose_scales(scales: Collection[int], size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, ...]:
    """Returns the scale, or two in their order, that bring an image of one size at least to the wanted one.

    That is the smallest scale that is large enough; where there is none, the model runs twice, by the two that enlarge
    by the least, the larger first. Of two pairs with the same product the more even one needs less memory between.
    Nothing is returned where even the largest scale twice is too small.
    """
    pairs = itertools.combinations_with_replacement(sorted(scales, reverse=True), 2)
    chains: list[tuple[int, ...]] = [*((scale,) for scale in scales), *pairs]
    enough = [chain for chain in chains if all(math.prod(chain) * a >= b for a, b in zip(size, wanted, strict=True))]
    return min(enough, key=lambda chain: (len(chain), math.prod(chain), chain), default=())


def grow_to(height: int, width: int, shortest: int) -> tuple[int, int]:
    """Returns a height and a width of which the shorter is at least that long, in about the same proportion.

    Where the longer one would be more than 16 times that, they stay: a strip stays a strip.
    """
    short, long = min(height, width), max(height, width)
    if short >= shortest or long > LONGEST_STRIP * short:
        return height, width
    longer = long * shortest // short
    return (shortest, longer) if height <= width else (longer, shortest)


def describe_sizing(name: str, scales: Sequence[int], made: tuple[int, int], size: tuple[int, int]) -> tuple[str, ...]:
    """Returns what is to be known of how a model of that name reaches a size: nothing where one scale gives it."""
    notes = []
    if len(scales) == 2:
        first, second = scales
        notes.append(f"{name} has no scale this large, so it runs twice: x{first}, then x{second}")
    if made != size:
        notes.append(
            f"made at {made[0]} × {made[1]} pixels, then shrunk to {size[0]} × {size[1]} by antialiased bicubic"
        )
    return tuple(notes)


def _shorten(given: object) -> str:
    """The beginning of what was given as text or as a number of any library; of anything else what its type is."""
    if isinstance(given, str):
        return printable(given[:40])
    number = (
        isinstance(given, Real) and not isinstance(given, bool) and -LONGEST_SIDE < cast(float, given) < LONGEST_SIDE
    )
    return str(given) if number else type(given).__name__


def _rounded(number: Fraction) -> int:
    return max(1, math.floor(number + Fraction(1, 2)))
