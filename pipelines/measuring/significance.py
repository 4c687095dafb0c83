"""How surely the best is the best: signed-rank tests of it against each other one, corrected for their number.

Only the best is tested: with tests of every two the correction would grow with the square of the contenders, and no
few pictures could ever tell anything. Importing this module is cheap: scipy is loaded by the first call that needs it.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from pipelines.measuring.columns import Rows, Values, as_columns
from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.metrics.scores import METRICS, find_metric
from pipelines.measuring.ranking import Ranking, rank
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import estimate_interval

SIGNIFICANCE = 0.05
MOST_WITH_TIES = 13  # pictures: 2^13 signs can all be tried; beyond, ties matter little to the normal approximation
DECIMALS = 9  # differences closer than this are the same number, computed in another order


@dataclass(frozen=True, slots=True)
class Pair:
    """The best by one metric and another contender, over the `n` pictures that both have a finite score of."""

    metric: str  # its key
    first: str  # the best
    second: str
    n: int
    difference: float  # the mean of first - second
    higher: int  # on how many pictures it is above 0
    lower: int  # on how many below
    rank_biserial: float  # -1 to 1: above 0 the ranks lean to the first, whatever the sign of `difference`
    p: float
    distinguishable: bool  # whether p is below SIGNIFICANCE
    low: float | None  # the 95 % interval of the difference; None for a single picture
    high: float | None

    @property
    def sign(self) -> int:
        """Returns 1 where a difference above 0 says that the first is better, -1 where one below 0 does."""
        return 1 if find_metric(self.metric).higher_is_better else -1

    @property
    def won(self) -> int:
        """On how many pictures the first is the better one."""
        return self.higher if self.sign > 0 else self.lower

    @property
    def lost(self) -> int:
        """On how many pictures the second is the better one."""
        return self.lower if self.sign > 0 else self.higher

    @property
    def misleads(self) -> bool:
        """Returns whether the test speaks for the second, although the mean speaks for the first."""
        return self.distinguishable and self.rank_biserial * self.sign < 0

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lead:
    """How far and how surely the best by one metric is ahead of the others, over several pictures."""

    metric: str  # its key
    best: str
    n: int  # pictures that everybody has a finite score of
    won: int  # on how many of them nobody is better than the best
    methods: int  # the best and those it is tested against
    images_needed: int  # as `count_needed` says
    pairs: tuple[Pair, ...]  # with each other contender, the second best first

    @property
    def second(self) -> Pair:
        """The best and the second best."""
        return self.pairs[0]

    @property
    def is_testable(self) -> bool:
        """Returns whether there are enough pictures for any difference to be significant."""
        return self.n >= self.images_needed

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON; the pairs stand in a list of their own."""
        found = {key: value for key, value in asdict(self).items() if key != "pairs"}
        second = self.second
        return found | {"second": second.second, **{key: getattr(second, key) for key in ("difference", "low", "high")}}


def count_needed(comparisons: int) -> int:
    """Returns the number of pictures below which no difference can be significant, whatever the scores.

    The smallest p of a two-sided signed-rank test over n pictures is 2 / 2^n, and Holm multiplies the smallest of all
    by the number of comparisons.
    """
    return math.ceil(math.log2(2 * comparisons / SIGNIFICANCE))


def find_leads(rows: Sequence[Row], metrics: Sequence[Metric] = METRICS) -> list[Lead]:
    """Tests the best by each metric against each other contender; nothing for a single picture or contender.

    "p" is that of a two-sided Wilcoxon signed-rank test (Wilcoxon 1945) over the pictures that both have a finite score
    of, corrected over the pairs of the metric (Holm 1979); the rank-biserial correlation is that of Kerby 2014.
    """
    columns = as_columns(rows)
    if len(columns.pictures) < 2:
        return []
    rankings = (rank(columns, metric) for metric in metrics)
    return [_lead(columns, found) for found in rankings if found and len(found.standings) > 1]


def correct_by_holm(chances: Sequence[float]) -> list[float]:
    """Corrects the p-values of one family, each for there being several (Holm 1979), in the given order."""
    corrected = [0.0] * len(chances)
    most = 0.0
    for smaller, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        most = max(most, min(1.0, chances[index] * (len(chances) - smaller)))
        corrected[index] = most
    return corrected


def _lead(rows: Rows, ranking: Ranking) -> Lead:
    key = ranking.metric.key
    scores = _finite(rows, key)
    best, others = scores[ranking.best.model], [each.model for each in ranking.standings[1:]]
    samples = [_differences(best, scores[other]) for other in others]
    tests = _signed_ranks(samples)
    chances = correct_by_holm([test.p for test in tests])
    pairs = tuple(_pair(key, ranking.best.model, *each) for each in zip(others, samples, tests, chances, strict=True))
    # What everybody has: of those no difference is left out.
    ahead = np.array([best - scores[other] for other in others]) * pairs[0].sign
    shared = np.isfinite(ahead).all(axis=0)
    won = int((ahead[:, shared] >= -(10.0**-DECIMALS)).all(axis=0).sum())
    needed = count_needed(len(pairs))
    return Lead(key, ranking.best.model, int(shared.sum()), won, len(pairs) + 1, needed, pairs)


def _pair(key: str, first: str, second: str, differences: Values, test: "_SignedRanks", p: float) -> Pair:
    low, high = estimate_interval(differences.tolist()) or (None, None)
    return Pair(
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
        low=low,
        high=high,
    )


def _finite(rows: Rows, key: str) -> dict[str, Values]:
    """Each contender's scores, one for each picture of all of them; NaN where there is no finite one."""
    scores = rows.scores(key)
    scores[rows.failed | np.isinf(scores)] = np.nan
    return dict(zip(rows.models, rows.grid(scores), strict=True))


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
