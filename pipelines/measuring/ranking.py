"""Who is best by a metric: the order of the verdict, the tables and the tests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

import numpy as np

from pipelines.measuring.columns import Rows, as_columns
from pipelines.measuring.contenders import title_of
from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import find_shared_pictures
from pipelines.phrasing import format_number


@dataclass(frozen=True, slots=True)
class Standing:
    """One contender over the pictures that count: the mean of the metric, infinite for a perfect result, and time."""

    model: str
    value: float
    seconds: float | None  # the median

    @property
    def title(self) -> str:
        """The name as a reader meets it."""
        return title_of(self.model)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The contenders that have a metric, best first, and on how many pictures that count."""

    metric: Metric
    standings: tuple[Standing, ...]
    pictures: int

    @property
    def best(self) -> Standing:
        """The first; of equal ones the fastest."""
        return self.standings[0]

    @property
    def tied(self) -> tuple[Standing, ...]:
        """The best, and those so close to it that nobody can see a difference."""
        return tuple(each for each in self.standings if self.lead_over(each) <= self.metric.tie)

    @property
    def ranks(self) -> Mapping[str, int]:
        """The rank of each from 1: those that tie with the best share it, as do others that read the same."""
        tied = {each.model for each in self.tied}
        shown = ["" if each.model in tied else format_number(each.value, self.metric.digits) for each in self.standings]
        return {each.model: 1 + shown.index(own) for each, own in zip(self.standings, shown, strict=True)}

    def lead_over(self, other: Standing) -> float:
        """Returns by how much the best is better than another: never negative, 0 between two perfect ones."""
        if self.best.value == other.value:
            return 0.0
        return self.best.value - other.value if self.metric.higher_is_better else other.value - self.best.value


def find_speaker(rows: Sequence[Row], question: Literal["closeness", "naturalness", "consistency"]) -> Metric | None:
    """The metric that answers a question for these rows: the first that any of them has."""
    columns = as_columns(rows)
    for metric in METRICS:
        if metric.says == question and has_any(columns, metric):
            return metric
    return None


def has_any(rows: Rows, metric: Metric) -> bool:
    """Returns whether any row has a value of the metric."""
    return not np.isnan(rows.scores(metric.key)).all()


def rank(rows: Sequence[Row], metric: Metric) -> Ranking | None:
    """Ranks by the mean over the pictures that all contenders with the metric have a finite value of.

    None where there is no such picture.
    """
    columns = as_columns(rows)
    shared = find_shared_pictures(columns, metric.key)
    if not shared.any():
        return None
    standings = []
    times = columns.grid(columns.numbers("seconds"))
    for model, own, took in zip(columns.models, columns.grid(columns.scores(metric.key)), times, strict=True):
        if len(values := own[shared & ~np.isnan(own)].tolist()):
            seconds = took[shared & ~np.isnan(took)].tolist()
            standings.append(Standing(model, fmean(values), median(seconds) if seconds else None))
    sign = -1 if metric.higher_is_better else 1
    standings.sort(key=lambda each: (sign * each.value, math.inf if each.seconds is None else each.seconds))
    return Ranking(metric, tuple(standings), int(shared.sum()))


def rank_for_verdict(rows: Sequence[Row]) -> Ranking | None:
    """Ranks by what decides: closeness to the original, or else how natural the results look; None by neither."""
    columns = as_columns(rows)
    metric = find_speaker(columns, "closeness") or find_speaker(columns, "naturalness")
    return rank(columns, metric) if metric else None
