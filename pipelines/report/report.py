"""What a benchmark found, with all that it takes to repeat it: the door of this folder."""

from pipelines.report.changes import find_changes
from pipelines.report.charts import draw_charts, shows_looks
from pipelines.report.command import make_command
from pipelines.report.crops import MissingSection, PictureSection, Square, choose_places
from pipelines.report.exports import to_latex, to_markdown
from pipelines.report.files import REPORT_KINDS, check_outputs
from pipelines.report.formats import format_row, from_json, to_csv, to_draft, to_json
from pipelines.report.html import Around, to_html
from pipelines.report.model import Report, as_dict
from pipelines.report.outputs import Outputs, as_shown, colour_profile, temporary_folder
from pipelines.report.preferences import add_preference, describe_agreement, make_preference_table
from pipelines.report.recording import lock_report, read_earlier_rows, read_report, record_rows, start_report
from pipelines.report.repeating import Compared, compare_reports, find_pictures, find_subjects, plan_of
from pipelines.report.sections import MOST_SHOWN, choose_subjects, make_sections, read_kept_sections
from pipelines.report.summary_table import count_pictures, make_summary_table
from pipelines.report.table import Table
from pipelines.report.tables import (
    NOT_APART,
    describe_pairs,
    list_failures,
    list_notes,
    make_chain_table,
    make_pair_tables,
    make_picture_tables,
)
from pipelines.report.templating import load_templates

__all__ = [
    "MOST_SHOWN",
    "NOT_APART",
    "REPORT_KINDS",
    "Around",
    "Compared",
    "MissingSection",
    "Outputs",
    "PictureSection",
    "Report",
    "Square",
    "Table",
    "add_preference",
    "as_dict",
    "as_shown",
    "check_outputs",
    "choose_places",
    "choose_subjects",
    "colour_profile",
    "compare_reports",
    "count_pictures",
    "describe_agreement",
    "describe_pairs",
    "draw_charts",
    "find_changes",
    "find_pictures",
    "find_subjects",
    "format_row",
    "from_json",
    "list_failures",
    "list_notes",
    "load_templates",
    "lock_report",
    "make_chain_table",
    "make_command",
    "make_pair_tables",
    "make_picture_tables",
    "make_preference_table",
    "make_sections",
    "make_summary_table",
    "plan_of",
    "read_earlier_rows",
    "read_kept_sections",
    "read_report",
    "record_rows",
    "shows_looks",
    "start_report",
    "temporary_folder",
    "to_csv",
    "to_draft",
    "to_html",
    "to_json",
    "to_latex",
    "to_markdown",
]
