"""What follows from the rows is worked out once."""

from dataclasses import replace

from pipelines.measuring.columns import Rows
from pipelines.measuring.conclusions import conclude
from pipelines.measuring.significance import find_leads
from pipelines.measuring.statistics import summarise
from pipelines.measuring.verdict import state_verdict
from pipelines.report.report import to_html, to_json
from tests.support.rows import report_of, row, several

ROWS = (*several("espcn", [30, 31]), row("espcn", "2.png", error="No room."), *several("lapsrn", [31, 32, 20]))


def test_each_contender_by_itself_and_over_what_all_share() -> None:
    found = conclude(ROWS)
    assert (found.verdict, [*found.summary], [*found.leads]) == (state_verdict(ROWS), summarise(ROWS), find_leads(ROWS))
    assert found.pairs == tuple(pair for lead in found.leads for pair in lead.pairs) != ()
    assert [entry.metrics["psnr_y"].n for entry in found.summary] == [2, 3]
    compared = [entry.metrics["psnr_y"] for entry in found.compared]
    assert [(each.n, each.mean) for each in compared] == [(2, 30.5), (2, 31.5)]


def test_a_report_is_concluded_once_however_often_it_is_written() -> None:
    for rows in (ROWS, Rows(ROWS)):
        report = replace(report_of(()), rows=rows)
        found = conclude(rows)
        to_json(report)
        to_html(report)
        assert conclude(rows) is found


def test_rows_that_were_added_count() -> None:
    rows = Rows(ROWS)
    before = conclude(rows)
    rows.append(row("lapsrn", "3.png", psnr_y=25.0))
    assert [entry.n for entry in before.summary] == [2, 3] and [entry.n for entry in conclude(rows).summary] == [2, 4]
