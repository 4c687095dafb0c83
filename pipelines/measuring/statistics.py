"""What the rows of several pictures say together: means with their intervals.

Importing this module is cheap: scipy is loaded by the first call that needs it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any, TypeAlias

from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.rows import Row, score_of

CONFIDENCE = 0.95
RESAMPLING_SEED = 0  # of the resampling: the same rows give the same interval
MOST_RESAMPLED = 2000  # values: the jackknife takes the square of that
NORMAL = 1.959964  # standard errors to either side that 95 % of a normal distribution lie within
EQUAL_WITHIN = 1e-9  # of the mean: values closer than this are the same number, computed in another order

PictureKey: TypeAlias = tuple[str, str]  # its file name and sha256


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


def group_by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each contender, in order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.model, []).append(row)
    return groups


def find_shared_pictures(rows: Sequence[Row], key: str) -> frozenset[PictureKey]:
    """The pictures of which every contender that has the metric at all has a finite value: over them means compare.

    Of a single picture an infinite one counts as well: only means cannot take it.
    """
    scores = _by_picture(rows, lambda row: score_of(row, key))
    if not scores:
        return frozenset()
    shared = frozenset(scores[0]).intersection(*scores[1:])
    if len({row.picture for row in rows}) == 1:
        return shared
    return frozenset(each for each in shared if all(math.isfinite(own[each]) for own in scores))


def select_comparable(rows: Sequence[Row]) -> list[Row]:
    """The rows whose means of PSNR Y compare; all of them where there are none, as without an original."""
    shared = find_shared_pictures(rows, "psnr_y")
    return [row for row in rows if row.picture in shared or not shared]


def are_comparable(rows: Sequence[Row], key: str) -> bool:
    """Returns whether all contenders that have a metric have it of the same pictures, so that their means compare."""
    return _are_of_same_pictures(rows, lambda row: score_of(row, key))


def are_times_comparable(rows: Sequence[Row]) -> bool:
    """Returns whether all contenders that were timed were timed on the same pictures."""
    return _are_of_same_pictures(rows, lambda row: row.seconds)


def _are_of_same_pictures(rows: Sequence[Row], value_of: Callable[[Row], float | None]) -> bool:
    scores = _by_picture(rows, value_of)
    if any(own.keys() != scores[0].keys() for own in scores):
        return False
    single = len({row.picture for row in rows}) == 1
    return single or all(math.isfinite(value) for own in scores for value in own.values())


def _by_picture(rows: Sequence[Row], value_of: Callable[[Row], float | None]) -> list[dict[PictureKey, float]]:
    """The values of each contender that has any, by picture."""
    values = [
        {row.picture: value for row in own if (value := value_of(row)) is not None}
        for own in group_by_model(rows).values()
    ]
    return [own for own in values if own]


def summarise(rows: Sequence[Row], intervals: bool = True) -> list[Summary]:
    """A summary of each contender, in order of first appearance; without `intervals`, which take most of the time."""
    return [_summary(model, own, intervals) for model, own in group_by_model(rows).items()]


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
    import numpy as np

    if len(values) > MOST_RESAMPLED:
        half = NORMAL * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        return mean - half, mean + half
    from scipy.stats import bootstrap

    # In batches: all resamples of 500 pictures at once would take 40 MB for each metric.
    generator = np.random.default_rng(RESAMPLING_SEED)
    found = bootstrap((values,), np.mean, confidence_level=CONFIDENCE, method="BCa", batch=500, rng=generator)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _summary(model: str, rows: Sequence[Row], intervals: bool) -> Summary:
    scored = [row for row in rows if row.error is None]
    metrics = {metric.key: _metric_summary(scored, metric.key, intervals) for metric in METRICS}
    times = [row.seconds for row in scored if row.seconds is not None]
    peaks = [row.peak_mb for row in scored if row.peak_mb is not None]
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


def _metric_summary(rows: Sequence[Row], key: str, intervals: bool) -> MetricSummary:
    scores = [value for row in rows if (value := score_of(row, key)) is not None]
    finite = [value for value in scores if math.isfinite(value)]
    low, high = (estimate_interval(finite) if intervals else None) or (None, None)
    return MetricSummary(fmean(finite) if finite else None, low, high, len(finite), len(scores) - len(finite))


def _count(pictures: int) -> str:
    return "1 image" if pictures == 1 else f"{pictures} images"
