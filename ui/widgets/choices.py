"""A few choices of which one is taken, each with what it is good for and what it costs; some may be impossible."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from ui.widgets.inputs import NoInterfaceFile

FILES = Path(__file__).parents[1] / "static" / "choices"


@dataclass(frozen=True, slots=True)
class Option:
    """One choice. `never` says why it cannot be chosen; empty where it can."""

    value: str
    title: str
    use: str = ""
    cost: str = ""
    never: str = ""


class Choices(gr.HTML, metaclass=NoInterfaceFile):
    """Radio buttons that give the value of the chosen one, or whatever was sent: nobody need have chosen one."""

    # Not `**options`: gradio copies what a parameter names for each visitor, and of that name it has an event.
    def __init__(self, value: str | None = None, **given: Any) -> None:
        own: dict[str, Any] = {"css_template": (FILES / "choices.css").read_text(), "apply_default_css": False}
        super().__init__(value, **own | given)  # an event's update makes it anew with all of them


def place_choices(
    legend: str, options: Sequence[Option], value: str, look: Literal["cards", "pills"], **more: Any
) -> Choices:
    """Puts the choices into the page being built: cards one below another, or pills in a row."""
    template = (FILES / "choices.html").read_text().replace("LEGEND", legend).replace("LOOK", look)
    script = (FILES / "choices.js").read_text().replace("OPTIONS", json.dumps(_as_data(options)))
    return Choices(value, html_template=template, js_on_load=script, **more)


def offer(options: Sequence[Option], **changes: Any) -> Any:
    """Returns the change of a component of choices to these, and to a `value`, if one is given."""
    return gr.update(options=_as_data(options), **changes)


def _as_data(options: Sequence[Option]) -> list[dict[str, str]]:
    return [asdict(option) for option in options]
