"""Many images in one run, for the page and the API: which they are, what they take, and the zip that comes out."""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from threading import Event
from typing import Any, Self, TypeAlias

from pipelines import environment, estimates, files
from pipelines.batch import run as batch
from pipelines.batch.run import Archive, FileStep, Job, Journal, Outcome, Recipe, Source
from pipelines.catalog.rows import Stage, Weights, check_stages
from pipelines.errors import BadSetting, CannotWrite, UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.runs import Run, Step, watch_steps
from pipelines.upscalers.loading import fetch, find_lacking, holding
from ui.jobs import allowance, gpu, loans
from ui.jobs.choosing import check_here
from ui.jobs.lanes import Expected
from ui.jobs.loans import OverQuota, TakenBack, Time
from ui.jobs.results import new_folder

WRITING_SECONDS = 0.05  # for a megapixel of a result: to encode it; reading comes beside the network
LONGEST_NAME = 200  # bytes of each part of an image's name
MOST_PARTS = 8  # of an image's name: the folders that it lies in, and its own
CLOSING_SECONDS = 60  # that a run may take to end once it was cancelled: a step of the slowest model


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that were chosen together; `relative` of each is what it is called, with the folders of its zip."""

    sources: tuple[Source, ...]

    @classmethod
    def of(cls, sent: Iterable[tuple[Path, str]]) -> Self:
        """Makes a batch of files with what they are called, which may be anything."""
        return cls(tuple(Source(path, read_name(name or path.name)) for path, name in sent))


Chosen: TypeAlias = ImageSource | Batch | None  # what a field for one image or many gives


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a batch would give and take. `made` are the pixels of all results, `seconds` None where nobody knows."""

    images: int
    made: int
    stages: tuple[Stage, ...]  # that any of the images needs
    missing: tuple[Weights, ...]  # to download first
    seconds: float | None
    bytes: int  # of memory
    time: Time  # on a GPU

    @property
    def expected(self) -> Expected:
        """Returns what the lanes are told: nobody knows how long a download takes."""
        return Expected(None if self.missing else self.seconds, self.bytes)


@dataclass(eq=False, slots=True)
class Progress:
    """A batch that is being run: what became of its images so far, and the zip, which is whole once it is `closed`."""

    batch: Batch
    recipe: Recipe
    jobs: tuple[Job, ...]  # one for each image
    archive: Path
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by the job's name
    closed: Event = field(default_factory=Event)

    @property
    def done(self) -> int:
        """Returns how many results there are."""
        return sum(each.state == "done" for each in self.outcomes.values())

    def pairs(self) -> list[tuple[Source, Outcome | None]]:
        """Returns each image with what became of it so far."""
        became = [self.outcomes.get(job.name) for job in self.jobs]
        return [*zip(self.batch.sources, became, strict=True)]


def first_image(chosen: Chosen) -> ImageSource | None:
    """Returns the image that stands for what was chosen: the first of a batch."""
    return chosen.sources[0].path if isinstance(chosen, Batch) else chosen


def read_name(name: str) -> PurePath:
    """Returns a name that somebody sent as a path below the zip that comes out, whatever is in it."""
    parts = PurePosixPath(name.replace("\\", "/").replace("\0", "")).parts
    safe = [part for part in parts if part not in ("/", "//", "..")]
    return PurePath(*map(_shorten, safe[-MOST_PARTS:])) if safe else PurePath("image")


def _shorten(part: str) -> str:
    whole = part.encode(errors="replace").decode()
    ending = PurePath(whole).suffix[:16]
    return whole.removesuffix(ending).encode()[:LONGEST_NAME].decode(errors="ignore") + ending


def check_count(count: int) -> None:
    """Raises BadSetting for more images than are taken at once."""
    if count > (most := environment.most_pictures()):
        raise BadSetting(f"{count} images are too many. The limit is {most} at once.")


def foresee(chosen: Batch, recipe: Recipe) -> Outlook:
    """Returns what a batch would give and take, by the headers of its images; those that fail are left out.

    Raises BadSetting where it is more than is made at once here, or nothing could be made, TooMuch where it takes
    longer than the visitor's runs may, and what else is wrong with all of them.
    """
    check_count(len(chosen.sources))
    made, seconds, most_bytes, time = 0, [0.0], 0.0, Time()
    stages: dict[tuple[Stage, ...], None] = {}
    failed: list[UpscaleError] = []
    for source in chosen.sources:
        try:
            check_here(source.path)
            needed, size = recipe.plan(source.path)
            width, height = images.read_size(source.path, math.prod(stage.scale for stage in needed))
        except UpscaleError as error:
            failed.append(error)
            continue
        if needed not in stages:
            check_stages(needed, recipe.settings)
            stages[needed] = None
        grown = math.prod(stage.scale for stage in needed)
        pixels = math.prod(size or (width * grown, height * grown))
        made += pixels
        each = loans.estimate_seconds(needed, recipe.settings, width, height)
        taken = loans.estimate_time(needed, recipe.settings, width, height)
        writing = WRITING_SECONDS * pixels / environment.MEGA
        time = Time(time.likely + taken.likely + writing, time.most + taken.most + writing)
        seconds.append(math.nan if each is None else each + writing)
        held = estimates.estimate_each(needed, width, height, recipe.settings)
        most_bytes = max(most_bytes, sum(stage.megabytes for stage in held) * environment.MEGA)
    if not stages:
        raise failed[0]
    if made > (limit := environment.most_batch_pixels()):
        raise BadSetting(
            f"All results together would have {format_megapixels(made)}. The limit is {format_megapixels(limit)}: "
            "choose fewer images or a smaller size."
        )
    total = sum(seconds)
    every = tuple(dict.fromkeys(stage for needed in stages for stage in needed))
    missing = tuple(find_lacking(every, recipe.settings))
    known = None if math.isnan(total) else total
    outlook = Outlook(len(chosen.sources), made, every, missing, known, round(most_bytes), time)
    _plan_loan(outlook)
    allowance.check_seconds(known)
    return outlook


def format_megapixels(pixels: int) -> str:
    """Returns "12 megapixels", "0.25 megapixels"."""
    mega = pixels / environment.MEGA
    return f"{mega:.0f} megapixels" if mega >= 10 else f"{mega:.2g} megapixels"


def begin(chosen: Batch, recipe: Recipe, format: str) -> Progress:
    """A batch without results yet, in a folder of its own.

    No name that somebody sent becomes one of a file here. Raises BadSetting for a format that is not written.
    """
    images.check_format(format)
    scale = f"x{recipe.scale}" if recipe.scale.replace(".", "").isdigit() else recipe.scale
    folder = new_folder()
    planned = enumerate(batch.plan_jobs(chosen.sources, folder, "", format), 1)
    jobs = tuple(replace(job, output=folder / f"{number}.{format}", meets_input=False) for number, job in planned)
    images.check_output(jobs[0].path, quality=recipe.quality)
    return Progress(chosen, recipe, jobs, folder / f"upscaled_{recipe.model}_{scale}.zip")


def upscale(progress: Progress, outlook: Outlook) -> Run[list[Outcome]]:
    """Upscales the images, and moves each result into the zip as soon as it is there; what is there when it is ended
    early stays. How long each stage took is learned for later estimates.

    Raises BadSetting, WeightsUnavailable, BadWeights, CannotWrite where the disk is full.
    """
    folder, recipe = progress.archive.parent, progress.recipe
    archive = Archive(progress.archive)

    def see(step: Step) -> None:
        if isinstance(step, FileStep) and step.outcome is not None:
            _keep(progress, archive, step.outcome)

    try:
        allowance.take_downloads(len({stage.key for stage in outlook.stages if find_lacking([stage], recipe.settings)}))
        fetched = yield from fetch(outlook.stages, recipe.settings)
        seconds = _plan_loan(outlook)
        running = gpu.run_job(seconds, outlook.stages, _upscale_here, progress.jobs, recipe, folder)
        with holding(fetched):
            return (yield from watch_steps(running, see))
    except TakenBack as error:
        _learn_cut_short(progress, seconds)
        raise loans.ask_again(error) from None
    except OverQuota as error:
        raise loans.offer_what_fits(error, lambda left: "", "choose fewer images") from None
    finally:
        for job in progress.jobs:  # a result that is whole, of which its run could not say so any more
            if job.name not in progress.outcomes and job.path.is_file():
                with suppress(CannotWrite):
                    _keep(progress, archive, Outcome(job, "done"))
        progress.closed.set()


def _keep(progress: Progress, archive: Archive, outcome: Outcome) -> None:
    """Notes what became of an image, its result moved into the zip. Raises CannotWrite where the disk is full."""
    job = outcome.job
    progress.outcomes[job.name] = outcome
    loans.learn(outcome.took, progress.recipe.settings)
    if outcome.state != "done":
        return
    try:
        archive.take(job.path, job.name)
    except CannotWrite as error:
        progress.outcomes[job.name] = Outcome(job, "failed", str(error))
        job.path.unlink(missing_ok=True)  # nobody is given it
        if files.is_disk_full(error):
            raise


def _learn_cut_short(progress: Progress, seconds: float) -> None:
    """Takes into account that the run went on for so long, and came no further than to the image at work."""
    settings, reached = progress.recipe.settings, list[tuple[tuple[Stage, ...], tuple[int, int]]]()
    for source in progress.batch.sources[: len(progress.outcomes) + 1]:
        with suppress(UpscaleError):
            reached.append((progress.recipe.plan(source.path)[0], images.read_size(source.path)))
    if not reached:
        return
    times = [loans.estimate_time(stages, settings, *size).likely for stages, size in reached]
    # All took longer than estimated by the same factor, as far as anybody knows; a small one would tell too little.
    (stages, size), likely = max(zip(reached, times, strict=True), key=lambda each: math.prod(each[0][1]))
    loans.learn_cut_short(stages, settings, size, likely * max(1.0, seconds / sum(times)))


def _plan_loan(outlook: Outlook) -> int:
    """Returns for how many seconds to borrow a GPU for all images. Raises BadSetting where that is too long."""
    return loans.plan_loan(outlook.stages, outlook.time, "choose fewer images")


def describe_batch_cost(outlook: Outlook) -> str:
    """Returns what a batch takes of the visitor's quota, if anything."""
    return loans.describe_cost(outlook.stages, outlook.time, _plan_loan(outlook))


def _upscale_here(jobs: Sequence[Job], recipe: Recipe, folder: Path) -> Run[list[Outcome]]:
    return (yield from batch.run(jobs, recipe, Journal(folder)))


def read_one(progress: Progress, number: object) -> tuple[Source, bytes] | None:
    """The image of that number and its result's file; None where there is none, or its file is gone."""
    if not progress.closed.is_set() or not isinstance(number, int) or not 0 <= number < len(progress.jobs):
        return None
    found = batch.read_result(progress.archive, progress.jobs[number].name)
    return None if found is None else (progress.batch.sources[number], found)


def describe(progress: Progress, ended_by: str | None = None) -> list[dict[str, Any]]:
    """Returns what became of each image, as data for JSON: in the order in which they were sent.

    `ended_by` says of images that are left why they are.
    """
    return [
        {
            "image": source.relative.as_posix(),
            "file": outcome.job.name if outcome and outcome.state == "done" else None,
            "state": outcome.state if outcome else "left",
            "error": outcome.error if outcome else ended_by,
            "losses": list(outcome.losses) if outcome else [],
            "details": outcome.details.as_dict() if outcome and outcome.details else None,
        }
        for source, outcome in progress.pairs()
    ]
