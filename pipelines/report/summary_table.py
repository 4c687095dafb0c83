"""Every contender with its scores and costs, in the order of the verdict."""

from collections.abc import Sequence

from pipelines.measuring.columns import as_columns
from pipelines.measuring.contenders import title_of
from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.ranking import find_speaker, has_any, rank, rank_for_verdict
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import (
    MetricSummary,
    Summary,
    are_comparable,
    are_times_comparable,
)
from pipelines.phrasing import format_bytes, format_number
from pipelines.report.table import Cell, Column, Line, Table, count_cell, format_times, mark_best, metric_column


def count_pictures(rows: Sequence[Row]) -> int:
    """Returns how many pictures the rows are of."""
    return len(as_columns(rows).pictures)


def list_measured(rows: Sequence[Row]) -> list[Metric]:
    """The metrics that any row has, in order of METRICS."""
    columns = as_columns(rows)
    return [metric for metric in METRICS if has_any(columns, metric)]


def make_metric_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of the metrics that any row has, in order of METRICS."""
    return [metric_column(metric) for metric in list_measured(rows)]


def make_summary_table(rows: Sequence[Row], entries: Sequence[Summary]) -> Table:
    """Every contender, best first; `entries` are what `summarise` made of the rows.

    The best of a column is marked where all are of the same pictures: `statistics.select_comparable` gives such rows.
    """
    rows = as_columns(rows)
    count = count_pictures(rows)
    measured = list_measured(rows)
    # Without an original nothing but this says anything.
    main = [each.main or (each.says == "consistency" and not find_speaker(rows, "closeness")) for each in measured]
    scores = [
        (metric_column(metric, shown), _score_cells(rows, entries, metric))
        for metric, shown in zip(measured, main, strict=True)
    ]
    time, *costs = _costs(rows, entries)
    # What decides comes first: on a narrow page the rest is out of sight.
    table = [*(each for each in scores if each[0].main), time, *(each for each in scores if not each[0].main), *costs]
    if count > 1:
        about = "How many images were scored."
        table.append((Column("Images", about=about, main=False), [count_cell(each.n) for each in entries]))
    columns, cells = zip(*table, strict=True)
    places, ranks = _order(rows)
    lines = sorted(
        zip(entries, zip(*cells, strict=True), strict=True), key=lambda each: places.get(each[0].model, len(places))
    )
    same = are_comparable(rows, "psnr_y")
    over = f"means over {count} images" if same else "each over the images it has a score of"
    return Table(
        "All models" if count == 1 else f"All models, {over}",
        "Model",
        tuple(columns),
        tuple(Line(title_of(entry.model), own, ranks.get(entry.model)) for entry, own in lines),
    )


def _order(rows: Sequence[Row]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns the place of each contender from 0, and its rank; consistency gives an order and no rank."""
    found = rank_for_verdict(rows)
    if found:
        return {each.model: place for place, each in enumerate(found.standings)}, dict(found.ranks)
    metric = find_speaker(rows, "consistency")
    consistent = rank(rows, metric) if metric else None
    return {each.model: place for place, each in enumerate(consistent.standings)} if consistent else {}, {}


def _score_cells(rows: Sequence[Row], entries: Sequence[Summary], metric: Metric) -> list[Cell]:
    count = count_pictures(rows)
    means = [_mean(entry.metrics[metric.key]) for entry in entries]
    texts = [format_number(mean, metric.digits) for mean in means]
    comparable = are_comparable(rows, metric.key)
    best = mark_best(means, texts, metric.higher_is_better) if comparable else [False] * len(means)
    found = [entry.metrics[metric.key] for entry in entries]
    details = [_of_fewer(each, count) for each in found]
    intervals = [_interval(each, metric) for each in found]
    return [Cell(*each) for each in zip(texts, means, best, details, intervals, strict=True)]


def _mean(found: MetricSummary) -> float | None:
    """The mean, infinite where every score is; None where there is none."""
    return float("inf") if found.mean is None and found.infinite else found.mean


def _of_fewer(found: MetricSummary, count: int) -> str:
    """Returns of how many pictures a mean is, where that is not all."""
    if found.n in (0, count):
        return ""
    return "of 1 image" if found.n == 1 else f"of {found.n} images"


def _interval(found: MetricSummary, metric: Metric) -> str:
    if found.low is None:
        return ""
    return f"{format_number(found.low, metric.digits)} to {format_number(found.high, metric.digits)}"


def _costs(rows: Sequence[Row], entries: Sequence[Summary]) -> list[tuple[Column, list[Cell]]]:
    groups = as_columns(rows).of_each_model()
    times = [None if entry.seconds is None else entry.seconds.median for entry in entries]
    unit, texts = format_times(times)
    # Two times that read the same need not be: marked is the shortest alone.
    best = mark_best(times, times, False) if are_times_comparable(rows) else [False] * len(times)
    once = ["timed once" if any(row.runs == 1 for row in groups[entry.model]) else "" for entry in entries]
    peaks = [entry.peak_mb for entry in entries]
    parameters = [entry.params for entry in entries]
    sizes = [entry.weights_bytes for entry in entries]
    return [
        (
            Column(f"Time, {unit}", False, "How long upscaling an image took, without loading."),
            [Cell(*each) for each in zip(texts, times, best, once, strict=True)],
        ),
        (
            Column("Memory, MB", False, "The most memory that a run added.", main=False),
            # None is marked: small ones differ from run to run by more than from each other.
            [Cell(format_number(peak, 0), peak) for peak in peaks],
        ),
        (
            Column("Parameters", about="How many learned numbers the network has.", main=False),
            [Cell("–" if count is None else f"{count:,}", count) for count in parameters],
        ),
        (
            Column("Weights", about="The size of the network's files.", main=False),
            [Cell("–" if size is None else format_bytes(size), size) for size in sizes],
        ),
    ]
