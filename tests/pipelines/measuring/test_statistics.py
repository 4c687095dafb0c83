"""Means with intervals, and which contenders can be told apart."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from pipelines.measuring.rows import METRICS, Row
from pipelines.measuring.statistics import by_model, compare, holm, interval, score, shared_pictures, summarise
from tests.conftest import ROOT
from tests.support.rows import PSNR_Y, row, several


def test_one_entry_for_each_model_in_order() -> None:
    rows = [
        row("b", psnr_y=30.0),
        row("a", psnr_y=31.0),
        row("b", "two.png", error="No room."),
        row("b", "3", ssim=0.5),
    ]
    b, a = summarise(rows)
    assert (b["model"], b["n"], b["failed"]) == ("b", 2, 1)
    assert b["psnr_y"] == {"mean": 30.0, "low": None, "high": None, "n": 1, "infinite": 0}
    assert b["ssim"]["mean"] == 0.5 and b["lpips"] == {"mean": None, "low": None, "high": None, "n": 0, "infinite": 0}
    assert (a["model"], a["n"], a["failed"], a["notes"]) == ("a", 1, 0, [])


def test_cost_is_summed_up() -> None:
    rows = [
        replace(row("a", name), seconds=seconds, peak_mb=peak, params=10, weights_bytes=40)
        for name, seconds, peak in (("1", 1.0, 5.0), ("2", 4.0, None), ("3", 2.0, 7.0))
    ]
    (entry,) = summarise([row("a", "0", error="No room."), *rows])
    assert entry["seconds"] == {"median": 2.0, "total": 7.0}
    assert (entry["peak_mb"], entry["params"], entry["weights_bytes"]) == (7.0, 10, 40)
    assert summarise([row("a", error="No room.")])[0]["seconds"] is None


def test_intervals_are_the_same_each_time_and_hold_the_mean() -> None:
    rows = several("a", np.random.default_rng(1).normal(30, 2, 24))
    first, second = summarise(rows)[0]["psnr_y"], summarise(rows)[0]["psnr_y"]
    assert first == second
    assert 29 < first["low"] < first["mean"] < first["high"] < 31.5


def test_an_interval_agrees_with_its_formula() -> None:
    """For many values near a normal distribution it is the mean plus and minus 1.96 standard errors."""
    values = np.random.default_rng(2).normal(30, 2, 2000)
    low, high = interval(values.tolist()) or (0, 0)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.1 * error)


@pytest.mark.parametrize("values", [[30.0] * 7, [0.1 + 0.2, 0.3], [0.0, 0.0]])
def test_equal_values_make_an_interval_of_no_width(values: list[float]) -> None:
    low, high = interval(values) or (0, 1)
    assert low == high == pytest.approx(values[0])


def test_two_values_make_an_interval_between_them() -> None:
    assert interval([30.0, 32.0]) == (30.0, 32.0)
    assert interval([30.0]) is None and interval([]) is None


def test_infinity_is_left_out_and_told() -> None:
    perfect = row("a", "flat.png", psnr_y=None, mse_y=0.0, psnr=None, mse=0.0)
    assert score(perfect, "psnr_y") == score(perfect, "psnr") == math.inf
    (entry,) = summarise([perfect, row("a", psnr_y=30.0, mse_y=65.0)])
    assert entry["psnr_y"] == {"mean": 30.0, "low": None, "high": None, "n": 1, "infinite": 1}
    assert entry["mse_y"]["mean"] == 32.5
    assert entry["notes"] == [
        "PSNR Y is infinite for 1 picture, which the mean leaves out.",
        "PSNR is infinite for 1 picture, which the mean leaves out.",
    ]
    json.dumps(entry, allow_nan=False)


def test_holm_by_hand() -> None:
    """Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([0.2]) == [0.2] and holm([]) == []


def test_a_steady_gain_is_told_apart_from_six_pictures_on() -> None:
    """All differences of one sign: p is 2 / 2^n, though every one is the same number (ties)."""
    for n, p in ((5, 0.0625), (6, 0.03125)):
        rows = several("a", np.arange(n) + 0.5) + several("b", np.arange(n))
        (pair,) = compare(rows, [PSNR_Y])
        assert pair == {
            "metric": "psnr_y", "first": "a", "second": "b", "n": n,
            "difference": 0.5, "higher": n, "lower": 0, "rank_biserial": 1.0,
            "p": pytest.approx(p), "distinguishable": n == 6,
        }  # fmt: skip


def test_no_few_pictures_can_be_told_apart() -> None:
    """Whatever ties and zeros there are: with a normal approximation five of a kind would be enough (p = 0.025)."""
    for n in range(1, 6):
        for gains in (np.ones(n), np.arange(n), np.arange(n) + 1.0):
            rows = several("a", 30 + gains) + several("b", np.full(n, 30.0))
            assert not any(pair["distinguishable"] for pair in compare(rows, [PSNR_Y]))


def test_ties_among_few_give_what_scipy_gives() -> None:
    for seed in range(5):
        gains = np.random.default_rng(seed).integers(-2, 5, 9)
        (pair,) = compare(several("a", 30 + gains) + several("b", np.full(9, 30)), [PSNR_Y])
        assert pair["p"] == pytest.approx(wilcoxon(gains[gains != 0]).pvalue)


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
    scores = [np.array([row.psnr_y for row in own]) for own in by_model(rows).values()]
    alone = []
    for first, second in combinations(scores, 2):
        n = min(len(first), len(second))
        differences = np.round(first[:n] - second[:n], 9)
        alone.append(wilcoxon(differences[differences != 0]).pvalue)
    assert [pair["p"] for pair in compare(rows, [PSNR_Y])] == pytest.approx(holm(alone))


def test_an_outlier_makes_the_mean_and_not_the_ranks() -> None:
    """Rank 24 of 1 to 24 is on one side, the others on the other: (24 - 276) / 300."""
    (pair,) = compare(several("a", [*np.arange(23) / 100 + 29, 70]) + several("b", [30.0] * 24), [PSNR_Y])
    assert pair["difference"] > 0 and pair["distinguishable"]
    assert pair["rank_biserial"] == pytest.approx(-0.84)
    assert (pair["higher"], pair["lower"]) == (1, 23)


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
    assert (pair["difference"], pair["p"], pair["distinguishable"]) == (0, 1.0, False)


def test_pairs_are_of_the_pictures_that_both_scored() -> None:
    rows = [*several("a", np.arange(8) + 1.0), *several("b", np.arange(8))[:7], *several("c", np.arange(8))]
    rows[0] = row("a", "0.png", error="No room.")
    rows[-1] = row("c", "7.png", psnr_y=None, mse_y=0.0)
    pairs = {(pair["first"], pair["second"]): pair for pair in compare(rows, [PSNR_Y])}
    assert [pair["n"] for pair in pairs.values()] == [6, 6, 7]
    assert pairs["a", "b"]["difference"] == 1 and pairs["a", "b"]["p"] == pytest.approx(3 * 0.03125)
    assert compare([row("a", "1", psnr_y=1.0), row("b", "2", psnr_y=2.0)]) == []


def test_every_metric_is_its_own_family() -> None:
    rows = [replace(each, ssim_y=0.9) for each in several("a", np.arange(6) + 1.0) + several("b", np.arange(6))]
    assert {pair["metric"]: pair["distinguishable"] for pair in compare(rows)} == {"psnr_y": True, "ssim_y": False}
    assert [pair["metric"] for pair in compare(rows)] == [m.key for m in METRICS if m.key in ("psnr_y", "ssim_y")]


def test_nothing_gives_nothing() -> None:
    empty: list[Row] = []
    assert summarise(empty) == [] and compare(empty) == []


def test_importing_it_is_cheap() -> None:
    code = "import sys, pipelines.measuring.statistics; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_pictures_are_shared_where_every_contender_has_a_finite_score() -> None:
    rows = [*several("a", [30, 31, 32]), *several("b", [30, 31]), row("b", "2.png", error="No room.")]
    rows.append(row("c", "0.png", error="No room."))
    first, second = ((f"{number}.png", "0" * 64) for number in range(2))
    assert shared_pictures(rows) == {first, second}, "c was not scored at all"
    perfect = row("d", "0.png", mse_y=0.0)
    assert shared_pictures([*rows, perfect, row("d", "1.png", psnr_y=33.0)]) == {second}
    assert shared_pictures([perfect]) == {first} and shared_pictures([rows[-1]]) == shared_pictures([]) == frozenset()
    assert shared_pictures([*rows, perfect]) == frozenset(), "the only one that all have has an infinite score"
