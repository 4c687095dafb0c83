"""What a table is made of, and how its cells are written: the same for the report, the page and the exports."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.measuring.metrics.metric import Metric


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: which direction is better, None where neither is, and one line on what it says."""

    name: str
    higher_is_better: bool | None = None
    about: str = ""
    main: bool = True  # whether it is shown before all columns are asked for

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
    interval: str = ""  # "30.1 to 34.2": shown where it is asked for


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]
    rank: int | None = None  # None where it has none


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column holds the names of what `first` says, behind the ranks where there are some."""

    title: str
    first: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def is_ranked(self) -> bool:
        """Returns whether any line has a rank."""
        return any(line.rank is not None for line in self.lines)


def metric_column(metric: Metric, main: bool = True) -> Column:
    """The column of a metric, with its unit."""
    unit = f", {metric.unit}" if metric.unit else ""
    return Column(metric.name + unit, metric.higher_is_better, metric.about, main)


def count_cell(value: int) -> Cell:
    """A cell of a whole number."""
    return Cell(str(value), value)


def mark_best(values: Sequence[float | None], shown: Sequence[object], higher: bool) -> list[bool]:
    """Returns which value is the best, and which are shown as it is; none where all are."""
    known = [value for value in values if value is not None]
    best = shown[values.index((max if higher else min)(known))] if known else None
    alike = len({each for value, each in zip(values, shown, strict=True) if value is not None}) < 2
    return [each == best and not alike for each in shown]


def format_times(times: Sequence[float | None]) -> tuple[str, list[str]]:
    """Returns one unit for a column of seconds, "ms" where all are below one second, and each time in it."""
    longest = max((time for time in times if time is not None), default=0.0)
    unit, factor, digits = ("ms", 1000, 0 if longest >= 0.01 else 1) if longest < 1 else ("s", 1, 2)
    least = 10.0**-digits

    def write(time: float | None) -> str:
        if time is None:
            return "–"
        value = time * factor
        return f"< {least:.{digits}f}" if value < least / 2 else f"{value:.{digits}f}"

    return unit, [write(time) for time in times]
