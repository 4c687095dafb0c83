"""The red panel that stands in the place of a result that there is not: what went wrong, and what can be done.

While it says something, static/page.css hides what follows it in its column, unless it stands above what there is of a
result; static/problem.js takes it away when something else is chosen.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog import rows as catalog
from pipelines.errors import WeightsUnavailable


@dataclass(frozen=True, slots=True)
class Problem:
    """The panel: its words, and the button that does without what lacks."""

    text: gr.HTML
    instead: gr.Button

    @property
    def components(self) -> list[Block]:
        """Returns what its changes change."""
        return [self.text, self.instead]

    def place(self) -> None:
        """Puts the panel into the page being built, out of sight until it says something."""
        with gr.Column(elem_classes="problem-place"):
            self.text.render()  # type: ignore[no-untyped-call]
            self.instead.render()  # type: ignore[no-untyped-call]

    def clear(self) -> dict[Block, Any]:
        """Returns what takes it away."""
        return {self.text: "", self.instead: gr.Button(visible=False)}

    def tell(self, message: str, error: Exception | None = None, above: bool = False) -> dict[Block, Any]:
        """Returns what shows it, in the place of the result or `above` it; the button where the files of a model lack
        and another one's are here.
        """
        told = error if isinstance(error, WeightsUnavailable) else None
        more = told.tried if told else ""
        instead = catalog.find(told.instead).name if told and told.instead else None
        text = f"{told.brief} Use {instead} instead. It is ready." if told and told.brief and instead else message
        return {
            self.text: render_problem(text, more, above),
            self.instead: gr.Button(f"Use {instead}", visible=True) if instead else gr.Button(visible=False),
        }


def make_problem() -> Problem:
    """The panel, which its `place` puts into the page."""
    return Problem(
        gr.HTML("", render=False), gr.Button("Use another model", variant="primary", visible=False, render=False)
    )


def render_problem(message: str, details: str = "", above: bool = False) -> str:
    """Returns what went wrong as HTML; the details are folded. It may stand `above` what there is of a result."""
    more = f"<details><summary>Details</summary><p>{escape(details)}</p></details>" if details else ""
    return f'<div class="problem{" above" * above}" role="alert"><p>{escape(message)}</p>{more}</div>'
