"""The command `benchmark`: the report's files, going on after an end of any kind, repeating, and bad input."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import files
from pipelines.errors import CannotWrite
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import METRICS, Plan, list_subjects, no_judges, resolve_contenders
from pipelines.report import recording
from pipelines.runs import finish
from tests.conftest import ROOT, clean_environment, smooth
from tests.pipelines.cli.test_main import run
from tests.support.tiny_graph import espcn_like

ROW = {
    "image", "image_sha256", "model", "scale", "stages", "mse", "psnr", "psnr_y", "ssim", "ssim_y", "ms_ssim", "lpips",
    "consistency_psnr", "niqe", "dists", "seconds", "peak_mb", "params", "weights_bytes", "weights_sha256", "error",
    "notes",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures."""
    inside = tmp_path / "pictures"
    inside.mkdir()
    images.write(Picture(smooth(51, 67)), inside / "one.png")
    images.write(Picture(smooth(40, 48)[::-1].copy()), inside / "two.png")
    return inside


def load_json(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return data


def test_the_report_is_as_designed(folder: Path, tmp_path: Path, own_weights: Path) -> None:
    out = tmp_path / "report"
    code = run(
        "benchmark", folder, "--scale", 2, "--models", "bicubic,espcn", "--repeats", 1,
        "--json", out.with_suffix(".json"), "--csv", out.with_suffix(".csv"), "--html", out.with_suffix(".html"),
        "--markdown", out.with_suffix(".md"), "--latex", out.with_suffix(".tex"),
    )  # fmt: skip
    assert code == 0
    report = load_json(out.with_suffix(".json"))
    assert (report["protocol"], report["kernel"], report["scale"]) == ("round-trip", "bicubic", 2)
    assert report["machine"]["processor"] and report["versions"]["numpy"] and report["complete"]
    assert len(report["rows"]) == 4 and all(set(row) >= ROW for row in report["rows"])
    assert [entry["model"] for entry in report["summary"]] == ["bicubic", "espcn"]
    assert set(report["summary"][0]["psnr_y"]) >= {"mean", "low", "high"}
    with out.with_suffix(".csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["image"], row["model"]) for row in table] == [(row["image"], row["model"]) for row in report["rows"]]
    html = out.with_suffix(".html").read_text()
    assert "one.png" in html and report["verdict"].split(":")[0] in html
    assert report["verdict"].split(":")[0] in out.with_suffix(".md").read_text()
    assert "Bicubic &" in out.with_suffix(".tex").read_text()


def test_command_and_python_give_the_same_scores(folder: Path, tmp_path: Path, own_weights: Path) -> None:
    path = tmp_path / "report.json"
    assert run("benchmark", folder, "--scale", 3, "--models", "all", "--repeats", 0, "--json", path) == 0
    plan = Plan("round-trip", 3, "bicubic", resolve_contenders("round-trip", 3, ["all"], []), repeats=0)
    rows = finish(benchmark.run(plan, list_subjects([folder])[0], no_judges("not here")))
    scores = [[row.scores[metric.key] for metric in METRICS] for row in rows]
    written = load_json(path)["rows"]
    assert [[row[metric.key] for metric in METRICS] for row in written] == scores
    assert [row["model"] for row in written] == [row.model for row in rows]


def test_chained_rows(folder: Path, tmp_path: Path, own_weights: Path) -> None:
    path = tmp_path / "report.json"
    code = run(
        "benchmark", folder / "one.png", "--protocol", "chained-8x", "--repeats", 0, "--models", "nearest",
        "--stages", "espcn:4,bicubic:2", "--stages", "bicubic:4,bicubic:2", "--json", path,
    )  # fmt: skip
    assert code == 0
    rows = load_json(path)["rows"]
    assert [(row["model"], row["stages"]) for row in rows] == [
        ("bicubic", None),
        ("nearest", None),
        ("espcn:4,bicubic:2", ["espcn:4", "bicubic:2"]),
        ("bicubic:4,bicubic:2", ["bicubic:4", "bicubic:2"]),
    ]
    assert {row["scale"] for row in rows} == {8}


def test_without_an_original(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, page = tmp_path / "report.json", tmp_path / "report.html"
    arguments = ["--protocol", "no-original", "--scale", 2, "--models", "nearest,lanczos", "--repeats", 0]
    assert run("benchmark", folder / "one.png", *arguments, "--json", path, "--html", page) == 0
    assert "there is no objective winner at x2" in capsys.readouterr().out
    assert [row["psnr"] for row in load_json(path)["rows"]] == [None, None]
    assert "hrunk by bicubic" not in page.read_text()


def test_what_cannot_run_is_said_and_the_rest_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "notes.txt").write_text("none")
    (folder / "broken.png").write_bytes(b"\x89PNG")
    path = tmp_path / "report.json"
    assert run("benchmark", folder, "--scale", 2, "--models", "espcn,bicubic", "--repeats", 0, "--json", path) == 0
    errors = {(row["image"], row["model"]): row["error"] for row in load_json(path)["rows"]}
    assert errors["one.png", "bicubic"] is None and "ESPCN_x2.pb" in errors["one.png", "espcn"]
    assert "broken.png" in errors["broken.png", "bicubic"]
    out = capsys.readouterr().out
    assert "Left out, not named as images are: notes.txt.\n" in out
    assert "espcn x2 is not here: downloading 86 kB\n" in out
    assert "one.png  espcn x2  failed: ESPCN_x2.pb" in out


def test_nothing_that_could_run_ends_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("benchmark", folder, "--scale", 2, "--models", "espcn") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "ESPCN_x2.pb" in error


# --- going on -----------------------------------------------------------------------------------------------------


def started(folder: Path, path: Path, own: Path) -> "subprocess.Popen[str]":
    """The command in a process of its own, over enough rows to be ended among them."""
    command = [
        sys.executable, "-m", "pipelines", "benchmark", str(folder), "--scale", "2", "--repeats", "200",
        "--models", "nearest,bicubic,espcn", "--json", str(path),
    ]  # fmt: skip
    env = clean_environment() | {"UPSCALE_WEIGHTS_DIR": str(own), "HF_HUB_OFFLINE": "1", "HF_HOME": str(own)}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_is_done_is_kept_and_gone_on_with(
    number: signal.Signals, folder: Path, tmp_path: Path, own_weights: Path
) -> None:
    path = tmp_path / "report.json"
    with started(folder, path, own_weights) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()  # the first row is finished
        process.send_signal(number)
        error = process.stderr.read()
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130
        assert error == f"Cancelled. Finished rows are in {path}, and the same command continues from there.\n"
    partial = load_json(path)
    kept = partial["rows"]
    assert not partial["complete"] and 1 <= len(kept) < 6
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".tmp")] == []
    with started(folder, path, own_weights) as process:
        out, error = process.communicate()
    assert process.returncode == 0, error
    whole = load_json(path)
    assert whole["complete"] and len(whole["rows"]) == 6
    assert [row for row in whole["rows"] if row in kept] == kept, "rows that were kept are not measured again"
    assert out.count("nearest x2") == 2 - sum(row["model"] == "nearest" for row in kept)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--scale", 4], "the scale was 2, now 4"),
        (["--scale", 2, "--kernel", "area"], "the kernel was bicubic, now area"),
        (["--scale", 2, "--models", "nearest"], "rows of another run, such as bicubic on one.png"),
    ],
)
def test_another_runs_file_is_not_touched(
    changed: list[object], words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    assert run("benchmark", folder, "--scale", 2, "--models", "bicubic", "--repeats", 0, "--json", path) == 0
    before = path.read_bytes()
    capsys.readouterr()
    assert run("benchmark", folder, "--models", "bicubic", "--repeats", 0, *changed, "--json", path) == 1
    assert words in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_file_of_other_versions_is_not_touched(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    arguments = ["benchmark", folder, "--scale", 2, "--models", "bicubic", "--repeats", 0, "--json", path]
    assert run(*arguments) == 0
    report = load_json(path)
    report["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(report))
    assert run(*arguments) == 1
    assert "numpy was 1.0, now 2" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 999}', "\x00", '{"format": 1, "rows": [{}]}'])
def test_a_file_that_is_no_report(
    content: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    for arguments in (["--json", path, folder, "--scale", 2, "--models", "bicubic"], ["--repeat", path]):
        assert run("benchmark", *arguments) == 1
        error = capsys.readouterr().err
        assert "report.json" in error and error.count("\n") == 1
    assert path.read_text() == content


def test_a_full_disk_loses_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    written = 0

    def filling(target: Path, data: bytes) -> None:
        nonlocal written
        written += 1
        if written > 2:
            raise CannotWrite(f"{target.name} cannot be written: no room is left.")
        files.write_whole(target, data)

    monkeypatch.setattr(recording, "write_whole", filling)
    arguments = ["benchmark", folder, "--scale", 2, "--models", "nearest,bicubic", "--repeats", 0, "--json", path]
    assert run(*arguments) == 1
    assert "no room is left" in capsys.readouterr().err
    assert len(load_json(path)["rows"]) == 2
    monkeypatch.undo()
    assert run(*arguments) == 0
    assert len(load_json(path)["rows"]) == 4


def test_grey_and_transparent_pictures_in_the_report(tmp_path: Path) -> None:
    grey = np.broadcast_to(smooth(48, 64)[..., :1], (48, 64, 3))
    images.write(Picture(grey, grey=True), tmp_path / "grey.png")
    images.write(Picture(smooth(48, 64), smooth(48, 64)[..., 0]), tmp_path / "shaped.png")
    page = tmp_path / "report.html"
    pictures = [tmp_path / "grey.png", tmp_path / "shaped.png"]
    assert run("benchmark", *pictures, "--scale", 2, "--models", "nearest,bicubic", "--html", page) == 0
    text = page.read_text()
    assert "grey.png" in text and "transparency: scored over white" in text


def test_two_hundred_pictures(tmp_path: Path) -> None:
    """Every row is there, and the page to read stays a file that can be sent."""
    inside = tmp_path / "many"
    inside.mkdir()
    for number in range(200):
        pixels = smooth(24, 24 + number % 7)
        pixels[0, 0] = number / 255, 0, 0  # no two are the same
        images.write(Picture(pixels), inside / f"{number:03}.png")
    path, page = tmp_path / "report.json", tmp_path / "report.html"
    code = run(
        "benchmark", inside, "--scale", 2, "--models", "nearest,bicubic", "--repeats", 0, "--json", path, "--html", page
    )
    assert code == 0
    report = load_json(path)
    assert len(report["rows"]) == 400 and report["summary"][0]["psnr_y"]["n"] == 200
    assert page.stat().st_size < 3_000_000


def test_going_on_without_the_weights_keeps_the_scores(
    folder: Path, tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    arguments = ["benchmark", folder, "--scale", 2, "--models", "bicubic,espcn", "--repeats", 0, "--json", path]
    assert run(*arguments) == 0
    before = load_json(path)["rows"]
    monkeypatch.delenv("UPSCALE_WEIGHTS_DIR")
    assert run(*arguments) == 0
    assert load_json(path)["rows"] == before


def test_two_runs_do_not_share_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    with recording.lock_report(path):
        assert run("benchmark", folder, "--scale", 2, "--models", "bicubic", "--json", path) == 1
    assert "report.json is being written by another run" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOLCK, "no locks"), OSError(errno.EOPNOTSUPP, "no locks"), PermissionError(errno.EACCES, "denied"),
     OSError(errno.EROFS, "read-only"), NotImplementedError("FileSystem does not appear to support flock")],
    ids=str,
)  # fmt: skip
def test_where_nothing_can_be_locked_a_report_is_written_without(
    failure: Exception, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network's disk, a read-only one, or beside a lock that another user left there."""

    def fail(*_: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(recording.FileLock, "acquire", fail)
    path = tmp_path / "report.json"
    assert run("benchmark", folder, "--scale", 2, "--models", "bicubic", "--repeats", 0, "--json", path) == 0
    assert [row["error"] for row in load_json(path)["rows"]] == [None] * len(load_json(path)["rows"]) != []


def test_without_any_folder_for_temporary_files_nothing_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(recording.tempfile, "gettempdir", fail)
    with recording.lock_report(tmp_path / "report.json"):
        pass


def test_an_early_end_promises_no_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "run", interrupted)
    assert run("benchmark", folder, "--scale", 2, "--json", tmp_path / "report.json") == 130
    assert capsys.readouterr().err == "Cancelled.\n"


# --- repeating ----------------------------------------------------------------------------------------------------


@pytest.fixture
def report(folder: Path, tmp_path: Path, own_weights: Path) -> Path:
    path = tmp_path / "report.json"
    assert run("benchmark", folder, "--scale", 2, "--models", "bicubic,espcn", "--repeats", 0, "--json", path) == 0
    return path


def test_repeating_gives_the_same(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = report.read_bytes()
    capsys.readouterr()
    assert run("benchmark", "--repeat", report, "--repeats", 0) == 0
    out = capsys.readouterr().out
    assert "one.png  espcn x2  the same\n" in out
    assert out.endswith("4 of 4 rows have the same scores.\n")
    assert report.read_bytes() == before


def test_repeating_says_what_changed(
    report: Path, folder: Path, own_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images.write(Picture(smooth(40, 48)), folder / "two.png")
    (own_weights / "ESPCN_x2.pb").write_bytes(espcn_like(2, seed=1))
    assert run("benchmark", "--repeat", report, "--repeats", 0) == 1
    captured = capsys.readouterr()
    assert "two.png  bicubic x2  " in captured.out and "the image of that name is a different one" in captured.out
    assert "one.png  bicubic x2  the same" in captured.out
    (line,) = [line for line in captured.out.splitlines() if line.startswith("one.png  espcn") and "psnr_y" in line]
    assert line.endswith(": the weights are different files")
    assert captured.err == "3 of 4 rows are not the same as in report.json.\n"


def test_a_kernel_with_jpeg_is_in_the_report_and_is_repeated(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, scores = tmp_path / "report.json", []
    for kernel in ("bicubic", "bicubic+jpeg75"):
        path.unlink(missing_ok=True)
        arguments = [folder, "--scale", 2, "--models", "bicubic", "--repeats", 0, "--kernel", kernel, "--json", path]
        assert run("benchmark", *arguments) == 0
        scores.append([row["psnr_y"] for row in load_json(path)["rows"]])
    assert all(stored < plain for plain, stored in zip(*scores, strict=True))
    assert load_json(path)["kernel"] == "bicubic+jpeg75" and "--kernel bicubic+jpeg75" in load_json(path)["command"]
    capsys.readouterr()
    assert run("benchmark", "--repeat", path) == 0
    assert "2 of 2 rows have the same scores." in capsys.readouterr().out


def test_what_a_metric_lacks_is_asked_for_and_otherwise_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The network is out of reach here: all else is measured, and the verdict says why nobody is called natural."""
    given = ["benchmark", folder / "one.png", "--scale", 2, "--models", "bicubic,nearest", "--repeats", 0]
    assert run(*given) == 0
    said = capsys.readouterr().out
    assert "Most natural: not measured. LPIPS is not installed here (244 MB).\n" in said
    assert said.splitlines()[-2:] == [
        "LPIPS is not installed here (244 MB). --metrics lpips downloads it.",
        "NIQE is not installed here (12 kB). --metrics niqe downloads it.",
    ]
    for asking in (["--metrics", "lpips"], ["--lpips"]):
        assert run(*given, *asking) == 0
        said = capsys.readouterr().out
        assert "lpips is not here: downloading 244 MB" in said and "Most natural: not measured. alex.pth (6 kB)" in said


def test_repeating_with_pictures_moved(
    report: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rename(tmp_path / "elsewhere")
    assert run("benchmark", "--repeat", report, "--repeats", 0) == 1
    assert "None of the images of report.json was found" in capsys.readouterr().err
    assert run("benchmark", tmp_path / "elsewhere" / "one.png", "--repeat", report, "--repeats", 0) == 1
    captured = capsys.readouterr()
    assert "one.png  bicubic x2  the same" in captured.out
    assert "two.png  bicubic x2  no scores to compare: the image was not found" in captured.out


def test_repeating_does_not_believe_the_report(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = load_json(report)
    edited["rows"][0]["psnr_y"] = 99.5
    report.write_text(json.dumps(edited))
    assert run("benchmark", "--repeat", report, "--repeats", 0) == 1
    assert "psnr_y 99.5, now " in capsys.readouterr().out
    before = report.read_bytes()
    assert run("benchmark", "--repeat", report, "--json", report) == 1
    assert "already exists" in capsys.readouterr().err
    assert report.read_bytes() == before


def test_repeating_writes_a_report_that_can_be_repeated(report: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    assert run("benchmark", "--repeat", report, "--repeats", 0, "--json", again) == 0
    first, second = load_json(report), load_json(again)
    assert [first[key] for key in ("command", "pictures")] == [second[key] for key in ("command", "pictures")]
    assert run("benchmark", "--repeat", again) == 0


def test_repeating_tells_pictures_of_one_name_apart(tmp_path: Path) -> None:
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        images.write(Picture(smooth(30, 30 + number)), tmp_path / folder / "one.png")
    path = tmp_path / "report.json"
    arguments = [tmp_path / "a", tmp_path / "b", "--scale", 2, "--models", "bicubic", "--repeats", 0]
    assert run("benchmark", *arguments, "--json", path) == 0
    assert run("benchmark", "--repeat", path) == 0


def test_pictures_beside_a_report_that_moved_are_found(report: Path, folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    folder.rename(moved / "pictures")
    report.rename(moved / "report.json")
    assert run("benchmark", "--repeat", moved / "report.json") == 0


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("kernel", "sinc", "no kernel 'sinc'"),
        ("protocol", "x", "no protocol 'x'"),
        ("scale", 5, "not by 5"),
        ("model", "all", "no model 'all'"),
        ("stages", ["foo"], "not KEY:SCALE"),
    ],
)
def test_an_edited_report_is_refused_in_a_sentence(
    key: str, value: object, words: str, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = load_json(report)
    (edited if key in edited else edited["rows"][0])[key] = value
    report.write_text(json.dumps(edited))
    capsys.readouterr()
    assert run("benchmark", "--repeat", report) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize("option", [["--scale", 2], ["--models", "nearest"], ["--kernel", "area"]])
def test_a_repeat_takes_no_plan(option: list[object], report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("benchmark", "--repeat", report, *option) == 1
    assert "from the report" in capsys.readouterr().err


def test_names_reach_the_terminal_without_control_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.write(Picture(smooth(20, 20)), tmp_path / "a\n\x1b[31mb.png")
    assert run("benchmark", tmp_path, "--scale", 2, "--models", "bicubic", "--repeats", 0) == 0
    out = capsys.readouterr().out
    assert out.startswith("a??[31mb.png  bicubic x2  PSNR Y")


def test_a_perfect_result_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.write(Picture(np.full((24, 24, 3), 0.5, np.float32)), tmp_path / "flat.png")
    assert run("benchmark", tmp_path, "--scale", 2, "--models", "nearest", "--repeats", 0) == 0
    assert "PSNR Y ∞ dB" in capsys.readouterr().out


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--scale", 2], 1, "no image to measure"),
        (["none.png", "--scale", 2], 1, "none.png does not exist"),
        (["{folder}", "--scale", 5], 2, "There is no scale '5'; there are x2, x3, x4, x8."),
        (["{folder}", "--scale", 2, "--models", "bicubik"], 2, "did you mean bicubic"),
        (["{folder}", "--scale", 2, "--models", ""], 1, "at least one model"),
        (["{folder}", "--scale", 3, "--models", "lapsrn"], 1, "LapSRN has no scale x3"),
        (["{folder}", "--scale", 2, "--kernel", "sinc"], 2, "no kernel 'sinc'"),
        (["{folder}", "--protocol", "chained-8x", "--scale", 2], 1, "chained-8x protocol is by 8, not by 2"),
        (["{folder}", "--protocol", "chained-8x"], 1, "needs a chain"),
        (["{folder}", "--protocol", "chained-8x", "--stages", "lapsrn"], 2, "not KEY:SCALE"),
        (["{folder}", "--scale", 2, "--repeats", "-1"], 2, "not a whole number"),
        (["{folder}", "--scale", 2, "--metrics", "psnr"], 2, "no metric 'psnr' that needs a download. There is lpips"),
        (["{folder}", "--scale", 2, "--json", "none/report.json"], 1, "the folder does not exist"),
        (["{folder}", "--scale", 2, "--json", "{out}/r", "--csv", "{out}/r"], 1, "must have different names"),
        (
            ["{folder}", "--scale", 2, "--json", "{out}/r", "--csv", "{out}/r.rows.jsonl"],
            1,
            "must have different names",
        ),
        (["--repeat", "none.json"], 1, "none.json cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[object], code: int, words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(each).format(folder=folder, out=tmp_path) for each in arguments]
    assert run("benchmark", *given) == code
    captured = capsys.readouterr()
    assert words in captured.err and "Traceback" not in captured.err
    assert code == 2 or captured.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--json", "--csv", "--html"])
def test_what_is_read_is_not_written_over(
    option: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, before = folder / "one.png", (folder / "one.png").read_bytes()
    (tmp_path / "link.png").symlink_to(picture)
    for target in (picture, tmp_path / "link.png"):
        assert run("benchmark", folder, "--scale", 2, "--models", "bicubic", option, target) == 1
        assert "it is one of the files to read" in capsys.readouterr().err
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "name"), [("csv", "CSV"), ("html", "HTML"), ("markdown", "Markdown"), ("latex", "LaTeX")]
)
def test_only_a_report_is_written_over_unless_it_is_asked_for(
    kind: str, name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the other kind is not: it may be all that is left of a measurement. An empty file is nothing to lose."""
    path, other = tmp_path / "there", tmp_path / "other"
    given = ["benchmark", folder, "--scale", 2, "--models", "bicubic", "--repeats", 0]
    assert run(*given, "--csv" if kind == "html" else "--html", other) == 0
    for before in (b"image;price\n", other.read_bytes()):
        path.write_bytes(before)
        assert run(*given, f"--{kind}", path) == 1
        assert capsys.readouterr().err == (
            f"there cannot be written: it exists and is not a {name} report of a benchmark.\n"
        )
        assert path.read_bytes() == before
    assert run(*given, f"--{kind}", path, "--overwrite") == 0
    made = path.read_bytes()
    assert b"bicubic" in made
    assert run(*given, f"--{kind}", path) == 0, "a report is"
    path.write_bytes(b"")
    assert run(*given, f"--{kind}", path) == 0


def test_a_pipe_is_no_place_for_a_report(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert run("benchmark", folder, "--scale", 2, "--models", "bicubic", "--csv", tmp_path / "pipe") == 1
    assert "is not a file" in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo()


def test_a_pipe_is_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert run("benchmark", tmp_path / "pipe.png", "--scale", 2, "--models", "bicubic") == 1
    assert "pipe.png is not a file" in capsys.readouterr().err


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("benchmark", tmp_path, "--scale", 2) == 1
    assert "no image to measure" in capsys.readouterr().err
