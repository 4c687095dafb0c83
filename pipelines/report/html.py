"""A report as one HTML file, from templates/report.html. All that comes from outside is escaped by the template."""

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Template
from markupsafe import Markup

from pipelines.measuring.conclusions import conclude
from pipelines.measuring.protocols import PROTOCOLS, conditions
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import comparable
from pipelines.phrasing import contender
from pipelines.report import tables
from pipelines.report.charts import charts
from pipelines.report.crops import Shown, Unshown
from pipelines.report.report import Report
from pipelines.report.templating import templates

TEMPLATES = Path(__file__).parent / "templates"


def page(report: Report, pictures: Sequence[Shown | Unshown]) -> str:
    """The file's text."""
    rows, found = report.rows, conclude(report.rows)
    compared = comparable(rows)
    shown = [each for each in pictures if isinstance(each, Shown)]
    return _template().render(
        report=report,
        verdict=found.verdict,
        protocol=PROTOCOLS.get(report.protocol, ""),
        beside=conditions(report.protocol, report.kernel),
        pictures=tables.count_pictures(rows),
        compared=tables.count_pictures(compared),
        summary=tables.summary(compared, found.compared),
        metrics=tables.metric_columns(rows),
        plots=[Markup(plot) for plot in charts(compared, found.compared)],
        pairs=tables.pairs(rows),
        by_picture=tables.by_picture(rows),
        failed=tables.failed(rows),
        made=report.made.replace("T", " ").replace("+00:00", " UTC"),
        shown=shown,
        unshown=[each for each in pictures if isinstance(each, Unshown)],
        chains=tables.chains(rows, shown),
        notes=tables.notes(rows, found.summary),
        hashes=list(dict.fromkeys((row.image, row.image_sha256) for row in rows)),
        weights=_weights(rows),
    )


@cache
def _template() -> Template:
    environment = templates(TEMPLATES)
    environment.filters |= {"contender": contender, "base64": lambda data: b64encode(data).decode()}
    return environment.get_template("report.html")


def _weights(rows: Sequence[Row]) -> list[tuple[str, str]]:
    known = ((contender(row.model), row.weights_sha256) for row in rows if row.weights_sha256)
    return [(model, hash_.replace(",", ", ")) for model, hash_ in dict.fromkeys(known)]
