"""Images at addresses, on the command line: what comes of them is what comes of the same files on a disk."""

import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from pipelines.batch.journal import NAME
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth
from tests.pipelines.cli.test_main import run


@pytest.fixture
def folder(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> Path:
    """Two images, one of them in a folder within, a copy of one, a damaged one and a note; also at memory://in."""
    for name, seed in (("a #%1.png", 0), ("ü.png", 1), ("z-copy.png", 1), ("sub/c.jpg", 2)):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(Picture(np.roll(smooth(40, 48), seed, axis=0)), path)
    (tmp_path / "in/broken.png").write_bytes(b"none")
    (tmp_path / "in/notes.txt").write_text("none")
    for path in (tmp_path / "in").rglob("*.*"):
        memory.pipe(f"/in/{path.relative_to(tmp_path / 'in')}", path.read_bytes())
    return tmp_path / "in"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.name != NAME}


def test_upscale_makes_the_same_files_of_a_folder_and_skips_what_is_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tmp_path / "told.json"
    options = ("--model", "nearest", "--scale", 2, "--recursive", "--json", told)
    assert run("upscale", folder, tmp_path / "here", *options) == 1
    here = json.loads(told.read_text())
    assert run("upscale", "memory://in", tmp_path / "out", *options) == 1
    lines = capsys.readouterr().out.splitlines()
    assert contents(tmp_path / "out") == contents(tmp_path / "here") and len(contents(tmp_path / "out")) == 4
    there = json.loads(told.read_text())
    assert [each["state"] for each in there["images"]] == [each["state"] for each in here["images"]]
    assert [each["input"] for each in there["images"]] == [
        f"memory:///in/{name}" for name in ("a #%1.png", "broken.png", "sub/c.jpg", "z-copy.png", "ü.png")
    ]
    assert there["passed_over"] == [{"path": "memory:///in/notes.txt", "reason": "not named as images are"}]
    assert lines[-2].startswith("Failed: memory:///in/broken.png: broken.png is not an image in a format")
    assert run("upscale", "memory://in", tmp_path / "out", *options) == 1
    assert [json.loads(told.read_text())[key] for key in ("done", "skipped", "failed")] == [0, 4, 1]
    assert run("upscale", folder, tmp_path / "out", *options) == 1, "the same images, wherever they lie"
    assert [json.loads(told.read_text())[key] for key in ("done", "skipped", "failed")] == [0, 4, 1]


def test_upscale_takes_one_image_and_folders_within_only_when_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", "nearest", "--scale", 2)
    for name in ("memory://in/ü.png", folder / "ü.png"):
        assert run("upscale", name, tmp_path / f"{len(str(name))}.png", *options) == 0
    assert len({*contents(tmp_path).values()} - {*contents(folder).values()}) == 1
    assert run("upscale", "memory://in", tmp_path / "flat", *options) == 1
    assert not (tmp_path / "flat/sub").exists() and len(contents(tmp_path / "flat")) == 3
    assert "Left out, folders (--recursive looks into them): sub.\n" in capsys.readouterr().out
    assert run("upscale", "memory://in/none.png", tmp_path / "none.png") == 1
    assert capsys.readouterr().err == "memory://in/none.png does not exist.\n"
    assert not (tmp_path / "none.png").exists()


def test_results_go_to_an_address_and_the_same_command_continues(
    folder: Path, tmp_path: Path, memory: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    def counts(*more: object) -> list[int]:
        told = tmp_path / "told.json"
        run("upscale", folder, "memory://out", *options, "--json", told, *more)
        return [json.loads(told.read_text())[key] for key in ("done", "skipped", "failed")]

    options = ("--model", "nearest", "--scale", 2, "--recursive")
    assert run("upscale", folder, tmp_path / "here", *options) == 1
    expected = {f"/out/{name}": data for name, data in contents(tmp_path / "here").items()}
    assert counts() == [4, 0, 1] and counts() == [0, 4, 1]
    made = {path: memory.cat_file(path) for path in memory.find("/out") if "/.upscale-bench/" not in path}
    assert made == expected
    memory.pipe_file("/out/ü.png", b"edited since")
    memory.pipe_file("/out/.upscale-bench/z-copy.png.json", b"[damaged")
    memory.rm_file("/out/a #%1.png")  # killed behind its note
    assert counts() == [1, 1, 3] and memory.cat_file("/out/ü.png") == b"edited since"
    assert "ü.png is there already, made of another image or in another way: --ov" in capsys.readouterr().out
    assert counts("--overwrite") == [2, 2, 1]
    assert {path: memory.cat_file(path) for path in expected} == expected


def test_results_beside_their_images_are_no_images(
    folder: Path, memory: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.rm_file("/in/broken.png")
    options = ("--model", "nearest", "--scale", 2, "--recursive")
    for out, more in (("memory://in/results", ()), ("memory://in", ("--suffix", "_{model}"))):
        for expected in ("4 done, 0 skipped, 0 failed", "0 done, 4 skipped, 0 failed"):
            assert run("upscale", "memory://in", out, *options, *more) == 0
            assert expected in capsys.readouterr().out
        memory.rm("/in/results", recursive=True) if out != "memory://in" else None
    assert run("upscale", "memory://in/ü.png", "memory://in", "--model", "nearest", "--overwrite") == 1
    assert "ü.png is itself an image to upscale" in capsys.readouterr().out


def test_what_cannot_be_written_is_said_before_the_work(
    folder: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("upscale", folder / "ü.png", "memory://out/one.png") == 1
    assert capsys.readouterr().err == "one.png must be a folder, because results at an address go into a folder.\n"

    def refuse(self: object, path: str, *more: object, **options: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(memory), "pipe_file", refuse)
    assert run("upscale", folder, "memory://out") == 1
    said = capsys.readouterr()
    assert said.err == "memory://out/.upscale-bench/README.txt cannot be written (Access Denied).\n"
    assert "x160" not in said.out and memory.find("/out") == []


def test_benchmark_gives_the_same_rows_and_repeats_itself_from_the_address(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(path: Path) -> list[dict[str, Any]]:
        taken = ("seconds", "peak_mb", "stage_seconds")
        found = json.loads(path.read_text())["rows"]
        return [{key: value for key, value in row.items() if key not in taken} for row in found]

    options = ("--models", "nearest,bicubic", "--scale", 2, "--repeats", 0)
    for place, out in ((folder, "here"), ("memory://in", "there")):
        told = ("--json", tmp_path / f"{out}.json", "--html", tmp_path / f"{out}.html")
        assert run("benchmark", place, *options, *told) == 0
    here, there = rows(tmp_path / "here.json"), rows(tmp_path / "there.json")
    assert here == there and len(there) == 6 and sum(row["error"] is not None for row in there) == 2
    assert any("counted once: ü.png" in note for row in there for note in row["notes"])
    assert "Where the models differ most: z-copy.png" in (tmp_path / "there.html").read_text()
    capsys.readouterr()
    assert run("benchmark", "--repeat", tmp_path / "there.json") == 0
    assert "6 of 6 rows have the same scores." in capsys.readouterr().out
