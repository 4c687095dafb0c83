"""What is known of the machine."""

from pathlib import Path

import psutil
import pytest

from pipelines import machine

GIGA = 1 << 30


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_no_more_than_its_limit(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(f"{GIGA}\n")
    assert machine.memory_limit(tmp_path) == GIGA
    (tmp_path / name).write_text(f"{1 << 62}\n")
    assert machine.memory_limit(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize("limit", ["max", "", "none"])
def test_without_a_limit_it_has_what_the_machine_has(limit: str, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(limit)
    assert machine.memory_limit(tmp_path) == machine.memory_limit(tmp_path / "none") == psutil.virtual_memory().total


def limited(folder: Path, limit: str, used: int, files: int = 0) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 12345\nactive_file 7\ninactive_file {files}\n")
    return folder


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, str(4 * GIGA), GIGA)) == 3 * GIGA


def test_files_that_were_read_make_way(tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, str(4 * GIGA), 4 * GIGA, files=2 * GIGA)) == 2 * GIGA


def test_more_than_the_limit_leaves_nothing(tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, str(GIGA), GIGA + 4096)) == 0


@pytest.mark.parametrize("limit", ["max", "", "none"])
def test_without_a_limit_the_machine_counts(limit: str, tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, limit, GIGA)) > 1 << 50
    assert machine.container_memory(tmp_path / "none") > 1 << 50
