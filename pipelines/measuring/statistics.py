"""What the rows of several pictures say together: means with their intervals.

Importing this module is cheap: scipy is loaded by the first call that needs it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.measuring.columns import Rows, Values, as_columns
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.rows import Row

CONFIDENCE = 0.95
RESAMPLING_SEED = 0  # of the resampling: the same rows give the same interval
MOST_RESAMPLED = 2000  # values: the jackknife takes the square of that
NORMAL = 1.959964  # standard errors to either side that 95 % of a normal distribution lie within
EQUAL_WITHIN = 1e-9  # of the mean: values closer than this are the same number, computed in another order


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric of one contender: the mean of `n` finite values, and its 95 % interval (None for fewer than two)."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    infinite: int  # how many were left out for being perfect


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds over the pictures of one contender."""

    median: float
    total: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One contender over several pictures. What no row has is None."""

    model: str  # as in Row
    n: int  # how many pictures were scored
    failed: int  # how many gave an error
    metrics: Mapping[str, MetricSummary]  # of every metric, by its key
    seconds: Times | None
    peak_mb: float | None  # the most of any picture
    params: int | None
    weights_bytes: int | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON: flat, the metrics between what it is of and what it cost."""
        found: dict[str, Any] = {}
        for key, value in asdict(self).items():
            found |= value if key == "metrics" else {key: list(value) if isinstance(value, tuple) else value}
        return found


def find_shared_pictures(rows: Sequence[Row], key: str) -> npt.NDArray[np.bool_]:
    """Returns of each of the `pictures` whether every contender that has the metric at all has a finite value of it.

    Over them means compare. Of a single picture an infinite value counts as well: only means cannot take it.
    """
    columns = as_columns(rows)
    return _of_all(columns, columns.scores(key))


def _of_all(columns: Rows, values: Values) -> npt.NDArray[np.bool_]:
    grid = columns.grid(values)
    own = grid[~np.isnan(grid).all(axis=1)]
    counts = ~np.isnan(own) if own.shape[1] == 1 else np.isfinite(own)
    shared: npt.NDArray[np.bool_] = np.all(counts, axis=0)
    return shared if len(own) else np.zeros_like(shared)


def select_comparable(rows: Sequence[Row]) -> Rows:
    """The rows whose means of PSNR Y compare; all of them where there are none, as without an original."""
    columns = as_columns(rows)
    shared = find_shared_pictures(columns, "psnr_y")
    return columns if shared.all() or not shared.any() else columns.of_pictures(shared)


def are_comparable(rows: Sequence[Row], key: str) -> bool:
    """Returns whether all contenders that have a metric have it of the same pictures, so that their means compare."""
    columns = as_columns(rows)
    return _are_of_same_pictures(columns, columns.scores(key))


def are_times_comparable(rows: Sequence[Row]) -> bool:
    """Returns whether all contenders that were timed were timed on the same pictures."""
    columns = as_columns(rows)
    return _are_of_same_pictures(columns, columns.numbers("seconds"))


def _are_of_same_pictures(columns: Rows, values: Values) -> bool:
    anybody = ~np.isnan(columns.grid(values)).all(axis=0)
    return bool((_of_all(columns, values) == anybody).all())


def summarise(rows: Sequence[Row], intervals: bool = True) -> list[Summary]:
    """A summary of each contender, in order of first appearance; without `intervals`, which take most of the time."""
    return [_summary(model, own, intervals) for model, own in as_columns(rows).of_each_model().items()]


def estimate_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean by the bias-corrected and accelerated bootstrap (Efron 1987).

    None for fewer than two values. Equal values make an interval of no width, which the bootstrap cannot say. Of more
    than MOST_RESAMPLED values it is the normal one, which is the same but for the third digit of its width.
    """
    if len(values) < 2:
        return None
    mean = fmean(values)
    if max(values) - min(values) <= EQUAL_WITHIN * abs(mean):
        return mean, mean
    if len(values) > MOST_RESAMPLED:
        half = NORMAL * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        return mean - half, mean + half
    from scipy.stats import bootstrap

    # In batches: all resamples of 500 pictures at once would take 40 MB for each metric.
    generator = np.random.default_rng(RESAMPLING_SEED)
    found = bootstrap((values,), np.mean, confidence_level=CONFIDENCE, method="BCa", batch=500, rng=generator)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _summary(model: str, rows: Rows, intervals: bool) -> Summary:
    scored = rows.select(~rows.failed)
    metrics = {metric.key: _metric_summary(scored.scores(metric.key), intervals) for metric in METRICS}
    times, peaks = _known(scored.numbers("seconds")), _known(scored.numbers("peak_mb"))
    notes = [
        f"{metric.name} is infinite for {_count(metrics[metric.key].infinite)}, which the mean leaves out."
        for metric in METRICS
        if metrics[metric.key].infinite
    ]
    return Summary(
        model=model,
        n=len(scored),
        failed=len(rows) - len(scored),
        metrics=metrics,
        seconds=Times(median(times), math.fsum(times)) if times else None,
        peak_mb=max(peaks, default=None),
        # What is the same for all pictures: from the first row that has it, as one that failed early may not.
        params=next((row.params for row in rows if row.params is not None), None),
        weights_bytes=next((row.weights_bytes for row in rows if row.weights_bytes is not None), None),
        notes=tuple(notes),
    )


def _metric_summary(scores: Values, intervals: bool) -> MetricSummary:
    finite, infinite = scores[np.isfinite(scores)].tolist(), int(np.isinf(scores).sum())
    low, high = (estimate_interval(finite) if intervals else None) or (None, None)
    return MetricSummary(fmean(finite) if finite else None, low, high, len(finite), infinite)


def _known(values: Values) -> list[float]:
    found: list[float] = values[~np.isnan(values)].tolist()
    return found


def _count(pictures: int) -> str:
    return "1 image" if pictures == 1 else f"{pictures} images"
