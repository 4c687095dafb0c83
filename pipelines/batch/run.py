"""Many images, one after another: while a network runs, the next image is decoded and the last result encoded.

Each file is whole or absent. Whatever goes wrong with one image is its outcome, and the others go on; only what is
wrong with all of them, such as a model that cannot be downloaded, ends the run.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from pipelines.batch import lanes as side_by_side
from pipelines.batch.archives import Archive, Bounds, is_archive, read_result, unpack_images
from pipelines.batch.jobs import FORMATS, PLAIN, Job, Source, list_sources, plan_jobs, write_suffix
from pipelines.batch.journal import AnyJournal, Journal, open_journal
from pipelines.batch.lanes import count_lanes
from pipelines.batch.recipe import Recipe
from pipelines.batch.work import Fetched, FileStep, Lacking, Outcome, Prepared, enlarge_prepared, prepare, store
from pipelines.catalog.rows import check_stages
from pipelines.images.listing import PassedOver, describe_passed_over
from pipelines.runs import POLL_SECONDS, Run, Step, map_steps
from pipelines.upscalers.loading import fetch

__all__ = [
    "FORMATS",
    "PLAIN",
    "AnyJournal",
    "Archive",
    "Bounds",
    "FileStep",
    "Job",
    "Journal",
    "Outcome",
    "PassedOver",
    "Recipe",
    "Source",
    "count_lanes",
    "describe_passed_over",
    "is_archive",
    "list_sources",
    "open_journal",
    "plan_jobs",
    "read_result",
    "run",
    "unpack_images",
    "write_suffix",
]

T = TypeVar("T")


def run(
    jobs: Sequence[Job], recipe: Recipe, journal: AnyJournal, overwrite: bool = False, lanes: int = 1
) -> Run[list[Outcome]]:
    """Upscales the images. What the journal says was made already, in the same way of the same image, is skipped.

    Another file of a result's name is replaced only with `overwrite`, and an image of the batch never. A full disk ends
    the run early: there are fewer outcomes than jobs then. Raises BadSetting, WeightsUnavailable and BadWeights, which
    are no one image's fault.

    With `lanes`, so many images are at work at once, each on a share of the processor's cores.
    """
    if lanes > 1:
        return (yield from side_by_side.run(jobs, recipe, journal, overwrite, lanes))
    outcomes: list[Outcome] = []
    fetched: Fetched = {}

    def step(within: Step) -> FileStep:
        return FileStep(len(outcomes), len(jobs), within.note, within)

    def ended(outcome: Outcome) -> FileStep:
        outcomes.append(outcome)
        return FileStep(len(outcomes), len(jobs), outcome.job.name, None, outcome)

    # A thread each: one image ahead and one behind bounds what is in memory.
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:

        def begin(job: Job) -> Future[Prepared | Lacking | Outcome]:
            return ahead.submit(prepare, job, recipe, journal, fetched, overwrite)

        coming, written = [begin(job) for job in jobs[:1]], list[Future[Outcome]]()
        for number, job in enumerate(jobs):
            reading = step(Step(0, 1, f"reading {job.name}"))
            found = yield from _awaited(coming.pop(), reading)
            while isinstance(found, Lacking):
                check_stages(found.stages, recipe.settings)
                fetched[found.stages] = yield from map_steps(fetch(found.stages, recipe.settings, recipe.own), step)
                found = yield from _awaited(begin(job), reading)
            coming = [begin(each) for each in jobs[number + 1 : number + 2]]
            made = yield from _told(map_steps(enlarge_prepared(found, recipe, fetched, written), step), written, ended)
            if written:
                yield ended((yield from _awaited(written.pop(), step(Step(0, 1, f"writing {job.name}")))))
            if any(outcome.stops for outcome in outcomes[-1:]):
                return outcomes
            if isinstance(made, Outcome):
                yield ended(made)
            elif isinstance(found, Prepared):
                written = [behind.submit(store, found, made, recipe, journal)]
            del found, made  # or they stay in memory while the next ones are made
        for last in written:
            yield ended((yield from _awaited(last, step(Step(0, 1, "writing")))))
    return outcomes


def _told(run: Run[T], written: list[Future[Outcome]], ended: Callable[[Outcome], FileStep]) -> Run[T]:
    """The same run, and between its steps what has become of the last result: nobody waits for the next one to know."""
    try:
        while True:
            yield next(run)
            if written and written[0].done():
                yield ended(written.pop().result())
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()


def _awaited(future: Future[T], step: Step) -> Run[T]:
    """What a thread is at; with steps, so that the run can be ended meanwhile."""
    while not wait([future], timeout=POLL_SECONDS).done:
        yield step
    return future.result()
