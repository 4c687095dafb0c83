"""`upscale` and `chain` of many images: which command is a batch, what it prints, writes and exits with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.batch.journal import NAME
from pipelines.cli.main import main
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("a.png", "-b #1%.png", "ü字.png")):
        images.write(Picture(smooth(20 + number, 30)), tmp_path / "in" / name)
    return tmp_path / "in"


def run(*arguments: object) -> int:
    try:
        return main([str(each) for each in arguments])
    except SystemExit as end:
        return int(end.code or 0)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != NAME)


def test_a_folder_becomes_a_folder_and_the_same_command_skips_what_is_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "notes.txt").write_text("none")
    (folder / "broken.png").write_bytes(b"none")
    out, told = tmp_path / "out", tmp_path / "told.json"
    command = ("upscale", folder, "--model", "bicubic", "--scale", 2, out, "--suffix", "_{model}_x{scale}")
    assert run(*command, "--json", told) == 1
    said = capsys.readouterr()
    assert names_in(out) == ["-b #1%_bicubic_x2.png", "a_bicubic_x2.png", "ü字_bicubic_x2.png"]
    lines = said.out.splitlines()
    assert lines[0] == "Left out, not named as images are: notes.txt."
    assert lines[1].startswith("-b #1%_bicubic_x2.png: 60 x 42, bicubic x2, ")
    assert lines[-2].startswith(f"Failed: {folder}/broken.png: broken.png is not an image")
    assert lines[-1].startswith("3 done, 0 skipped, 1 failed, in ")
    assert said.err == "1 of 4 images failed. The same command tries them again.\n"
    summary = json.loads(told.read_text())
    assert [summary[key] for key in ("done", "skipped", "failed", "left")] == [3, 0, 1, 0]
    assert [each["state"] for each in summary["images"]] == ["done", "done", "failed", "done"]
    assert summary["images"][1]["details"]["size"] == [60, 40]
    assert summary["images"][2]["error"].startswith("broken.png is not an image")
    assert summary["passed_over"] == [{"path": f"{folder}/notes.txt", "reason": "not named as images are"}]
    (folder / "broken.png").unlink()
    assert run(*command) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 done, 3 skipped, 0 failed, in ")


def test_files_and_options_may_stand_in_any_order(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ("upscale", folder / "a.png", folder / "ü字.png", "--model", "nearest", folder / "-b #1%.png", out)
    assert run(*given, "--format", "jpg", "--quality", 70) == 0
    assert names_in(out) == ["-b #1%.jpg", "a.jpg", "ü字.jpg"]


def test_one_image_goes_into_a_folder_that_is_there_or_named_as_one(folder: Path, tmp_path: Path) -> None:
    assert run("upscale", folder / "a.png", f"{tmp_path}/new/", "--model", "nearest") == 0
    assert run("chain", folder / "ü字.png", tmp_path / "new", "--stages", "nearest:2,bicubic:2") == 0
    assert names_in(tmp_path / "new") == ["a.png", "ü字.png"]
    assert images.measure(tmp_path / "new" / "ü字.png") == (120, 88)


def test_what_cannot_be_is_said_in_one_line_before_the_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("none")
    for given, said in [
        ((folder, tmp_path / "out.png"), "out.png must be a folder, because there are many results."),
        ((folder, tmp_path / "out", "--quality", 9), "PNG is lossless and has no quality: choose --format jpg, webp"),
        ((folder, tmp_path / "out", "--suffix", "{x}"), "In --suffix, braces hold {model} or {scale}"),
        ((tmp_path / "empty", tmp_path / "out"), "There is no image to upscale. Name image files, or folders"),
        ((folder, tmp_path / "gone.png", tmp_path / "out"), "gone.png does not exist."),
        ((folder, tmp_path / "file"), "file cannot be"),
        ((folder, tmp_path / "out", "--seed", 3), "Swift cannot use the setting seed."),
    ]:
        assert run("upscale", *given) == 1
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_killed_in_the_middle_nothing_is_lost_half_written_or_done_twice(folder: Path, tmp_path: Path) -> None:
    """By SIGKILL, which nothing can tidy up after, while the second result is about to be written."""
    out = tmp_path / "out"
    code = (
        "import os, signal, sys\nfrom pipelines import files\nfrom pipelines.cli.main import main\n"
        "seen = []\n"
        "write = files.write_whole\n"
        "def whole(path, data):\n"
        "    seen.append(path)\n"
        "    if len(seen) == 2:\n"
        "        path.with_name('.cut.tmp').write_bytes(data[:9])\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(path, data)\n"
        "files.write_whole = whole\nsys.exit(main(sys.argv[1:]))"
    )
    command = ["upscale", str(folder), str(out), "--model", "bicubic", "--scale", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert names_in(out) == ["-b #1%.png", ".cut.tmp"]
    first = (out / "-b #1%.png").stat().st_mtime_ns
    assert run(*command, "--json", tmp_path / "told.json") == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert [each["state"] for each in told["images"]] == ["skipped", "done", "done"]
    assert (out / "-b #1%.png").stat().st_mtime_ns == first
    assert {images.measure(out / name) for name in ("-b #1%.png", "a.png", "ü字.png")} == {(60, 40), (60, 42), (60, 44)}


def test_an_interrupt_keeps_what_is_done_and_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.cli import batch

    def interrupt(outcome: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "_print_outcome", interrupt)
    command = ("upscale", folder, tmp_path / "out", "--model", "bicubic", "--json", tmp_path / "told.json")
    assert run(*command) == 130
    assert capsys.readouterr().err == "Cancelled. Finished images are kept, and the same command continues.\n"
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["done"], told["left"]) == (1, 2)
    monkeypatch.undo()
    assert run(*command) == 0
