"""Which plots a benchmark's summary gives: quality against time, and PSNR against looks."""

from collections.abc import Iterator, Sequence

from pipelines.measuring.metrics.scores import find_metric
from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import Summary, are_comparable
from pipelines.phrasing import contender_name
from pipelines.report.scatter import Axis, Point, draw_scatter

SHORTEST_TIME = 0.001  # s: no clock tells less, and a logarithmic axis has no zero


def draw_charts(rows: Sequence[Row], entries: Sequence[Summary]) -> Iterator[str]:
    """Draws quality against time, and PSNR against how it looks, or else against consistency; each where it can be had.

    `entries` are what `summarise` made of the rows. What is not of the same pictures is not compared. Each plot is one
    `<svg>` element.
    """
    if not are_comparable(rows, "psnr_y"):
        return
    pictures = len({row.picture for row in rows})
    psnr, time = _axis("psnr_y", pictures), Axis("Time", "s", False, log=True)
    closeness = [(entry, entry.metrics["psnr_y"].mean) for entry in entries]
    timed = [
        Point(contender_name(entry.model), max(entry.seconds.median, SHORTEST_TIME), mean)
        for entry, mean in closeness
        if entry.seconds is not None and mean is not None
    ]
    if timed:
        yield draw_scatter(timed, time, psnr, "Quality against time")
    for key in ("lpips", "consistency_psnr"):
        both = [
            Point(contender_name(entry.model), mean, looks)
            for entry, mean in closeness
            if mean is not None and (looks := entry.metrics[key].mean) is not None
        ]
        if both and are_comparable(rows, key):
            yield draw_scatter(both, psnr, _axis(key, pictures), f"PSNR against {find_metric(key).name}")
            return


def _axis(key: str, pictures: int) -> Axis:
    metric = find_metric(key)
    return Axis(f"Mean {metric.name}" if pictures > 1 else metric.name, metric.unit, metric.higher_is_better)
