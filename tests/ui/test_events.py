"""What the page does with an event while an earlier one of its kind is on its way."""

import inspect
from typing import Any

import gradio as gr
import pytest

from ui import page
from ui.jobs.running import read_event
from ui.widgets.comparison_form import read_ticked
from ui.widgets.picture import _pick_example


def takes_event_data(function: object) -> bool:
    return callable(function) and any(
        each.annotation is gr.EventData for each in inspect.signature(function).parameters.values()
    )


def test_no_choice_is_lost_and_no_run_begins_twice() -> None:
    """What is chosen while an earlier choice is on its way is done next. What brings data of its own is done each time:
    gradio would give an event that waited those of the earlier one. A press during a run is none.
    """
    built = page.build()
    modes: dict[str, set[str]] = {"told": set(), "started": set(), "chosen": set()}
    for each in built.fns.values():
        if each.api_visibility != "private" or each.fn is None:  # a script alone never waits
            continue
        buttons = [built.blocks.get(target) for target, _ in each.targets if target is not None]
        if takes_event_data(each.fn):
            kind = "told"
        elif each.concurrency_id in ("compute", "following", "sharing") or any(
            {"run", "cancel"} & set(getattr(button, "elem_classes", None) or ()) for button in buttons
        ):
            kind = "started"
        else:
            kind = "chosen"
        modes[kind].add(each.trigger_mode)
        if kind == "chosen":
            assert each.trigger_mode == "always_last", (each.fn, each.targets)
    assert modes == {"told": {"multiple"}, "started": {"once"}, "chosen": {"always_last"}}


@pytest.mark.parametrize("sent", [None, 5, "number", ["number"], {}, {"other": 1}])
def test_an_event_that_brings_nothing_of_the_kind_tells_nothing(sent: Any) -> None:
    assert read_event(gr.EventData(None, sent), "number") is None
    assert _pick_example(gr.EventData(None, sent)).endswith("face.png")
    assert read_event(gr.EventData(None, {"number": 3}), "number") == 3


def test_ticks_are_words() -> None:
    assert [read_ticked(sent) for sent in (None, 5, "swift", {"swift": 1}, [])] == [[]] * 5
    assert read_ticked(["swift", 5, ["bicubic"], None, "lanczos"]) == ["swift", "lanczos"]
