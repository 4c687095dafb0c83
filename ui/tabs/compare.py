"""The Compare tab: many models on one or several images, scored, ranked, judged blind, and seen side by side."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from pipelines.runs import Run
from ui.examples import EXAMPLES, STATIC
from ui.jobs import comparing, kept_files
from ui.jobs.kept_files import Comparison
from ui.jobs.lanes import LOOK
from ui.jobs.run_button import RunButton, Update
from ui.jobs.running import (
    ONE_AT_A_TIME,
    QUIET_EVENT,
    TELLING_EVENT,
    EndedEarly,
    escape_errors,
    explain_errors,
    read_event,
)
from ui.sharing import pages
from ui.sharing.store import Page, Place
from ui.tabs.blind import BlindEvents
from ui.widgets import html
from ui.widgets.comparison_form import ComparisonForm, choose_accepted, place_comparison_form, shown_chains
from ui.widgets.comparison_results import ComparisonResults, place_results, tell_whose
from ui.widgets.growing_table import GrowingTable

RESULTS_GONE = "The results are no longer kept here. Compare again."


@dataclass(frozen=True, slots=True)
class CompareTab:
    """The tab's components, and what its events change of them."""

    form: ComparisonForm
    button: RunButton
    results: ComparisonResults
    comparison: gr.State  # of the last run

    def run(
        self,
        sources: list[Path],
        protocol: str,
        scale: str,
        kernel: str,
        models: list[str],
        chains: list[str],
        accepted: list[str],
        request: gr.Request,
    ) -> Iterator[Update]:
        """Measures, each row shown as it is finished; then everything else that there is to see."""
        yield self.button.begins() | self.results.clear() | {self.comparison: None}
        choose_accepted(protocol, scale, models, chains, accepted)
        chains = shown_chains(protocol, chains)
        comparison = comparing.start(sources, protocol, scale, kernel, models, chains, accept=True)
        table = GrowingTable(self.results.table, comparison.plan.protocol, comparison.plan.kernel)

        def more() -> Update:
            return {self.comparison: comparison, **table.changes()}

        measuring = comparing.collect_rows(comparing.measure(comparison), table.rows)
        try:
            report = yield from self.button.steps(measuring, more, comparing.expect(comparison))
        except Exception as error:
            shown = yield from self._show_finished(comparison, "Ended early", request)
            raise EndedEarly(error, shown) from error
        shown = yield from self.button.steps(self.results.show(comparison, report, _url_of(request)), more)
        yield self.button.ends("Done.") | shown | {self.form.fold: gr.Accordion(open=False)}

    def show_cancelled(self, comparison: Comparison | None, request: gr.Request) -> Iterator[Update]:
        """Shows what was finished when the visitor cancelled: all that a whole run shows, of those rows."""
        shown = None
        if comparison is not None:
            shown = yield from self._show_finished(comparison, "Cancelled", request)
        yield shown or self.button.ends("Cancelled.") | self.results.clear()

    def _show_finished(self, comparison: Comparison, how: str, request: gr.Request) -> Generator[Update, None, Update]:
        """Returns what shows the rows of a comparison that has come to an early end; nothing where there is none."""
        report = kept_files.report_so_far(comparison)
        if report is None:
            return {}
        shown = yield from self.button.steps(self.results.show(comparison, report, _url_of(request)))
        total = len(comparison.pictures) * len(comparison.plan.contenders)
        done = f"{how}: {len(report.rows)} of {total} are below."
        return self.button.ends(done) | shown | {self.form.fold: gr.Accordion(open=False)}

    def show_picture(self, comparison: Comparison | None, event: gr.EventData) -> Iterator[Update]:
        """Another of the pictures in the viewer."""
        report = None if comparison is None else kept_files.report_so_far(comparison)
        number = read_event(event, "number")
        if (
            comparison is None
            or report is None
            or not isinstance(number, int)
            or number not in range(len(comparison.pictures))
        ):
            raise gr.Error(RESULTS_GONE, print_exception=False)
        with escape_errors(), explain_errors():
            making = kept_files.make_view(comparison, report, comparison.pictures[number], ranked=True)
            view = yield from self.button.steps(making, expected=LOOK)
            if not view.panes:
                raise gr.Error(RESULTS_GONE, print_exception=False)
            yield {self.button.progress: html.status("Done."), self.results.viewer: view}


def make_shared_page(place: Place, comparison: Comparison | None) -> Run[Page]:
    """Returns the page that shares the comparison. Raises FileNotFoundError where it is not kept any more."""
    report = None if comparison is None else kept_files.report_so_far(comparison)
    if comparison is None or report is None:
        raise FileNotFoundError("no comparison")
    return (yield from pages.make_comparison_page(place, comparison, report))


def build(page: gr.Blocks) -> CompareTab:
    """Puts the tab's components and events into the page being built."""
    form, button = place_comparison_form()
    example = Path(form.pictures.move_resource_to_block_cache(EXAMPLES[0].path) or "")
    with gr.Column():
        button.problem.place()
        results = place_results(example)
    tab = CompareTab(form, button, results, gr.State(None))
    form.connect(page)
    done = button.connect(
        tab.run,
        form.chosen,
        [tab.comparison, form.fold, *tab.results.components],
        kept=tab.comparison,
        show_kept=tab.show_cancelled,
        give_again=form.give_again,
        given=form.given,
        needs=form.pictures,
    )
    found = tab.results
    whose = [found.made_of, form.pictures, form.protocol, form.scale, form.kernel]
    changes = [each.change for each in whose[1:]]  # type: ignore[attr-defined]
    gr.on(changes, tell_whose, whose, found.note, **QUIET_EVENT, queue=False)
    done.then(tell_whose, whose, found.note, **QUIET_EVENT, queue=False)  # something else may be chosen meanwhile
    done.success(None, None, None, js=(STATIC / "verdict.js").read_text())
    page.load(None, None, None, js=button.find_again())
    BlindEvents(button, tab.results).connect(tab.comparison)
    if tab.results.share:
        tab.results.share.connect(make_shared_page, [tab.comparison])
    tab.results.which.click(
        tab.show_picture,
        tab.comparison,
        [button.progress, tab.results.viewer],
        **TELLING_EVENT,
        **ONE_AT_A_TIME,
    )
    return tab


def _url_of(request: gr.Request) -> str:
    """The URL of this page, as its visitor sees it."""
    return str(request.headers.get("origin", "http://127.0.0.1:7860"))
