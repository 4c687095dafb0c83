"""Long work as a generator: it yields `Step`s and returns its result.

Runs compose with `result = yield from run`; closing one cancels it at its next step. Who only wants the result calls
`finish`. Where only what is yielded gets through, as to another process, `send` makes a plain
generator of a run and `receive` a run of that.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from pipelines.errors import UpscaleError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # between two steps of a run that waits


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is: `done` of `total` units (tiles, rows, bytes), and in words what is being done."""

    done: int
    total: int
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class Preview(Step):
    """A step with what the result looks like so far: a small picture, (h, w, 3) uint8 RGB, or (h, w, 4) where what is
    still to come is transparent.
    """

    picture: "npt.NDArray[np.uint8]"


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The last thing that a run sends when it returned."""

    result: T


@dataclass(frozen=True, slots=True)
class Failed:
    """The last thing that a run sends when it raised what the caller can put into a message."""

    error: UpscaleError | MemoryError


Run: TypeAlias = Generator[Step, None, T]
Sent: TypeAlias = Generator[Step | Finished[T] | Failed, None, None]


def finish(run: Run[T], on_step: Callable[[Step], None] = lambda step: None) -> T:
    """Drains a run and returns its result; `on_step` sees each step. An exception here closes the run."""
    try:
        while True:
            on_step(next(run))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()


def explain(error: Exception) -> str:
    """Returns the sentence for one part of a run that failed while the others go on.

    What should not happen is logged with its traceback.
    """
    if isinstance(error, UpscaleError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for that."
    log.error("a part of a run failed", exc_info=error)
    return f"It failed unexpectedly: {type(error).__name__}: {' '.join(str(error).split())}"


def map_steps(run: Run[T], change: Callable[[Step], Step]) -> Run[T]:
    """Returns the same run, each step as `change` makes it. No step is held here: it may hold pictures."""
    try:
        while True:
            yield change(next(run))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()


def watch_steps(run: Run[T], see: Callable[[Step], None]) -> Run[T]:
    """Returns the same run; `see` is called with each step before it goes on."""

    def seen(step: Step) -> Step:
        see(step)
        return step

    return map_steps(run, seen)


def prefix_notes(run: Run[T], prefix: str) -> Run[T]:
    """Returns the same run, each step's note with `prefix` in front."""
    return map_steps(run, lambda step: replace(step, note=prefix + step.note))


def in_thread(job: Callable[[], T], step: Callable[[], Step], is_late: Callable[[], bool] = lambda: False) -> Run[T]:
    """Runs `job` in a thread, yielding a step now and then; raises TimeoutError once `is_late()`.

    The thread that is then left behind, or when the run is closed, is a daemon: it goes on until its job ends.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(job())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    while not wait([outcome], timeout=POLL_SECONDS).done:
        if is_late():
            raise TimeoutError
        yield step()
    return outcome.result()


def time_run(run: Run[T]) -> Run[tuple[T, float]]:
    """Returns the same run, its result together with the seconds that it worked.

    What passes between a step and the next being asked for is the caller's time, and not counted.
    """
    seconds = 0.0
    try:
        while True:
            started = time.perf_counter()
            try:
                step = next(run)
            finally:
                seconds += time.perf_counter() - started
            yield step
    except StopIteration as stop:
        return stop.value, seconds
    finally:
        run.close()


def send(run: Run[T]) -> Sent[T]:
    """Returns the run as a plain generator that returns nothing: its steps, and last how it ended."""
    try:
        result = yield from run
    except (UpscaleError, MemoryError) as error:
        yield Failed(error)
    else:
        yield Finished(result)


def receive(steps: Sent[T]) -> Run[T]:
    """Returns the run that `send` took apart: returns its result or raises its error; closing it closes `steps`."""
    end: Finished[T] | Failed | None = None
    try:
        for step in steps:  # to its very end: who sends it may have to tidy up after the last step
            if isinstance(step, Step):
                yield step
            else:
                end = step
    finally:
        steps.close()
    if isinstance(end, Finished):
        return end.result
    raise end.error if end else RuntimeError("The run came to no end.")
