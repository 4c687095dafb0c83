"""A report as one HTML file, from templates/report.html. All that comes from outside is escaped by the template."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pipelines.measuring.columns import as_columns
from pipelines.measuring.conclusions import conclude
from pipelines.measuring.contenders import title_of
from pipelines.measuring.protocols import PROTOCOLS, describe_conditions
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import select_comparable
from pipelines.report import tables
from pipelines.report.charts import draw_charts, shows_looks
from pipelines.report.crops import MissingSection, PictureSection
from pipelines.report.model import Report
from pipelines.report.preferences import describe_agreement, make_preference_table
from pipelines.report.summary_table import count_pictures, make_metric_columns, make_summary_table
from pipelines.report.templating import load_templates

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True, slots=True)
class Around:
    """What a page that holds a report adds to it: HTML that is put in as it is, and the policy for what it loads."""

    head: str = ""
    top: str = ""  # before the pictures
    policy: str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # "" where a server sends its own


ALONE = Around()


def to_html(report: Report, pictures: Sequence[PictureSection | MissingSection] = (), around: Around = ALONE) -> bytes:
    """Makes one file that shows everything, with crops of the given pictures; alone it needs no script, no network."""
    from markupsafe import Markup

    rows, found = as_columns(report.rows), conclude(report.rows)
    compared = select_comparable(rows)
    sections = [each for each in pictures if isinstance(each, PictureSection)]
    protocol = next((each for each in PROTOCOLS if each.key == report.protocol), None)
    page = _template().render(
        report=report,
        claims=[each for each in (found.verdicts.closest, found.verdicts.natural) if each],
        remarks=found.verdicts.remarks,
        protocol=protocol.about if protocol else "",
        shrunk=protocol is None or protocol.shrinks,
        beside=describe_conditions(protocol, report.kernel),
        pictures=count_pictures(rows),
        compared=count_pictures(compared),
        summary=make_summary_table(compared, found.compared),
        metrics=make_metric_columns(rows),
        plots=[Markup(plot) for plot in draw_charts(compared, found.compared)],
        looks=shows_looks(compared),
        preference=make_preference_table(report),
        agreement=describe_agreement(report),
        pairs=tables.make_pair_tables(report.rows),
        by_picture=tables.make_picture_tables(rows),
        failed=tables.list_failures(rows),
        made=report.made.replace("T", " ").replace("+00:00", " UTC"),
        sections=sections,
        missing=[each for each in pictures if isinstance(each, MissingSection)],
        chains=tables.make_chain_table(rows, sections),
        notes=tables.list_notes(rows, found.summary),
        hashes=tables.choose_evenly(rows.pictures),
        rows_file=report.rows_file,
        weights=_weights(rows),
        head=Markup(around.head),
        top=Markup(around.top),
        policy=around.policy,
    )
    return page.encode(errors="replace")


def is_html(beginning: bytes) -> bool:
    """Returns whether a file that begins so is what `to_html` writes, of whatever version."""
    return b"<title>Which upscaler is best at x" in beginning


@cache
def _template() -> "Template":
    return load_templates().get_template("report.html")


def _weights(rows: Sequence[Row]) -> list[tuple[str, str]]:
    known = ((title_of(row.model), row.weights_sha256) for row in rows if row.weights_sha256)
    return [(model, hash_.replace(",", ", ")) for model, hash_ in dict.fromkeys(known)]
