"""Sharing what the Chained tab shows: a result as other tabs do, and a chain that was scored as its report."""

from pathlib import Path

from pipelines.measuring.run import Subject
from pipelines.report.report import Report
from pipelines.runs import Run
from ui.jobs import chain_views, kept_files
from ui.jobs.kept_files import Comparison
from ui.sharing import pages
from ui.sharing.button import Share
from ui.sharing.store import Page, Place
from ui.widgets.viewer import View


def make_chain_page(
    make_page: Share, place: Place, comparison: Comparison | None, file: Path | None, made_of: str
) -> Run[Page]:
    """Returns the page of a chain that was scored, its report with every stage in the viewer; of anything else that of
    `make_page`.

    Raises as that does, and FileNotFoundError where nothing is kept any more.
    """
    report = kept_files.report_so_far(comparison) if comparison and made_of else None
    if comparison is None or report is None:
        return (yield from make_page(place, file, made_of))
    return (yield from pages.make_comparison_page(place, comparison, report, see_stages))


def see_stages(comparison: Comparison, report: Report, subject: Subject) -> Run[View]:
    """What the viewer shows of the one picture of a chain that was scored; nothing where none of it is left."""
    return (yield from chain_views.make_scored_view(comparison, report)) or View([])
