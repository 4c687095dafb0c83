"""The report file that grows: every row is in it as soon as it is finished, and a later run goes on from there."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pipelines.benchmark import Plan, Scored, Subject
from pipelines.errors import BadSetting
from pipelines.files import write_whole
from pipelines.machine import machine, versions
from pipelines.repeating import differences
from pipelines.report import Report, draft, from_json, row_line, to_json
from pipelines.results import Row
from pipelines.runs import Run


def begun(plan: Plan, command: str) -> Report:
    """The report of the plan before it has rows; `command` is what repeats it."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(plan.protocol, plan.kernel, plan.scale, machine(), versions(), command, made, complete=False, rows=())


def earlier_rows(path: Path, head: Report, plan: Plan, pictures: Sequence[Subject]) -> tuple[Row, ...]:
    """The rows that an interrupted run of the same plan left in the file; none if there is no such file.

    Raises BadSetting where the file is no report, or one that this run cannot go on with: by another protocol, scale or
    kernel, on another machine, by other versions, or with rows that are not of this run. Nothing in it is lost then.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadSetting(f"{path.name} cannot be read ({error.strerror}).") from error
    earlier = from_json(data, path.name)
    changed = [
        *differences(_settings(earlier), _settings(head)),
        *differences(earlier.versions, head.versions),
        *differences(earlier.machine, head.machine),
    ]
    if changed:
        raise BadSetting(f"{path.name} cannot be gone on with: {', '.join(changed)}; name another file.")
    planned = {(picture.picture, contender.key) for picture in pictures for contender in plan.contenders}
    strange = [row for row in earlier.rows if (row.picture, row.model) not in planned]
    if strange:
        of = f"{strange[0].model} on {strange[0].image}"
        raise BadSetting(f"{path.name} has rows that are not of this run, such as {of}; name another file.")
    return earlier.rows


def record(running: Run[list[Row]], head: Report, path: Path | None, rows: Sequence[Row] = ()) -> Run[Report]:
    """Follow a benchmark that runs, writing the report to `path` after each row.

    `rows` are those of an earlier run that `running` takes over.
    """
    lines = {(row.picture, row.model): row_line(row) for row in rows if row.error is None}
    try:
        while True:
            step = next(running)
            if isinstance(step, Scored):
                lines[step.row.picture, step.row.model] = row_line(step.row)
                if path is not None:
                    write_whole(path, draft(head, lines.values()))
            yield step
    except StopIteration as stop:
        report = replace(head, rows=tuple(stop.value), complete=True)
    finally:
        running.close()
    if path is not None:
        write_whole(path, to_json(report))
    return report


def _settings(report: Report) -> dict[str, object]:
    return {"the protocol": report.protocol, "the scale": report.scale, "the kernel": report.kernel}
