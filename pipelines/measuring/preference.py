"""What a blind test says: who is preferred, how surely, and which pair to show next.

The model is that of Bradley and Terry 1952: A is preferred to B with the chance pA / (pA + pB). A vote for neither is
half a vote for each. Strengths are estimated by the MM algorithm (Hunter 2004, equation 3), with one draw of each
against a rival of strength 1 added: without it, whoever won or lost every vote would have no finite strength.
Intervals come from the profile likelihood, because with a dozen votes strengths are far from normal, and a bootstrap
of votes that all agree would give an interval of no width.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

DRAWS = 1.0  # with the rival of strength 1, for each model
PRECISION, ROUGH = 1e-10, 1e-6  # of a logarithm of a strength, where an estimate, and each of an interval's, stops
DROP = 1.9207  # of the log-likelihood at the ends of a 95 % interval: half the chi-square quantile of one degree
WIDEST = 12.0  # of a logarithm of a strength: beyond, a chance is 0 or 1 to five digits

Outcome: TypeAlias = Literal["first", "second", "same"]
Values: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer: which of two models made the better crop, or neither."""

    first: str
    second: str
    outcome: Outcome

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Preference:
    """One model in a blind test, with its 95 % interval."""

    model: str
    rank: int  # from 1; equal strengths share one
    strength: float  # 0 to 1: the chance to be preferred to an average model of the test
    low: float
    high: float
    shown: int  # in how many votes
    won: int
    tied: int

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        return asdict(self)


def rank_preferences(models: Sequence[str], votes: Sequence[Vote]) -> tuple[Preference, ...]:
    """Ranks the models by the votes between them, best first. Votes about other models do not count."""
    counted = _count(models, votes)
    if not models:
        return ()
    strengths = _estimate(counted)
    ends = [_interval(counted, strengths, index) for index in range(len(models))]
    # Equal but for the order of the arithmetic is equal.
    order = sorted(range(len(models)), key=lambda index: -round(float(strengths[index]), 6))
    found = []
    for index in order:
        model, own = models[index], float(strengths[index])
        rank = 1 + sum(float(other) > own + 1e-6 for other in strengths)
        shown, tied = int(counted.votes[index].sum()), int(counted.tied[index].sum())
        won = round(float(counted.wins[index].sum()) - tied / 2)
        low, high = map(_chance, ends[index])
        found.append(Preference(model, rank, _chance(own), low, high, shown, won, tied))
    return tuple(found)


def choose_pair(models: Sequence[str], votes: Sequence[Vote], rng: random.Random) -> tuple[str, str]:
    """The two models whose comparison tells most, in random order.

    That is where the outcome is open and the difference between the strengths uncertain: the pair of the largest
    p (1 - p) · variance, the information that a vote adds to the difference (Glickman and Jensen 2005). Equal ones are
    chosen from at random; the last pair is not shown twice in a row where there is another. Needs two models at least.
    """
    counted = _count(models, votes)
    strengths = _estimate(counted)
    covariance = np.linalg.inv(_information(counted, strengths))
    last = {votes[-1].first, votes[-1].second} if votes else set()
    telling: dict[tuple[int, int], float] = {}
    for one, other in combinations(range(len(models)), 2):
        if {models[one], models[other]} != last or len(models) == 2:
            chance = _chance(float(strengths[one] - strengths[other]))
            variance = covariance[one, one] + covariance[other, other] - 2 * covariance[one, other]
            telling[one, other] = chance * (1 - chance) * float(variance)
    most = max(telling.values())
    pair = list(rng.choice([each for each, value in telling.items() if value > most - 1e-9]))
    rng.shuffle(pair)
    return models[pair[0]], models[pair[1]]


def agreement(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Kendall's tau-b (Kendall 1945) between two scores of the same models, larger being better in both: -1 to 1.

    Over the models that both know; None for fewer than two of them, or where a score is the same for all.
    """
    pairs = list(combinations([model for model in one if model in other], 2))
    signs = [(np.sign(one[a] - one[b]), np.sign(other[a] - other[b])) for a, b in pairs]
    untied = math.prod(sum(bool(sign[side]) for sign in signs) for side in (0, 1))
    return float(sum(x * y for x, y in signs)) / math.sqrt(untied) if untied else None


class _Counted(NamedTuple):
    """Votes as arrays (models, models): how often each won against each, shared votes as halves, and all of them."""

    wins: Values
    votes: Values
    tied: Values


def _count(models: Sequence[str], votes: Sequence[Vote]) -> _Counted:
    index = {model: number for number, model in enumerate(models)}
    wins, tied = np.zeros((2, len(models), len(models)))
    for vote in votes:
        if vote.first in index and vote.second in index and vote.first != vote.second:
            one, other = index[vote.first], index[vote.second]
            if vote.outcome == "same":
                tied[[one, other], [other, one]] += 1
            else:
                winner, loser = (one, other) if vote.outcome == "first" else (other, one)
                wins[winner, loser] += 1
    wins += tied / 2
    return _Counted(wins, wins + wins.T, tied)


def _estimate(counted: _Counted, draws: float = DRAWS, start: Values | None = None, fixed: int | None = None) -> Values:
    """The logarithms of the strengths of most likelihood, from those at the start; one may be fixed to its start."""
    strengths = np.ones(len(counted.wins)) if start is None else np.exp(start)
    won = counted.wins.sum(axis=1) + draws / 2
    while True:
        met = (counted.votes / (strengths[:, None] + strengths)).sum(axis=1) + draws / (strengths + 1)
        better = won / met
        if not draws:  # without the rival only ratios are known
            better /= math.exp(float(np.log(better).mean()))
        if fixed is not None:
            better[fixed] = strengths[fixed]
        change = float(np.abs(np.log(better / strengths)).max(initial=0))
        strengths = better
        if change < (PRECISION if fixed is None else ROUGH):
            logarithms: Values = np.log(strengths)
            return logarithms


def _likelihood(counted: _Counted, strengths: Values) -> float:
    """The log-likelihood, the draws with the rival included."""
    ahead = strengths[:, None] - strengths
    won = (counted.wins * np.logaddexp(0, -ahead)).sum()
    drawn = DRAWS / 2 * (np.logaddexp(0, -strengths) + np.logaddexp(0, strengths)).sum()
    return -float(won + drawn)


def _information(counted: _Counted, strengths: Values) -> Values:
    """The negative Hessian of the log-likelihood: (models, models), invertible because of the rival."""
    chances = 1 / (1 + np.exp(strengths - strengths[:, None]))
    weights = counted.votes * chances * chances.T
    alone = 1 / (1 + np.exp(-strengths))
    information: Values = np.diag(weights.sum(axis=1) + DRAWS * alone * (1 - alone)) - weights
    return information


def _interval(counted: _Counted, strengths: Values, index: int) -> tuple[float, float]:
    """Where the likelihood, with all other strengths at their best, has fallen by DROP."""
    from scipy.optimize import brentq

    most, own = _likelihood(counted, strengths), float(strengths[index])

    def above(value: float) -> float:
        start = np.where(np.arange(len(strengths)) == index, value, strengths)
        return _likelihood(counted, _estimate(counted, start=start, fixed=index)) - most + DROP

    ends = [own + side * WIDEST for side in (-1, 1)]
    low, high = (end if above(end) > 0 else float(brentq(above, own, end, xtol=1e-3)) for end in ends)
    return low, high


def _chance(ahead: float) -> float:
    """The chance to be preferred to one whose logarithm of the strength is so much less."""
    return 1 / (1 + math.exp(-ahead))
