"""The journal: what it remembers, and what it does not take for done."""

import hashlib
import json
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.batch.journal import NAME, Entry, Journal
from pipelines.errors import CannotWrite

MADE = {"stages": ["swift:4"], "size": [8, 8]}


def entry(data: bytes) -> Entry:
    return Entry("1" * 64, MADE, len(data), hashlib.sha256(data).hexdigest())


def test_a_file_counts_while_it_is_as_it_was_written(tmp_path: Path) -> None:
    Journal(tmp_path).add("ü \udcff.png", entry(b"result"))
    journal = Journal(tmp_path)
    assert not journal.has("ü \udcff.png", "1" * 64, MADE), "noted, and never written"
    path = tmp_path / "ü \udcff.png"
    path.write_bytes(b"result")
    assert journal.has("ü \udcff.png", "1" * 64, MADE)
    assert not journal.has("ü \udcff.png", "2" * 64, MADE), "another image"
    assert not journal.has("ü \udcff.png", "1" * 64, {**MADE, "size": [9, 9]}), "another way"
    path.write_bytes(b"edited")
    assert not journal.has("ü \udcff.png", "1" * 64, MADE)
    assert [*journal] == [path]


def test_a_line_that_a_crash_cut_short_costs_that_line_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    Journal(tmp_path).add("a.png", entry(b"a"))
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'[]\n"x"\n\xff\n{"file": "c.png", "input_sha')
    Journal(tmp_path).add("b.png", entry(b"b"))
    journal = Journal(tmp_path)
    assert [path.name for path in journal] == ["a.png", "b.png"]
    assert journal.has("a.png", "1" * 64, MADE) and journal.has("b.png", "1" * 64, MADE)


def test_many_results_take_little_memory(tmp_path: Path) -> None:
    """What says how they were made is the same for all, and held once: on its own it takes a kilobyte."""
    made = {"stages": ["swift:4"], "weights_sha256": ["ab" * 32], "settings": {}, "size": None, "format": "png"}
    entries = (asdict(Entry(f"{number:064x}", made, 6_000_000 + number, f"{-number:064x}")) for number in range(1000))
    lines = (json.dumps({"file": f"photos/{number:04}.png", **each}) for number, each in enumerate(entries))
    (tmp_path / NAME).write_text("".join(f"{line}\n" for line in lines))
    tracemalloc.start()
    try:
        journal = Journal(tmp_path)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len([*journal]) == 1000 and taken < 700 * 1000


def test_a_journal_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(CannotWrite, match="cannot be read"):
        Journal(tmp_path)
    with pytest.raises(CannotWrite, match="the folder does not exist"):
        Journal(tmp_path / "gone").add("a.png", entry(b"a"))
