"""Which contenders can be told apart."""

import subprocess
import sys
import time
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.significance import compare, correct_by_holm
from pipelines.measuring.statistics import group_by_model
from tests.conftest import ROOT
from tests.support.rows import PSNR_Y, row, several, with_scores


def test_holm_by_hand() -> None:
    """Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none below the one before."""
    assert correct_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_by_holm([0.6, 0.7]) == [1.0, 1.0] and correct_by_holm([0.2]) == [0.2] and correct_by_holm([]) == []


def test_a_steady_gain_is_told_apart_from_six_pictures_on() -> None:
    """All differences of one sign: p is 2 / 2^n, though every one is the same number (ties)."""
    for n, p in ((5, 0.0625), (6, 0.03125)):
        rows = several("a", np.arange(n) + 0.5) + several("b", np.arange(n))
        (pair,) = compare(rows, [PSNR_Y])
        assert pair.as_dict() == {
            "metric": "psnr_y", "first": "a", "second": "b", "n": n,
            "difference": 0.5, "higher": n, "lower": 0, "rank_biserial": 1.0,
            "p": pytest.approx(p), "distinguishable": n == 6,
        }  # fmt: skip


def test_no_few_pictures_can_be_told_apart() -> None:
    """Whatever ties and zeros there are: with a normal approximation five of a kind would be enough (p = 0.025)."""
    for n in range(1, 6):
        for gains in (np.ones(n), np.arange(n), np.arange(n) + 1.0):
            rows = several("a", 30 + gains) + several("b", np.full(n, 30.0))
            assert not any(pair.distinguishable for pair in compare(rows, [PSNR_Y]))


def test_ties_among_few_give_what_scipy_gives() -> None:
    for seed in range(5):
        gains = np.random.default_rng(seed).integers(-2, 5, 9)
        (pair,) = compare(several("a", 30 + gains) + several("b", np.full(9, 30)), [PSNR_Y])
        assert pair.p == pytest.approx(wilcoxon(gains[gains != 0]).pvalue)


def test_pairs_of_every_kind_give_what_scipy_gives_for_each_alone() -> None:
    """With and without ties, zeros and missing scores, few and many: those of a kind are tested together."""
    random = np.random.default_rng(0)
    rows = [
        *several("continuous", random.normal(30, 2, 60)),
        *several("short", random.normal(30, 2, 20)),
        *several("rounded", random.normal(30, 2, 60).round()),
        *several("rounded-short", random.normal(30, 2, 12).round()),
        *several("like-it", random.normal(30, 2, 9).round()),
    ]
    scores = [np.array([row.scores["psnr_y"] for row in own]) for own in group_by_model(rows).values()]
    alone = []
    for first, second in combinations(scores, 2):
        n = min(len(first), len(second))
        differences = np.round(first[:n] - second[:n], 9)
        alone.append(wilcoxon(differences[differences != 0]).pvalue)
    assert [pair.p for pair in compare(rows, [PSNR_Y])] == pytest.approx(correct_by_holm(alone))


def test_an_outlier_makes_the_mean_and_not_the_ranks() -> None:
    """Rank 24 of 1 to 24 is on one side, the others on the other: (24 - 276) / 300."""
    (pair,) = compare(several("a", [*np.arange(23) / 100 + 29, 70]) + several("b", [30.0] * 24), [PSNR_Y])
    assert pair.difference > 0 and pair.distinguishable
    assert pair.rank_biserial == pytest.approx(-0.84)
    assert (pair.higher, pair.lower) == (1, 23)


def test_many_pairs_take_no_time() -> None:
    random = np.random.default_rng(0)
    rows = [each for n in range(72) for each in several(f"m{n}", random.normal(30, 2, 24))]
    start = time.perf_counter()
    assert len(compare(rows, [PSNR_Y])) == 2556
    assert time.perf_counter() - start < 1


def test_many_pairs_with_ties_take_no_time() -> None:
    """Where a folder holds a picture twice, every pair has ties."""
    random = np.random.default_rng(0)
    rows = [each for n in range(8) for each in several(f"m{n}", np.resize(random.normal(30, 2, 12), 13))]
    start = time.perf_counter()
    assert len(compare(rows, [PSNR_Y])) == 28
    assert time.perf_counter() - start < 20


def test_no_difference_is_p_1() -> None:
    (pair,) = compare(several("a", np.arange(30)) + several("b", np.arange(30)), [PSNR_Y])
    assert (pair.difference, pair.p, pair.distinguishable) == (0, 1.0, False)


def test_pairs_are_of_the_pictures_that_both_scored() -> None:
    rows = [*several("a", np.arange(8) + 1.0), *several("b", np.arange(8))[:7], *several("c", np.arange(8))]
    rows[0] = row("a", "0.png", error="No room.")
    rows[-1] = row("c", "7.png", psnr_y=None, mse_y=0.0)
    pairs = {(pair.first, pair.second): pair for pair in compare(rows, [PSNR_Y])}
    assert [pair.n for pair in pairs.values()] == [6, 6, 7]
    assert pairs["a", "b"].difference == 1 and pairs["a", "b"].p == pytest.approx(3 * 0.03125)
    assert compare([row("a", "1", psnr_y=1.0), row("b", "2", psnr_y=2.0)]) == []


def test_every_metric_is_its_own_family() -> None:
    rows = [with_scores(each, ssim_y=0.9) for each in several("a", np.arange(6) + 1.0) + several("b", np.arange(6))]
    assert {pair.metric: pair.distinguishable for pair in compare(rows)} == {"psnr_y": True, "ssim_y": False}
    assert [pair.metric for pair in compare(rows)] == [m.key for m in METRICS if m.key in ("psnr_y", "ssim_y")]


def test_nothing_gives_nothing() -> None:
    assert compare([]) == []


def test_importing_it_is_cheap() -> None:
    code = "import sys, pipelines.measuring.significance; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
