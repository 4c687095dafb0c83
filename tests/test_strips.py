"""Strips cover a picture in order, and a closed run leaves those that have not begun."""

import threading

import pytest

from pipelines.runs import Step, finish
from pipelines.strips import by_strips


def test_strips_cover_every_row_once_in_order() -> None:
    steps: list[Step] = []
    strips = finish(by_strips(lambda top, stop: (top, stop), 10, 4, "rows"), steps.append)
    assert strips == [(0, 4), (4, 8), (8, 10)]
    assert steps == [Step(done, 3, "rows") for done in (1, 2, 3)]


def test_closing_drops_what_has_not_begun() -> None:
    begun: list[int] = []
    go_on = threading.Event()

    def work(top: int, stop: int) -> None:
        begun.append(top)
        if top:
            go_on.wait(10)

    run = by_strips(work, 1000, 1, "rows")
    next(run)
    threading.Timer(0.1, go_on.set).start()
    run.close()
    assert len(begun) < 1000


def test_an_error_in_a_strip_is_the_runs() -> None:
    def work(top: int, stop: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        finish(by_strips(work, 10, 4, "rows"))
