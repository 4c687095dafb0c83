"""What a benchmark found, with all that it takes to repeat it: as JSON and back, as CSV, as HTML."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from io import StringIO
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pipelines.errors import BadSetting
from pipelines.measuring.conclusions import conclude
from pipelines.measuring.protocols import REPEATS
from pipelines.measuring.rows import Row, row_from
from pipelines.report.crops import Shown, Unshown

FORMAT = 1
CONCLUDED = ("verdict", "summary", "pairs")  # what follows from the rows, and is not read back
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would compute instead of show


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
    rows: tuple[Row, ...]
    repeats: int = REPEATS  # timed runs after the warm-up
    pictures: tuple[str, ...] = ()  # the files and folders, as they were named
    lpips_sha256: str | None = None  # of its two files, joined by a comma


def as_dict(report: Report) -> dict[str, Any]:
    """As JSON has it, with what follows from the rows."""
    return _facts(report) | {"rows": [row.as_dict() for row in report.rows]} | _concluded(report.rows)


def to_json(report: Report) -> bytes:
    """The whole report as strict JSON: no NaN, no infinity."""
    return _written(report, map(row_line, report.rows), _concluded(report.rows))


def draft(report: Report, lines: Iterable[str]) -> bytes:
    """A report of the rows that `row_line` gave, without what follows from them; `report.rows` are not looked at.

    Quick to write anew after each of thousands of rows. `from_json` reads it too.
    """
    return _written(report, lines, {})


def row_line(row: Row) -> str:
    """A row as strict JSON: no NaN, no infinity."""
    return json.dumps(row.as_dict(), allow_nan=False)


def from_json(data: bytes, name: str) -> Report:
    """The report that `to_json` or `draft` wrote; `name` is what the errors call it.

    Raises BadSetting, one sentence, for a file that is no report, is damaged, or is of another format. A field that is
    not known here is refused as well: going on with the file would lose it.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"{name} is not a report, or is damaged: it is not JSON.") from error
    if not isinstance(found, dict) or not {"format", "rows"} <= found.keys():
        raise BadSetting(f"{name} is not a report of a benchmark.")
    if found["format"] != FORMAT:
        raise BadSetting(f"{name} is a report of another version: its format is not {FORMAT}.")
    known = {key: value for key, value in found.items() if key not in ("format", *CONCLUDED)}
    if not isinstance(known["rows"], list):
        raise BadSetting(f"{name} is damaged: its rows are not a list.")
    rows = [_row(row, f"{name}, row {number},") for number, row in enumerate(known["rows"], 1)]
    _check(Report, known | {"rows": []}, name)
    lists = {"rows": tuple(rows), "pictures": tuple(known.get("pictures", ()))}
    return Report(**known | lists)


def to_csv(report: Report) -> bytes:
    """One line for each row with the fields of Row, as RFC 4180 has it, in UTF-8; several values stand between "; ".

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    stream = StringIO(newline="")
    lines = csv.writer(stream)
    lines.writerow(field.name for field in fields(Row))
    lines.writerows([_cell(value) for value in row.as_dict().values()] for row in report.rows)
    return stream.getvalue().encode(errors="replace")


def to_html(report: Report, pictures: Sequence[Shown | Unshown] = ()) -> bytes:
    """One file that shows everything, with crops of the given pictures; it needs no script and asks for nothing."""
    # Here and not above: the page is made from a Report.
    from pipelines.report.html import page

    return page(report, pictures).encode(errors="replace")


def _facts(report: Report) -> dict[str, Any]:
    """All but the rows and what follows from them."""
    return {"format": FORMAT, **asdict(replace(report, rows=()))}


def _concluded(rows: tuple[Row, ...]) -> dict[str, Any]:
    found = conclude(rows)
    return {"verdict": found.verdict, "summary": found.summary, "pairs": found.pairs}


def _written(report: Report, lines: Iterable[str], concluded: Mapping[str, Any]) -> bytes:
    """Strict JSON, each row and each conclusion on a line of its own."""
    facts = {key: value for key, value in _facts(report).items() if key != "rows"} | dict(concluded)
    entries = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in facts.items()]
    rows = ",\n".join(lines)
    return ("{\n" + ",\n".join([*entries, f'"rows": [\n{rows}\n]']) + "\n}\n").encode()


def _row(data: Any, name: str) -> Row:
    if not isinstance(data, dict):
        raise BadSetting(f"{name} is damaged.")
    _check(Row, data, name)
    return row_from(data)


def _check(kind: type[Report | Row], data: Mapping[str, Any], name: str) -> None:
    """Raise BadSetting unless the data has the fields of the kind, each of its type."""
    types = get_type_hints(kind)
    if unknown := sorted(data.keys() - types.keys()):
        raise BadSetting(f"{name} was written by a newer version: {unknown[0]!r} is not known here.")
    for field in fields(kind):
        if field.name not in data:
            if field.default is MISSING:
                raise BadSetting(f"{name} is not whole: {field.name!r} is missing.")
        elif not _fits(data[field.name], types[field.name]):
            raise BadSetting(f"{name} is damaged: {field.name!r} is not what it should be.")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value out of JSON is of a field's type."""
    if isinstance(kind, UnionType):
        return any(_fits(value, each) for each in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_fits(each, get_args(kind)[0]) for each in value)
    if kind is float:
        return type(value) in (int, float) and abs(value) < 1e300  # Python reads NaN, Infinity and 1e999 as well
    return type(value) is (get_origin(kind) or kind)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
