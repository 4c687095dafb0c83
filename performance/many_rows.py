"""What a report of many rows takes: seconds and memory to read, go on with, conclude from, and write down.

python -m performance.many_rows [rows]    the rows are made, of three models on a third as many images
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from performance.measuring import peak_since_start, write_section
from pipelines import files
from pipelines.measuring.columns import Rows
from pipelines.measuring.plan import Plan, Subject
from pipelines.measuring.run import METRICS, Row, Scored, no_judges, resolve_contenders
from pipelines.report import report as reports
from pipelines.report.recording import name_rows_file
from pipelines.runs import Run, finish

MODELS = ("bicubic", "swift", "srcnn")
USUAL_ROWS, RECORDED = 100_000, 1000
ABOUT = (
    "{rows} made rows, of 3 models on a third as many images, each with every score; {lines:.0f} MB as JSON Lines, and "
    "{html:.1f} MB of HTML. All but the last {recorded} are of an earlier run; each of those is on the disk before the "
    "next one is asked for. Memory is the most of the whole process up to then. Before the rows it was {before:.0f} "
    "MB; SciPy, which concluding loads, takes some 60 MB."
)


def make_rows(count: int) -> Iterator[Row]:
    """Makes rows as a benchmark gives them, with every score."""
    values = np.random.default_rng(0)
    for number in range(count):
        name = f"photo-{number // len(MODELS):06}.png"
        scores = {metric.key: float(values.normal(30, 3)) for metric in METRICS}
        sha256 = f"{number // len(MODELS):064x}"
        yield Row(name, sha256, MODELS[number % len(MODELS)], 2, None, scores, 0.1, None, 3, 50.0, 100, 400, "ab" * 32)


def measure(earlier: Sequence[Row], rows: Iterator[Row], count: int) -> Run[Sequence[Row]]:
    """A benchmark that takes over the earlier rows and finishes the others at once."""
    contenders = {each.key: each for each in resolve_contenders("round-trip", 2, list(MODELS), [])}
    done = Rows(earlier)
    for row in rows:
        subject = Subject(Path(row.image), row.image, row.image_sha256)
        done.append(row)
        yield Scored(len(done), count, "", subject, contenders[row.model], row)
    return done


def main(count: int) -> None:
    """Measures each part and writes the section."""
    plan = Plan("round-trip", 2, "bicubic", resolve_contenders("round-trip", 2, list(MODELS), []))
    head = reports.start_report(plan, ["photos"], "", no_judges("not measured"))
    rows, recorded = make_rows(count), min(RECORDED, count)
    parts: list[tuple[str, float, float]] = []
    before = peak_since_start()

    def part(what: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        parts.append((what, time.monotonic() - started, peak_since_start()))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        beside = name_rows_file(path)
        lines = (f"{reports.format_row(next(rows))}\n".encode() for _ in range(count - recorded))
        files.write_whole(beside, lines)
        files.write_whole(path, reports.to_draft(replace(head, rows_file=beside.name), ()))
        earlier = reports.read_report(path)
        recording = reports.record_rows(measure(earlier.rows, rows, count), head, path, earlier.rows, count)
        next(recording)
        part(f"record {recorded - 1} rows", lambda: [next(recording) for _ in range(recorded - 1)])
        part("conclude and write the report", lambda: finish(recording))
        part("read the report", lambda: reports.read_report(path))
        report = reports.read_report(path)
        part("HTML", lambda: files.write_whole(path.with_suffix(".html"), reports.to_html(report)))
        part("CSV", lambda: files.write_whole(path.with_suffix(".csv"), reports.to_csv(report)))
        size, html = (each.stat().st_size / 1e6 for each in (beside, path.with_suffix(".html")))
    write_section(
        "Many rows",
        ABOUT.format(rows=count, lines=size, html=html, recorded=recorded, before=before),
        ("what", "seconds", "MB at the most"),
        [(what, f"{seconds:.1f}", f"{peak:.0f}") for what, seconds, peak in parts],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_ROWS)
