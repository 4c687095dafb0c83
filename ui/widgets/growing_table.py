"""The table of a comparison that is being measured: made anew whenever a row has come."""

from dataclasses import dataclass, field

import gradio as gr

from pipelines.measuring.run import Row
from ui.jobs.run_button import Update
from ui.widgets.results import render_table


@dataclass(slots=True)
class GrowingTable:
    """The rows so far, in a list for who measures them to add to, and how many of them the component shows."""

    component: gr.HTML
    protocol: str
    kernel: str
    rows: list[Row] = field(default_factory=list)
    shown: int = 0

    def changes(self) -> Update:
        """Returns what changes on the page since the last call: the table where there are new rows, else nothing."""
        if len(self.rows) == self.shown:
            return {}
        self.shown = len(self.rows)
        return {self.component: render_table(self.rows, self.protocol, self.kernel, running=True)}
