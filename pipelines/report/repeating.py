"""Measuring again what a report says: its plan, its pictures, and whether the scores are the same or why not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalog import rows as catalog
from pipelines.errors import BadSetting
from pipelines.images.addresses import Address, Place, parse_place
from pipelines.measuring.contenders import resolve_contenders
from pipelines.measuring.kernels import check_kernel
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.plan import Plan, Subject, list_subjects
from pipelines.measuring.rows import Row
from pipelines.report.model import Report

SAME_SCORE = 1e-6  # of a score, relative: what another order of summing may change


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of the earlier report: its scores that changed, as (before, now), and what may be why.

    `reasons` is empty where all is the same. A score that is not available is None.
    """

    row: Row
    changed: Mapping[str, tuple[float | None, float | None]]
    reasons: tuple[str, ...]


def plan_of(earlier: Report, name: str, repeats: int) -> Plan:
    """The plan that the rows of a report are of; `name` is what the errors call it.

    Raises BadSetting where they are of none that can be.
    """
    try:
        chains = [catalog.parse_stages(",".join(row.stages)) for row in earlier.rows if row.stages]
    except BadSetting as error:
        raise BadSetting(f"{name} is damaged: {error}") from None
    models = [catalog.find(row.model).key for row in earlier.rows if not row.stages]
    check_kernel(earlier.kernel)
    found = resolve_contenders(earlier.protocol, earlier.scale, models, chains)
    return Plan(earlier.protocol, earlier.scale, earlier.kernel, found, repeats)


def find_pictures(earlier: Report, path: Path) -> list[Place]:
    """The pictures that the report at `path` names, as far as they are here or beside it, or at an address."""
    found: list[Place] = []
    for name in earlier.pictures:
        if isinstance(named := parse_place(name), Address):
            found.append(named)
            continue
        places = (Path(name), path.parent / name, path.parent / Path(name).name)
        found += [place for place in places if place.exists()][:1]
    return found


def find_subjects(earlier: Report, named: Sequence[Place]) -> list[Subject]:
    """Finds the pictures that the report has rows of: the same one where it is here, else what has its name."""
    pictures, _ = list_subjects(named)
    hashes = {row.image_sha256 for row in earlier.rows}
    exact = [picture for picture in pictures if picture.sha256 in hashes]
    names = {row.image for row in earlier.rows} - {name for each in exact for name in (each.name, *each.copies)}
    return [picture for picture in pictures if picture in exact or picture.name in names]


def compare_reports(earlier: Report, again: Report) -> list[Compared]:
    """Each row of the earlier report with its like, of the same picture's name and contender, in the repeated one."""
    same = {(row.picture, row.model): row for row in again.rows}
    copies = {(row.image_sha256, row.model): row for row in again.rows}  # measured under another name
    named = {(row.image, row.model): row for row in again.rows}
    found = [
        same.get((row.picture, row.model))
        or copies.get((row.image_sha256, row.model))
        or named.get((row.image, row.model))
        for row in earlier.rows
    ]
    return [_compared(before, now, earlier, again) for before, now in zip(earlier.rows, found, strict=True)]


def _compared(before: Row, now: Row | None, earlier: Report, again: Report) -> Compared:
    if now is None:
        return Compared(before, {}, ("the image was not found",))
    scores = {metric.key: (before.scores[metric.key], now.scores[metric.key]) for metric in METRICS}
    changed = {name: pair for name, pair in scores.items() if not _same(*pair)}
    if before.image_sha256 != now.image_sha256:
        return Compared(before, changed, ("the image of that name is a different one",))
    if before.error != now.error:
        return Compared(before, changed, tuple(_failures(before, now)))
    return Compared(before, changed, tuple(_causes(before, now, earlier, again)) if changed else ())


def _same(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return math.isclose(before, now, rel_tol=SAME_SCORE, abs_tol=SAME_SCORE)


def _failures(before: Row, now: Row) -> list[str]:
    then = f"then it failed: {before.error}" if before.error else "then it did not fail"
    return [then, f"now it failed: {now.error}" if now.error else "now it did not fail"]


def _causes(before: Row, now: Row, earlier: Report, again: Report) -> list[str]:
    causes = []
    if before.weights_sha256 != now.weights_sha256:
        causes.append("the weights are different files")
    then, hashes = _metric_hashes(earlier), _metric_hashes(again)
    for metric in METRICS:
        key = metric.key
        if key in then and key in hashes and then[key] != hashes[key]:
            causes.append(f"the files of {metric.name} are different")
        if metric.load is not None and before.scores[key] != now.scores[key]:
            causes += [f"now {note}" for note in now.notes if note.startswith(key)]
            causes += [f"then {note}" for note in before.notes if note.startswith(key)]
    causes += describe_differences(earlier.versions, again.versions)
    causes += describe_differences(earlier.machine, again.machine)
    return causes or ["for no reason that the report names"]


def describe_differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Returns what changed between two descriptions of where a measurement was made, in words."""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return [f"{name} was {before.get(name, 'not there')}, now {now.get(name, 'not there')}" for name in names]


def _metric_hashes(report: Report) -> dict[str, str]:
    """The hashes of the metrics' files, of an earlier version's report too."""
    return ({"lpips": report.lpips_sha256} if report.lpips_sha256 else {}) | report.metrics_sha256
