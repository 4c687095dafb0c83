"""The report file that grows: every row is in it as soon as it is finished, and a later run goes on from there."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.errors import BadSetting, CannotWrite
from pipelines.files import append, write_whole
from pipelines.machine import describe, versions
from pipelines.measuring.columns import Rows, as_columns
from pipelines.measuring.metrics.metric import Judges
from pipelines.measuring.plan import Plan, Subject
from pipelines.measuring.rows import Row
from pipelines.measuring.run import Scored
from pipelines.phrasing import printable_name
from pipelines.report.formats import format_row, from_json, read_row, to_draft, to_head, to_json
from pipelines.report.model import Report
from pipelines.report.repeating import describe_differences
from pipelines.runs import Run, Step, watch_steps

MOST_IN_ONE = 2000  # rows in the report's own file, which is written anew after each
ROWS_SUFFIX = ".rows.jsonl"


def start_report(plan: Plan, pictures: Sequence[str], command: str, judges: Judges) -> Report:
    """The report of the plan before it has rows: `pictures` as they were named, `command` what repeats it."""
    return Report(
        protocol=plan.protocol,
        kernel=plan.kernel,
        scale=plan.scale,
        machine=describe(),
        versions=versions(),
        command=command,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        complete=False,
        rows=(),
        repeats=plan.repeats,
        pictures=tuple(pictures),
        lpips_sha256=judges.sha256("lpips"),
        metrics_sha256={key: hashes for key in judges.loaded if (hashes := judges.sha256(key))},
    )


def name_rows_file(path: Path) -> Path:
    """The file beside a report that has its rows where they are many."""
    return path.with_name(f"{path.stem}{ROWS_SUFFIX}")


def read_report(path: Path) -> Report:
    """The report in a file, with the rows that lie beside it where they are many. Raises BadSetting."""
    report = _read_head(path)
    if report.rows_file is None:
        return report
    beside = path.with_name(Path(report.rows_file).name)
    try:
        with beside.open("rb") as file:
            whole = (line for line in file if line.endswith(b"\n"))  # a run that was killed may have cut the last one
            found = Rows(read_row(line, f"{beside.name}, line {number},") for number, line in enumerate(whole, 1))
    except OSError as error:
        raise _unreadable(beside, error) from error
    return replace(report, rows=found.without_repeats())


def _read_head(path: Path) -> Report:
    try:
        return from_json(path.read_bytes(), path.name)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadSetting:
    return BadSetting(f"{path.name} cannot be read ({error.strerror}).")


def read_earlier_rows(path: Path, head: Report, plan: Plan, pictures: Sequence[Subject]) -> Sequence[Row]:
    """The rows that an interrupted run of the same plan left in the file; none if there is no such file.

    Raises BadSetting where the file is no report, or one that this run cannot go on with: by another protocol, scale or
    kernel, on another machine, by other versions, or with rows that are not of this run. Nothing in it is lost then.
    """
    if not os.path.lexists(path):
        return ()
    earlier = read_report(path)
    changed = [
        *describe_differences(_settings(earlier), _settings(head)),
        *describe_differences(earlier.versions, head.versions),
        *describe_differences(earlier.machine, head.machine),
    ]
    if changed:
        raise BadSetting(f"{path.name} cannot be continued: {', '.join(changed)}; name another file.")
    planned = {(picture.picture, contender.key) for picture in pictures for contender in plan.contenders}
    strange = next((row for row in earlier.rows if (row.picture, row.model) not in planned), None)
    if strange is not None:
        of = f"{strange.model} on {strange.image}"
        raise BadSetting(f"{path.name} has rows of another run, such as {of}; name another file.")
    return earlier.rows


@contextmanager
def lock_report(path: Path) -> Iterator[None]:
    """Holds off other runs that would write to the same file. Raises BadSetting where one is at it.

    Where nothing can be locked, nothing is held off: the folder for temporary files is another machine's or cannot be
    written to, or a file of that name in it is another user's.
    """
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    lock = None
    try:
        lock = FileLock(Path(tempfile.gettempdir()) / f"upscale-bench-{name}.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise BadSetting(f"{path.name} is being written by another run; name another file.") from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        if lock is not None:
            with suppress(OSError):
                lock.release()


def record_rows(
    running: Run[Sequence[Row]], head: Report, path: Path | None, rows: Sequence[Row] = (), expected: int = 0
) -> Run[Report]:
    """Follows a benchmark that runs, writing the report to `path` after each row.

    `rows` are those of an earlier run that `running` takes over. Where more than MOST_IN_ONE rows are `expected`, they
    are lines of a file beside the report: a file written anew after each of 100 000 rows would take days. Raises
    CannotWrite before anything is measured where a file of that name is there that the report doesn't name.
    """
    if path is not None and expected > MOST_IN_ONE:
        return (yield from _record_beside(running, head, path, rows))
    lines = {(row.picture, row.model): format_row(row) for row in rows if row.error is None}

    def write(step: Step) -> None:
        if isinstance(step, Scored):
            lines[step.row.picture, step.row.model] = format_row(step.row)
            if path is not None:
                write_whole(path, to_draft(head, lines.values()))

    finished = yield from watch_steps(running, write)
    report = replace(head, rows=tuple(finished), complete=True)
    if path is not None:
        write_whole(path, to_json(report))
    return report


def _record_beside(running: Run[Sequence[Row]], head: Report, path: Path, rows: Sequence[Row]) -> Run[Report]:
    """The rows go to a file beside the report, each at its end as soon as it is finished; at last in their order."""
    beside = name_rows_file(path)
    if os.path.lexists(beside) and not (path.exists() and _read_head(path).rows_file == beside.name):
        raise CannotWrite(f"{printable_name(beside)} already exists and is not from this report; name another file.")
    head = replace(head, rows_file=beside.name)
    write_whole(beside, (_line(row) for row in rows if row.error is None))
    write_whole(path, to_head(head, concluded=False))

    def write(step: Step) -> None:
        if isinstance(step, Scored):
            append(beside, _line(step.row))

    finished = yield from watch_steps(running, write)
    report = replace(head, rows=as_columns(finished), complete=True)
    write_whole(beside, map(_line, report.rows))
    write_whole(path, to_head(report, concluded=True))
    return report


def _line(row: Row) -> bytes:
    return f"{format_row(row)}\n".encode()


def _settings(report: Report) -> dict[str, object]:
    return {
        "the protocol": report.protocol,
        "the scale": report.scale,
        "the kernel": report.kernel,
        "the number of timed runs": report.repeats,
    }
