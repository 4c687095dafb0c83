"""What a benchmark finds: one `Row` for each picture and contender, and what of it is a score."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from pipelines.measuring.metrics.scores import METRICS, find_metric

# The metrics in the order in which rows are written: that in which they came, those of format 1 first.
FIRST_WRITTEN = ("mse", "mse_y", "psnr", "psnr_y", "ssim", "ssim_y", "ms_ssim", "lpips", "consistency_psnr", "niqe")
WRITTEN = tuple(dict.fromkeys((*FIRST_WRITTEN, *(metric.key for metric in METRICS))))

PictureKey: TypeAlias = tuple[str, str]  # its file name and sha256


@dataclass(frozen=True, slots=True)
class Row:
    """How one contender did on one picture. What is not available is None, and `notes` or `error` says why.

    A perfect result has `mse` 0 and `psnr` None: infinity is no number in JSON.
    """

    image: str  # file name
    image_sha256: str
    model: str  # a key, or "first:4,second:2" for a chain
    scale: int
    stages: tuple[str, ...] | None = None  # ("first:4", "second:2") for a chain
    scores: Mapping[str, float | None] = field(default_factory=dict, hash=False)  # of every metric, by its key
    seconds: float | None = None  # of one run, loading apart
    stage_seconds: tuple[float, ...] | None = None  # of each stage of a chain, in the same run
    runs: int = 0  # how many runs `seconds` is the median of
    peak_mb: float | None = None  # of 10^6 bytes, above what was held before
    params: int | None = None  # learned parameters, where counted
    weights_bytes: int | None = None
    weights_sha256: str | None = None  # of several files, joined by commas
    error: str | None = None  # why there are no scores
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", dict.fromkeys(WRITTEN) | dict(self.scores))

    @property
    def picture(self) -> PictureKey:
        """Returns which picture it is of: its file name and sha256."""
        return self.image, self.image_sha256

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON: flat, the scores between what the row is of and what it cost."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "scores":
                found |= value
            else:
                found[each.name] = list(value) if isinstance(value, tuple) else value
        return found


COLUMNS = tuple(Row("", "", "", 1).as_dict())  # the keys of every row, in order


def parse_row(data: Mapping[str, Any]) -> Row:
    """The row that `as_dict` wrote; it may lack scores. Raises TypeError where a field lacks or is none of Row's."""
    scores = {key: value for key, value in data.items() if key in WRITTEN}
    others: dict[str, Any] = {key: _share(value) for key, value in data.items() if key not in WRITTEN}
    return Row(**others, scores=scores)


def _share(value: Any) -> Any:
    """Returns a value out of JSON, each text of it once in memory: those of thousands of rows are mostly the same."""
    if isinstance(value, list):
        return tuple(map(_share, value))
    return sys.intern(value) if isinstance(value, str) else value


def score_of(row: Row, key: str) -> float | None:
    """The row's value of a metric, infinity for the ratio of a perfect result; None where it is not available."""
    value, metric = row.scores[key], find_metric(key)
    if value is not None:
        return value
    at_zero = metric.infinite_at_zero and row.scores[metric.infinite_at_zero] == 0
    noted = metric.infinite_note and metric.infinite_note in row.notes
    return math.inf if at_zero or noted else None
