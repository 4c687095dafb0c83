"""A report as one HTML file, from templates/report.html: what its tables hold and what its words are.

All that comes from outside is escaped by the template.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from math import prod
from operator import mul
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipelines.crops import Shown
from pipelines.phrasing import contender, duration, megabytes, number
from pipelines.plot import Axis, Point, scatter
from pipelines.report import Report
from pipelines.resample import SHRINKING
from pipelines.results import METRICS, Metric, Row
from pipelines.statistics import by_model, compare, score, summarise
from pipelines.verdict import verdict

TEMPLATES = Path(__file__).parent / "templates"
PROTOCOLS = {
    "round-trip": "Each picture is shrunk by {scale}, rounded to 8 bits, enlarged {scale} times by each method and "
    "compared with the original.",
    "chained-8x": "Each picture is shrunk by 8, rounded to 8 bits, enlarged 4 times, then twice, and compared with "
    "the original; methods that enlarge 8 times at once stand beside that.",
    "no-original": "Each picture is enlarged {scale} times by each method as it is. No original is known: consistency "
    "says how well a result, shrunk again, agrees with the picture, and not how good it looks.",
}
RANKED_BY = ("psnr_y", "lpips")  # compared in pairs
BY_PICTURE = ("psnr_y", "ssim_y", "lpips")  # what is shown for each picture; JSON and CSV have the rest
SHORTEST = 0.001  # s: no clock tells less, and a logarithmic axis has no zero


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: `arrow` says which direction is better, "" where neither is."""

    name: str
    arrow: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as it is read, whether it is the best of its kind, and what stands below it in small."""

    text: str
    best: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column holds the names of what `first` says."""

    title: str
    first: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


def page(report: Report, pictures: Sequence[Shown]) -> str:
    """The file's text."""
    rows = report.rows
    summary = summarise(rows)
    measured = [metric for metric in METRICS if any(score(row, metric.key) is not None for row in rows)]
    count = len({row.picture for row in rows})
    return _template().render(
        report=report,
        verdict=verdict(rows),
        protocol=PROTOCOLS.get(report.protocol, "").format(scale=report.scale),
        kernel=SHRINKING.get(report.kernel, ""),
        pictures=count,
        summary=_summary_table(summary, rows, measured, count),
        metrics=[
            (_column(metric), metric.about, "higher" if metric.higher_is_better else "lower") for metric in measured
        ],
        plots=[Markup(plot) for plot in _plots(summary, count)],
        pairs=_pairs(rows) if count > 1 else [],
        by_picture=_by_picture(rows, measured) if count > 1 else [],
        failed=_failed(rows),
        made=report.made.replace("T", " ").replace("+00:00", " UTC"),
        shown=pictures,
        chains=_chains(rows, report.scale, pictures),
        notes=_notes(rows, summary),
        hashes=list(dict.fromkeys((row.image, row.image_sha256) for row in rows)),
        weights=_weights(rows),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"contender": contender, "base64": lambda data: b64encode(data).decode()}
    return environment.get_template("report.html")


def _column(metric: Metric) -> Column:
    unit = f", {metric.unit}" if metric.unit else ""
    return Column(metric.name + unit, "↑" if metric.higher_is_better else "↓")


def _cells(values: Sequence[float | None], texts: Sequence[str], higher: bool, details: Sequence[str]) -> list[Cell]:
    """A column's cells; the best is marked, and whatever reads the same, unless all do."""
    known = [value for value in values if value is not None]
    best = texts[values.index((max if higher else min)(known))] if known else ""
    alike = len({text for value, text in zip(values, texts, strict=True) if value is not None}) < 2
    return [Cell(text, text == best and not alike, detail) for text, detail in zip(texts, details, strict=True)]


def _summary_table(
    summary: Sequence[dict[str, Any]], rows: Sequence[Row], measured: Sequence[Metric], count: int
) -> Table:
    scores = {metric.key: (_column(metric), _score_cells(summary, metric)) for metric in measured}
    time, *costs = _costs(summary, by_model(rows))
    # What decides comes first: on a narrow page the rest is out of sight.
    table = [*(scores.pop(key) for key in BY_PICTURE if key in scores), time, *scores.values(), *costs]
    if count > 1:
        table.append((Column("Pictures"), [Cell(str(entry["n"])) for entry in summary]))
    columns, cells = zip(*table, strict=True)
    lines = [Line(contender(entry["model"]), own) for entry, own in zip(summary, zip(*cells, strict=True), strict=True)]
    title = "All methods" if count == 1 else f"All methods, means over {count} pictures"
    return Table(title, "Method", tuple(columns), tuple(lines))


def _score_cells(summary: Sequence[dict[str, Any]], metric: Metric) -> list[Cell]:
    means = [_mean(entry[metric.key]) for entry in summary]
    texts = [number(mean, metric.digits) for mean in means]
    intervals = [_interval(entry[metric.key], metric) for entry in summary]
    return _cells(means, texts, metric.higher_is_better, intervals)


def _mean(found: dict[str, Any]) -> float | None:
    """The mean, infinite where every score is; None where there is none."""
    if found["mean"] is None and found["infinite"]:
        return float("inf")
    mean: float | None = found["mean"]
    return mean


def _interval(found: dict[str, Any], metric: Metric) -> str:
    return (
        ""
        if found["low"] is None
        else f"{number(found['low'], metric.digits)} to {number(found['high'], metric.digits)}"
    )


def _costs(summary: Sequence[dict[str, Any]], groups: dict[str, list[Row]]) -> list[tuple[Column, list[Cell]]]:
    times = [entry["seconds"] and entry["seconds"]["median"] for entry in summary]
    once = ["timed once" if any(row.runs == 1 for row in groups[entry["model"]]) else "" for entry in summary]
    peaks = [entry["peak_mb"] for entry in summary]
    return [
        (Column("Time", "↓"), _cells(times, ["–" if time is None else duration(time) for time in times], False, once)),
        (Column("Memory, MB", "↓"), _cells(peaks, [number(peak, 0) for peak in peaks], False, [""] * len(peaks))),
        (Column("Parameters"), [Cell("–" if entry["params"] is None else f"{entry['params']:,}") for entry in summary]),
        (
            Column("Weights"),
            [Cell("–" if entry["weights_bytes"] is None else megabytes(entry["weights_bytes"])) for entry in summary],
        ),
    ]


def _plots(summary: Sequence[dict[str, Any]], count: int) -> Iterable[str]:
    """Quality against time, and PSNR against how it looks, or else against consistency; each where it can be had."""
    psnr, time = _axis("psnr_y", count), Axis("Time", "s", False, log=True)
    timed = [
        Point(contender(entry["model"]), max(entry["seconds"]["median"], SHORTEST), entry["psnr_y"]["mean"])
        for entry in summary
        if entry["seconds"] and entry["psnr_y"]["mean"] is not None
    ]
    if timed:
        yield scatter(timed, time, psnr, "Quality against time")
    for key in ("lpips", "consistency_psnr"):
        both = [
            Point(contender(entry["model"]), entry["psnr_y"]["mean"], entry[key]["mean"])
            for entry in summary
            if entry["psnr_y"]["mean"] is not None and entry[key]["mean"] is not None
        ]
        if both:
            yield scatter(both, psnr, _axis(key, count), f"PSNR against {_metric(key).name}")
            return


def _metric(key: str) -> Metric:
    return next(metric for metric in METRICS if metric.key == key)


def _axis(key: str, count: int) -> Axis:
    metric = _metric(key)
    return Axis(f"Mean {metric.name}" if count > 1 else metric.name, metric.unit, metric.higher_is_better)


def _pairs(rows: Sequence[Row]) -> list[Table]:
    tables = []
    for metric in (_metric(key) for key in RANKED_BY):
        lines = [
            Line(
                f"{contender(pair['first'])} – {contender(pair['second'])}",
                (
                    Cell(f"{pair['difference']:+.{metric.digits}f}"),
                    Cell("< 0.001" if pair["p"] < 0.001 else number(pair["p"], 3)),
                    Cell(str(pair["n"])),
                    Cell("different" if pair["distinguishable"] else "not distinguishable"),
                ),
            )
            for pair in compare(rows, [metric])
        ]
        if lines:
            columns = (
                Column(f"Difference, {metric.unit}".rstrip(", ")),
                Column("p"),
                Column("Pictures"),
                Column("Result"),
            )
            tables.append(Table(f"{metric.name}, in pairs", "Methods", columns, tuple(lines)))
    return tables


def _by_picture(rows: Sequence[Row], measured: Sequence[Metric]) -> list[Table]:
    models = list(by_model(rows))
    found = {(row.picture, row.model): row for row in rows}
    pictures = list(dict.fromkeys(row.picture for row in rows))
    tables = []
    for metric in measured:
        if metric.key in BY_PICTURE:
            lines = []
            for each in pictures:
                scores = [score(found[each, m], metric.key) if (each, m) in found else None for m in models]
                texts = [number(value, metric.digits) for value in scores]
                cells = _cells(scores, texts, metric.higher_is_better, [""] * len(models))
                lines.append(Line(each[0], tuple(cells)))
            arrow = _column(metric).arrow
            title = f"{_column(metric).name} {arrow} of each picture"
            tables.append(Table(title, "Picture", tuple(Column(contender(model)) for model in models), tuple(lines)))
    return tables


def _failed(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Who failed on which pictures and why: once, however many pictures it is the same for."""
    pictures: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.error is not None:
            pictures.setdefault((contender(row.model), row.error), []).append(row.image)
    return [
        (model, images[0] if len(images) == 1 else f"{len(images)} pictures", error)
        for (model, error), images in pictures.items()
    ]


def _chains(rows: Sequence[Row], scale: int, pictures: Sequence[Shown]) -> Table | None:
    """Each stage's size and time. Sizes are those of the first picture shown, or else shares of the original's side."""
    lines = []
    for model, own in by_model(rows).items():
        stages = own[0].stages or ()
        factors = [int(stage.rpartition(":")[2]) for stage in stages]
        grown = list(accumulate(factors, mul, initial=1))
        times = [row.stage_seconds for row in own if row.stage_seconds]
        for index, stage in enumerate(stages):
            sizes = " → ".join(_size(step, prod(factors), pictures) for step in grown[index : index + 2])
            time = duration(median(each[index] for each in times)) if times else "–"
            lines.append(Line(contender(model), (Cell(contender(stage)), Cell(sizes), Cell(time))))
    of = f"on {pictures[0].name}" if pictures else "of the original's side"
    columns = (Column("Stage"), Column(f"Size, {of}"), Column("Time"))
    return Table("The stages of the chains", "Method", columns, tuple(lines)) if lines else None


def _size(step: int, whole: int, pictures: Sequence[Shown]) -> str:
    if not pictures:
        return str(Fraction(step, whole))
    return f"{pictures[0].small_width * step} × {pictures[0].small_height * step}"


def _notes(rows: Sequence[Row], summary: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each note with whom it is about, once, however many pictures it is about."""
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for note in row.notes:
            about.setdefault(note, {})[contender(row.model)] = None
    for entry in summary:
        for note in entry["notes"]:
            about.setdefault(note, {})[contender(entry["model"])] = None
    return [(", ".join(models), note) for note, models in about.items()]


def _weights(rows: Sequence[Row]) -> list[tuple[str, str]]:
    known = ((contender(row.model), row.weights_sha256) for row in rows if row.weights_sha256)
    return [(model, hash_.replace(",", ", ")) for model, hash_ in dict.fromkeys(known)]
