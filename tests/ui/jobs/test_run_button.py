"""How a tab's long work begins, goes on and ends on the page, whatever the work is."""

import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from pipelines.errors import BadSetting, WeightsUnavailable
from pipelines.runs import Run, Step
from ui.jobs import results, run_button, running
from ui.jobs.keeping import Update, keep_results
from ui.jobs.lanes import Expected
from ui.jobs.run_button import RunButton, place_run_button
from ui.jobs.running import EndedEarly
from ui.widgets import html


class Tab:
    """A tab with one component to change."""

    def __init__(self) -> None:
        with gr.Blocks() as self.page:
            self.button: RunButton = place_run_button("Go", "line")
            self.button.problem.place()
            self.result = gr.HTML()
            self.kept = gr.State()

    def run(self, value: str) -> Iterator[Update]:
        yield self.button.begins() | {self.result: ""}
        if value == "<bad>":
            raise BadSetting(f"{value} is bad.")
        made = yield from self.button.steps(_counting(value), lambda: {self.kept: value, self.result: "so far"})
        yield self.button.ends("Done.") | {self.result: made}

    def names(self, event: Update) -> dict[str, Any]:
        """What an event changes, by name."""
        button = self.button
        names = {button.run_id: "run_id", button.run: "run", button.cancel: "cancel", button.progress: "progress"}
        names |= {self.result: "result", self.kept: "kept", button.problem.text: "problem"}
        names |= {button.problem.instead: "instead"}
        return {names[component]: value for component, value in event.items()}


def _counting(value: str) -> Run[str]:
    yield Step(0, 2, "counting")
    yield Step(1, 2, "counting")  # too soon after the first to be shown
    return value.upper()


def test_a_run_begins_goes_on_and_ends() -> None:
    tab = Tab()
    first, step, last = map(tab.names, tab.button.explain_failure(tab.run)("value"))
    assert "Starting" in first["progress"] and first["result"] == ""
    assert (first["run"].interactive, first["cancel"].interactive) == (False, True)
    assert "0 of 2 · counting" in step["progress"] and "run" not in step
    assert (step["kept"], step["result"]) == ("value", "so far")
    assert "Done." in last["progress"] and last["result"] == "VALUE"
    assert (last["run"].interactive, last["cancel"].interactive) == (True, False)


def test_what_is_wrong_is_said_once_in_the_panel() -> None:
    """The line is ready again, and no error is left for gradio to show."""
    tab = Tab()
    first, last = map(tab.names, tab.button.explain_failure(tab.run)("<bad>"))
    assert first["problem"] == "" and not first["instead"].visible
    assert "&lt;bad&gt; is bad." in last["problem"] and not last["instead"].visible
    assert '<div class="problem" ' in last["problem"] and "result" not in last
    assert "Ready." in last["progress"] and last["run"].interactive


@pytest.mark.parametrize(
    ("reason", "told"),
    [(BadSetting("<bad>."), "&lt;bad&gt;."), (OSError(28, "full"), "no room left"), (KeyError("x"), "has been logged")],
)
def test_what_there_is_of_a_run_that_failed_stays_below_the_panel(reason: Exception, told: str) -> None:
    tab = Tab()

    def work(value: str) -> Iterator[Update]:
        yield tab.button.begins()
        raise EndedEarly(reason, tab.button.ends("Ended early.") | {tab.result: "half"}) from reason

    *_, last = map(tab.names, tab.button.explain_failure(work)("value"))
    assert told in last["problem"] and '<div class="problem above"' in last["problem"]
    assert last["result"] == "half" and "Ended early." in last["progress"] and last["run"].interactive


def test_lacking_files_offer_a_model_that_is_here() -> None:
    tab, error = Tab(), WeightsUnavailable("<x>.pth is unavailable: nobody answers.")
    error.brief, error.tried, error.instead = "Far could not be downloaded: no network.", str(error), "swift"

    def work(value: str) -> Iterator[Update]:
        yield tab.button.begins()
        raise error

    *_, last = map(tab.names, tab.button.explain_failure(work)("value"))
    assert "Far could not be downloaded: no network. Use Swift instead. It is ready." in last["problem"]
    assert "<details>" in last["problem"] and "&lt;x&gt;.pth is unavailable" in last["problem"]
    assert (last["instead"].visible, last["instead"].value) == (True, "Use Swift")


def test_after_the_end_only_the_sentence_is_said() -> None:
    tab = Tab()
    events = tab.button.escape_failure(tab.run)("<bad>")
    next(events)
    with pytest.raises(gr.Error, match=r"^'&lt;bad&gt; is bad\.'$"):
        next(events)


def test_gradio_sees_what_the_work_takes() -> None:
    """By the work's own parameters gradio knows what to hand over, such as the request."""

    def work(value: str, request: gr.Request) -> Iterator[Update]:
        yield {}

    tab = Tab()
    inputs, *_ = gr.helpers.special_args(tab.button.explain_failure(work), ["value"], request="asked")
    assert inputs == ["value", "asked"]
    for kept in (tab.button.pass_over_older(work), keep_results(work, lambda *_: {}, tab.button.run_id)):
        inputs, *_ = gr.helpers.special_args(kept, ["value", "an id"], request="asked")
        assert inputs == ["value", "asked", "an id"]


def test_every_event_changes_only_what_it_was_promised_to() -> None:
    """Running, cancelled, what a cancelled run leaves, and what the browser shows by itself until a run begins."""
    tab = Tab()
    with tab.page:
        tab.button.connect(tab.run, [gr.Text()], [tab.kept, tab.result], kept=tab.kept, show_kept=tab.run)
    events = {event.api_name: event for event in tab.page.fns.values()}
    own = {tab.button.progress, tab.button.run, tab.button.cancel, *tab.button.problem.components}
    waiting, *over = [event for event in tab.page.fns.values() if event.fn is None and set(event.outputs) == own]
    assert not waiting.trigger_only_on_failure and len(over) == 2, "of a run, and of one that is followed"
    assert all(each.trigger_only_on_failure and each.outputs == waiting.outputs for each in over)
    assert waiting.outputs[:3] == [
        tab.button.progress,
        tab.button.run,
        tab.button.cancel,
    ], "in the script's order"
    assert set(events["run_1"].outputs) == {*own, tab.kept, tab.result}
    assert set(events["run"].outputs) == {*own, tab.kept, tab.result, tab.button.run_id}
    assert set(events["cancelled"].outputs) == own and events["run_1"].inputs == [tab.kept, tab.button.run_id]
    assert set(events["show_again"].outputs) == {*own, tab.kept, tab.result, tab.button.run_id, *events["run"].inputs}
    assert events["run"].concurrency_id == events["run_1"].concurrency_id == "compute"


def test_a_run_forgets_what_the_one_before_it_left() -> None:
    """Who cancels before a run has begun is not shown what an older one left."""
    tab, key = Tab(), secrets.token_hex(16)
    work = keep_results(tab.run, lambda *_: {}, tab.button.run_id, tab.kept)
    left = tab.button.pass_over_older(lambda value: iter([{tab.result: value}]))
    assert [*map(tab.names, left("old", key))] == [{"progress": html.status("Cancelled.")}]
    kept = results.begin(key, "page")
    assert [*map(tab.names, left("old", key))] == [{"progress": html.status("Cancelled.")}], (
        "nothing was shown of it yet"
    )
    results.forget(kept)
    key = secrets.token_hex(16)
    first, step, _ = map(tab.names, work("value", key))
    assert (first["kept"], first["run_id"]) == (None, key) and step["kept"] == "value"
    assert [*map(tab.names, left("new", key))] == [{"result": "new"}]
    again = next(tab.button.show_again(key))
    assert tab.names(again)["result"] == "VALUE" and tab.names(again)["kept"] == "value"


def test_a_run_that_was_just_asked_for_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page may be loaded anew before the run has begun; what is no id is nothing to wait for."""
    tab, key, looks = Tab(), secrets.token_hex(16), list[float]()
    work = keep_results(tab.run, lambda *_: {}, tab.button.run_id)

    def begin_late(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            [*work("value", key)]

    monkeypatch.setattr(run_button.time, "sleep", begin_late)
    *waited, again = map(tab.names, tab.button.show_again(key))
    assert again["result"] == "VALUE" and len(looks) == len(waited) == 3
    nothing = {"run_id": gr.skip()}
    assert [*map(tab.names, tab.button.show_again("made-up"))] == [nothing] and len(looks) == 3
    waited = [*map(tab.names, tab.button.show_again(secrets.token_hex(16)))]
    assert waited == [nothing] * (run_button.BEGINNING_LOOKS + 1), "others have the thread in between"
    assert len(looks) == 3 + run_button.BEGINNING_LOOKS


@pytest.mark.parametrize("seconds", [0.1, None, 20.0])
def test_of_a_run_that_is_over_in_a_moment_only_the_end_is_shown(
    seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message takes the browser time. What takes longer is begun at once, or with its first late step."""
    tab, now = Tab(), [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])

    def work(step_seconds: float) -> Run[str]:
        for done in range(3):
            now[0] += step_seconds
            yield Step(done, 3, "counting")
        return "made"

    def changes(step_seconds: float) -> list[dict[str, Any]]:
        begun = tab.button.begins() | {tab.result: ""}
        return [*map(tab.names, tab.button.steps(work(step_seconds), expected=Expected(seconds), begun=begun))]

    shown, late = changes(0.01), changes(0.4)
    if seconds == 0.1:
        assert shown == [] and len(late) == 2, "from 0.8 seconds on"
        assert late[0]["result"] == "" and not late[0]["run"].interactive and "1 of 3" in late[0]["progress"]
        assert late[1].keys() == {"progress"}
    else:
        assert "Starting" in shown[0]["progress"] and shown[0]["result"] == "" and len(late) == 4
        assert all(each.keys() == {"progress"} for each in [*shown[1:], *late[1:]])


def test_a_run_that_is_cancelled_before_it_begins_does_nothing() -> None:
    """The cancel may be here before the run that is on its way."""
    tab, key, ran = Tab(), secrets.token_hex(16), []

    def work(value: str) -> Iterator[Update]:
        ran.append(value)
        yield {}

    tab.button.cancelled(key)
    assert [*keep_results(work, lambda *_: {}, tab.button.run_id)("value", key)] == [] and ran == []
    assert results.find(key) is None and results.has_begun(key)
    tab.button.cancelled("made-up")
    assert len([*keep_results(work, lambda *_: {}, tab.button.run_id)("value", "made-up")]) == 1
