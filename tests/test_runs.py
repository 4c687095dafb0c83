"""Runs compose, return, and close what they run."""

import pytest

from pipelines.runs import Run, Step, finish


def counting(to: int, log: list[str]) -> Run[int]:
    try:
        for done in range(1, to + 1):
            yield Step(done, to, "counting")
        return to
    finally:
        log.append("closed")


def twice(log: list[str]) -> Run[int]:
    first = yield from counting(2, log)
    second = yield from counting(3, log)
    return first + second


def test_finish_gives_the_result_and_shows_each_step() -> None:
    seen: list[Step] = []
    assert finish(twice([]), seen.append) == 5
    assert [step.done for step in seen] == [1, 2, 1, 2, 3]


def test_an_interrupt_while_showing_closes_the_run() -> None:
    log: list[str] = []

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(twice(log), interrupt)
    assert log == ["closed"]
