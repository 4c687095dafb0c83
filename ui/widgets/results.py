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

from pipelines.measuring.run import (
    METRICS,
    Claim,
    Row,
    conclude,
    describe_conditions,
    find_protocol,
    select_comparable,
    summarise,
    title_of,
)
from pipelines.report import report as reports
from ui.examples import STATIC

TEMPLATES = Path(__file__).parents[1] / "templates"


def place_panel(value: str = "", elem_id: str | None = None, **more: Any) -> gr.HTML:
    """A component that shows what the functions below render."""
    return gr.HTML(
        value,
        elem_id=elem_id,
        css_template=(STATIC / "results.css").read_text(),
        js_on_load=(STATIC / "results.js").read_text(),
        apply_default_css=False,
        **more,
    )


def render_verdict(rows: Sequence[Row], about: str = "") -> str:
    """Renders what the rows say of who is best: each verdict with its winner in large type, then what is to be known.

    `about` is a sentence that stands above.
    """
    verdict = conclude(tuple(rows)).verdicts
    claims = [claim for claim in (verdict.closest, verdict.natural) if claim]
    return render(
        "verdict.html",
        about=about,
        claims=[(claim, *_split_winner(claim), _tell_better(claim)) for claim in claims],
        remarks=verdict.remarks,
        failed=reports.list_failures(rows),
    )


def render_table(rows: Sequence[Row], protocol: str, kernel: str, running: bool) -> str:
    """Renders the scores so far, by the protocol, of pictures shrunk by `kernel`; "" without rows.

    While rows still come in there is only what takes a few milliseconds: no intervals.
    """
    if not rows:
        return ""
    compared = select_comparable(rows)
    entries = summarise(compared, intervals=not running)
    return render(
        "table.html",
        beside=describe_conditions(find_protocol(protocol), kernel),
        running=running,
        pictures=reports.count_pictures(rows),
        compared=reports.count_pictures(compared),
        summary=reports.make_summary_table(compared, entries),
        failed=reports.list_failures(rows) if running else (),
    )


def render_details(rows: Sequence[Row], protocol: str, kernel: str) -> str:
    """Renders what else the rows say: plots, pairs, each picture's scores, the chains' stages, and notes."""
    compared = select_comparable(rows)
    pairs = reports.make_pair_tables(rows)
    return render(
        "details.html",
        beside=describe_conditions(find_protocol(protocol), kernel),
        plots=[Markup(plot) for plot in reports.draw_charts(compared, summarise(compared, intervals=False))],
        looks=reports.shows_looks(compared),
        pairs=pairs,
        alike=reports.describe_pairs(rows),
        by_picture=reports.make_picture_tables(rows),
        chains=reports.make_chain_table(rows, ()),
        notes=reports.list_notes(rows, summarise(rows, intervals=False)),
    )


def _tell_better(claim: Claim) -> str:
    """Returns which values of the metric that a verdict names are the better ones; "" where it names none."""
    named = [metric for metric in METRICS if claim.where == f"({metric.name})"]
    return f"{named[0].better.capitalize()} is better." if named and claim.models else ""


def _split_winner(claim: Claim) -> tuple[str, str]:
    """Returns the name of who is best, and the facts behind it; of several, or of none, no name and all facts."""
    name = title_of(claim.models[0]) if len(claim.models) == 1 else ""
    if name and claim.facts.startswith(name):
        return name, claim.facts.removeprefix(name)
    whole = claim.facts and not claim.models  # a sentence, if not several
    return "", f"{claim.facts[:1].upper()}{claim.facts[1:]}{'.' if whole and not claim.facts.endswith('.') else ''}"


def render(template: str, **values: Any) -> str:
    """Renders one of templates/; what comes from outside is escaped there."""
    html = _load_templates().get_template(template).render(values)
    return html.encode(errors="replace").decode()  # a file's name may hold what no JSON can carry to the browser


@cache
def _load_templates() -> Environment:
    return reports.load_templates(TEMPLATES)
