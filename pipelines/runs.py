"""Long work as a generator: it yields `Step`s and returns its result.

Runs compose with `result = yield from run`; closing one cancels it at its next step. Who only wants the result calls
`finish`.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is: `done` of `total` units (tiles, rows, bytes), and in words what is being done."""

    done: int
    total: int
    note: str


Run: TypeAlias = Generator[Step, None, T]


def finish(run: Run[T], on_step: Callable[[Step], None] = lambda step: None) -> T:
    """Drain a run and give its result; `on_step` sees each step. An exception here closes the run."""
    try:
        while True:
            on_step(next(run))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()


def noted(run: Run[T], prefix: str) -> Run[T]:
    """The same run, each step's note with `prefix` in front."""
    try:
        while True:
            step = next(run)
            yield Step(step.done, step.total, prefix + step.note)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()
