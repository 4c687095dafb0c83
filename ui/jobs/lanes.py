"""Whose turn it is to compute: one run at a time, and a short one does not wait behind long ones.

A run is made of steps. Between two of its own, a long run gives way to a short one that waits; among equals, who came
first goes first. What gives way keeps its memory, so a run that would not fit beside it waits until it has ended.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count

from pipelines import environment, machine
from pipelines.errors import UpscaleError
from pipelines.phrasing import format_duration
from pipelines.runs import Run, Step, T
from ui.jobs import allowance
from ui.jobs.allowance import TooMuch

SHORT_SECONDS = 5.0  # a run that is expected to take less is short
OVERDUE = 2  # times SHORT_SECONDS after which a run is long, whatever was expected
CUT_OFF = 1.5  # times what a visitor's run may take after which it is ended: estimates are rough
MOST_PASSED = 8  # runs that may go before one that came earlier; then it goes for at least a step
LOOK_SECONDS = 0.5  # seconds between two steps of a run that waits


class TooBusy(UpscaleError):
    """So many runs wait that no more may join them."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run is expected to take: seconds of computing and bytes of memory; None where nobody knows.

    What does not count is none of the visitor's runs, and never refused.
    """

    seconds: float | None = None
    bytes: int | None = None
    counts: bool = True


MOMENT = Expected(1.0, 500_000_000)  # to make something of a run that has ended
LOOK = replace(MOMENT, counts=False)  # to look at what such a run has made


@dataclass(eq=False, slots=True)
class Turn:
    """A run's place in line. `number` is smaller for who came earlier."""

    number: int
    expected: Expected
    most: float = float("inf")  # seconds that it may compute
    ran: float = 0.0  # seconds that it has computed
    passed: int = 0  # runs that went before it though they came later, since it last had the turn
    fresh: bool = True  # since it has the turn it has made no step

    @property
    def rank(self) -> tuple[bool, int]:
        """Returns what the turns are ordered by."""
        short = self.expected.seconds is not None and self.expected.seconds < SHORT_SECONDS
        short = short and self.ran < OVERDUE * SHORT_SECONDS
        return not (short or self.passed >= MOST_PASSED), self.number

    @property
    def left(self) -> float | None:
        """Returns the seconds that it is expected still to take."""
        return None if self.expected.seconds is None else max(0.0, self.expected.seconds - self.ran)


@dataclass(eq=False, slots=True)
class Visit:
    """What several runs have in common that follow each other for one visitor: one place in line."""

    number: int | None = None  # once the first of them has joined


_visit: ContextVar[Visit | None] = ContextVar("visit", default=None)


class Lanes:
    """The line of all runs of a process. `free_memory` tells the bytes that are left."""

    def __init__(self, free_memory: Callable[[], int] = machine.available_memory) -> None:
        self._changed = threading.Condition()
        self._line: list[Turn] = []
        self._running: Turn | None = None
        self._numbers = count(1)
        self._free_memory = free_memory

    def take_turns(self, run: Run[T], expected: Expected | None = None) -> Run[T]:
        """Returns the same run, which waits for its turn, and between its steps gives way to who may go before it.

        While it waits it yields steps that say where it is in line; closed then, it leaves. Raises TooBusy where too
        many wait already, TooMuch where the visitor had too many runs already or this one takes too long.
        """
        turn = self._join(expected or Expected())
        try:
            while True:
                yield from self._wait(turn)
                started = time.monotonic()
                try:
                    step = next(run)
                finally:
                    turn.ran, turn.fresh = turn.ran + time.monotonic() - started, False
                if turn.ran > CUT_OFF * turn.most:
                    raise TooMuch(
                        f"The run was ended after {format_duration(turn.ran)}: one run may compute for "
                        f"{format_duration(turn.most)} here. Choose a smaller image, fewer models, or a faster one."
                    )
                yield step
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            run.close()
            self._leave(turn)

    def _join(self, expected: Expected) -> Turn:
        visit = _visit.get() or Visit()
        allowance.check_seconds(expected.seconds)
        with self._changed:
            waiting = sum(not each.ran for each in self._line if each is not self._running)
            if visit.number is None and expected.counts:
                if self._running and waiting >= environment.queue_length():
                    raise TooBusy(describe_full(self._running.left))
                allowance.take_run()
            if visit.number is None:
                visit.number = next(self._numbers)
            turn = Turn(visit.number, expected, allowance.most_seconds())
            self._line.append(turn)
        return turn

    def _leave(self, turn: Turn) -> None:
        with self._changed:
            self._line.remove(turn)
            if self._running is turn:
                self._running = None
                self._hand_on()

    def _wait(self, turn: Turn) -> Run[None]:
        """Ends as soon as the turn is this one's."""
        while True:
            with self._changed:
                keeps = turn.fresh or environment.zero_gpu()  # there a pause would use up the visitor's time on the GPU
                if self._running is None or (self._running is turn and not keeps):
                    self._hand_on()
                if self._running is turn:
                    return
                said = self._describe(turn)
            yield Step(0, 0, said)
            with self._changed:
                self._changed.wait_for(lambda: self._running is turn, LOOK_SECONDS)

    def _hand_on(self) -> None:
        """Gives the turn to the first in line of those that fit into memory."""
        holding = any(each.ran for each in self._line)
        free = self._free_memory() if holding else 0
        fitting = [each for each in self._line if each.ran or not holding or (each.expected.bytes or free + 1) <= free]
        chosen = min(fitting, key=lambda each: each.rank, default=None)
        if chosen is None or chosen is self._running:
            return
        for each in self._line:
            each.passed += each.number < chosen.number
        chosen.passed, chosen.fresh = 0, True
        self._running = chosen
        self._changed.notify_all()

    def _describe(self, turn: Turn) -> str:
        """Returns in words where the turn is in line, and after how long it is expected to come."""
        if turn.ran:
            return "Paused for a short job"
        ahead = [each for each in self._line if each is self._running or each.rank < turn.rank]
        place = sum(each is not self._running for each in ahead) + 1
        ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 if place // 10 % 10 != 1 else 0, "th")
        times = [each.left for each in ahead]
        known = sum(each for each in times if each is not None)
        soon = "" if None in times or known < 1 else f", about {format_duration(known)}"
        return f"In line: {place}{ending}{soon}"


def describe_full(seconds: float | None) -> str:
    """Returns the sentence for who may not join the queue; in so many seconds, if anybody knows, there will be room."""
    soon = "a few minutes" if seconds is None else f"about {format_duration(max(1.0, seconds))}"
    return f"The queue is full: too many others are waiting. Try again in {soon}."


LANES = Lanes()


@contextmanager
def visiting(visit: Visit) -> Iterator[None]:
    """Has all runs that begin in it be of that visit: who goes on with a second one does not wait anew."""
    token = _visit.set(visit)
    try:
        yield
    finally:
        _visit.reset(token)
