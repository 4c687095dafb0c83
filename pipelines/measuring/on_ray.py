"""A benchmark on a cluster: actors measure images, each of which keeps models and metrics loaded; rows come back.

A row counts once: what an actor gives back of its images arrives when it is through with them, and an actor that dies
has given nothing back of those that it was at.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import machine
from pipelines.cluster.spread import Arrived, check, spread
from pipelines.measuring.columns import Rows
from pipelines.measuring.contenders import Contender
from pipelines.measuring.fetching import fetch_weights
from pipelines.measuring.metrics.metric import Judges
from pipelines.measuring.metrics.scores import fetch_judges
from pipelines.measuring.plan import Plan, Subject
from pipelines.measuring.rows import Row, parse_row
from pipelines.measuring.run import Scored, find_kept
from pipelines.measuring.run import run as run_here
from pipelines.runs import Run, finish

__all__ = ["check", "run"]

PART = 1  # images that an actor is given at a time: one by many models takes long, and is done again where it dies


def run(
    plan: Plan,
    pictures: Sequence[Subject],
    judges: Judges,
    done: Sequence[Row] = (),
    on: str = "ray",
    workers: int | None = None,
) -> Run[Sequence[Row]]:
    """Does as `run.run`, on a cluster, which sees the images by the same names; rows leave in any order.

    Steps have no pictures. A row of another processor than this machine's says so. Raises as `spread`.
    """
    weights = yield from fetch_weights(plan.contenders)
    kept, found = find_kept(plan, pictures, judges, done, weights), Rows()
    places = {pair: place for place, pair in enumerate(kept)}
    for at in kept.values():
        found.append(done[at])
    total = len(pictures) * len(plan.contenders)
    items = []
    for subject in pictures:
        lacking = [each for each in plan.contenders if (subject.picture, each.key) not in places]
        if lacking:
            place = subject.place
            place = Path(os.path.abspath(place)) if isinstance(place, Path) else place
            items.append((replace(subject, place=place), tuple(lacking)))
    named = {subject.picture: subject for subject in pictures}
    contenders = {each.key: each for each in plan.contenders}
    here = machine.describe()["processor"]
    if items:
        given = (plan, (*judges.loaded,), dict(judges.lacking))
        running = spread(_make_worker, given, items, PART, on, workers)
        try:
            for step in running:
                if not isinstance(step, Arrived):
                    yield step
                    continue
                processor, sent = step.result
                row = parse_row(sent)
                if processor != here:
                    row = replace(row, notes=(*row.notes, f"measured on {processor}"))
                places[row.picture, row.model] = len(found)
                found.append(row)
                subject, contender = named[row.picture], contenders[row.model]
                note = f"{subject.name}: {contender.title}"
                yield Scored(len(found), total, note, subject, contender, row)
        finally:
            running.close()
    return found.select(
        np.array([places[subject.picture, each.key] for subject in pictures for each in plan.contenders])
    )


def _make_worker(
    plan: Plan, metrics: Sequence[str], lacking: Mapping[str, str]
) -> Callable[[Sequence[tuple[Subject, tuple[Contender, ...]]]], Iterator[tuple[Any, dict[str, Any]]]]:
    """Makes what an actor does to its images: measure them by the contenders that are named with each.

    By these metrics alone, which are what the machine has that asked; of the others that is `lacking`.
    """
    weights, here = finish(fetch_weights(plan.contenders)), finish(fetch_judges(metrics))
    loaded = {key: here.loaded[key] for key in metrics if key in here.loaded}
    judges = Judges(loaded, {**lacking, **{key: here.lacking[key] for key in metrics if key not in loaded}})
    processor = machine.describe()["processor"]

    def work(part: Sequence[tuple[Subject, tuple[Contender, ...]]]) -> Iterator[tuple[Any, dict[str, Any]]]:
        for subject, contenders in part:
            rows = finish(run_here(replace(plan, contenders=contenders), [subject], judges, weights=weights))
            yield from ((processor, row.as_dict()) for row in rows)

    return work
