"""The window of a blind test, and what came of one, as HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.measuring.run import title_of
from pipelines.report import report as reports
from pipelines.report.report import Report
from ui.jobs.blind import BlindTest, as_url
from ui.jobs.run_button import Update
from ui.widgets.inputs import NoInterfaceFile
from ui.widgets.results import render

CHOSEN = {"first": "you chose left.", "second": "you chose right.", "same": "no difference."}
BLIND_FILES = Path(__file__).parents[1] / "static" / "blind"


class BlindTestWindow(gr.HTML, metaclass=NoInterfaceFile):
    """Asks a test's question, and is closed while its value is None; `click` tells the number and the pick.

    Of the methods the browser is told nothing until the end: the crops have no names, and no files of their own.
    """

    def __init__(self, value: BlindTest | None = None, **options: Any) -> None:
        own: dict[str, Any] = {
            "html_template": (BLIND_FILES / "blind.html").read_text(),
            "css_template": (BLIND_FILES / "blind.css").read_text(),
            "js_on_load": (BLIND_FILES / "blind.js").read_text(),
            "apply_default_css": False,
        }
        super().__init__(value, **own | options)

    def postprocess(self, value: BlindTest | None) -> dict[str, Any] | None:  # type: ignore[override]
        if value is None or value.question is None:
            return None
        left, right, original = value.shown()
        crops: Mapping[str, bytes | None] = {"left": left, "right": right, "original": original}
        urls = {name: None if crop is None else as_url(crop) for name, crop in crops.items()}
        return {"number": value.question.number, "total": value.total, **urls}


@dataclass(frozen=True, slots=True)
class BlindTestParts:
    """The components of a comparison's blind test; `ui.tabs.blind` says what they do."""

    place: gr.Row  # of the button, and what it does in a sentence
    start: gr.Button
    window: BlindTestWindow
    test: gr.State  # the test that goes on, or the last one
    outcome: gr.HTML
    add: gr.Button

    @property
    def components(self) -> list[Block]:
        """Returns all that `offer` and `clear` change."""
        return [self.place, self.window, self.test, self.outcome, self.add]

    def offer(self, report: Report) -> Update:
        """Returns what offers a test of a comparison that is done."""
        models = {row.model for row in report.rows if row.error is None}
        return {self.place: gr.Row(visible=len(models) > 1)}

    def clear(self) -> Update:
        """The same components without a test."""
        return {
            self.place: gr.Row(visible=False),
            self.window: None,
            self.test: None,
            self.outcome: "",
            self.add: gr.Button(visible=False),
        }


def render_preferences(test: BlindTest, report: Report) -> str:
    """Renders what a test that has ended says: the ranking, how it agrees with the scores, and who was what."""
    told = reports.add_preference(report, test.votes)
    ranking = (told.preference or {})["ranking"]
    first = [title_of(each["model"]) for each in ranking if each["rank"] == 1]
    return render(
        "preferences.html",
        lead="None: no difference" if len(first) == len(ranking) else " and ".join(first),
        agreement=reports.describe_agreement(told, "Your order"),
        ranking=[
            {
                **each,
                "name": title_of(each["model"]),
                "lost": each["shown"] - each["won"] - each["tied"],
                **{key: round(100 * each[key]) for key in ("strength", "low", "high")},
            }
            for each in ranking
        ],
        asked=[(title_of(vote.first), title_of(vote.second), CHOSEN[vote.outcome]) for vote in test.votes],
    )
