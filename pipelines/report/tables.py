"""What a benchmark's rows say, as tables: the same for the report and the page, which only draw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import prod
from operator import mul
from statistics import median

from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.metrics.scores import METRICS, find_metric
from pipelines.measuring.rows import Row, score_of
from pipelines.measuring.significance import Pair, compare
from pipelines.measuring.statistics import (
    MetricSummary,
    PictureKey,
    Summary,
    are_comparable,
    are_times_comparable,
    group_by_model,
)
from pipelines.phrasing import contender_name, format_bytes, format_duration, format_number
from pipelines.report.crops import PictureSection

RANKED_BY = ("psnr_y", "lpips")  # compared in pairs
BY_PICTURE = ("psnr_y", "ssim_y", "lpips")  # what is shown for each picture; JSON and CSV have the rest
NOT_APART = "not distinguishable"
CHANCE = "How likely so one-sided a difference is by chance, corrected for the number of pairs."


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
    """Returns how many pictures the rows are of."""
    return len({row.picture for row in rows})


def make_metric_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of the metrics that any row has, in order of METRICS."""
    return [_column(metric) for metric in _measured(rows)]


def make_summary_table(rows: Sequence[Row], entries: Sequence[Summary]) -> Table:
    """Every contender with its scores and costs; `entries` are what `summarise` made of the rows.

    The best of a column is marked where all are of the same pictures: `statistics.select_comparable` gives such rows.
    """
    count = count_pictures(rows)
    scores = {metric.key: (_column(metric), _score_cells(rows, entries, metric)) for metric in _measured(rows)}
    time, *costs = _costs(rows, entries)
    # What decides comes first: on a narrow page the rest is out of sight.
    table = [*(scores.pop(key) for key in BY_PICTURE if key in scores), time, *scores.values(), *costs]
    if count > 1:
        table.append((Column("Pictures", about="How many pictures were scored."), [_count(each.n) for each in entries]))
    columns, cells = zip(*table, strict=True)
    lines = [Line(contender_name(each.model), own) for each, own in zip(entries, zip(*cells, strict=True), strict=True)]
    same = are_comparable(rows, "psnr_y")
    over = f"means over {count} pictures" if same else "each over the pictures it has a score of"
    return Table("All methods" if count == 1 else f"All methods, {over}", "Method", tuple(columns), tuple(lines))


def make_pair_tables(rows: Sequence[Row]) -> list[Table]:
    """Shows which two contenders can be told apart, a table for each metric of RANKED_BY; none for a single picture."""
    if count_pictures(rows) < 2:
        return []
    tables = []
    for metric in map(find_metric, RANKED_BY):
        if found := compare(rows, [metric]):
            columns = (
                Column(
                    f"Difference, {metric.unit}".rstrip(", "),
                    about=f"{metric.name} of the first less that of the second, mean over the pictures.",
                ),
                Column("p", about=CHANCE),
                Column("Pictures", about="How many pictures both have a finite score of."),
                Column("Result"),
            )
            lines = tuple(_pair(pair, metric) for pair in found)
            tables.append(Table(f"{metric.name}, in pairs", "Methods", columns, lines))
    return tables


def make_picture_tables(rows: Sequence[Row]) -> list[Table]:
    """The scores of each picture, one table for each metric of BY_PICTURE that was had; none for a single picture."""
    pictures = list(dict.fromkeys(row.picture for row in rows))
    if len(pictures) < 2:
        return []
    models = list(group_by_model(rows))
    found = {(row.picture, row.model): row for row in rows}
    tables = []
    for metric in _measured(rows):
        if metric.key in BY_PICTURE:
            lines = []
            for each in pictures:
                scores = [score_of(found[each, m], metric.key) if (each, m) in found else None for m in models]
                texts = [format_number(value, metric.digits) for value in scores]
                best = _best(scores, texts, metric.higher_is_better)
                cells = tuple(Cell(*each) for each in zip(texts, scores, best, strict=True))
                lines.append(Line(each[0], cells))
            column = _column(metric)
            title = f"{column.name} {column.arrow} of each picture"
            columns = tuple(Column(contender_name(model)) for model in models)
            tables.append(Table(title, "Picture", columns, tuple(lines)))
    return tables


def list_failures(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Lists who failed on which pictures and why: once, however many pictures or methods it is the same for."""
    methods = len(group_by_model(rows))
    errors: dict[PictureKey, list[str | None]] = {}
    for row in rows:
        errors.setdefault(row.picture, []).append(row.error)
    pictures: dict[tuple[str, str], dict[PictureKey, None]] = {}
    for row in rows:
        if row.error is not None:
            everyone = methods > 1 and errors[row.picture] == [row.error] * methods
            who = "Every method" if everyone else contender_name(row.model)
            pictures.setdefault((who, row.error), {})[row.picture] = None
    return [
        (who, next(iter(failing))[0] if len(failing) == 1 else f"{len(failing)} pictures", error)
        for (who, error), failing in pictures.items()
    ]


def make_chain_table(rows: Sequence[Row], pictures: Sequence[PictureSection]) -> Table | None:
    """Each stage's size and time. Sizes are those of the first picture shown, or else shares of the original's side."""
    lines = []
    for model, own in group_by_model(rows).items():
        stages = own[0].stages or ()
        factors = [int(stage.rpartition(":")[2]) for stage in stages]
        grown = list(accumulate(factors, mul, initial=1))
        times = [row.stage_seconds for row in own if row.stage_seconds]
        for index, stage in enumerate(stages):
            sizes = " → ".join(_size(step, prod(factors), pictures) for step in grown[index : index + 2])
            time = median(each[index] for each in times) if times else None
            lines.append(Line(contender_name(model), (Cell(contender_name(stage)), Cell(sizes), _time(time))))
    of = f"on {pictures[0].name}" if pictures else "of the original's side"
    columns = (Column("Stage"), Column(f"Size, {of}"), Column("Time"))
    return Table("The stages of the chains", "Method", columns, tuple(lines)) if lines else None


def list_notes(rows: Sequence[Row], entries: Sequence[Summary]) -> list[tuple[str, str]]:
    """Lists each note once, with whom it is about; `entries` are what `summarise` made of the rows."""
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for note in row.notes:
            about.setdefault(note, {})[contender_name(row.model)] = None
    for entry in entries:
        for note in entry.notes:
            about.setdefault(note, {})[contender_name(entry.model)] = None
    return [(", ".join(models), note) for note, models in about.items()]


def _measured(rows: Sequence[Row]) -> list[Metric]:
    return [metric for metric in METRICS if any(score_of(row, metric.key) is not None for row in rows)]


def _column(metric: Metric) -> Column:
    unit = f", {metric.unit}" if metric.unit else ""
    return Column(metric.name + unit, metric.higher_is_better, metric.about)


def _best(values: Sequence[float | None], shown: Sequence[object], higher: bool) -> list[bool]:
    """Returns which value is the best, and which are shown as it is; none where all are."""
    known = [value for value in values if value is not None]
    best = shown[values.index((max if higher else min)(known))] if known else None
    alike = len({each for value, each in zip(values, shown, strict=True) if value is not None}) < 2
    return [each == best and not alike for each in shown]


def _count(value: int) -> Cell:
    return Cell(str(value), value)


def _time(seconds: float | None) -> Cell:
    return Cell("–" if seconds is None else format_duration(seconds), seconds)


def _score_cells(rows: Sequence[Row], entries: Sequence[Summary], metric: Metric) -> list[Cell]:
    count = count_pictures(rows)
    means = [_mean(entry.metrics[metric.key]) for entry in entries]
    texts = [format_number(mean, metric.digits) for mean in means]
    best = _best(means, texts, metric.higher_is_better) if are_comparable(rows, metric.key) else [False] * len(means)
    details = [_detail(entry.metrics[metric.key], metric, count) for entry in entries]
    return [Cell(*each) for each in zip(texts, means, best, details, strict=True)]


def _mean(found: MetricSummary) -> float | None:
    """The mean, infinite where every score is; None where there is none."""
    return float("inf") if found.mean is None and found.infinite else found.mean


def _detail(found: MetricSummary, metric: Metric, count: int) -> str:
    """The interval, and of how many pictures the mean is where that is not all."""
    details = []
    if found.low is not None:
        details.append(f"{format_number(found.low, metric.digits)} to {format_number(found.high, metric.digits)}")
    if found.n not in (0, count):
        details.append("of 1 picture" if found.n == 1 else f"of {found.n} pictures")
    return ", ".join(details)


def _costs(rows: Sequence[Row], entries: Sequence[Summary]) -> list[tuple[Column, list[Cell]]]:
    groups = group_by_model(rows)
    times = [None if entry.seconds is None else entry.seconds.median for entry in entries]
    # Two times that read the same need not be: marked is the shortest alone.
    best = _best(times, times, False) if are_times_comparable(rows) else [False] * len(times)
    once = ["timed once" if any(row.runs == 1 for row in groups[entry.model]) else "" for entry in entries]
    peaks = [entry.peak_mb for entry in entries]
    parameters = [entry.params for entry in entries]
    sizes = [entry.weights_bytes for entry in entries]
    return [
        (
            Column("Time", False, "How long enlarging a picture took, loading apart."),
            [Cell(_time(each[0]).text, *each) for each in zip(times, best, once, strict=True)],
        ),
        (
            Column("Memory, MB", False, "The most that a run needed above what was held before."),
            # None is marked: small ones differ from run to run by more than from each other.
            [Cell(format_number(peak, 0), peak) for peak in peaks],
        ),
        (
            Column("Parameters", about="How many learned numbers the network has."),
            [Cell("–" if count is None else f"{count:,}", count) for count in parameters],
        ),
        (
            Column("Weights", about="The size of the network's files."),
            [Cell("–" if size is None else format_bytes(size), size) for size in sizes],
        ),
    ]


def _pair(pair: Pair, metric: Metric) -> Line:
    return Line(
        f"{contender_name(pair.first)} – {contender_name(pair.second)}",
        (
            Cell(f"{pair.difference:+.{metric.digits}f}", pair.difference),
            Cell("< 0.001" if pair.p < 0.001 else format_number(pair.p, 3), pair.p),
            _count(pair.n),
            Cell(_result(pair), float(pair.distinguishable)),
        ),
    )


def _result(pair: Pair) -> str:
    if not pair.distinguishable:
        return NOT_APART
    return "different" if pair.difference * pair.rank_biserial > 0 else "different, by ranks the other way"


def _size(step: int, whole: int, pictures: Sequence[PictureSection]) -> str:
    if not pictures:
        return str(Fraction(step, whole))
    return f"{pictures[0].small_width * step} × {pictures[0].small_height * step}"
