"""Rows as columns say what the rows said, bit for bit, and take little memory."""

import json
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipelines.measuring.columns import Rows, as_columns
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.rows import parse_row, score_of
from tests.support.rows import row

CHAIN = replace(
    row("first:4,second:2", "b.png", psnr_y=1 / 3),
    stages=("first:4", "second:2"),
    stage_seconds=(0.1, 0.2),
    seconds=0.30000000000000004,
    runs=3,
    peak_mb=12.5,
    params=10,
    weights_bytes=40,
    weights_sha256="ab" * 32,
    notes=("cropped", "lpips: not here"),
)
ROWS = [
    row("bicubic", "a.png", psnr_y=30.1, mse_y=2.5),
    CHAIN,
    row("bicubic", "b.png", error="No room."),
    row("first:4,second:2", "a.png", mse_y=0.0, mse=0.0),
]


def test_each_row_comes_back_as_it_was() -> None:
    rows = Rows(ROWS)
    assert [*rows] == ROWS == rows and (rows[1], rows[-1]) == (CHAIN, ROWS[-1])
    assert rows[1:3] == ROWS[1:3] and rows.select(np.array([3, 1])) == [ROWS[3], CHAIN]
    assert rows != ROWS[:3] and rows != [*ROWS[:3], CHAIN]
    assert as_columns(rows) is rows and Rows() == ()
    with pytest.raises(IndexError):
        rows[4]
    text = json.dumps([each.as_dict() for each in rows])
    assert text == json.dumps([each.as_dict() for each in ROWS]) and [*map(parse_row, json.loads(text))] == ROWS


def test_columns_say_what_each_row_does() -> None:
    rows = Rows(ROWS)
    for metric in METRICS:
        said = [score_of(each, metric.key) for each in ROWS]
        np.testing.assert_array_equal(rows.scores(metric.key), [math.nan if s is None else s for s in said])
    assert math.inf in rows.scores("psnr_y")
    assert rows.failed.tolist() == [False, False, True, False]
    assert rows.models == ["bicubic", "first:4,second:2"] and [name for name, _ in rows.pictures] == ["a.png", "b.png"]
    np.testing.assert_array_equal(rows.grid(rows.numbers("psnr_y")), [[30.1, math.nan], [math.nan, 1 / 3]])
    np.testing.assert_array_equal(rows.grid(rows.scores("psnr_y"))[1], [math.inf, 1 / 3])
    assert rows.said == [
        ("bicubic", None, ()),
        ("first:4,second:2", None, ("cropped", "lpips: not here")),
        ("bicubic", "No room.", ()),
        ("first:4,second:2", None, ()),
    ]
    assert {model: [*own] for model, own in rows.of_each_model().items()} == {
        "bicubic": [ROWS[0], ROWS[2]],
        "first:4,second:2": [ROWS[1], ROWS[3]],
    }
    assert rows.of_pictures(np.array([False, True])) == [ROWS[1], ROWS[2]]


def test_a_part_knows_only_its_own_and_rows_may_be_added() -> None:
    part = Rows(ROWS)[1:3]
    assert part.models == ["first:4,second:2", "bicubic"] and [name for name, _ in part.pictures] == ["b.png"]
    part.append(ROWS[0])
    assert [name for name, _ in part.pictures] == ["b.png", "a.png"] and part[2] == ROWS[0]


def test_of_two_rows_of_the_same_the_later_counts_in_the_place_of_the_first() -> None:
    again = replace(ROWS[0], seconds=9.0)
    assert Rows([*ROWS, again]).without_repeats() == [again, *ROWS[1:]]
    assert Rows(ROWS).without_repeats() == ROWS


def test_many_rows_take_little_memory() -> None:
    """A `Row` takes more than a kilobyte."""
    scores = {metric.key: number / 7 for number, metric in enumerate(METRICS)}
    images = [(f"photo-{number}.png", f"{number:064x}") for number in range(1000)]
    given = (replace(row("m", name), image_sha256=sha256, scores=scores) for name, sha256 in images for _ in range(3))
    tracemalloc.start()
    try:
        rows = Rows(given)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == 3000 and taken < 500 * len(rows)
