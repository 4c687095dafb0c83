"""Means with intervals."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipelines.measuring.columns import Rows
from pipelines.measuring.rows import Row, score_of
from pipelines.measuring.statistics import MetricSummary, Times, estimate_interval, find_shared_pictures, summarise
from tests.conftest import ROOT
from tests.support.rows import row, several


def test_one_entry_for_each_model_in_order() -> None:
    rows = [
        row("b", psnr_y=30.0),
        row("a", psnr_y=31.0),
        row("b", "two.png", error="No room."),
        row("b", "3", ssim=0.5),
    ]
    b, a = summarise(rows)
    assert (b.model, b.n, b.failed) == ("b", 2, 1)
    assert b.metrics["psnr_y"] == MetricSummary(mean=30.0, low=None, high=None, n=1, infinite=0)
    assert b.metrics["ssim"].mean == 0.5 and b.metrics["lpips"] == MetricSummary(None, None, None, n=0, infinite=0)
    assert (a.model, a.n, a.failed, a.notes) == ("a", 1, 0, ())


def test_cost_is_summed_up() -> None:
    rows = [
        replace(row("a", name), seconds=seconds, peak_mb=peak, params=10, weights_bytes=40)
        for name, seconds, peak in (("1", 1.0, 5.0), ("2", 4.0, None), ("3", 2.0, 7.0))
    ]
    (entry,) = summarise([row("a", "0", error="No room."), *rows])
    assert entry.seconds == Times(median=2.0, total=7.0)
    assert (entry.peak_mb, entry.params, entry.weights_bytes) == (7.0, 10, 40)
    assert summarise([row("a", error="No room.")])[0].seconds is None


def test_intervals_are_the_same_each_time_and_hold_the_mean() -> None:
    rows = several("a", np.random.default_rng(1).normal(30, 2, 24))
    first, second = summarise(rows)[0].metrics["psnr_y"], summarise(rows)[0].metrics["psnr_y"]
    assert first == second
    assert first.mean is not None and first.low is not None and first.high is not None
    assert 29 < first.low < first.mean < first.high < 31.5


def test_an_interval_agrees_with_its_formula() -> None:
    """For many values near a normal distribution it is the mean plus and minus 1.96 standard errors."""
    values = np.random.default_rng(2).normal(30, 2, 2000)
    low, high = estimate_interval(values.tolist()) or (0, 0)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.1 * error)


@pytest.mark.parametrize("values", [[30.0] * 7, [0.1 + 0.2, 0.3], [0.0, 0.0]])
def test_equal_values_make_an_interval_of_no_width(values: list[float]) -> None:
    low, high = estimate_interval(values) or (0, 1)
    assert low == high == pytest.approx(values[0])


def test_two_values_make_an_interval_between_them() -> None:
    assert estimate_interval([30.0, 32.0]) == (30.0, 32.0)
    assert estimate_interval([30.0]) is None and estimate_interval([]) is None


def test_infinity_is_left_out_and_told() -> None:
    perfect = row("a", "flat.png", psnr_y=None, mse_y=0.0, psnr=None, mse=0.0)
    assert score_of(perfect, "psnr_y") == score_of(perfect, "psnr") == math.inf
    (entry,) = summarise([perfect, row("a", psnr_y=30.0, mse_y=65.0)])
    assert entry.metrics["psnr_y"] == MetricSummary(mean=30.0, low=None, high=None, n=1, infinite=1)
    assert entry.metrics["mse_y"].mean == 32.5
    assert entry.notes == (
        "PSNR Y is infinite for 1 image, which the mean leaves out.",
        "PSNR is infinite for 1 image, which the mean leaves out.",
    )
    json.dumps(entry.as_dict(), allow_nan=False)


def test_nothing_gives_nothing() -> None:
    empty: list[Row] = []
    assert summarise(empty) == []


def test_importing_it_is_cheap() -> None:
    code = "import sys, pipelines.measuring.statistics; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_pictures_are_shared_where_every_contender_has_a_finite_score() -> None:
    rows = [*several("a", [30, 31, 32]), *several("b", [30, 31]), row("b", "2.png", error="No room.")]
    rows.append(row("c", "0.png", error="No room."))

    def shared(rows: Sequence[Row]) -> list[str]:
        found = find_shared_pictures(rows, "psnr_y")
        return [name for (name, _), is_shared in zip(Rows(rows).pictures, found, strict=True) if is_shared]

    assert shared(rows) == ["0.png", "1.png"], "c was not scored at all"
    perfect = row("d", "0.png", mse_y=0.0)
    assert shared([*rows, perfect, row("d", "1.png", psnr_y=33.0)]) == ["1.png"]
    assert shared([perfect]) == ["0.png"] and shared([rows[-1]]) == shared([]) == []
    assert shared([*rows, perfect]) == [], "the only one that all have has an infinite score"
