"""The button that starts a tab's long work, the one that cancels it, the line that says how far it is, and the panel
that says what went wrong.

A tab gives what its work takes, a generator that does it, and the components that it changes. That a run waits, begins,
goes on, ends, fails or is cancelled is shown in the same way by all. Changes are dictionaries by component; what they
leave out stays as it is.

Gradio 6.31 in the browser edits the properties of one event into those of the next, in place, while the first may still
be on its way to the page. So what changes properties (visible, interactive) belongs in an event that is not followed by
another one at once: the first, which begins a run, or the last. What a click changes by itself, in the browser, is on
the page before the run is asked for.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from pipelines.errors import UpscaleError
from pipelines.runs import Run, T
from ui.jobs import results
from ui.jobs.keeping import Update as Update
from ui.jobs.keeping import Work, give_values, keep_results, take_id
from ui.jobs.lanes import Expected, Visit, visiting
from ui.jobs.run_scripts import (
    ALLOW,
    FIND_AGAIN,
    MAKE_ID,
    PRESS,
    READ_CANCELLED,
    READ_ID,
    SHOW_READY,
    SHOW_STARTING,
    WHEN_DRAWN,
)
from ui.jobs.running import (
    ONE_AT_A_TIME,
    QUIET_EVENT,
    STARTING_EVENT,
    EndedEarly,
    escape_errors,
    explain_errors,
    forward_steps,
)
from ui.widgets import html
from ui.widgets.html import READY
from ui.widgets.problem import Problem, make_problem

STARTING = html.progress("Starting", 0)
FOLLOWED_SECONDS = 0.2  # seconds between two looks at a run that is followed
BEGINNING_LOOKS = 5  # in which a run begins that was asked for just before the page was loaded anew
MOMENT_SECONDS = 0.5  # that a run may take for nothing of it to be shown before its end
LATE_SECONDS = 0.3  # seconds in which steps that were on their way would show over "Cancelled."


@dataclass(frozen=True, slots=True)
class RunButton:
    """Both buttons, of which one can be pressed, the line and the panel; out of sight what finds a run again after a
    reload.
    """

    run: gr.Button
    cancel: gr.Button
    progress: gr.HTML
    run_id: gr.Textbox  # of the last run, in the store of results
    again: gr.Button  # pressed by the page to show that run
    problem: Problem
    tab: str = ""  # whose address says which run of many images it shows; "" where no run is of many

    def connect(
        self,
        work: Work,
        inputs: Sequence[Block],
        outputs: Sequence[Block],
        *,
        kept: gr.State | None = None,
        show_kept: Work | None = None,
        give_again: Callable[..., Update] | None = None,
        given: Sequence[Block] = (),
        needs: Block | None = None,
    ) -> Dependency:
        """Has the button do `work(*inputs)`, which changes `outputs`; returns the event, for what is to follow it.

        What is told beside the result follows `settle` of it.

        The work shows `begins()` before anything else, and last `ends(…)`; where it fails it may raise EndedEarly with
        what there is to show. `kept` is one of the outputs: what a run that is cancelled leaves to `show_kept`, which
        changes `outputs` too; it is None until the work sets it. `give_again` says how a page that was loaded anew gets
        inputs of the work back, and `given` what that changes; without it they are the components' values. `needs` is a
        field of images without which the button cannot be pressed.
        """
        own = [self.progress, self.run, self.cancel, *self.problem.components]
        if needs is not None:
            needs.change(None, needs, self.run, js=self._script(ALLOW), **QUIET_EVENT, queue=False)  # type: ignore[attr-defined]
        self.run.click(None, None, own, js=self._script(SHOW_STARTING), **STARTING_EVENT, queue=False)
        running: Dependency = self.run.click(
            keep_results(self.explain_failure(work), give_again or give_values(inputs), self.run_id, kept),
            [*inputs, self.run_id],
            [*own, self.run_id, *outputs],
            js=self._script(MAKE_ID),
            **STARTING_EVENT,
            **ONE_AT_A_TIME,
        )
        following = self.again.click(
            self.show_again,
            self.run_id,
            [*own, self.run_id, *dict.fromkeys([*inputs, *given, *outputs])],
            js=self._script(READ_ID),
            **STARTING_EVENT,
            concurrency_id="following",
            concurrency_limit=None,
        )
        # Whatever goes wrong in a run is told by it: this is for one that the server did not take, or has let go of.
        for each in (running, following):
            each.failure(None, None, own, js=self._script(SHOW_READY), **QUIET_EVENT, queue=False)
        stopped = self.cancel.click(None, cancels=[running, following], api_visibility="private", queue=False)
        letting_go, of_run = {"js": self._script(READ_CANCELLED)}, {"js": self._script(READ_ID)}
        at_once = stopped.then(self.cancelled, self.run_id, own, **letting_go, **QUIET_EVENT, queue=False)
        if show_kept is not None:
            show = self.escape_failure(self.pass_over_older(show_kept))
            changed = [*own, *outputs]
            at_once.then(show, [kept, self.run_id], changed, **of_run, **STARTING_EVENT, **ONE_AT_A_TIME)
        return running

    def settle(self, running: Dependency) -> Dependency:
        """Returns the event that follows a run once the browser has drawn what it made."""
        settled: Dependency = running.then(None, None, None, js=WHEN_DRAWN, **QUIET_EVENT, queue=False)
        return settled

    def explain_failure(self, work: Work) -> Work:
        """The same work, which where it fails ends with the panel that says why: in the place of the result, or above
        what there is to show.
        """

        @wraps(work)
        def run(*inputs: Any) -> Iterator[Update]:
            told: Exception | None = None
            shown: Update = {}
            try:
                with explain_errors():
                    try:
                        yield from work(*inputs)
                    except EndedEarly as ended:
                        told, shown = ended.reason, {**ended.shown}
                        raise told from None
                    except UpscaleError as error:
                        told = error
                        raise
            except gr.Error as error:
                panel = self.problem.tell(str(error.message), told, above=bool(shown))
                yield self.ends("Ready.") | panel | shown

        return run

    def show_again(self, key: str) -> Iterator[Update]:
        """What the run of that id was given and what it showed; while it goes on, what it shows."""
        for _ in range(BEGINNING_LOOKS):
            kept = results.find(key)
            if kept is not None or results.has_begun(key) or not results.is_key(key):
                break
            time.sleep(FOLLOWED_SECONDS)
            yield {self.run_id: gr.skip()}  # others may have the thread
        if kept is None:
            yield {self.run_id: gr.skip()}
            return
        with results.follow(kept):
            seen, ended = kept.number, kept.ended
            begun = {} if ended else self.begins()
            yield {self.run_id: key, **begun, **self.buttons(running=not ended), **kept.give_again(), **kept.since(0)}
            while not ended:
                time.sleep(FOLLOWED_SECONDS)
                number, ended = kept.number, kept.ended
                yield kept.since(seen) or {self.run_id: key}
                seen = number
            if kept.cancelled and not kept.partial:
                yield self.ends("Cancelled.")

    def find_again(self) -> str:
        """Returns the script that shows the last run again, if this tab of the browser had one here: whether it had."""
        return self._script(FIND_AGAIN)

    def press(self) -> str:
        """Returns the script that presses the button."""
        return self._script(PRESS)

    def _script(self, text: str) -> str:
        lines = text.replace("STARTING", json.dumps(STARTING)).replace("READY", json.dumps(READY))
        return lines.replace("KEY", str(self.again.elem_id)).replace("TAB", self.tab)

    def pass_over_older(self, work: Work) -> Work:
        """The same work on what a run left, whose last argument is the run's id: nothing where that showed nothing, as
        what is left is an older one's then.
        """

        @wraps(work)
        def run(*values: Any) -> Iterator[Update]:
            *given, run_id = values
            if results.has_shown(run_id):
                yield from work(*given)
            else:
                yield {self.progress: html.status("Cancelled.")}

        return take_id(work, run)

    def escape_failure(self, work: Work) -> Work:
        """The same work, its errors as messages: what it shows is of a run that has ended, so it waits for no other."""

        @wraps(work)
        def run(*inputs: Any) -> Iterator[Update]:
            events, visit = work(*inputs), Visit(0)
            with escape_errors(), explain_errors():
                while True:
                    try:
                        with visiting(visit):
                            changes = next(events)
                    except StopIteration:
                        return
                    yield changes

        return run

    def steps(
        self,
        run: Run[T],
        more: Callable[[], Update] = dict,
        expected: Expected | None = None,
        begun: Update | None = None,
    ) -> Generator[Update, None, T]:
        """Forwards a run as `running.forward_steps` does, each step in the line; `more` is what changes with it.

        `begun` changes as the run begins. Where that is given, of a run that is over in a moment neither it nor a step
        is shown: each message takes the browser as long as a small image takes the network.
        """
        seconds = expected.seconds if expected else None
        in_a_moment = begun is not None and seconds is not None and seconds <= MOMENT_SECONDS
        changes = begun or {}
        if changes and not in_a_moment:
            yield changes
            changes = {}

        def show(text: str, share: float) -> Update:
            nonlocal changes
            shown, changes = {**changes, self.progress: html.progress(text, share), **more()}, {}
            return shown

        return (yield from forward_steps(run, show, expected, MOMENT_SECONDS if in_a_moment else 0.0))

    def begins(self) -> Update:
        """Returns what the beginning of a run changes; the click itself has changed it in the browser already."""
        return {self.progress: STARTING, **self.buttons(running=True), **self.problem.clear()}

    def ends(self, text: str) -> Update:
        """Returns what the end of a run changes: the line says how it ended."""
        return {self.progress: html.status(text), **self.buttons(running=False)}

    def cancelled(self, key: str = "") -> Update:
        """A tab that was cancelled, a moment after it. A run that was only followed from here is told so, too."""
        results.cancel(key)
        time.sleep(LATE_SECONDS)
        return self.ends("Cancelled.")

    def buttons(self, running: bool) -> Update:
        """The two buttons, of which one can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.cancel: gr.Button(interactive=running)}


def place_run_button(
    label: str, progress_id: str | None = None, plan: gr.HTML | None = None, tab: str = "", **row: Any
) -> RunButton:
    """Puts the buttons and the line into the page being built: a bar, which stays in sight, with the plan if given.

    `problem.place` puts the panel into the place of the result. `plan` was made with render=False. `tab` is that whose
    address names its last run of many images.
    """
    with gr.Column(elem_classes="run-bar"):
        if plan is not None:
            plan.render()  # type: ignore[no-untyped-call]
        with gr.Row(**row):
            run = gr.Button(label, variant="primary", elem_classes="run")
            cancel = gr.Button("Cancel", interactive=False, elem_classes="cancel")
            name = f"{progress_id or label.lower()}-again"
            again = gr.Button("Show again", visible="hidden", elem_id=name)
            run_id = gr.Textbox(visible=False)
        progress = gr.HTML(html.READY, elem_id=progress_id)
    return RunButton(run, cancel, progress, run_id, again, make_problem(), tab)
