"""Whose turn it is: short runs pass long ones between their steps, nobody is forgotten, and nobody is told wrong."""

import threading

import pytest

from pipelines.runs import Run, Step, finish
from ui.jobs import lanes
from ui.jobs.lanes import Expected, Lanes, TooBusy, Visit, visiting

SHORT, LONG = Expected(0.1, 1000), Expected(60.0, 1000)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests themselves say who comes next, in one thread."""
    monkeypatch.setattr(lanes, "LOOK_SECONDS", 0)


@pytest.fixture
def line() -> Lanes:
    return Lanes(free_memory=lambda: 10_000)


def steps(name: str, total: int) -> Run[str]:
    for done in range(total):
        yield Step(done, total, name)
    return name


def rest(run: Run[str]) -> str:
    return finish(run)


def test_a_short_run_passes_a_long_one_between_its_steps(line: Lanes) -> None:
    """A minute's run in 60 steps has done 3 when one of a tenth of a second comes; that ends before the fourth."""
    long, short = line.take_turns(steps("long", 60), LONG), line.take_turns(steps("short", 1), SHORT)
    assert [next(long).done for _ in range(3)] == [0, 1, 2]
    assert next(short).note == "In line: 1st, about 60 s"
    assert next(long).note == "Paused for a short job"
    assert next(short) == Step(0, 1, "short")
    assert next(long).note == "Paused for a short job"
    with pytest.raises(StopIteration) as end:
        next(short)
    assert end.value.value == "short"
    assert next(long) == Step(3, 60, "long")
    assert rest(long) == "long"


def test_among_equals_who_came_first_goes_first(line: Lanes) -> None:
    runs = [line.take_turns(steps(name, 1), LONG) for name in "abcd"]
    notes = [next(run).note for run in runs]
    assert notes == ["a", "In line: 1st, about 60 s", "In line: 2nd, about 120 s", "In line: 3rd, about 3 min"]
    assert rest(runs[0]) == "a"
    assert [next(run).note[:12] for run in runs[:0:-1]] == ["In line: 2nd", "In line: 1st", "b"]


def test_nobody_knows_how_long_means_no_time_is_told(line: Lanes) -> None:
    first, second = line.take_turns(steps("a", 2)), line.take_turns(steps("b", 2), SHORT)
    next(first)
    assert next(second).note == "In line: 1st"


def test_a_long_run_is_not_starved_by_short_ones(line: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_QUEUE", "30")
    long = line.take_turns(steps("long", 9), LONG)
    next(long)
    order = []
    shorts = [line.take_turns(steps(f"short {number}", 1), SHORT) for number in range(20)]
    for run in shorts:
        next(run)
    waiting = [long, *shorts]
    while waiting:
        for run in list(waiting):
            try:
                step = next(run)
            except StopIteration:
                waiting.remove(run)
                continue
            if step.total:
                order.append(step.note)
    first = order.index("long")
    assert first == lanes.MOST_PASSED, "one step after so many"
    assert order[first + 1].startswith("short") and order.count("long") == 8


def test_who_leaves_the_line_is_not_waited_for(line: Lanes) -> None:
    """Cancelled while waiting, and while it has the turn."""
    first, second, third = (line.take_turns(steps(name, 3), LONG) for name in "abc")
    for run in (first, second, third):
        next(run)
    second.close()
    assert next(third).note.startswith("In line: 1st")
    first.close()
    assert next(third) == Step(0, 3, "c")


def test_a_run_that_fails_hands_on_the_turn(line: Lanes) -> None:
    def failing() -> Run[str]:
        yield Step(0, 1, "failing")
        raise RuntimeError

    first, second = line.take_turns(failing(), LONG), line.take_turns(steps("b", 1), LONG)
    next(first)
    assert next(second).note.startswith("In line")
    with pytest.raises(RuntimeError):
        next(first)
    assert next(second) == Step(0, 1, "b")


@pytest.mark.parametrize("needed", [Expected(0.1, 20_000), Expected(0.1, None)])
def test_what_does_not_fit_beside_a_paused_run_waits_for_its_end(needed: Expected, line: Lanes) -> None:
    long, large, small = (
        line.take_turns(steps(name, 4), expected)
        for name, expected in (("long", LONG), ("large", needed), ("small", SHORT))
    )
    next(long)
    assert next(large).note.startswith("In line")
    assert next(small).note.startswith("In line")
    assert next(long).note.startswith("Paused"), "for the small one"
    assert rest(small) == "small"
    assert next(long) == Step(1, 4, "long")
    assert next(large).note.startswith("In line")
    assert rest(long) == "long"
    assert rest(large) == "large"


def test_a_run_that_takes_much_longer_than_expected_counts_as_long(
    line: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, short = line.take_turns(steps("late", 9), SHORT), line.take_turns(steps("short", 1), SHORT)
    next(late)
    next(short)
    assert next(late).note == "late", "both are short, and it came first"
    monkeypatch.setattr(lanes, "OVERDUE", 1e-9)
    assert next(late).note == "Paused for a short job"


def test_who_goes_on_with_a_second_run_keeps_the_place(line: Lanes) -> None:
    visit, other = Visit(), line.take_turns(steps("other", 5), LONG)
    with visiting(visit):
        first = line.take_turns(steps("first", 1), LONG)
        assert rest(first) == "first"
    next(other)
    with visiting(visit):
        second = line.take_turns(steps("second", 1), LONG)
        assert next(second).note.startswith("In line")
    assert next(other).note.startswith("Paused")
    assert rest(second) == "second"


def test_too_many_are_told_so(line: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_QUEUE", "1")
    runs = [line.take_turns(steps(name, 1), LONG) for name in "abc"]
    next(runs[0])
    next(runs[1])
    with pytest.raises(TooBusy, match=r"^The queue is full: too many others are waiting\. Try again in about 60 s\.$"):
        next(runs[2])
    runs[1].close()
    visit, going_on = Visit(7), line.take_turns(steps("d", 1), LONG)
    assert next(going_on).note.startswith("In line: 1st")
    with visiting(visit):
        assert next(line.take_turns(steps("e", 1), LONG)).note.startswith("In line"), "it was let in before"


def test_on_zero_gpu_a_run_keeps_the_turn(line: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause would be paid for with the visitor's time on the GPU."""
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    long, short, longer = (line.take_turns(steps(n, 2), e) for n, e in (("a", LONG), ("b", SHORT), ("c", LONG)))
    next(long)
    assert next(longer).note.startswith("In line")
    assert next(short).note.startswith("In line: 1st")
    assert rest(long) == "a"
    assert rest(short) == "b"
    assert rest(longer) == "c"


def test_turns_are_taken_in_threads(line: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never two steps at once, and everybody comes to an end."""
    monkeypatch.setattr(lanes, "LOOK_SECONDS", 0.01)
    inside, most = [0], [0]

    def counted() -> Run[None]:
        for done in range(20):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1
            yield Step(done, 20, "")

    threads = [
        threading.Thread(target=lambda each=each: finish(line.take_turns(counted(), each)))  # type: ignore[misc]
        for each in (SHORT, LONG) * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads) and most == [1]
