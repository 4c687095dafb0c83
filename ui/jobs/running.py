"""How an event of the page runs long work: in its turn, steps and errors as messages."""

import errno
import logging
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any, TypeVar

import gradio as gr

from pipelines.errors import UpscaleError
from pipelines.phrasing import format_bytes, format_duration
from pipelines.runs import Preview, Run, Step, T
from ui.jobs.lanes import LANES, Expected

# Options of events. Heavy events begin at once and take turns to compute, as ui/jobs/lanes.py says. Each has a thread,
# so beyond so many they wait to begin.
MOST_AT_ONCE = 40
ONE_AT_A_TIME: Mapping[str, Any] = {"concurrency_id": "compute", "concurrency_limit": MOST_AT_ONCE}
# The last of quick changes counts: by gradio's own choice most events are left out while an earlier one is on its way.
# No component shows gradio's own progress. To hide it is not enough: at each message of an event the browser would
# still copy every output of every event so far, leaf by leaf.
QUIET_EVENT: Mapping[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "show_progress_on": [],
    "trigger_mode": "always_last",
}
# For an event that brings what it is about: what waits for an earlier one would be given that one's.
TELLING_EVENT: Mapping[str, Any] = {**QUIET_EVENT, "trigger_mode": "multiple"}
# For what begins something at length: a second press while it goes on is none.
STARTING_EVENT: Mapping[str, Any] = {**QUIET_EVENT, "trigger_mode": "once"}
COUNTED_NOTE = re.compile(r" \d+ of \d+$")
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
FULL = "The server has no room left. Try again later."
BETWEEN_SECONDS = 0.1  # seconds between two steps that are shown; more often costs more than it tells

Shown = TypeVar("Shown")

log = logging.getLogger(__name__)


def forward_steps(
    run: Run[T], show: Callable[[str, float], Shown], expected: Expected | None = None, after: float = 0.0
) -> Generator[Shown, None, T]:
    """Forwards a run to the page in its turn, as `show_steps` does.

    Where it is not said what the run is expected to take, it counts as long.
    """
    return (yield from show_steps(LANES.take_turns(run, expected), show, after))


def show_steps(run: Run[T], show: Callable[[str, float], Shown], after: float = 0.0) -> Generator[Shown, None, T]:
    """Forwards a run to the page at once, each step as `show` makes it of its words and its share, 0 to 1.

    Steps of the first seconds, so many as are given by `after`, and those that follow each other too quickly are left
    out, but for those with a preview: the next may be long in coming.
    The result is returned. Every forwarded step is a place where gradio can close the generator, and the run with it.
    """
    started, last = time.monotonic(), Step(0, 0, "")
    shown = started + after - BETWEEN_SECONDS
    try:
        while True:
            step = next(run)
            now = time.monotonic()
            if step.total != last.total or step.done < last.done:  # something else begins
                started = now
            last = step
            if now - shown >= BETWEEN_SECONDS or isinstance(step, Preview):
                shown = now
                yield show(describe_step(step, now - started), step.done / max(step.total, 1))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()


def describe_step(step: Step, elapsed: float) -> str:
    """Returns how far a run is, how long it may still take, and what it does: "3 of 16 · 9 s left · LapSRN x4: tiles".

    What counts and tells the time comes first: on a phone the end of a line is cut. A note that counts by itself is
    left as it is: "9 s left · step 3 of 20, tile 2 of 6".
    """
    counted = COUNTED_NOTE.search(step.note) or step.total < 2
    count = "" if counted else f"{_amount(step.done, step.total)} of {_amount(step.total, step.total)}"
    left = elapsed * (step.total - step.done) / step.done if step.done else 0.0
    soon = f"{format_duration(left)} left" if left >= 1 else ""
    return " · ".join(filter(None, [count, soon, step.note]))


def _amount(number: int, of: int) -> str:
    """Returns the number to read: more than a few thousand are bytes."""
    return str(number) if of < 10_000 else format_bytes(number)


def read_event(event: gr.EventData, name: str) -> Any:
    """Returns what a script of the page sent with the event under that name; None where it sent nothing of the kind.

    Strangers may send anything, or nothing at all.
    """
    sent = getattr(event, "_data", None)
    return sent.get(name) if isinstance(sent, dict) else None


class EndedEarly(Exception):
    """A run has failed for that `reason`, and there is something to show of it: what changes on the page."""

    def __init__(self, reason: Exception, shown: Mapping[Any, Any]) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.shown = shown


@contextmanager
def explain_errors() -> Iterator[None]:
    """Shows errors that the visitor can mend as they are; logs any other, which becomes one plain message."""
    try:
        yield
    except UpscaleError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except MemoryError:
        raise gr.Error("There is not enough memory for that. Try a smaller image.", print_exception=False) from None
    except gr.Error:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            log.error("no room is left on the disk: a run was ended")
            raise gr.Error(FULL, print_exception=False) from None
        log.exception("a run failed")
        raise gr.Error("Something unexpected went wrong. It has been logged.", print_exception=False) from None


def escape_error(error: gr.Error) -> gr.Error:
    """Returns the error for the page, which shows its message as HTML: it may hold a file's name."""
    return gr.Error(escape(str(error.message), quote=False), print_exception=False)


@contextmanager
def escape_errors() -> Iterator[None]:
    """Sends errors to the page as `escape_error` makes them."""
    try:
        yield
    except gr.Error as error:
        raise escape_error(error) from None
