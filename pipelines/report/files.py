"""The files that a benchmark is to write: known to be writable, and nobody's else, before it is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import CannotWrite
from pipelines.files import check_writable
from pipelines.images.addresses import Place, is_same
from pipelines.phrasing import printable_name
from pipelines.report.exports import is_latex, is_markdown
from pipelines.report.formats import is_csv
from pipelines.report.html import is_html
from pipelines.report.recording import name_rows_file

LOOKED_AT = 4096  # bytes at the beginning of a file that say what it is


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file that a report is written as: its name, and what knows its beginning."""

    name: str
    recognise: Callable[[bytes], bool] | None = None


REPORT_KINDS = {
    "json": Kind("JSON"),
    "csv": Kind("CSV", is_csv),
    "html": Kind("HTML", is_html),
    "markdown": Kind("Markdown", is_markdown),
    "latex": Kind("LaTeX", is_latex),
}


def check_outputs(paths: Mapping[str, Path], read: Sequence[Place], *, overwrite: bool = False) -> None:
    """Raises CannotWrite for what could not be written after the long part, or would replace what is no report.

    `paths` are by the keys of REPORT_KINDS. Refused is one of the files to `read`, and, unless `overwrite`, a file that
    is no report of that kind: a slip of the keyboard would lose it. A JSON file that is no report is refused by
    `read_earlier_rows`, whatever was asked.
    """
    for path in paths.values():
        check_writable(path)
        if any(is_same(path, each) for each in read):
            raise CannotWrite(f"{printable_name(path)} cannot be written: it is one of the files to read.")
    names = [path.resolve() for path in paths.values()]
    if "json" in paths:
        names.append(name_rows_file(paths["json"]).resolve())
    if len({*names}) < len(names):
        raise CannotWrite("The files of the report must have different names.")
    for key, path in paths.items():
        kind = REPORT_KINDS[key]
        if kind.recognise and not overwrite and (begun := _beginning(path)) and not kind.recognise(begun):
            why = f"it exists and is not a {kind.name} report of a benchmark"
            raise CannotWrite(f"{printable_name(path)} cannot be written: {why}.")


def _beginning(path: Path) -> bytes:
    """The first bytes of a file; none where there is no file."""
    try:
        with path.open("rb") as file:
            return file.read(LOOKED_AT)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise CannotWrite(f"{printable_name(path)} cannot be written: the existing file cannot be read.") from error
