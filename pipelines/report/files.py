"""The files that a benchmark is to write: known to be writable, and nobody's else, before it is measured."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import CannotWrite
from pipelines.files import check_writable, is_same_file
from pipelines.phrasing import printable_name
from pipelines.report.formats import is_csv
from pipelines.report.html import is_html

LOOKED_AT = 4096  # bytes at the beginning of a file that say what it is


def check_outputs(
    json: Path | None, csv: Path | None, html: Path | None, read: Sequence[Path], *, overwrite: bool = False
) -> None:
    """Raises CannotWrite for what could not be written after the long part, or would replace what is no report.

    That is one of the files to `read`, or, unless `overwrite`, a file that is no report of that kind: a slip of the
    keyboard would lose it. A JSON file that is no report is refused by `read_earlier_rows`, whatever was asked.
    """
    given = [path for path in (json, csv, html) if path is not None]
    for path in given:
        check_writable(path)
        if any(is_same_file(path, each) for each in read):
            raise CannotWrite(f"{printable_name(path)} cannot be written: it is one of the files to read.")
    if len({path.resolve() for path in given}) < len(given):
        raise CannotWrite("The files of the report must have names of their own.")
    for table, kind, is_report in ((csv, "CSV", is_csv), (html, "HTML", is_html)):
        if table is not None and not overwrite and (begun := _beginning(table)) and not is_report(begun):
            why = f"it is there already, and is no {kind} report of a benchmark"
            raise CannotWrite(f"{printable_name(table)} cannot be written: {why}.")


def _beginning(path: Path) -> bytes:
    """The first bytes of a file; none where there is no file."""
    try:
        with path.open("rb") as file:
            return file.read(LOOKED_AT)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise CannotWrite(f"{printable_name(path)} cannot be written: what is there already cannot be read.") from error
