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
    assert machine.memory(tmp_path) == GIGA
    (tmp_path / name).write_text(f"{1 << 62}\n")
    assert machine.memory(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize("limit", ["max", "", "none"])
def test_without_a_limit_it_has_what_the_machine_has(limit: str, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(limit)
    assert machine.memory(tmp_path) == machine.memory(tmp_path / "none") == psutil.virtual_memory().total
