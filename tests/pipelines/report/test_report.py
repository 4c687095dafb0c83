"""A report written as JSON and read back, as CSV, and refused when it is something else."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadSetting
from pipelines.measuring.rows import COLUMNS
from pipelines.report.report import Report, as_dict, compare_reports, format_row, from_json, to_csv, to_draft, to_json
from tests.conftest import ROOT
from tests.support.rows import report_of, row, several

CHAIN = row(
    "lapsrn:4,fsrcnn:2",
    psnr_y=24.9,
    stage_seconds=(0.5, 0.25),
    notes=("LPIPS is left out.", "The first stage ran in tiles."),
)
FULL = report_of([*several("bicubic", [30.0, 31.0]), CHAIN, row("edsr", error="There is no room.")])


def strict(data: bytes) -> Any:
    """JSON as other languages read it: NaN and infinity are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(data, parse_constant=refuse)


def drafted(report: Report) -> bytes:
    return to_draft(report, map(format_row, report.rows))


def refusal(data: bytes) -> str:
    with pytest.raises(BadSetting) as caught:
        from_json(data, "old.json")
    sentence = str(caught.value)
    assert sentence.startswith("old.json") and sentence.endswith(".") and "\n" not in sentence
    return sentence


def changed(**values: Any) -> bytes:
    return json.dumps(json.loads(drafted(FULL)) | values).encode()


def test_json_has_the_rows_and_what_follows_from_them() -> None:
    found = strict(to_json(FULL))
    assert found == json.loads(json.dumps(as_dict(FULL)))
    assert (found["format"], found["protocol"], found["scale"], found["complete"]) == (1, "round-trip", 2, True)
    assert found["rows"][2]["stages"] == ["lapsrn:4", "fsrcnn:2"] and len(found["rows"]) == 4
    assert [entry["model"] for entry in found["summary"]] == ["bicubic", "lapsrn:4,fsrcnn:2", "edsr"]
    assert found["summary"][0]["psnr_y"]["mean"] == 30.5
    assert found["verdict"].startswith("On no image") and found["pairs"] == []


@pytest.mark.parametrize("write", [to_json, drafted])
def test_it_is_read_back_as_it_was(write: Any) -> None:
    assert from_json(write(FULL), "old.json") == FULL
    empty = replace(FULL, rows=(), complete=False)
    assert from_json(write(empty), "old.json") == empty


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = several("bicubic", np.random.default_rng(0).normal(30, 2, 12))
    assert to_json(report_of(rows)) == to_json(report_of(rows))


def test_a_perfect_result_is_null_in_json() -> None:
    found = strict(to_json(report_of([row("nearest", psnr=None, mse=0.0, psnr_y=None, mse_y=0.0)])))
    assert found["rows"][0]["psnr_y"] is None and found["rows"][0]["mse_y"] == 0
    assert found["summary"][0]["psnr_y"] == {"mean": None, "low": None, "high": None, "n": 0, "infinite": 1}


def test_what_is_no_report_is_refused() -> None:
    for data in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"picture\0"):
        assert refusal(data) == "old.json is not a report, or is damaged: it is not JSON."
    for data in (b"[]", b"3", b"{}", b'{"rows": []}'):
        assert refusal(data) == "old.json is not a report of a benchmark."


def test_another_version_is_refused() -> None:
    assert refusal(changed(format=2)) == "old.json is a report of another version: its format is not 1."
    assert refusal(changed(colour="red")) == "old.json was written by a newer version: 'colour' is not known here."
    newer = json.loads(drafted(FULL))
    newer["rows"][1]["vmaf"] = 90
    assert refusal(json.dumps(newer).encode()) == (
        "old.json, row 2, was written by a newer version: 'vmaf' is not known here."
    )


def test_a_damaged_one_is_refused() -> None:
    assert refusal(changed(rows={})) == "old.json is damaged: its rows are not a list."
    assert refusal(changed(rows=[3])) == "old.json, row 1, is damaged."
    assert refusal(changed(rows=[{"image": "a"}])) == "old.json, row 1, is not whole: 'image_sha256' is missing."
    assert refusal(changed(scale="2")) == "old.json is damaged: 'scale' is not what it should be."
    found = json.loads(drafted(FULL))
    del found["kernel"]
    assert refusal(json.dumps(found).encode()) == "old.json is not whole: 'kernel' is missing."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("psnr_y", "33"), ("psnr_y", float("nan")), ("mse", float("inf")), ("mse", 10**400), ("seconds", True),
        ("notes", None), ("notes", "none"), ("stages", [1]), ("runs", 1.5), ("image", None), ("error", []),
    ],
)  # fmt: skip
def test_a_row_with_a_wrong_value_is_refused(field: str, value: object) -> None:
    found = json.loads(drafted(FULL))
    found["rows"][0][field] = value
    assert refusal(json.dumps(found).encode()) == f"old.json, row 1, is damaged: '{field}' is not what it should be."


def test_csv_has_a_line_for_each_row() -> None:
    head, *lines = csv.reader(StringIO(to_csv(FULL).decode(), newline=""))
    assert head == [*COLUMNS] and len(lines) == len(FULL.rows)
    found = dict(zip(head, lines[2], strict=True))
    assert found["psnr_y"] == "24.9" and found["lpips"] == "" and found["stages"] == "lapsrn:4; fsrcnn:2"
    assert found["notes"] == "LPIPS is left out.; The first stage ran in tiles."
    assert to_csv(FULL).count(b"\r\n") == 5


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", "-a.png", "@a.png", "\ta.png", '=HYPERLINK("x","y").png'])
def test_csv_holds_no_formula(name: str) -> None:
    _, line = csv.reader(StringIO(to_csv(report_of([row("bicubic", name, mse=-0.0)])).decode(), newline=""))
    assert line[0] == f"'{name}"


def test_csv_keeps_hostile_names_in_their_cell() -> None:
    name = 'a,"b"\r\nc\udcff.png'
    _, line = csv.reader(StringIO(to_csv(report_of([row("bicubic", name)])).decode(), newline=""))
    assert line[0] == 'a,"b"\r\nc?.png' and len(line) == len(COLUMNS)
    assert from_json(to_json(report_of([row("bicubic", name)])), "old.json").rows[0].image == name


def test_a_metrics_files_are_compared_whatever_the_metric() -> None:
    """Of a report before there was a second metric with files too."""
    before = report_of([row("bicubic", lpips=0.3)], lpips_sha256="a")
    for again in (
        report_of([row("bicubic", lpips=0.2)], lpips_sha256="b"),
        report_of([row("bicubic", lpips=0.2)], lpips_sha256="b", metrics_sha256={"lpips": "b"}),
    ):
        (found,) = compare_reports(before, again)
        assert found.reasons == ("the files of LPIPS are different",)
    noted = report_of([row("bicubic", notes=("lpips: LPIPS is not installed here (244 MB).",))])
    (found,) = compare_reports(before, noted)
    assert found.reasons == ("now lpips: LPIPS is not installed here (244 MB).",)


def test_reading_and_writing_rows_needs_no_heavy_library() -> None:
    code = (
        "import sys; from pipelines.report import report; "
        "sys.exit(bool({'cv2', 'torch', 'gradio', 'scipy', 'jinja2'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_report_of_nothing() -> None:
    empty = Report("round-trip", "bicubic", 2, {}, {}, "", "", False, ())
    assert as_dict(empty)["summary"] == [] and as_dict(empty)["verdict"] == "Nothing was scored."


def test_excel_is_told_that_a_table_is_utf_8_where_that_matters() -> None:
    """Plain ASCII stays as every program reads it."""
    assert to_csv(report_of([row("bicubic", "größer.png")])).startswith("\ufeffimage,".encode())
    assert to_csv(report_of([row("bicubic", "plain.png")])).startswith(b"image,")
