"""Runs compose, return, and close what they run."""

import pickle
import time

import pytest

from pipelines.errors import UpscaleError
from pipelines.runs import Run, Sent, Step, T, finish, map_steps, receive, send, time_run, watch_steps


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


def pickled(steps: Sent[T]) -> Sent[T]:
    """As a boundary between processes forwards them."""
    try:
        for step in steps:
            yield pickle.loads(pickle.dumps(step))
    finally:
        steps.close()


def test_what_is_sent_is_received() -> None:
    seen: list[Step] = []
    assert finish(receive(pickled(send(twice([])))), seen.append) == 5
    assert [step.done for step in seen] == [1, 2, 1, 2, 3]


@pytest.mark.parametrize("kind", [*UpscaleError.__subclasses__(), MemoryError])
def test_an_error_that_can_be_told_is_sent_with_its_sentence(kind: type[UpscaleError | MemoryError]) -> None:
    def failing() -> Run[int]:
        yield Step(1, 2, "counting")
        raise kind("There is none.")

    with pytest.raises(kind, match=r"^There is none\.$"):
        finish(receive(pickled(send(failing()))))


def test_closing_what_is_received_closes_what_is_sent() -> None:
    log: list[str] = []
    run = receive(pickled(send(twice(log))))
    next(run)
    run.close()
    assert log == ["closed"]


def test_a_run_that_is_cut_off_has_no_result() -> None:
    def cut() -> Sent[int]:
        yield Step(1, 2, "counting")

    with pytest.raises(RuntimeError, match="no end"):
        finish(receive(cut()))


def test_time_between_steps_is_the_callers() -> None:
    def working() -> Run[str]:
        time.sleep(0.02)
        yield Step(1, 1, "")
        time.sleep(0.02)
        return "done"

    result, seconds = finish(time_run(working()), lambda step: time.sleep(0.5))
    assert result == "done" and 0.04 <= seconds < 0.5


def test_closing_a_timed_run_closes_it() -> None:
    log: list[str] = []
    run = time_run(counting(3, log))
    next(run)
    run.close()
    assert log == ["closed"]


def test_a_changed_run_returns_and_closes_as_the_run_does() -> None:
    log: list[str] = []
    seen: list[Step] = []
    run = map_steps(watch_steps(counting(3, log), seen.append), lambda step: Step(step.done, 9, "changed"))
    assert next(run) == Step(1, 9, "changed")
    run.close()
    assert log == ["closed"] and seen == [Step(1, 3, "counting")]
    assert finish(watch_steps(counting(3, log), seen.append)) == 3
