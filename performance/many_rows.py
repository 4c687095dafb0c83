"""What a report of many rows takes: seconds and memory to record, to conclude from, and to write down.

python -m performance.many_rows --rows 100000    the rows are made, of three models on a third as many images
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipelines.measuring.plan import Plan, Subject
from pipelines.measuring.run import METRICS, Row, Scored, no_judges, resolve_contenders
from pipelines.report import report as reports
from pipelines.runs import Run, finish

T = TypeVar("T")

MODELS = ("bicubic", "swift", "srcnn")


def make_rows(count: int) -> Iterator[Row]:
    """Makes rows as a benchmark gives them, with every score."""
    values = np.random.default_rng(0)
    for number in range(count):
        name = f"photo-{number // len(MODELS):06}.png"
        scores = {metric.key: float(values.normal(30, 3)) for metric in METRICS}
        sha256 = f"{number // len(MODELS):064x}"
        yield Row(name, sha256, MODELS[number % len(MODELS)], 2, None, scores, 0.1, None, 3, 50.0, 100, 400, "ab" * 32)


def measure(rows: int) -> Run[list[Row]]:
    """A benchmark that finishes these rows at once."""
    contenders = {each.key: each for each in resolve_contenders("round-trip", 2, list(MODELS), [])}
    done = []
    for number, row in enumerate(make_rows(rows)):
        subject = Subject(Path(row.image), row.image, row.image_sha256)
        done.append(row)
        yield Scored(number, rows, "", subject, contenders[row.model], row)
    return done


def _time(what: str, work: Callable[[], T]) -> T:
    started = time.monotonic()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{what}: {time.monotonic() - started:.1f} s, {peak:.0f} MB at the most", flush=True)
    return found


def main() -> None:
    """Prints what each part took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    count = parser.parse_args().rows
    plan = Plan("round-trip", 2, "bicubic", resolve_contenders("round-trip", 2, list(MODELS), []))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        head = reports.start_report(plan, ["photos"], "", no_judges("not measured"))
        _time("recorded, a row at a time", lambda: finish(reports.record_rows(measure(count), head, path, (), count)))
        report = _time("read back", lambda: reports.read_report(path))
        _time("HTML", lambda: path.with_suffix(".html").write_bytes(reports.to_html(report)))
        _time("CSV", lambda: path.with_suffix(".csv").write_bytes(reports.to_csv(report)))
        for file in sorted(Path(folder).iterdir()):
            print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
