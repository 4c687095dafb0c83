"""Which contenders can be told apart: signed-rank tests of each two, corrected for their number.

Importing this module is cheap: scipy is loaded by the first call that needs it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.rows import Row, score_of
from pipelines.measuring.statistics import group_by_model

SIGNIFICANCE = 0.05
MOST_WITH_TIES = 13  # pictures: 2^13 signs can all be tried; beyond, ties matter little to the normal approximation
DECIMALS = 9  # differences closer than this are the same number, computed in another order

Values: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contenders by one metric, over the `n` pictures that both have a finite score of."""

    metric: str  # its key
    first: str
    second: str
    n: int
    difference: float  # the mean of first - second
    higher: int  # on how many pictures it is above 0
    lower: int  # on how many below
    rank_biserial: float  # -1 to 1: above 0 the ranks lean to the first, whatever the sign of `difference`
    p: float
    distinguishable: bool  # whether p is below SIGNIFICANCE

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        return asdict(self)


def compare(rows: Sequence[Row], metrics: Sequence[Metric] = METRICS) -> list[Pair]:
    """Tests for each metric which two contenders can be told apart, over the pictures that both have a finite score of.

    "p" is that of a two-sided Wilcoxon signed-rank test (Wilcoxon 1945), corrected over all pairs of the metric (Holm
    1979); the rank-biserial correlation is that of Kerby 2014. Two contenders without a picture in common make no pair.
    Fewer than six pictures are never enough: the smallest p of five is 0.0625.
    """
    return [pair for metric in metrics for pair in _pairs(rows, metric.key)]


def correct_by_holm(chances: Sequence[float]) -> list[float]:
    """Corrects the p-values of one family, each for there being several (Holm 1979), in the given order."""
    corrected = [0.0] * len(chances)
    most = 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        most = max(most, min(1.0, chances[index] * (len(chances) - rank)))
        corrected[index] = most
    return corrected


def _pairs(rows: Sequence[Row], key: str) -> list[Pair]:
    groups = group_by_model(rows)
    found = []
    for (first, one), (second, other) in combinations(zip(groups, _finite(groups.values(), key), strict=True), 2):
        differences = _differences(one, other)
        if len(differences):
            found.append((first, second, differences))
    tests = _signed_ranks([differences for *_, differences in found])
    chances = correct_by_holm([test.p for test in tests])
    return [
        Pair(
            metric=key,
            first=first,
            second=second,
            n=len(differences),
            difference=fmean(differences),
            higher=int(np.sum(differences > 0)),
            lower=int(np.sum(differences < 0)),
            rank_biserial=test.rank_biserial,
            p=p,
            distinguishable=p < SIGNIFICANCE,
        )
        for (first, second, differences), test, p in zip(found, tests, chances, strict=True)
    ]


def _finite(groups: Iterable[Sequence[Row]], key: str) -> list[Values]:
    """Each group's scores, one for each picture of all of them; NaN where there is no finite one."""
    scores = [{row.picture: score_of(row, key) for row in own if row.error is None} for own in groups]
    pictures = list(dict.fromkeys(picture for own in scores for picture in own))
    # None becomes NaN.
    values = (np.array([own.get(picture) for picture in pictures], np.float64) for own in scores)
    return [np.where(np.isfinite(each), each, np.nan) for each in values]


def _differences(first: Values, second: Values) -> Values:
    """Returns first - second for each picture of both. Rounded: ranks must not hang on the last bit of equal ones."""
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
