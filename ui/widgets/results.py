"""What a comparison found, as HTML that static/results.js makes sortable and explains.

Everything that comes from outside is escaped by the template.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from jinja2 import Environment
from markupsafe import Markup

from pipelines.measuring.run import Row, describe_conditions, find_protocol, select_comparable, state_verdict, summarise
from pipelines.report import report as reports
from ui.examples import STATIC

TEMPLATES = Path(__file__).parents[1] / "templates"


def place_panel() -> gr.HTML:
    """A component that shows what `render_results` or `render_details` gives."""
    return gr.HTML(
        css_template=(STATIC / "results.css").read_text(),
        js_on_load=(STATIC / "results.js").read_text(),
        apply_default_css=False,
    )


def render_results(rows: Sequence[Row], protocol: str, kernel: str, running: bool) -> str:
    """Renders the verdict and the scores so far, by the protocol, of pictures shrunk by `kernel`; "" without rows.

    While rows still come in there is only what takes a few milliseconds: no verdict and no intervals.
    """
    if running and not rows:
        return ""
    compared = select_comparable(rows)
    entries = summarise(compared, intervals=not running)
    return _render(
        "results.html",
        beside=describe_conditions(find_protocol(protocol), kernel),
        running=running,
        pictures=reports.count_pictures(rows),
        compared=reports.count_pictures(compared),
        verdict="" if running else state_verdict(rows),
        summary=reports.make_summary_table(compared, entries),
        failed=reports.list_failures(rows),
    )


def render_details(rows: Sequence[Row], protocol: str, kernel: str) -> str:
    """Renders what else the rows say: plots, pairs, each picture's scores, the chains' stages, and notes."""
    compared = select_comparable(rows)
    pairs = reports.make_pair_tables(rows)
    return _render(
        "details.html",
        beside=describe_conditions(find_protocol(protocol), kernel),
        plots=[Markup(plot) for plot in reports.draw_charts(compared, summarise(compared, intervals=False))],
        pairs=pairs,
        alike=reports.describe_pairs(rows),
        by_picture=reports.make_picture_tables(rows),
        chains=reports.make_chain_table(rows, ()),
        notes=reports.list_notes(rows, summarise(rows, intervals=False)),
    )


def _render(template: str, **values: Any) -> str:
    html = _load_templates().get_template(template).render(values)
    return html.encode(errors="replace").decode()  # a file's name may hold what no JSON can carry to the browser


@cache
def _load_templates() -> Environment:
    return reports.load_templates(TEMPLATES)
