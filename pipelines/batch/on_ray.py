"""A batch on a cluster: actors upscale parts of it, each of which keeps its models loaded.

What an actor's journal says was made of a part before it died is skipped when the part is given out again. Images and
results lie in folders that all machines see by the same names; images may also lie at addresses that fsspec reads. Each
actor writes results and a journal of its own; only what became of each image comes back.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.batch.jobs import Job
from pipelines.batch.journal import AnyJournal, open_journal
from pipelines.batch.lanes import count_lanes
from pipelines.batch.recipe import Recipe
from pipelines.batch.run import FileStep, Outcome
from pipelines.batch.run import run as run_here
from pipelines.cluster.spread import Arrived, check, spread
from pipelines.errors import UpscaleError
from pipelines.images.addresses import Place
from pipelines.runs import Run, Step, finish

__all__ = ["check", "run"]

PART = 8  # images that an actor is given at a time; within them one is decoded ahead and one encoded behind


def run(
    jobs: Sequence[Job],
    recipe: Recipe,
    journal: AnyJournal,
    overwrite: bool = False,
    on: str = "ray",
    workers: int | None = None,
) -> Run[list[Outcome]]:
    """Does as `run.run`, on a cluster; the outcomes come in any order. Raises as that does, and as `spread`."""
    own = recipe.own and Path(os.path.abspath(recipe.own))
    given = (_absolute(journal.folder), replace(recipe, own=own), overwrite)
    outcomes: list[Outcome] = []
    named = {job.name: job for job in jobs}
    running = spread(_make_worker, given, [*map(_as_seen, jobs)], PART, on, workers)
    try:
        for step in running:
            if not isinstance(step, Arrived):
                yield step
                continue
            found = replace(step.result, job=named[step.result.job.name])
            outcomes.append(found)
            yield FileStep(len(outcomes), len(jobs), found.job.name, None, found)
            if found.stops:
                break
    finally:
        running.close()
    return outcomes


def _make_worker(folder: Place, recipe: Recipe, overwrite: bool) -> Callable[[Sequence[Job]], Iterator[Outcome]]:
    """Makes what an actor does to a part: upscale the jobs, with a journal of its own."""
    journal = open_journal(folder, f"{socket.gethostname()}-{os.getpid()}")

    def work(jobs: Sequence[Job]) -> Iterator[Outcome]:
        done: list[Outcome] = []

        def see(step: Step) -> None:
            if isinstance(step, FileStep) and step.outcome is not None:
                done.append(step.outcome)

        journal.refresh()
        failure: UpscaleError | None = None
        try:
            finish(run_here(jobs, recipe, journal, overwrite, count_lanes(recipe, len(jobs))), see)
        except UpscaleError as error:
            failure = error
        yield from done
        if failure is not None:
            raise failure

    return work


def _as_seen(job: Job) -> Job:
    """An actor works in another folder."""
    return replace(job, image=_absolute(job.image), output=_absolute(job.output))


def _absolute(place: Place) -> Place:
    return Path(os.path.abspath(place)) if isinstance(place, Path) else place
