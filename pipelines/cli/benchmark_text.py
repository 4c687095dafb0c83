"""What the command `benchmark` prints: rows as they finish, means with their intervals, the verdict."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.phrasing import printable_name

if TYPE_CHECKING:
    from pipelines.measuring.run import Metric, Row
    from pipelines.report.report import Report


def say(line: str) -> None:
    """Prints a line beside the progress bar."""
    from tqdm import tqdm

    tqdm.write(line)


def name_row(row: "Row") -> str:
    """Returns what a row is of: the image, the model and the scale."""
    return f"{printable_name(Path(row.image))}  {row.model} x{row.scale}"


def describe_row(row: "Row") -> str:
    """A finished row."""
    from pipelines.measuring.run import score_of
    from pipelines.phrasing import format_duration

    if row.error:
        return f"{name_row(row)}  failed: {row.error}"
    scores = [_score(metric, score_of(row, metric.key)) for metric in _printed()]
    return "  ".join([name_row(row), *filter(None, scores), format_duration(row.seconds or 0)])


def print_summary(report: "Report") -> None:
    """Prints, over several pictures, the mean scores of each contender with their intervals; always the verdict."""
    from pipelines.measuring.run import conclude

    found = conclude(report.rows)
    if len({row.picture for row in report.rows}) > 1:
        for entry in found.compared:
            means = [(metric, entry.metrics[metric.key]) for metric in _printed()]
            texts = [_score(metric, each.mean, each.low, each.high) for metric, each in means]
            if entry.n:
                n = max(each.n for _, each in means)
                print(f"mean of {n}  {entry.model}  " + "  ".join(filter(None, texts)))
    print(found.verdict)
    for key, reason in _lacking(report).items():
        print(f"{reason} --metrics {key} downloads it.")


def _printed() -> list["Metric"]:
    from pipelines.measuring.run import METRICS

    return [metric for metric in METRICS if metric.main or metric.says]


def _lacking(report: "Report") -> dict[str, str]:
    """Returns the metrics that were not measured because their files lack, with that in a sentence."""
    from pipelines.catalog.rows import METRIC_FILES
    from pipelines.measuring.metrics.scores import is_no_news

    lacking = [key for key in METRIC_FILES if all(row.scores.get(key) is None for row in report.rows)]
    reasons = {}
    for key in lacking:
        notes = (note for row in report.rows for note in row.notes if note.startswith(f"{key}: "))
        if (reason := next(notes, None)) is not None and not is_no_news(reason):
            reasons[key] = reason.removeprefix(f"{key}: ")
    return reasons


def _score(metric: "Metric", mean: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value as it is printed, its 95 % interval behind it; nothing for none."""
    from pipelines.phrasing import format_number

    if mean is None:
        return ""
    interval = "" if low is None else f" [{format_number(low, metric.digits)}, {format_number(high, metric.digits)}]"
    return f"{metric.name} {format_number(mean, metric.digits)}{interval} {metric.unit}".rstrip()
