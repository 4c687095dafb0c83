"""The blind test of a comparison: what its button, its window and its outcome do on the Compare tab."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import gradio as gr

from pipelines.report import report as reports
from pipelines.report.report import Report
from ui.jobs import blind
from ui.jobs.blind import BlindTest
from ui.jobs.kept_files import Comparison, Results, read_results, report_so_far, write_downloads
from ui.jobs.lanes import LOOK
from ui.jobs.run_button import RunButton, Update
from ui.jobs.running import ONE_AT_A_TIME, STARTING_EVENT, TELLING_EVENT, escape_errors, explain_errors, read_event
from ui.widgets import html
from ui.widgets.blind_test import render_preferences
from ui.widgets.comparison_results import ComparisonResults
from ui.widgets.ready_comparison import read_ready_comparison, read_ready_results

GONE = "The results are no longer kept here. Compare again."


@dataclass(frozen=True, slots=True)
class BlindEvents:
    """What a blind test's events change."""

    button: RunButton  # whose line tells how far it is
    results: ComparisonResults  # what the test is of, with its components

    def begin(self, comparison: Comparison | None, run_id: str) -> Iterator[Update]:
        """Cuts the crops and asks the first question."""
        with escape_errors(), explain_errors():
            report = _find_report(comparison, run_id)
            pictures: list[Callable[[], Results]] = [lambda: read_ready_results(read_ready_comparison())]
            if comparison is not None:
                pictures = [partial(read_results, comparison, report, each) for each in comparison.pictures]
            test = yield from self.button.steps(blind.prepare(pictures, report.scale), expected=LOOK)
            said = html.status("Blind test: which one looks better?")
            yield {self.button.progress: said, self.results.blind.window: test, self.results.blind.test: test}

    def answer(self, comparison: Comparison | None, run_id: str, test: BlindTest | None, event: gr.EventData) -> Update:
        """Takes an answer; after the last one, or where the visitor stops, shows what came of them."""
        parts = self.results.blind
        done: Update = {self.button.progress: html.status("Done.")}
        pick = read_event(event, "pick")
        if test is None:
            return done | {parts.window: None}
        if pick in tuple(blind.OUTCOMES):
            test = blind.answer(test, read_event(event, "number"), pick)
            if test.question is not None:
                return {parts.window: test, parts.test: test}
        if not test.votes:
            return done | {parts.window: None, parts.test: None}
        with escape_errors(), explain_errors():
            outcome = render_preferences(test, _find_report(comparison, run_id))
        offered = gr.Button(visible=comparison is not None)
        return done | {parts.window: None, parts.test: test, parts.outcome: outcome, parts.add: offered}

    def add_to_report(self, comparison: Comparison | None, run_id: str, test: BlindTest | None) -> Iterator[Update]:
        """Writes the files to download anew, with the test in them."""
        with escape_errors(), explain_errors():
            report = _find_report(comparison, run_id)
            if comparison is None or test is None:
                raise gr.Error(GONE, print_exception=False)
            writing = write_downloads(comparison, reports.add_preference(report, test.votes))
            files = self.results.offer_files((yield from self.button.steps(writing, expected=LOOK)))
            said = html.status("The downloads include the blind test now.")
            yield {self.button.progress: said, self.results.blind.add: gr.Button(visible=False), **files}

    def connect(self, comparison: gr.State) -> None:
        """Connects the events; `comparison` is that of the last run."""
        parts, line = self.results.blind, self.button.progress
        of = [comparison, self.button.run_id]
        heavy = {**STARTING_EVENT, **ONE_AT_A_TIME}
        parts.start.click(self.begin, of, [line, parts.window, parts.test], **heavy)
        changed = [line, parts.window, parts.test, parts.outcome, parts.add]
        parts.window.click(self.answer, [*of, parts.test], changed, **TELLING_EVENT, queue=False)
        written = [line, parts.add, *self.results.offered]
        parts.add.click(self.add_to_report, [*of, parts.test], written, **heavy)


def _find_report(comparison: Comparison | None, run_id: str) -> Report:
    """The report of the comparison, or of the one that is ready where this page has run none; a message if it is gone.

    The page knows whether it has: a server that was started anew does not.
    """
    if comparison is None and not run_id:
        return read_ready_comparison().report
    report = None if comparison is None else report_so_far(comparison)
    if report is None:
        raise gr.Error(GONE, print_exception=False)
    return report
