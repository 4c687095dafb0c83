"""What a benchmark's rows say, as tables: the same for the report and the page, which only draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import prod
from operator import mul
from statistics import median
from typing import Any

from pipelines.crops import Shown
from pipelines.phrasing import contender, duration, megabytes, number
from pipelines.results import METRICS, Metric, Row, metric_of
from pipelines.statistics import by_model, compare, score

RANKED_BY = ("psnr_y", "lpips")  # compared in pairs
BY_PICTURE = ("psnr_y", "ssim_y", "lpips")  # what is shown for each picture; JSON and CSV have the rest
NOT_APART = "not distinguishable"


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: which direction is better, None where neither is, and one line on what it says."""

    name: str
    higher_is_better: bool | None = None
    about: str = ""

    @property
    def better(self) -> str:
        """The better direction as a word; "" where neither is."""
        return {True: "higher", False: "lower", None: ""}[self.higher_is_better]

    @property
    def arrow(self) -> str:
        """The better direction as a sign; "" where neither is."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


@dataclass(frozen=True, slots=True)
class Cell:
    """What is read, the number to sort it by, whether it is the best of its kind, and what stands below it in small."""

    text: str
    value: float | None = None  # None where there is no number; infinite for a perfect result
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


def count_pictures(rows: Sequence[Row]) -> int:
    """How many pictures the rows are of."""
    return len({row.picture for row in rows})


def metric_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of the metrics that any row has, in order of METRICS."""
    return [_column(metric) for metric in _measured(rows)]


def summary(rows: Sequence[Row], entries: Sequence[Mapping[str, Any]]) -> Table:
    """Every contender with its scores and costs; `entries` are what `summarise` made of the rows."""
    count = count_pictures(rows)
    scores = {metric.key: (_column(metric), _score_cells(entries, metric)) for metric in _measured(rows)}
    time, *costs = _costs(entries, by_model(rows))
    # What decides comes first: on a narrow page the rest is out of sight.
    table = [*(scores.pop(key) for key in BY_PICTURE if key in scores), time, *scores.values(), *costs]
    if count > 1:
        table.append(
            (Column("Pictures", about="How many pictures were scored."), [_count(each["n"]) for each in entries])
        )
    columns, cells = zip(*table, strict=True)
    lines = [Line(contender(each["model"]), own) for each, own in zip(entries, zip(*cells, strict=True), strict=True)]
    title = "All methods" if count == 1 else f"All methods, means over {count} pictures"
    return Table(title, "Method", tuple(columns), tuple(lines))


def pairs(rows: Sequence[Row]) -> list[Table]:
    """Which two contenders can be told apart, one table for each metric of RANKED_BY; none for a single picture."""
    if count_pictures(rows) < 2:
        return []
    tables = []
    for metric in map(metric_of, RANKED_BY):
        if found := compare(rows, [metric]):
            columns = (
                Column(
                    f"Difference, {metric.unit}".rstrip(", "),
                    about=f"{metric.name} of the first less that of the second, mean over the pictures.",
                ),
                Column(
                    "p", about="How likely so one-sided a difference is by chance, corrected for the number of pairs."
                ),
                Column("Pictures", about="How many pictures both have a finite score of."),
                Column("Result"),
            )
            lines = tuple(_pair(pair, metric) for pair in found)
            tables.append(Table(f"{metric.name}, in pairs", "Methods", columns, lines))
    return tables


def by_picture(rows: Sequence[Row]) -> list[Table]:
    """The scores of each picture, one table for each metric of BY_PICTURE that was had; none for a single picture."""
    pictures = list(dict.fromkeys(row.picture for row in rows))
    if len(pictures) < 2:
        return []
    models = list(by_model(rows))
    found = {(row.picture, row.model): row for row in rows}
    tables = []
    for metric in _measured(rows):
        if metric.key in BY_PICTURE:
            lines = []
            for each in pictures:
                scores = [score(found[each, m], metric.key) if (each, m) in found else None for m in models]
                texts = [number(value, metric.digits) for value in scores]
                cells = _cells(scores, texts, metric.higher_is_better, [""] * len(models))
                lines.append(Line(each[0], tuple(cells)))
            column = _column(metric)
            title = f"{column.name} {column.arrow} of each picture"
            tables.append(Table(title, "Picture", tuple(Column(contender(model)) for model in models), tuple(lines)))
    return tables


def failed(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Who failed on which pictures and why: once, however many pictures it is the same for."""
    pictures: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.error is not None:
            pictures.setdefault((contender(row.model), row.error), []).append(row.image)
    return [
        (model, images[0] if len(images) == 1 else f"{len(images)} pictures", error)
        for (model, error), images in pictures.items()
    ]


def chains(rows: Sequence[Row], pictures: Sequence[Shown]) -> Table | None:
    """Each stage's size and time. Sizes are those of the first picture shown, or else shares of the original's side."""
    lines = []
    for model, own in by_model(rows).items():
        stages = own[0].stages or ()
        factors = [int(stage.rpartition(":")[2]) for stage in stages]
        grown = list(accumulate(factors, mul, initial=1))
        times = [row.stage_seconds for row in own if row.stage_seconds]
        for index, stage in enumerate(stages):
            sizes = " → ".join(_size(step, prod(factors), pictures) for step in grown[index : index + 2])
            time = median(each[index] for each in times) if times else None
            lines.append(Line(contender(model), (Cell(contender(stage)), Cell(sizes), _time(time))))
    of = f"on {pictures[0].name}" if pictures else "of the original's side"
    columns = (Column("Stage"), Column(f"Size, {of}"), Column("Time"))
    return Table("The stages of the chains", "Method", columns, tuple(lines)) if lines else None


def notes(rows: Sequence[Row], entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Each note with whom it is about, once, however many pictures it is about; `entries` are as in `summary`."""
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for note in row.notes:
            about.setdefault(note, {})[contender(row.model)] = None
    for entry in entries:
        for note in entry["notes"]:
            about.setdefault(note, {})[contender(entry["model"])] = None
    return [(", ".join(models), note) for note, models in about.items()]


def _measured(rows: Sequence[Row]) -> list[Metric]:
    return [metric for metric in METRICS if any(score(row, metric.key) is not None for row in rows)]


def _column(metric: Metric) -> Column:
    unit = f", {metric.unit}" if metric.unit else ""
    return Column(metric.name + unit, metric.higher_is_better, metric.about)


def _cells(values: Sequence[float | None], texts: Sequence[str], higher: bool, details: Sequence[str]) -> list[Cell]:
    """A column's cells; the best is marked, and whatever reads the same, unless all do."""
    known = [value for value in values if value is not None]
    best = texts[values.index((max if higher else min)(known))] if known else ""
    alike = len({text for value, text in zip(values, texts, strict=True) if value is not None}) < 2
    return [
        Cell(text, value, text == best and not alike, detail)
        for value, text, detail in zip(values, texts, details, strict=True)
    ]


def _count(value: int) -> Cell:
    return Cell(str(value), value)


def _time(seconds: float | None) -> Cell:
    return Cell("–" if seconds is None else duration(seconds), seconds)


def _score_cells(entries: Sequence[Mapping[str, Any]], metric: Metric) -> list[Cell]:
    means = [_mean(entry[metric.key]) for entry in entries]
    texts = [number(mean, metric.digits) for mean in means]
    intervals = [_interval(entry[metric.key], metric) for entry in entries]
    return _cells(means, texts, metric.higher_is_better, intervals)


def _mean(found: Mapping[str, Any]) -> float | None:
    """The mean, infinite where every score is; None where there is none."""
    if found["mean"] is None and found["infinite"]:
        return float("inf")
    mean: float | None = found["mean"]
    return mean


def _interval(found: Mapping[str, Any], metric: Metric) -> str:
    return (
        ""
        if found["low"] is None
        else f"{number(found['low'], metric.digits)} to {number(found['high'], metric.digits)}"
    )


def _costs(
    entries: Sequence[Mapping[str, Any]], groups: Mapping[str, Sequence[Row]]
) -> list[tuple[Column, list[Cell]]]:
    times = [entry["seconds"] and entry["seconds"]["median"] for entry in entries]
    once = ["timed once" if any(row.runs == 1 for row in groups[entry["model"]]) else "" for entry in entries]
    peaks = [entry["peak_mb"] for entry in entries]
    parameters = [entry["params"] for entry in entries]
    sizes = [entry["weights_bytes"] for entry in entries]
    return [
        (
            Column("Time", False, "How long enlarging a picture took, loading apart."),
            _cells(times, [_time(time).text for time in times], False, once),
        ),
        (
            Column("Memory, MB", False, "The most that a run needed above what was held before."),
            # None is marked: small ones differ from run to run by more than from each other.
            [Cell(number(peak, 0), peak) for peak in peaks],
        ),
        (
            Column("Parameters", about="How many learned numbers the network has."),
            [Cell("–" if count is None else f"{count:,}", count) for count in parameters],
        ),
        (
            Column("Weights", about="The size of the network's files."),
            [Cell("–" if size is None else megabytes(size), size) for size in sizes],
        ),
    ]


def _pair(pair: Mapping[str, Any], metric: Metric) -> Line:
    return Line(
        f"{contender(pair['first'])} – {contender(pair['second'])}",
        (
            Cell(f"{pair['difference']:+.{metric.digits}f}", pair["difference"]),
            Cell("< 0.001" if pair["p"] < 0.001 else number(pair["p"], 3), pair["p"]),
            _count(pair["n"]),
            Cell("different" if pair["distinguishable"] else NOT_APART, float(pair["distinguishable"])),
        ),
    )


def _size(step: int, whole: int, pictures: Sequence[Shown]) -> str:
    if not pictures:
        return str(Fraction(step, whole))
    return f"{pictures[0].small_width * step} × {pictures[0].small_height * step}"
