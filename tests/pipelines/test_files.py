"""Files that are there whole or not at all; tests/pipelines/images/test_door.py has what holds for pictures too."""

import errno
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


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_that_knows_no_sync_is_written_to(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some network and FUSE file systems answer; one that fails to write is told as ever."""

    def refused(file: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refused)
    write_whole(tmp_path / "report.json", b"whole")
    assert (tmp_path / "report.json").read_bytes() == b"whole"
    code = errno.ENOSPC
    with pytest.raises(CannotWrite, match="no room is left"):
        write_whole(tmp_path / "report.json", b"more")
    assert (tmp_path / "report.json").read_bytes() == b"whole" and len(list(tmp_path.iterdir())) == 1


def test_a_disk_without_permissions_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WSL's mounts of Windows disks and many FUSE file systems refuse chmod."""

    def refused(self: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    (tmp_path / "report.json").write_bytes(b"before")
    monkeypatch.setattr(Path, "chmod", refused)
    write_whole(tmp_path / "report.json", b"after")
    assert (tmp_path / "report.json").read_bytes() == b"after" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_folder_that_takes_no_file_is_told_before(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its permissions say: here they allow everything."""

    def refused(self: Path, mode: str) -> None:
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "open", refused)
    why = "no room is left" if code == errno.EDQUOT else "the folder may not be written to"
    with pytest.raises(CannotWrite, match=f"out.png cannot be written: {why}"):
        check_writable(tmp_path / "out.png")


def test_looking_whether_a_folder_can_be_written_to_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "out.png")
    assert not list(tmp_path.iterdir())
