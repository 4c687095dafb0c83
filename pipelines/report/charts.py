"""Which plots a benchmark's summary gives: quality against time, and closeness against looks."""

from collections.abc import Iterator, Sequence

from pipelines.measuring.columns import as_columns
from pipelines.measuring.contenders import title_of
from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.ranking import find_speaker
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import Summary, are_comparable
from pipelines.report.scatter import Axis, Point, draw_scatter

SHORTEST_TIME = 0.001  # s: no clock tells less, and a logarithmic axis has no zero


def draw_charts(rows: Sequence[Row], entries: Sequence[Summary]) -> Iterator[str]:
    """Draws closeness against time, and against how natural it looks, or else consistency; each where it is known.

    `entries` are what `summarise` made of the rows. What is not of the same pictures is not compared. Each plot is one
    `<svg>` element.
    """
    rows = as_columns(rows)
    metric = find_speaker(rows, "closeness")
    if metric is None or not are_comparable(rows, metric.key):
        return
    pictures = len(rows.pictures)
    by, time = _axis(metric, pictures), Axis("Time", "s", False, log=True)
    closeness = [(entry, entry.metrics[metric.key].mean) for entry in entries]
    timed = [
        Point(title_of(entry.model), max(entry.seconds.median, SHORTEST_TIME), mean)
        for entry, mean in closeness
        if entry.seconds is not None and mean is not None
    ]
    if timed:
        yield draw_scatter(timed, time, by, "Quality against time")
    for other in (find_speaker(rows, "naturalness"), find_speaker(rows, "consistency")):
        if other is None or not are_comparable(rows, other.key):
            continue
        both = [
            Point(title_of(entry.model), mean, looks)
            for entry, mean in closeness
            if mean is not None and (looks := entry.metrics[other.key].mean) is not None
        ]
        if both:
            yield draw_scatter(both, by, _axis(other, pictures), f"{metric.name} against {other.name}")
            return


def shows_looks(rows: Sequence[Row]) -> bool:
    """Returns whether one of the plots shows how natural results look."""
    rows = as_columns(rows)
    closeness, looks = find_speaker(rows, "closeness"), find_speaker(rows, "naturalness")
    return all(metric is not None and are_comparable(rows, metric.key) for metric in (closeness, looks))


def _axis(metric: Metric, pictures: int) -> Axis:
    return Axis(f"Mean {metric.name}" if pictures > 1 else metric.name, metric.unit, metric.higher_is_better)
