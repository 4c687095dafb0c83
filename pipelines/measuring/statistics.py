"""What the rows of several pictures say together: means with intervals, and which contenders can be told apart.

Importing this module is cheap: scipy is loaded by the first call that needs it.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from statistics import fmean, median
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.measuring.rows import METRICS, Metric, Row

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
SEED = 0  # of the resampling: the same rows give the same interval
MOST_WITH_TIES = 13  # pictures: 2^13 signs can all be tried; beyond, ties matter little to the normal approximation
DECIMALS = 9  # differences closer than this are the same number, computed in another order

PERFECT = {"psnr": "mse", "psnr_y": "mse_y"}  # a ratio that is infinite where the error beside it is 0

Picture = tuple[str, str]
Values: TypeAlias = npt.NDArray[np.float64]


def score(row: Row, key: str) -> float | None:
    """The row's value of a metric, infinity for the ratio of a perfect result; None where it could not be had."""
    value: float | None = getattr(row, key)
    if value is None and key in PERFECT and getattr(row, PERFECT[key]) == 0:
        return math.inf
    return value


def by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each contender, in order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.model, []).append(row)
    return groups


def shared_pictures(rows: Sequence[Row]) -> frozenset[Picture]:
    """The pictures of which every contender that was scored at all has a finite PSNR Y: over them means compare.

    Of a single picture an infinite one counts as well: only means cannot take it.
    """
    scores = _scores(rows, "psnr_y")
    if not scores:
        return frozenset()
    shared = frozenset(scores[0]).intersection(*scores[1:])
    if len({row.picture for row in rows}) == 1:
        return shared
    return frozenset(each for each in shared if all(math.isfinite(own[each]) for own in scores))


def comparable(rows: Sequence[Row]) -> list[Row]:
    """The rows whose means compare, which are those of the shared pictures; all of them where there are none."""
    shared = shared_pictures(rows)
    return [row for row in rows if row.picture in shared or not shared]


def compares(rows: Sequence[Row], key: str) -> bool:
    """Whether all contenders that have a metric have it of the same pictures, so that their means are of one thing."""
    scores = _scores(rows, key)
    if any(own.keys() != scores[0].keys() for own in scores):
        return False
    single = len({row.picture for row in rows}) == 1
    return single or all(math.isfinite(value) for own in scores for value in own.values())


def _scores(rows: Sequence[Row], key: str) -> list[dict[Picture, float]]:
    """The scores of each contender that has any, by picture."""
    scores = [
        {row.picture: value for row in own if (value := score(row, key)) is not None} for own in by_model(rows).values()
    ]
    return [own for own in scores if own]


def summarise(rows: Sequence[Row], intervals: bool = True) -> list[dict[str, Any]]:
    """One entry for each contender, as JSON has it, in order of first appearance.

    "n" is how many pictures were scored and "failed" how many gave an error. Each metric has "mean", and "low" and
    "high" of its 95 % interval (null for fewer than two values), over "n" finite values; "infinite" says how many were
    left out for being perfect. "seconds" has "median" and "total" in seconds, "peak_mb" is the most of any picture.
    Without `intervals`, which take most of the time, "low" and "high" are null.
    """
    return [_summary(model, own, intervals) for model, own in by_model(rows).items()]


def compare(rows: Sequence[Row], metrics: Sequence[Metric] = METRICS) -> list[dict[str, Any]]:
    """For each metric, which two contenders can be told apart over the pictures that both have a finite score of.

    "difference" is the mean of first - second over those "n" pictures; on "higher" of them it is above 0, on "lower"
    below. "p" is that of a two-sided Wilcoxon signed-rank test (Wilcoxon 1945), corrected over all pairs of the metric
    (Holm 1979), and "rank_biserial" from -1 to 1 (Kerby 2014) says which way its ranks lean: for the first where it is
    above 0, whatever the sign of "difference". Two contenders without a picture in common make no pair. Fewer than six
    pictures are never enough: the smallest p of five is 0.0625.
    """
    return [pair for metric in metrics for pair in _pairs(rows, metric.key)]


def holm(chances: Sequence[float]) -> list[float]:
    """The p-values of one family, each corrected for there being several (Holm 1979), in the given order."""
    corrected = [0.0] * len(chances)
    most = 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        most = max(most, min(1.0, chances[index] * (len(chances) - rank)))
        corrected[index] = most
    return corrected


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean by the bias-corrected and accelerated bootstrap (Efron 1987).

    None for fewer than two values. Equal values make an interval of no width, which the bootstrap cannot say.
    """
    if len(values) < 2:
        return None
    mean = fmean(values)
    if max(values) - min(values) <= 10**-DECIMALS * abs(mean):
        return mean, mean
    from scipy.stats import bootstrap

    # In batches: all resamples of 500 pictures at once would take 40 MB for each metric.
    generator = np.random.default_rng(SEED)
    found = bootstrap((values,), np.mean, confidence_level=CONFIDENCE, method="BCa", batch=500, rng=generator)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _summary(model: str, rows: Sequence[Row], intervals: bool) -> dict[str, Any]:
    scored = [row for row in rows if row.error is None]
    metrics = {metric.key: _metric_summary(scored, metric.key, intervals) for metric in METRICS}
    times = [row.seconds for row in scored if row.seconds is not None]
    peaks = [row.peak_mb for row in scored if row.peak_mb is not None]
    return {
        "model": model,
        "n": len(scored),
        "failed": len(rows) - len(scored),
        **metrics,
        "seconds": {"median": median(times), "total": math.fsum(times)} if times else None,
        "peak_mb": max(peaks, default=None),
        "params": _known(rows, "params"),
        "weights_bytes": _known(rows, "weights_bytes"),
        "notes": [
            f"{metric.name} is infinite for {_count(metrics[metric.key]['infinite'])}, which the mean leaves out."
            for metric in METRICS
            if metrics[metric.key]["infinite"]
        ],
    }


def _metric_summary(rows: Sequence[Row], key: str, intervals: bool) -> dict[str, Any]:
    scores = [value for row in rows if (value := score(row, key)) is not None]
    finite = [value for value in scores if math.isfinite(value)]
    low, high = (interval(finite) if intervals else None) or (None, None)
    return {
        "mean": fmean(finite) if finite else None,
        "low": low,
        "high": high,
        "n": len(finite),
        "infinite": len(scores) - len(finite),
    }


def _known(rows: Sequence[Row], field: str) -> Any:
    """What is the same for all pictures: from the first row that has it, as one that failed early may not."""
    return next((getattr(row, field) for row in rows if getattr(row, field) is not None), None)


def _count(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures} pictures"


def _pairs(rows: Sequence[Row], key: str) -> list[dict[str, Any]]:
    groups = by_model(rows)
    found = []
    for (first, one), (second, other) in combinations(zip(groups, _finite(groups.values(), key), strict=True), 2):
        differences = _differences(one, other)
        if len(differences):
            found.append((first, second, differences))
    tests = _signed_ranks([differences for *_, differences in found])
    chances = holm([test.p for test in tests])
    return [
        {
            "metric": key,
            "first": first,
            "second": second,
            "n": len(differences),
            "difference": fmean(differences),
            "higher": int(np.sum(differences > 0)),
            "lower": int(np.sum(differences < 0)),
            "rank_biserial": test.rank_biserial,
            "p": p,
            "distinguishable": p < SIGNIFICANCE,
        }
        for (first, second, differences), test, p in zip(found, tests, chances, strict=True)
    ]


def _finite(groups: Iterable[Sequence[Row]], key: str) -> list[Values]:
    """Each group's scores, one for each picture of all of them; NaN where there is no finite one."""
    scores = [{row.picture: score(row, key) for row in own if row.error is None} for own in groups]
    pictures = list(dict.fromkeys(picture for own in scores for picture in own))
    # None becomes NaN.
    values = (np.array([own.get(picture) for picture in pictures], np.float64) for own in scores)
    return [np.where(np.isfinite(each), each, np.nan) for each in values]


def _differences(first: Values, second: Values) -> Values:
    """First - second, for each picture of both. Rounded: ranks must not hang on the last bit of equal differences."""
    differences = np.round(first - second, DECIMALS)
    return differences[~np.isnan(differences)]


class _SignedRanks(NamedTuple):
    """A Wilcoxon signed-rank test: how likely differences at least so one-sided are by chance, and to which side."""

    p: float
    rank_biserial: float


def _signed_ranks(samples: Sequence[Values]) -> list[_SignedRanks]:
    """The test of each sample of differences. Where all are zero nothing leans to any side: p is 1.

    Samples of a kind are tested in one call: a call for each would take a hundred times as long.
    """
    # Zeros are dropped here (as Wilcoxon did) and not by scipy, which would count them when it decides whether the
    # exact distribution can be had.
    changed = [values[values != 0] for values in samples]
    kinds: dict[tuple[int, bool], list[int]] = {}
    for index, values in enumerate(changed):
        ties = len(set(np.abs(values).tolist())) < len(values)
        kinds.setdefault((len(values), ties), []).append(index)
    tests = [_SignedRanks(1.0, 0.0)] * len(samples)
    for (n, ties), indices in kinds.items():
        if n:
            found = _tested(np.stack([changed[index] for index in indices]), ties)
            for index, test in zip(indices, found, strict=True):
                tests[index] = test
    return tests


def _tested(samples: Values, ties: bool) -> list[_SignedRanks]:
    """The test of each row of (samples, n) differences other than 0, all with or all without ties among them."""
    from scipy.stats import rankdata, wilcoxon

    n = samples.shape[1]
    ranks = rankdata(np.abs(samples), axis=1)
    sums = (ranks * np.sign(samples)).sum(axis=1)
    if ties and n <= MOST_WITH_TIES:
        # What scipy does here too, but it takes seconds for each sample.
        signs = np.array(list(product((-1, 1), repeat=n)))
        chances = [min(1.0, 2 * np.mean(signs @ own >= abs(total))) for own, total in zip(ranks, sums, strict=True)]
    else:
        chances = wilcoxon(samples, axis=1).pvalue
    leans = sums / ranks.sum(axis=1)
    return [_SignedRanks(float(p), float(lean)) for p, lean in zip(chances, leans, strict=True)]
