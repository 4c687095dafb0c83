"""A report: the rows of one benchmark, with all that it takes to repeat it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipelines.measuring.conclusions import conclude
from pipelines.measuring.plan import REPEATS
from pipelines.measuring.rows import Row

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one run, and under what circumstances they came about. All values are fit for JSON."""

    protocol: str
    kernel: str
    scale: int
    machine: dict[str, Any]
    versions: dict[str, Any]
    command: str  # what repeats it
    made: str  # when, in UTC: "2025-03-01T12:00:00Z"
    complete: bool  # whether every row that was asked for is here
    rows: Sequence[Row]  # a tuple, or `Rows` where they are many
    repeats: int = REPEATS  # timed runs after the warm-up
    pictures: tuple[str, ...] = ()  # the files and folders, as they were named
    lpips_sha256: str | None = None  # of its two files, joined by a comma
    # Of the files of every metric that has some, by its key.
    metrics_sha256: dict[str, str] = field(default_factory=dict)
    preference: dict[str, Any] | None = None  # a blind test's votes, and what follows from them
    rows_file: str | None = None  # the file beside the report that has its rows, where they are many


def as_dict(report: Report) -> dict[str, Any]:
    """Returns it as data for JSON, with what follows from the rows."""
    return head_as_dict(report) | {"rows": [row.as_dict() for row in report.rows]} | conclude(report.rows).as_dict()


def head_as_dict(report: Report) -> dict[str, Any]:
    """All but the rows and what follows from them."""
    found = {"format": FORMAT, **asdict(replace(report, rows=()))}
    if report.rows_file is None:
        del found["rows_file"]
    return found
