"""Where rows are many they are lines of a file beside the report: gone on with after a kill, concluded from as ever."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import BadSetting, CannotWrite
from pipelines.measuring.plan import Plan, Subject
from pipelines.measuring.run import Row, Scored, resolve_contenders
from pipelines.measuring.statistics import estimate_interval
from pipelines.report import recording, tables
from pipelines.report.report import Report, read_earlier_rows, read_report, record_rows, to_html, to_json
from pipelines.runs import Run, finish
from tests.support.rows import report_of, several

PLAN = Plan("round-trip", 2, "bicubic", resolve_contenders("round-trip", 2, ["bicubic", "swift"], []))
COUNT = 30


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_IN_ONE", 2 * COUNT - 1)
    monkeypatch.setattr(tables, "MOST_LISTED", 10)


@pytest.fixture
def whole() -> Report:
    values = np.linspace(28, 32, COUNT)
    models = [several("bicubic", values), several("swift", values + np.sin(values) / 9 + 1)]
    return report_of([row for pair in zip(*models, strict=True) for row in pair])


def subjects(report: Report) -> list[Subject]:
    return [Subject(Path(row.image), row.image, row.image_sha256) for row in report.rows[::2]]


def measure(report: Report, done: int = 0, stop: int | None = None) -> Run[list[Row]]:
    """A run in which these rows are finished but for the first `done`, the last ones first, as on a cluster."""

    def steps() -> Iterator[Scored]:
        for number, row in enumerate(reversed(report.rows[done:])):
            if number == stop:
                raise KeyboardInterrupt
            subject = Subject(Path(row.image), row.image, row.image_sha256)
            yield Scored(number, len(report.rows), "", subject, PLAN.contenders[0], row)

    yield from steps()
    return list(report.rows)


def test_rows_lie_beside_the_report_which_says_the_same_of_them(tmp_path: Path, whole: Report) -> None:
    path, head = tmp_path / "report.json", replace(whole, rows=(), complete=False)
    report = finish(record_rows(measure(whole), head, path, (), 2 * COUNT))
    assert report == replace(whole, rows_file="report.rows.jsonl") == read_report(path)
    found, plain = json.loads(path.read_bytes()), json.loads(to_json(whole))
    lines = [json.loads(line) for line in (tmp_path / "report.rows.jsonl").read_bytes().splitlines()]
    assert found | {"rows": lines} == plain | {"rows_file": "report.rows.jsonl"}
    assert found["rows"] == [] and found["complete"]


def test_the_same_run_goes_on_after_a_kill_and_a_line_cut_short(tmp_path: Path, whole: Report) -> None:
    path, head = tmp_path / "report.json", replace(whole, rows=(), complete=False)
    with pytest.raises(KeyboardInterrupt):
        finish(record_rows(measure(whole, stop=7), head, path, (), 2 * COUNT))
    with (tmp_path / "report.rows.jsonl").open("ab") as file:
        file.write(b'{"image": "hal')
    assert not read_report(path).complete
    earlier = read_earlier_rows(path, head, PLAN, subjects(whole))
    assert list(earlier) == list(reversed(whole.rows))[:7]
    report = finish(record_rows(measure(whole, stop=None), head, path, earlier, 2 * COUNT))
    assert report.rows == whole.rows == read_report(path).rows


def test_a_report_without_its_rows_or_with_damaged_ones_is_refused(tmp_path: Path, whole: Report) -> None:
    path, beside = tmp_path / "report.json", tmp_path / "report.rows.jsonl"
    finish(record_rows(measure(whole), replace(whole, rows=()), path, (), 2 * COUNT))
    lines = beside.read_bytes().splitlines(keepends=True)
    beside.write_bytes(b"".join([*lines[:3], b"none\n"]))
    with pytest.raises(BadSetting, match=r"^report\.rows\.jsonl, line 4, is damaged\.$"):
        read_report(path)
    beside.unlink()
    with pytest.raises(BadSetting, match=r"^report\.rows\.jsonl cannot be read"):
        read_report(path)


@pytest.mark.parametrize("other_report", [False, True])
def test_a_file_that_is_not_of_the_report_is_not_written_over(
    tmp_path: Path, whole: Report, other_report: bool
) -> None:
    """Neither without a report, nor beside one that has its rows in itself."""
    path, beside = tmp_path / "report.json", tmp_path / "report.rows.jsonl"
    beside.write_text("somebody's own")
    if other_report:
        path.write_bytes(to_json(replace(whole, rows=whole.rows[:4])))
    with pytest.raises(CannotWrite, match=r"^report\.rows\.jsonl already exists and is not from this report"):
        finish(record_rows(measure(whole), replace(whole, rows=()), path, (), 2 * COUNT))
    assert beside.read_text() == "somebody's own" and path.exists() == other_report


def test_few_rows_stay_in_the_report(tmp_path: Path, whole: Report) -> None:
    few = replace(whole, rows=whole.rows[:4])
    report = finish(record_rows(measure(few), replace(few, rows=()), tmp_path / "report.json", (), 4))
    assert report == few and [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_bytes() == to_json(few)


def test_the_page_shows_a_sample_and_what_is_concluded_from_all(whole: Report) -> None:
    page = to_html(replace(whole, rows_file="report.rows.jsonl")).decode()
    assert f"of 10 of {COUNT} images" in page and "The rows of all images are in report.rows.jsonl" in page
    assert [f"<dt>{number}.png</dt>" in page for number in (0, 1, 13, 29)] == [True, False, True, True]
    assert f"on {COUNT} of {COUNT} images" in page, "the verdict is of all"


def test_the_interval_of_thousands_of_values_is_the_normal_one() -> None:
    values = np.random.default_rng(1).gamma(4, 2, 2001)
    low, high = estimate_interval(values.tolist()) or (0, 0)
    error = 1.959964 * values.std(ddof=1) / np.sqrt(2001)
    np.testing.assert_allclose([low, high], [values.mean() - error, values.mean() + error], rtol=1e-12)
    resampled = estimate_interval(values[:-1].tolist()) or (0, 0)
    np.testing.assert_allclose(resampled, [low, high], atol=0.2 * error)
