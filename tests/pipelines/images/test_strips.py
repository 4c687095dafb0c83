"""Strips cover a picture in order, and nothing works on while the caller has the turn."""

import os
import time

import pytest

from pipelines.images import strips
from pipelines.images.strips import map_strips
from pipelines.runs import Step, finish


def test_strips_cover_every_row_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "STRIPS_PER_CORE", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    steps: list[Step] = []
    found = finish(map_strips(lambda top, stop: (top, stop), 10, 4, "rows"), steps.append)
    assert found == [(0, 4), (4, 8), (8, 10)]
    assert steps == [Step(done, 3, "rows") for done in (2, 3)]


def test_nothing_works_on_between_two_steps() -> None:
    begun: list[int] = []
    run = map_strips(lambda top, stop: begun.append(top), 1000, 1, "rows")
    done = next(run).done
    time.sleep(0.05)
    assert len(begun) == done < 1000
    run.close()
    assert len(begun) == done


def test_an_error_in_a_strip_is_the_runs() -> None:
    def work(top: int, stop: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        finish(map_strips(work, 10, 4, "rows"))
