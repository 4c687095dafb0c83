"""What a blind test says: known answers, and votes of which the truth is known."""

import math
import random
from collections import Counter
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize
from scipy.stats import kendalltau

from pipelines.measuring import preference
from pipelines.measuring.preference import Vote, agreement, choose_pair, rank_preferences

MODELS = ("a", "b", "c", "d")


def votes_of(*texts: str) -> list[Vote]:
    """Returns votes: "a>b" is for a, "a=b" for neither."""
    return [Vote(text[0], text[2], "first" if text[1] == ">" else "same") for text in texts]


def test_two_models_have_the_odds_of_their_votes() -> None:
    """Three to one is a ratio of the strengths of 3, and of a tie each has half: 3.5 to 1.5."""
    for votes, odds in (
        (votes_of("a>b", "a>b", "a>b", "b>a"), 3),
        (votes_of("a>b", "a>b", "a>b", "b>a", "a=b"), 7 / 3),
    ):
        one, other = preference._estimate(preference._count("ab", votes), draws=0)
        assert math.exp(one - other) == pytest.approx(odds)


def test_strengths_are_those_of_most_likelihood() -> None:
    """Found by another method: minimising the negative logarithm of Bradley's and Terry's chances, the draws added."""
    votes = votes_of("a>b", "b>c", "c>a", "a>c", "a=d", "b>d", "d>b", "c>d", "a>d")

    def unlikely(x: npt.NDArray[np.float64]) -> float:
        strength = dict(zip(MODELS, x, strict=True))
        total = 0.5 * (np.logaddexp(0, x) + np.logaddexp(0, -x)).sum()
        for vote in votes:
            ahead = strength[vote.first] - strength[vote.second]
            lost, won = np.logaddexp(0, ahead), np.logaddexp(0, -ahead)
            total += won if vote.outcome == "first" else (won + lost) / 2
        return float(total)

    best = minimize(unlikely, np.zeros(4), tol=1e-12).x
    assert preference._estimate(preference._count(MODELS, votes)) == pytest.approx(best, abs=1e-4)
    found = {each.model: each for each in rank_preferences(MODELS, votes)}
    for model, value in zip(MODELS, best, strict=True):
        assert found[model].strength == pytest.approx(1 / (1 + math.exp(-value)), abs=1e-4)


def test_the_ends_of_an_interval_are_where_the_likelihood_has_fallen() -> None:
    """One that drew once with the rival: L(x) = (log s(x) + log s(-x)) / 2, for the logistic s."""
    counted = preference._Counted(*np.zeros((3, 1, 1)))
    low, high = preference._interval(counted, np.zeros(1), 0)
    for end in (low, high):
        fallen = np.logaddexp(0, end) + np.logaddexp(0, -end) - 2 * math.log(2)
        assert fallen / 2 == pytest.approx(preference.DROP, abs=1e-3)
    assert low == pytest.approx(-high)


def test_votes_that_all_agree_give_an_order_and_no_certainty() -> None:
    votes = votes_of(*(f"{one}>{other}" for one, other in combinations(MODELS, 2)))
    found = rank_preferences(("d", "c", "b", "a"), votes)
    assert [(each.model, each.rank, each.won, each.shown) for each in found] == [
        ("a", 1, 3, 3), ("b", 2, 2, 3), ("c", 3, 1, 3), ("d", 4, 0, 3)
    ]  # fmt: skip
    assert all(0 < each.low < each.strength < each.high < 1 for each in found)
    assert found[0].low < 0.5, "three votes for it do not make it the best"
    many = rank_preferences(MODELS, votes * 10)
    assert many[0].low > 0.5 > many[-1].high
    assert all(each.high - each.low < other.high - other.low for each, other in zip(many, found, strict=True))


def test_without_votes_all_are_equal_and_nothing_is_known() -> None:
    found = rank_preferences(MODELS, [])
    assert [(each.rank, each.strength, each.shown) for each in found] == [(1, 0.5, 0)] * 4
    assert all(each.low < 0.1 and each.high > 0.9 for each in found)
    assert rank_preferences([], []) == ()


def test_votes_for_neither_are_counted_as_such_and_others_models_are_not() -> None:
    (one, other) = rank_preferences("ab", votes_of("a=b", "a=b", "a>x", "b>a", "a>b"))
    assert (one.rank, other.rank) == (1, 1) and one.strength == pytest.approx(0.5)
    assert (one.shown, one.won, one.tied) == (other.shown, other.won, other.tied) == (4, 1, 2)


def test_every_pair_comes_before_any_comes_again_and_then_the_open_ones() -> None:
    rng, votes, truth = random.Random(0), list[Vote](), dict(zip("abcd", (4.0, 0.2, 0.0, -4.0), strict=True))
    asked: list[frozenset[str]] = []
    for number in range(30):
        pair = choose_pair(MODELS, votes, rng)
        assert len(set(pair)) == 2 and (not asked or frozenset(pair) != asked[-1])
        asked.append(frozenset(pair))
        votes.append(Vote(*pair, "first" if truth[pair[0]] > truth[pair[1]] or number % 2 else "second"))
        if number == 3:
            assert frozenset().union(*asked) == set(MODELS)
    counts = Counter(asked[6:])
    assert counts[frozenset("bc")] > counts[frozenset("ad")], "what is open tells more than what is known"


def test_order_and_side_are_by_chance_and_repeat_with_the_seed() -> None:
    first = [choose_pair(MODELS, [], random.Random(seed)) for seed in range(40)]
    assert first == [choose_pair(MODELS, [], random.Random(seed)) for seed in range(40)]
    assert len(set(first)) > 8, "of the twelve ordered pairs"
    assert {choose_pair("ab", votes_of("a>b"), random.Random(seed)) for seed in range(9)} == {("a", "b"), ("b", "a")}


def test_thirty_votes_find_a_clear_order() -> None:
    """Chosen pair by pair, answered by the truth with the chances of Bradley and Terry."""
    truth, right = dict(zip("abcde", (4, 2, 0, -2, -4), strict=True)), 0.0
    for seed in range(6):
        rng, votes = random.Random(seed), list[Vote]()
        for _ in range(30):
            one, other = choose_pair("abcde", votes, rng)
            better = rng.random() < 1 / (1 + math.exp(truth[other] - truth[one]))
            votes.append(Vote(one, other, "first" if better else "second"))
        ranked = rank_preferences("abcde", votes)
        right += agreement({each.model: each.strength for each in ranked}, truth) or 0
    assert right / 6 > 0.85


def test_agreement_is_kendalls() -> None:
    one, other = {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 30.0, "b": 10.0, "c": 20.0, "x": 0.0}
    assert agreement(one, one) == 1 and agreement(one, {key: -value for key, value in one.items()}) == -1
    assert agreement(one, other) == pytest.approx(1 / 3)
    ties = {"a": 1.0, "b": 1.0, "c": 2.0}
    assert agreement(one, ties) == pytest.approx(kendalltau([3, 2, 1], [1, 1, 2]).statistic)
    assert agreement({"a": 1.0}, one) is agreement(dict.fromkeys("abc", 1.0), one) is None
