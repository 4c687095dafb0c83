"""What a benchmark found, with all that it takes to repeat it: the door of this folder."""

from pipelines.report.charts import draw_charts
from pipelines.report.command import command_for
from pipelines.report.crops import Box, MissingSection, PictureSection, choose_places
from pipelines.report.formats import draft, from_json, row_line, to_csv, to_json
from pipelines.report.html import to_html
from pipelines.report.model import Report, as_dict
from pipelines.report.outputs import Outputs, as_shown, temporary_folder
from pipelines.report.recording import lock_report, read_earlier_rows, record_rows, start_report
from pipelines.report.repeating import Compared, compare_reports, find_pictures, find_subjects, plan_of
from pipelines.report.showing import MOST_SHOWN, kept_sections, make_sections
from pipelines.report.tables import (
    NOT_APART,
    Table,
    chain_table,
    count_pictures,
    list_failures,
    list_notes,
    pair_tables,
    picture_tables,
    summary_table,
)
from pipelines.report.templating import load_templates

__all__ = [
    "MOST_SHOWN",
    "NOT_APART",
    "Box",
    "Compared",
    "MissingSection",
    "Outputs",
    "PictureSection",
    "Report",
    "Table",
    "as_dict",
    "as_shown",
    "chain_table",
    "choose_places",
    "command_for",
    "compare_reports",
    "count_pictures",
    "draft",
    "draw_charts",
    "find_pictures",
    "find_subjects",
    "from_json",
    "kept_sections",
    "list_failures",
    "list_notes",
    "load_templates",
    "lock_report",
    "make_sections",
    "pair_tables",
    "picture_tables",
    "plan_of",
    "read_earlier_rows",
    "record_rows",
    "row_line",
    "start_report",
    "summary_table",
    "temporary_folder",
    "to_csv",
    "to_html",
    "to_json",
]
