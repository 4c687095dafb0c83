"""Visitors' files: a folder for each process, kept while they are in use, deleted in their time."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipelines.errors import CannotWrite
from tests.conftest import ROOT
from ui.jobs import results, sweeping
from ui.jobs.own_folder import open_own_folder
from ui.jobs.results import KEPT_SECONDS

OVER = KEPT_SECONDS + 60  # seconds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(results, "_kept", {})
    monkeypatch.setattr(sweeping, "_seen", {})
    return tmp_path


def put(folder: Path, name: str, size: int = 1) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def sweep_after(seconds: float, folder: Path, monkeypatch: pytest.MonkeyPatch, *events: Any) -> None:
    """Sweeps now, and as it would be done later, when these events wait or run."""
    page = SimpleNamespace(
        blocks={1: SimpleNamespace(keep_in_cache={str(folder / "first" / "example.png")})},
        temp_file_sets=[{str(path) for path in folder.rglob("*")}],
        _queue=SimpleNamespace(event_ids_to_events=dict(enumerate(events))),
    )
    later = time.monotonic() + seconds
    for now in (time.monotonic(), later):
        monkeypatch.setattr(sweeping, "time", SimpleNamespace(monotonic=lambda now=now: now, time=lambda: time.time()))
        sweeping.sweep(page, folder)  # type: ignore[arg-type]
    assert all(map(os.path.lexists, page.temp_file_sets[0])), "nothing is noted that is gone"


def waiting(seconds: float, *inputs: Any) -> Any:
    """An event that has been waiting or running for so long."""
    return SimpleNamespace(enqueue_time=time.monotonic() - seconds, data=SimpleNamespace(data=[*inputs]))


def given(path: Path) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def test_what_is_old_is_deleted_and_the_pages_own_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, own = put(folder, "a/old.png"), put(folder, "first/example.png")
    sweep_after(KEPT_SECONDS - 60, folder, monkeypatch)
    assert old.exists()
    sweep_after(OVER, folder, monkeypatch)
    assert not old.parent.exists() and own.exists()


def test_what_waiting_and_running_events_were_given_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one picture, and of several in a list; another visitor's is deleted."""
    one, two, other = (put(folder, f"{name}/x.png") for name in ("one", "two", "other"))
    sweep_after(0, folder, monkeypatch)
    event = waiting(0, given(one), "x4", [given(two)])
    sweep_after(OVER, folder, monkeypatch, event)
    assert one.exists() and two.exists() and not other.exists()


def test_what_a_long_run_has_written_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first results of a comparison of hours are packed and shown at its end."""
    early = put(folder, "tiles-1/original.png")
    sweep_after(OVER, folder, monkeypatch, waiting(OVER + 60 + OVER))
    assert early.exists()
    sweep_after(OVER, folder, monkeypatch)
    assert not early.exists()


@pytest.mark.parametrize("hours", [-10, 10])
def test_a_clock_that_jumps_deletes_nothing(hours: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what nobody needs now nor what a run that goes on has made; a laptop that slept is the same."""
    idle, made = put(folder, "idle/x.png"), put(folder, "tiles-1/x.png")
    sweep_after(60, folder, monkeypatch, waiting(120))
    was = time.time
    monkeypatch.setattr(time, "time", lambda: was() + 3600 * hours)
    sweep_after(120, folder, monkeypatch, waiting(180))
    sweep_after(KEPT_SECONDS - 60, folder, monkeypatch)
    assert idle.exists() and made.exists()
    sweep_after(OVER, folder, monkeypatch)
    assert not idle.exists() and not made.exists()


def test_the_oldest_go_where_there_is_too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_HELD_MEGABYTES", "1")
    files = []
    for name in ("a", "b", "c"):
        files.append(put(folder, f"{name}/x.png", 400_000))
        time.sleep(0.02)
    sweep_after(60, folder, monkeypatch)
    assert [file.exists() for file in files] == [False, True, True]


def test_a_result_that_was_looked_at_again_has_its_whole_time_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = results.begin("", "one")
    with results.filling(kept):
        file = put(results.new_folder(), "result.png")
    results.end(kept)
    kept.used = time.monotonic() + KEPT_SECONDS - 60
    sweep_after(OVER, folder, monkeypatch)
    assert file.exists() and results.find(kept.id) is kept
    kept.used = time.monotonic()
    sweep_after(OVER, folder, monkeypatch)
    assert not file.exists() and results.find(kept.id) is None


def test_a_result_whose_files_gave_way_is_not_found(folder: Path) -> None:
    kept = results.begin("", "one")
    with results.filling(kept):
        made = results.new_folder()
    results.end(kept)
    assert results.find(kept.id) is kept and len(kept.id) == 32, "128 bits"
    made.rmdir()
    assert results.find(kept.id) is None and results.find("made-up") is None


def test_an_id_is_good_for_one_run(folder: Path) -> None:
    """Who knows or makes up one cannot write over what is kept under it."""
    key = secrets.token_hex(16)
    assert not results.has_begun(key) and results.find(key) is None
    first = results.begin(key, "one")
    assert first.id == key and results.begin(key, "another") is not first and results.find(key) is first
    assert results.begin("made-up", "one").id != "made-up"
    results.forget(first)
    assert results.find(key) is None and results.has_begun(key) and results.begin(key, "one").id != key


def test_an_id_is_not_free_again_while_its_run_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that were cancelled make room for no other's: that of an address that was handed on stays what it is."""
    monkeypatch.setattr(results, "MOST_KEPT", 3)
    monkeypatch.setattr(results, "_kept", {})
    monkeypatch.setattr(results, "_begun", {})
    kept = results.begin(secrets.token_hex(16), "one")
    for _ in range(5):
        results.forget(results.begin(secrets.token_hex(16), "another"))
    assert results.find(kept.id) is kept and results.begin(kept.id, "another") is not kept
    assert results.find(kept.id) is kept and len(results._begun) <= 3


def test_each_process_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends deletes its own; what a killed one left is deleted by the next."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    code = "import os, signal\nfrom ui.jobs.own_folder import open_own_folder\n"
    code += "with open_own_folder() as folder:\n    (folder / 'x').touch()\n    os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    (killed,) = tmp_path.iterdir()
    with open_own_folder() as one:
        assert not killed.exists() and os.environ["GRADIO_TEMP_DIR"] == str(one)
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
        with open_own_folder() as two:
            assert two != one and {one, two} == {*tmp_path.iterdir()}
        assert [*tmp_path.iterdir()] == [one] and one.stat().st_mode & 0o777 == 0o700
    assert [*tmp_path.iterdir()] == []


def test_no_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file"))
    told = r"^The page needs a folder to write to, and cannot write to .*file \(File exists"
    with pytest.raises(CannotWrite, match=told), open_own_folder():
        pass


def test_nothing_is_written_beyond_the_own_folder() -> None:
    """Gradio's components take the folder from the environment as they are made."""
    with open_own_folder() as folder, gr.Blocks():
        assert str(folder) == gr.Image().GRADIO_CACHE
