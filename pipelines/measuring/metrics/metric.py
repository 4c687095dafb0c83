"""What a metric is, what it is asked about, and what it answers. Knows no metric.

Metrics that share work share one function `of`, which is called once for all of them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Pixels8
from pipelines.runs import Run


class Judge(Protocol):
    """What a metric loads before it can judge, such as a network; safe to use from several threads."""

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """The hashes of the files that it was loaded from."""


J = TypeVar("J", bound=Judge)


NOT_HERE = "is not installed here"  # said of files that nobody asked to download


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """What the metrics have loaded, by their keys: made once for a benchmark, and handed to every metric.

    `lacking` says of each that could not be loaded why, in one sentence. Made by `scores.load_judges` and its like.
    """

    loaded: Mapping[str, Judge] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)

    def find(self, key: str, kind: type[J]) -> J:
        """Returns what the metric of that key has loaded, which must be of that kind."""
        judge = self.loaded[key]
        assert isinstance(judge, kind), f"{key} has loaded {judge!r}"
        return judge

    def sha256(self, key: str) -> str | None:
        """The hashes of what the metric has loaded, joined by commas; None where it has nothing."""
        return ",".join(self.loaded[key].weights_sha256) if key in self.loaded else None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A result to judge. Images are uint8, (H, W, 3) RGB or (H, W) grey.

    `original` is what the result should look like, of the same shape, or None where nobody knows; `low`, of 1/scale of
    its height and width, is what was enlarged. Raises ValueError where shapes do not fit, or an image is not uint8.
    """

    original: Pixels8 | None
    output: Pixels8
    low: Pixels8
    scale: int
    judges: Judges = field(default_factory=Judges)

    def __post_init__(self) -> None:
        if self.original is not None:
            check_shapes(self.original, self.output)
        height, width, *channels = self.output.shape
        if self.low.shape != (height // self.scale, width // self.scale, *channels):
            raise ValueError(
                f"a small picture of shape {self.low.shape} and an output of shape {self.output.shape} at x{self.scale}"
            )
        images = [each for each in (self.original, self.output, self.low) if each is not None]
        if any(each.dtype != np.uint8 for each in images):
            raise ValueError("pictures are scored as uint8, which is what a file would hold")

    @property
    def reference(self) -> Pixels8:
        """The original, for a metric that needs it."""
        assert self.original is not None, "metrics that need a reference are asked only where there is one"
        return self.original

    @property
    def inner(self) -> tuple[Pixels8, Pixels8]:
        """The reference and the output without a border of `scale` pixels, as the literature compares them."""
        return crop_border(self.reference, self.scale), crop_border(self.output, self.scale)


@dataclass(frozen=True, slots=True)
class Scores:
    """Values by the keys of their metrics. One that is not available is None, and one of the notes says why."""

    values: Mapping[str, float | None]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of numbers: what it is called, which direction is better, and how it comes about.

    `of` gives this metric's value, and those of others that name the same function. `needs` says whether it can be had
    without an original. `says` is the question that it answers in the verdict, where the first metric that was measured
    speaks for all that answer the same; `tie` is how close values are that nobody can see a difference between. `load`
    gives what it needs from files (`rows.METRIC_FILES` names them), which the sample's judges then hold; it raises
    UpscaleError where that cannot be had.
    """

    key: str  # the name in JSON, CSV and Row.scores: never changes
    name: str
    about: str  # what it says, in one line
    unit: str
    better: Literal["higher", "lower"]
    digits: int  # decimals to show
    of: Callable[[Sample], Run[Scores]]
    needs: Literal["reference", "nothing"] = "reference"
    infinite_at_zero: str = ""  # the metric whose 0 says that this one is infinite, where it has no value
    infinite_note: str = ""  # or the note that says so
    says: Literal["closeness", "naturalness", "consistency", ""] = ""
    main: bool = False  # whether it is among the few columns that everybody sees
    tie: float = 0.0
    extra: bool = False  # it is for those who ask for it: that its files are not here is no news to others
    load: Callable[[], Judge] | None = None

    @property
    def higher_is_better(self) -> bool:
        """Returns whether the larger of two values is the better one."""
        return self.better == "higher"


def check_shapes(reference: npt.NDArray[Any], output: npt.NDArray[Any]) -> None:
    """Raises ValueError where two images differ in shape: nothing is resized to make them fit."""
    if reference.shape != output.shape:
        raise ValueError(f"a reference of shape {reference.shape} and an output of shape {output.shape}")


def crop_border(image: Pixels8, border: int) -> Pixels8:
    """The image without `border` pixels on each side, as a view; without any pixel where it is too small."""
    height, width = image.shape[:2]
    return image[border : max(border, height - border), border : max(border, width - border)]


def decibels(error: float) -> float | None:
    """PSNR of a mean squared error in levels of 255: 10 log10(255² / error); None for no error, as it is infinite."""
    return 10 * math.log10(255**2 / error) if error else None
