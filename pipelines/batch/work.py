"""What is done to one image of a batch: read and checked, enlarged, written; and what became of it."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pipelines import files
from pipelines.batch.jobs import Job
from pipelines.batch.journal import AnyJournal, Entry
from pipelines.batch.recipe import Recipe
from pipelines.catalog.rows import Stage
from pipelines.enlarge import Details, Enlarged, enlarge_fetched
from pipelines.errors import BadPicture, BadWeights, CannotWrite, OutOfMemory
from pipelines.estimates import plan_run
from pipelines.images import door as images
from pipelines.images.addresses import Address, exists, is_same, load, put
from pipelines.images.door import ImageSource, Picture
from pipelines.phrasing import printable_name
from pipelines.runs import Run, Step, explain
from pipelines.upscalers.loading import StageFiles, Took, list_times

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
    lacks_memory: bool = False  # it may succeed where nothing else is at work
    took: tuple[Took, ...] = ()  # each stage, of a result made now


@dataclass(frozen=True, slots=True)
class FileStep(Step):
    """How many images are finished; the step of the one at work, and the outcome of one that has just ended."""

    within: Step | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image that is decoded, and how its result will be made."""

    job: Job
    picture: Picture
    stages: tuple[Stage, ...]
    size: tuple[int, int] | None
    entry: Callable[[bytes], Entry]  # what the journal is to say of a result with that content

    @property
    def made_pixels(self) -> int:
        """Returns how many pixels the models make of it."""
        height, width, _ = self.picture.pixels.shape
        return int(height * width * math.prod(stage.scale for stage in self.stages) ** 2)


@dataclass(frozen=True, slots=True)
class Lacking:
    """The stages of an image whose models have not been asked for yet."""

    stages: tuple[Stage, ...]


Fetched: TypeAlias = dict[tuple[Stage, ...], tuple[StageFiles, ...]]


def prepare(
    job: Job, recipe: Recipe, journal: AnyJournal, fetched: Fetched, overwrite: bool
) -> "Prepared | Lacking | Outcome":
    """The image decoded; or the models that it needs, or why nothing is to be done."""
    try:
        source = load(job.image)
        stages, size = recipe.plan(source)
        if stages not in fetched:
            return Lacking(stages)
        sha256, made = _sha256_of(source), recipe.describe(fetched[stages], size, job.output)
        if not job.meets_input and journal.has(job.name, sha256, made):
            return Outcome(job, "skipped")
        _check_output(job, overwrite)
        picture = images.read(source, math.prod(stage.scale for stage in stages))
    except Exception as error:
        return _failed(job, error)

    def entry(data: bytes) -> Entry:
        return Entry(sha256, made, len(data), hashlib.sha256(data).hexdigest())

    return Prepared(job, picture, stages, size, entry)


def _check_output(job: Job, overwrite: bool) -> None:
    """Makes the result's folder. Raises CannotWrite where the result would replace what is not to be lost."""
    name = printable_name(job.output)
    if job.meets_input or is_same(job.image, job.output):
        raise CannotWrite(f"{name} is itself an image to upscale: choose another folder, or a --suffix.")
    at = job.output
    if not overwrite and (exists(at) if isinstance(at, Address) else os.path.lexists(at)):
        raise CannotWrite(f"{name} is there already, made of another image or in another way: --overwrite replaces it.")
    if isinstance(at, Path):
        files.make_folder(at.parent)


def enlarge_prepared(
    found: "Prepared | Outcome", recipe: Recipe, fetched: Fetched, written: Sequence[Future[Outcome]]
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
        return _failed(job, error)


def _failed(job: Job, error: Exception) -> Outcome:
    stops = isinstance(error, CannotWrite) and files.is_disk_full(error)
    lacks_memory = isinstance(error, OutOfMemory | MemoryError)
    return Outcome(job, "failed", explain(error), stops=stops, lacks_memory=lacks_memory)


def _check_plan(found: Prepared) -> None:
    plan_run(found.picture, found.stages, found.job.output, size=found.size)


def store(found: Prepared, made: Enlarged, recipe: Recipe, journal: AnyJournal) -> Outcome:
    """Writes the result; the journal first."""
    job, quality = found.job, recipe.quality_for(found.job.output)
    try:
        format_ = images.format_of(job.output)
        losses = images.list_losses(found.picture, format_, quality=quality)
        data = images.encode(made.picture, format_, quality=quality)
        journal.add(job.name, found.entry(data))
        if isinstance(job.output, Address):
            put(job.output, data)
        else:
            files.write_whole(job.output, data)
    except Exception as error:
        return _failed(job, error)
    height, width, _ = found.picture.pixels.shape
    took = list_times(found.stages, made.stages, width, height)
    return Outcome(job, "done", None, made.details, losses, took=took)


def _sha256_of(image: ImageSource) -> str:
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    try:
        return files.sha256_of(image)
    except OSError as error:
        raise BadPicture(f"{printable_name(image)} cannot be read.") from error
