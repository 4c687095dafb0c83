"""Files that are there whole or not at all; tests/pipelines/images/test_door.py has what holds for pictures too."""

import os
from pathlib import Path

import pytest

from pipelines.errors import CannotWrite
from pipelines.files import check_writable, write_whole


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for data in (b"first", b"", b"\0\r\n" * 1000):
        write_whole(path, data)
        assert path.read_bytes() == data and list(tmp_path.iterdir()) == [path]


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(file: int) -> None:
        done.append(f"sync {os.fstat(file).st_size}")
        sync(file)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_whole(tmp_path / "report.json", b"12345")
    assert done == ["sync 5", "replace"]


def test_what_can_be_told_before_is(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.json")
    (tmp_path / "folder.json").mkdir()
    for path, why in (
        (tmp_path / "folder.json", "a folder has this name"),
        (tmp_path / "no/x.json", "the folder does"),
    ):
        for job in (check_writable, lambda path: write_whole(path, b"x")):
            with pytest.raises(CannotWrite, match=f"{path.name} cannot be written: {why}"):
                job(path)
