"""A report as JSON and back, and as CSV."""

import codecs
import csv
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from io import StringIO
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pipelines.errors import BadSetting
from pipelines.measuring.conclusions import conclude
from pipelines.measuring.rows import COLUMNS, WRITTEN, Row, parse_row
from pipelines.report.model import FORMAT, Report, head_as_dict
from pipelines.report.preferences import add_preference, read_votes

CONCLUDED = ("verdict", "verdicts", "summary", "leads", "pairs")  # what follows from the rows, and is not read back
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would compute instead of show


def to_json(report: Report) -> bytes:
    """The whole report as strict JSON: no NaN, no infinity."""
    return _written(report, map(format_row, report.rows), conclude(report.rows).as_dict())


def to_draft(report: Report, lines: Iterable[str]) -> bytes:
    """A report of the rows that `format_row` gave, without what follows from them; `report.rows` are not looked at.

    Quick to write anew after each of thousands of rows. `from_json` reads it too.
    """
    return _written(report, lines, {})


def to_head(report: Report, concluded: bool) -> bytes:
    """A report whose rows are in a file of their own; if wanted with what follows from them."""
    return _written(report, (), conclude(report.rows).as_dict() if concluded else {})


def read_row(line: bytes, name: str) -> Row:
    """The row that `format_row` gave; `name` is what the error calls it. Raises BadSetting for anything else."""
    try:
        return _row(json.loads(line), name)
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"{name} is damaged.") from error


def format_row(row: Row) -> str:
    """A row as strict JSON: no NaN, no infinity."""
    return json.dumps(row.as_dict(), allow_nan=False)


def from_json(data: bytes, name: str) -> Report:
    """The report that `to_json` or `to_draft` wrote; `name` is what the errors call it.

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
    _check(known | {"rows": []}, get_type_hints(Report) | {"rows": list}, _required(Report), name)
    lists = {"rows": tuple(rows), "pictures": tuple(known.get("pictures", ()))}
    report = Report(**known | lists)
    # What follows from the votes is worked out anew, as what follows from the rows is.
    return add_preference(report, read_votes(report.preference, name)) if report.preference is not None else report


def to_csv(report: Report) -> bytes:
    """Writes one line for each row, as RFC 4180 has it, in UTF-8; several values stand between "; ".

    A text that a spreadsheet would take for a formula has an apostrophe before it. A byte order mark comes first where
    there is more than ASCII: without one, Excel reads such a file as Windows-1252.
    """
    stream = StringIO(newline="")
    lines = csv.writer(stream)
    lines.writerow(COLUMNS)
    lines.writerows([_cell(value) for value in row.as_dict().values()] for row in report.rows)
    text = stream.getvalue()
    return text.encode("utf-8" if text.isascii() else "utf-8-sig", errors="replace")


def is_csv(beginning: bytes) -> bool:
    """Returns whether a file that begins so is what `to_csv` writes, of whatever version: more columns may follow."""
    return beginning.removeprefix(codecs.BOM_UTF8).startswith(",".join(COLUMNS[:3]).encode())


def _written(report: Report, lines: Iterable[str], concluded: Mapping[str, Any]) -> bytes:
    """Writes strict JSON, each row and each conclusion on a line of its own."""
    known = {key: value for key, value in head_as_dict(report).items() if key != "rows"} | dict(concluded)
    entries = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in known.items()]
    rows = ",\n".join(lines)
    return ("{\n" + ",\n".join([*entries, f'"rows": [\n{rows}\n]']) + "\n}\n").encode()


def _row(data: Any, name: str) -> Row:
    if not isinstance(data, dict):
        raise BadSetting(f"{name} is damaged.")
    _check(data, _types_of_row(), _required(Row), name)
    return parse_row(data)


@cache  # of 100 000 rows, to ask for them would take most of the time
def _types_of_row() -> Mapping[str, Any]:
    types = get_type_hints(Row) | dict.fromkeys(WRITTEN, float | None)
    del types["scores"]  # which are flat in JSON
    return types


@cache
def _required(kind: type[Report | Row]) -> list[str]:
    """The fields that cannot be left out."""
    return [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]


def _check(data: Mapping[str, Any], types: Mapping[str, Any], required: Collection[str], name: str) -> None:
    """Raises BadSetting unless the data has the required fields and no others than those, each of its type."""
    if unknown := sorted(data.keys() - types.keys()):
        raise BadSetting(f"{name} was written by a newer version: {unknown[0]!r} is not known here.")
    for field, kind in types.items():
        if field not in data:
            if field in required:
                raise BadSetting(f"{name} is not whole: {field!r} is missing.")
        elif not _fits(data[field], kind):
            raise BadSetting(f"{name} is damaged: {field!r} is not what it should be.")


def _fits(value: Any, kind: Any) -> bool:
    """Returns whether a value out of JSON is of a field's type."""
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
