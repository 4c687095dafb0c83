"""What a comparison found, as HTML that static/results.js makes sortable and explains.

Everything that comes from outside is escaped by the template.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import gradio as gr
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipelines import tables
from pipelines.charts import charts
from pipelines.resample import SHRINKING
from pipelines.results import Row
from pipelines.statistics import comparable, summarise
from pipelines.tables import NOT_APART, Table
from pipelines.verdict import verdict
from ui.examples import STATIC

TEMPLATES = Path(__file__).with_name("templates")


def panel() -> gr.HTML:
    """The component that shows what `results` gives."""
    return gr.HTML(
        css_template=(STATIC / "results.css").read_text(),
        js_on_load=(STATIC / "results.js").read_text(),
        apply_default_css=False,
    )


def results(rows: Sequence[Row], kernel: str, running: bool) -> str:
    """What is known so far, of pictures shrunk by `kernel`; "" without rows while `running`.

    While rows still come in there is only what takes a few milliseconds: no verdict, no intervals, and nothing that
    compares over pictures.
    """
    if running and not rows:
        return ""
    compared = comparable(rows)
    entries = summarise(compared, intervals=not running)
    pairs = [] if running else tables.pairs(rows)
    html = _template().render(
        kernel=kernel,
        meaning=SHRINKING.get(kernel, ""),
        running=running,
        pictures=tables.count_pictures(rows),
        compared=tables.count_pictures(compared),
        verdict="" if running else verdict(rows),
        summary=tables.summary(compared, entries),
        failed=tables.failed(rows),
        plots=[Markup(plot) for plot in charts(compared, entries)],
        pairs=pairs,
        alike="; ".join(map(_alike, pairs)),
        by_picture=[] if running else tables.by_picture(rows),
        chains=tables.chains(rows, ()),
        notes=tables.notes(rows, summarise(rows, intervals=False)),
    )
    return html.encode(errors="replace").decode()  # a file's name may hold what no JSON can carry to the browser


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = json.dumps  # infinity as JavaScript reads it
    return environment.get_template("results.html")


def _alike(pairs: Table) -> str:
    """ "PSNR Y, in pairs: 2 of 6 not distinguishable"."""
    count = sum(line.cells[-1].text == NOT_APART for line in pairs.lines)
    return f"{pairs.title}: {count} of {len(pairs.lines)} {NOT_APART}"
