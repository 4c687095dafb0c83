"""Many images, one after another: while a network runs, the next image is decoded and the last result encoded.

Each file is whole or absent. Whatever goes wrong with one image is its outcome, and the others go on; only what is
wrong with all of them, such as a model that cannot be downloaded, ends the run.
"""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from pipelines import files
from pipelines.batch.archives import Archive, Bounds, is_archive, read_result, unpack_images
from pipelines.batch.jobs import FORMATS, PLAIN, Job, Source, list_sources, plan_jobs, write_suffix
from pipelines.batch.journal import Entry, Journal
from pipelines.batch.recipe import Recipe
from pipelines.catalog.rows import Stage, check_stages
from pipelines.enlarge import Details, Enlarged, enlarge_fetched
from pipelines.errors import BadPicture, BadWeights, CannotWrite, OutOfMemory
from pipelines.estimates import plan_run
from pipelines.images import door as images
from pipelines.images.door import Picture
from pipelines.images.listing import describe_passed_over
from pipelines.phrasing import printable_name
from pipelines.runs import POLL_SECONDS, Run, Step, explain, map_steps
from pipelines.upscalers.loading import StageFiles, fetch

__all__ = [
    "FORMATS",
    "PLAIN",
    "Archive",
    "Bounds",
    "FileStep",
    "Job",
    "Journal",
    "Outcome",
    "Recipe",
    "Source",
    "describe_passed_over",
    "is_archive",
    "list_sources",
    "plan_jobs",
    "read_result",
    "run",
    "unpack_images",
    "write_suffix",
]

T = TypeVar("T")
State: TypeAlias = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image: `error` is the sentence where it failed, `details` are those of a result made now."""

    job: Job
    state: State
    error: str | None = None
    details: Details | None = None
    losses: tuple[str, ...] = ()  # what the file's format does not keep
    stops: bool = False  # no other result could be written either


@dataclass(frozen=True, slots=True)
class FileStep(Step):
    """How many images are finished; the step of the one at work, and the outcome of one that has just ended."""

    within: Step | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """An image that is decoded, and how its result will be made."""

    job: Job
    picture: Picture
    stages: tuple[Stage, ...]
    size: tuple[int, int] | None
    entry: Callable[[bytes], Entry]  # what the journal is to say of a result with that content


@dataclass(frozen=True, slots=True)
class _Lacking:
    """The stages of an image whose models have not been asked for yet."""

    stages: tuple[Stage, ...]


Fetched: TypeAlias = dict[tuple[Stage, ...], tuple[StageFiles, ...]]


def run(jobs: Sequence[Job], recipe: Recipe, journal: Journal, overwrite: bool = False) -> Run[list[Outcome]]:
    """Upscales the images. What the journal says was made already, in the same way of the same image, is skipped.

    Another file of a result's name is replaced only with `overwrite`, and an image of the batch never. A full disk ends
    the run early: there are fewer outcomes than jobs then. Raises BadSetting, WeightsUnavailable and BadWeights, which
    are no one image's fault.
    """
    outcomes: list[Outcome] = []
    fetched: Fetched = {}

    def step(within: Step) -> FileStep:
        return FileStep(len(outcomes), len(jobs), within.note, within)

    def ended(outcome: Outcome) -> FileStep:
        outcomes.append(outcome)
        return FileStep(len(outcomes), len(jobs), outcome.job.name, None, outcome)

    # A thread each: one image ahead and one behind bounds what is in memory.
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:

        def prepare(job: Job) -> Future[_Prepared | _Lacking | Outcome]:
            return ahead.submit(_prepare, job, recipe, journal, fetched, overwrite)

        coming, written = [prepare(job) for job in jobs[:1]], list[Future[Outcome]]()
        for number, job in enumerate(jobs):
            reading = step(Step(0, 1, f"reading {job.name}"))
            found = yield from _awaited(coming.pop(), reading)
            while isinstance(found, _Lacking):
                check_stages(found.stages, recipe.settings)
                fetched[found.stages] = yield from map_steps(fetch(found.stages, recipe.settings, recipe.own), step)
                found = yield from _awaited(prepare(job), reading)
            coming = [prepare(each) for each in jobs[number + 1 : number + 2]]
            made = yield from _told(map_steps(_enlarged(found, recipe, fetched, written), step), written, ended)
            if written:
                yield ended((yield from _awaited(written.pop(), step(Step(0, 1, f"writing {job.name}")))))
            if any(outcome.stops for outcome in outcomes[-1:]):
                return outcomes
            if isinstance(made, Outcome):
                yield ended(made)
            elif isinstance(found, _Prepared):
                written = [behind.submit(_store, found, made, recipe, journal)]
            del found, made  # or they stay in memory while the next ones are made
        for last in written:
            yield ended((yield from _awaited(last, step(Step(0, 1, "writing")))))
    return outcomes


def _prepare(
    job: Job, recipe: Recipe, journal: Journal, fetched: Fetched, overwrite: bool
) -> "_Prepared | _Lacking | Outcome":
    """The image decoded; or the models that it needs, or why nothing is to be done."""
    try:
        stages, size = recipe.plan(job.image)
        if stages not in fetched:
            return _Lacking(stages)
        sha256, made = _sha256_of(job.image), recipe.describe(fetched[stages], size, job.output)
        if not job.meets_input and journal.has(job.name, sha256, made):
            return Outcome(job, "skipped")
        _check_output(job, overwrite)
        picture = images.read(job.image, math.prod(stage.scale for stage in stages))
    except Exception as error:
        return Outcome(job, "failed", explain(error))

    def entry(data: bytes) -> Entry:
        return Entry(sha256, made, len(data), hashlib.sha256(data).hexdigest())

    return _Prepared(job, picture, stages, size, entry)


def _check_output(job: Job, overwrite: bool) -> None:
    """Makes the result's folder. Raises CannotWrite where the result would replace what is not to be lost."""
    name = printable_name(job.output)
    if job.meets_input or files.is_same_file(job.image, job.output):
        raise CannotWrite(f"{name} is itself an image to upscale: choose another folder, or a --suffix.")
    if not overwrite and os.path.lexists(job.output):
        raise CannotWrite(f"{name} is there already, made of another image or in another way: --overwrite replaces it.")
    files.make_folder(job.output.parent)


def _enlarged(
    found: "_Prepared | Outcome", recipe: Recipe, fetched: Fetched, written: Sequence[Future[Outcome]]
) -> "Run[Enlarged | Outcome]":
    """The image enlarged, or why not. What does not fit beside the last result waits until that is written."""
    if isinstance(found, Outcome):
        return found
    job = found.job
    try:
        try:
            _check_plan(found)
        except OutOfMemory:
            wait(written)
            _check_plan(found)
        return (yield from enlarge_fetched(found.picture, fetched[found.stages], recipe.settings, found.size))
    except BadWeights:
        raise
    except Exception as error:
        return Outcome(job, "failed", explain(error))


def _check_plan(found: _Prepared) -> None:
    plan_run(found.picture, found.stages, found.job.output, size=found.size)


def _store(found: _Prepared, made: Enlarged, recipe: Recipe, journal: Journal) -> Outcome:
    """Writes the result; the journal first."""
    job, quality = found.job, recipe.quality_for(found.job.output)
    try:
        format_ = images.format_of(job.output)
        losses = images.list_losses(found.picture, format_, quality=quality)
        data = images.encode(made.picture, format_, quality=quality)
        journal.add(job.name, found.entry(data))
        files.write_whole(job.output, data)
    except Exception as error:
        stops = isinstance(error, CannotWrite) and files.is_disk_full(error)
        return Outcome(job, "failed", explain(error), stops=stops)
    return Outcome(job, "done", None, made.details, losses)


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


def _sha256_of(image: Path) -> str:
    try:
        return files.sha256_of(image)
    except OSError as error:
        raise BadPicture(f"{printable_name(image)} cannot be read.") from error


def _awaited(future: Future[T], step: Step) -> Run[T]:
    """What a thread is at; with steps, so that the run can be ended meanwhile."""
    while not wait([future], timeout=POLL_SECONDS).done:
        yield step
    return future.result()
