"""How surely the best is the best, against each other contender."""

import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import wilcoxon

from pipelines.measuring.columns import Rows
from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.metrics.scores import METRICS, find_metric
from pipelines.measuring.rows import Row
from pipelines.measuring.significance import SIGNIFICANCE, Lead, Pair, correct_by_holm, count_needed, find_leads
from pipelines.measuring.statistics import estimate_interval
from tests.conftest import ROOT
from tests.support.rows import PSNR_Y, row, several, with_scores


def lead_of(rows: Sequence[Row], metric: Metric = PSNR_Y) -> Lead:
    (lead,) = find_leads(rows, [metric])
    return lead


def pair_of(rows: Sequence[Row]) -> Pair:
    (pair,) = lead_of(rows).pairs
    return pair


def test_holm_by_hand() -> None:
    """Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none below the one before."""
    assert correct_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_by_holm([0.6, 0.7]) == [1.0, 1.0] and correct_by_holm([0.2]) == [0.2] and correct_by_holm([]) == []


def test_a_steady_gain_is_significant_from_six_pictures_on() -> None:
    """All differences of one sign: p is 2 / 2^n, though every one is the same number (ties)."""
    for n, p in ((5, 0.0625), (6, 0.03125)):
        pair = pair_of(several("a", np.arange(n)) + several("b", np.arange(n) + 0.5))
        assert pair.as_dict() == {
            "metric": "psnr_y", "first": "b", "second": "a", "n": n,
            "difference": 0.5, "higher": n, "lower": 0, "rank_biserial": 1.0,
            "p": pytest.approx(p), "distinguishable": n == 6, "low": 0.5, "high": 0.5,
        }  # fmt: skip


def test_only_the_best_is_tested_and_against_each_other_one() -> None:
    """Nine methods are eight comparisons: the smallest p is 8 times 2 / 2^n, significant from nine pictures on."""
    for n in (8, 9):
        base = np.linspace(28, 36, n)
        rows = [each for number in range(9) for each in several(f"m{number}", base + number)]
        lead = lead_of(rows)
        assert (lead.best, lead.methods, lead.images_needed) == ("m8", 9, 9)
        assert [pair.second for pair in lead.pairs] == [f"m{number}" for number in range(7, -1, -1)], "the second first"
        assert {round(pair.p, 9) for pair in lead.pairs} == {8 * 2 / 2**n}
        assert {pair.distinguishable for pair in lead.pairs} == {n == 9} == {lead.is_testable}


@pytest.mark.parametrize(
    ("comparisons", "needed"), [(1, 6), (2, 7), (5, 8), (8, 9), (10, 9), (12, 9), (13, 10), (71, 12)]
)
def test_the_number_of_pictures_that_a_test_needs(comparisons: int, needed: int) -> None:
    assert count_needed(comparisons) == needed
    assert 2 / 2**needed * comparisons <= SIGNIFICANCE < 2 / 2 ** (needed - 1) * comparisons


def test_no_few_pictures_can_be_told_apart() -> None:
    """Whatever ties and zeros there are: with a normal approximation five of a kind would be enough (p = 0.025)."""
    for n in range(2, 6):
        for gains in (np.ones(n), np.arange(n), np.arange(n) + 1.0):
            lead = lead_of(several("a", 30 + gains) + several("b", np.full(n, 30.0)))
            assert not lead.is_testable and not lead.second.distinguishable


def test_ties_among_few_give_what_scipy_gives() -> None:
    for seed in range(5):
        gains = np.random.default_rng(seed).integers(-2, 5, 9)
        pair = pair_of(several("a", 30 + gains) + several("b", np.full(9, 30)))
        assert pair.p == pytest.approx(wilcoxon(gains[gains != 0]).pvalue)


def test_pairs_of_every_kind_give_what_scipy_gives_for_each_alone() -> None:
    """With and without ties, zeros and missing scores, few and many: those of a kind are tested together."""
    random = np.random.default_rng(0)
    rows = [
        *several("continuous", random.normal(33, 2, 60)),
        *several("short", random.normal(30, 2, 20)),
        *several("rounded", random.normal(30, 2, 60).round()),
        *several("rounded-short", random.normal(30, 2, 12).round()),
        *several("like-it", random.normal(30, 2, 9).round()),
    ]
    scores = {model: own.scores("psnr_y") for model, own in Rows(rows).of_each_model().items()}
    lead, alone = lead_of(rows), []
    for pair in lead.pairs:
        first, second = scores[lead.best], scores[pair.second]
        n = min(len(first), len(second))
        differences = np.round(first[:n] - second[:n], 9)
        alone.append(wilcoxon(differences[differences != 0]).pvalue)
        assert (pair.n, pair.difference) == (n, pytest.approx(differences.mean()))
        assert (pair.low, pair.high) == estimate_interval(differences.tolist())
    assert [pair.p for pair in lead.pairs] == pytest.approx(correct_by_holm(alone))
    assert lead.n == 9, "which all of them scored"


def test_pictures_won_are_those_on_which_nobody_is_better() -> None:
    a, b, c = [31.0, 30.0, 33.0, 30.0], [30.0, 30.0, 29.0, 30.5], [30.5, 28.0, 30.0, 30.0]
    lead = lead_of([*several("a", a), *several("b", b), *several("c", c)])
    assert (lead.best, lead.n, lead.won) == ("a", 4, 3), "equal ones are not better"
    assert [(pair.second, pair.won, pair.lost) for pair in lead.pairs] == [("b", 2, 1), ("c", 3, 0)]


def test_where_less_is_better_the_lowest_is_the_best() -> None:
    rows = [with_scores(each, lpips=0.2) for each in several("a", [30.0] * 6)]
    rows += [with_scores(each, lpips=0.3) for each in several("b", [31.0] * 6)]
    lead = lead_of(rows, find_metric("lpips"))
    assert (lead.best, lead.won, lead.second.won, lead.second.lost) == ("a", 6, 6, 0)
    assert lead.second.difference == pytest.approx(-0.1) and lead.second.rank_biserial == -1
    assert lead.second.distinguishable and not lead.second.misleads
    assert lead.as_dict() == {
        "metric": "lpips", "best": "a", "n": 6, "won": 6, "methods": 2, "images_needed": 6,
        "second": "b", "difference": pytest.approx(-0.1), "low": pytest.approx(-0.1), "high": pytest.approx(-0.1),
    }  # fmt: skip


def test_an_outlier_makes_the_mean_and_not_the_ranks() -> None:
    """Rank 24 of 1 to 24 is on one side, the others on the other: (24 - 276) / 300."""
    pair = pair_of(several("a", [*np.arange(23) / 100 + 29, 70]) + several("b", [30.0] * 24))
    assert pair.difference > 0 and pair.distinguishable and pair.misleads
    assert pair.rank_biserial == pytest.approx(-0.84)
    assert (pair.higher, pair.lower) == (1, 23)


def test_many_contenders_take_no_time() -> None:
    random = np.random.default_rng(0)
    rows = [each for n in range(72) for each in several(f"m{n}", random.normal(30, 2, 24))]
    start = time.perf_counter()
    assert len(lead_of(rows).pairs) == 71
    assert time.perf_counter() - start < 5


def test_no_difference_is_p_1() -> None:
    pair = pair_of(several("a", np.arange(30)) + several("b", np.arange(30)))
    assert (pair.difference, pair.p, pair.distinguishable) == (0, 1.0, False)


def test_pairs_are_of_the_pictures_that_both_scored() -> None:
    rows = [*several("a", np.arange(8) + 1.0), *several("b", np.arange(8))[:7], *several("c", np.arange(8))]
    rows[0] = row("a", "0.png", error="No room.")
    rows[-1] = row("c", "7.png", psnr_y=None, mse_y=0.0)
    pairs = {pair.second: pair for pair in lead_of(rows).pairs}
    assert {model: pair.n for model, pair in pairs.items()} == {"b": 6, "c": 6}
    assert pairs["b"].difference == 1 and pairs["b"].p == pytest.approx(2 * 0.03125)
    assert find_leads([row("a", "1", psnr_y=1.0), row("b", "2", psnr_y=2.0)]) == []


def test_every_metric_is_its_own_family() -> None:
    rows = [with_scores(each, ssim_y=0.9) for each in several("a", np.arange(6) + 1.0) + several("b", np.arange(6))]
    assert {lead.metric: lead.second.distinguishable for lead in find_leads(rows)} == {"psnr_y": True, "ssim_y": False}
    assert [lead.metric for lead in find_leads(rows)] == [m.key for m in METRICS if m.key in ("psnr_y", "ssim_y")]


def test_nothing_gives_nothing() -> None:
    assert find_leads([]) == find_leads(several("a", [1.0, 2.0])) == find_leads([row("a", psnr_y=1.0)]) == []


def test_importing_it_is_cheap() -> None:
    code = "import sys, pipelines.measuring.significance; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
