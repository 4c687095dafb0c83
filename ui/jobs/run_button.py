"""The button that starts a tab's long work, the one that cancels it, and the line that says how far it is.

A tab gives what its work takes, a generator that does it, and the components that it changes. That a run waits, begins,
goes on, ends, fails or is cancelled is shown in the same way by all. Changes are dictionaries by component; what they
leave out stays as it is.

Gradio 6.31 in the browser edits the properties of one event into those of the next, in place, while the first may still
be on its way to the page. So what changes properties (visible, interactive) belongs in an event that is not followed by
another one at once: the first, which begins a run, or the last.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from pipelines.errors import UpscaleError
from pipelines.runs import Run, T
from ui.jobs.running import ONE_AT_A_TIME, QUIET_EVENT, escape_error, escape_errors, explain_errors, forward_steps
from ui.widgets import html

Update: TypeAlias = dict[Block, Any]  # the new value or properties of each component that changes
Work: TypeAlias = Callable[..., Iterator[Update]]

LATE_SECONDS = 0.3  # seconds in which steps that were on their way would show over "Cancelled."


def change_nothing(error: UpscaleError) -> Update:
    """Returns what an error changes beside the line, where no more is said of it."""
    return {}


@dataclass(frozen=True, slots=True)
class RunButton:
    """Both buttons, of which one can be pressed, and the line."""

    run: gr.Button
    cancel: gr.Button
    progress: gr.HTML

    def place_progress(self) -> None:
        """Puts the line into the page being built, here."""
        self.progress.render()  # type: ignore[no-untyped-call]

    def connect(
        self,
        work: Work,
        inputs: Sequence[Block],
        outputs: Sequence[Block],
        *,
        on_error: Callable[[UpscaleError], Update] = change_nothing,
        kept: gr.State | None = None,
        show_kept: Work | None = None,
    ) -> Dependency:
        """Has the button do `work(*inputs)`, which changes `outputs`; returns the event, for what is to follow it.

        The work yields `begins()` first, and last `ends(…)`. `on_error` gives what an error changes beside the line.
        `kept` is one of the outputs: what a run that is cancelled leaves to `show_kept`, which changes `outputs` too;
        it is None until the work sets it.
        """
        own = [self.progress, self.run, self.cancel]
        states = [] if kept is None else [kept]

        def forget() -> Update:
            return {**self.waits(), **dict.fromkeys(states)}

        waiting = self.run.click(forget, None, [*own, *states], **QUIET_EVENT, queue=False)
        running: Dependency = waiting.then(
            self.explain_failure(work, on_error), inputs, [*own, *outputs], **QUIET_EVENT, **ONE_AT_A_TIME
        )
        stopped = self.cancel.click(None, cancels=[running], api_visibility="private", queue=False)
        at_once = stopped.then(self.cancelled, None, own, **QUIET_EVENT, queue=False)
        if show_kept is not None:
            at_once.then(self.escape_failure(show_kept), kept, [*own, *outputs], **QUIET_EVENT, **ONE_AT_A_TIME)
        return running

    def explain_failure(self, work: Work, on_error: Callable[[UpscaleError], Update] = change_nothing) -> Work:
        """The same work, which fails with one message: in the line, with what `on_error` gives, and as gr.Error."""

        @wraps(work)
        def run(*inputs: Any) -> Iterator[Update]:
            changes: Update = {}
            try:
                with explain_errors():
                    try:
                        yield from work(*inputs)
                    except UpscaleError as error:
                        changes = on_error(error)
                        raise
            except gr.Error as error:
                yield self.ends(str(error.message)) | changes
                raise escape_error(error) from None

        return run

    def escape_failure(self, work: Work) -> Work:
        """The same work, its errors as messages: what it shows is of a run that has ended."""

        @wraps(work)
        def run(*inputs: Any) -> Iterator[Update]:
            with escape_errors(), explain_errors():
                yield from work(*inputs)

        return run

    def steps(self, run: Run[T], more: Callable[[], Update] = dict) -> Generator[Update, None, T]:
        """Forwards a run as `running.forward_steps` does, each step in the line; `more` is what changes with it."""
        return (
            yield from forward_steps(run, lambda text, share: {self.progress: html.progress(text, share), **more()})
        )

    def waits(self) -> Update:
        """Returns what a click changes until the run has a place."""
        return {self.progress: html.status("Waiting for a free place."), **self.buttons(running=True)}

    def begins(self) -> Update:
        """Returns what the beginning of a run changes."""
        return {self.progress: html.progress("Starting", 0), **self.buttons(running=True)}

    def ends(self, text: str) -> Update:
        """Returns what the end of a run changes: the line says how it ended."""
        return {self.progress: html.status(text), **self.buttons(running=False)}

    def cancelled(self) -> Update:
        """A tab that was cancelled, a moment after it."""
        time.sleep(LATE_SECONDS)
        return self.ends("Cancelled.")

    def buttons(self, running: bool) -> Update:
        """The two buttons, of which one can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.cancel: gr.Button(interactive=running)}


def place_run_button(label: str, progress_id: str | None = None, **row: Any) -> RunButton:
    """Puts the buttons into the page being built, in a row of their own; `place_progress` puts the line there."""
    with gr.Row(**row):
        run = gr.Button(label, variant="primary")
        cancel = gr.Button("Cancel", interactive=False)
    return RunButton(run, cancel, gr.HTML(html.status("Ready."), elem_id=progress_id, render=False))
