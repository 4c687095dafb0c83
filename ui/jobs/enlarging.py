"""Enlarging a visitor's picture by one or several models, for the page and the API."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipelines import environment, estimates
from pipelines.catalog.rows import Settings, Size, Stage, check_stages
from pipelines.enlarge import Enlarged, enlarge_fetched
from pipelines.errors import BadPicture, UpscaleError
from pipelines.estimates import Sized
from pipelines.images import door as images
from pipelines.images.door import ImageSource, Picture
from pipelines.machine import memory_limit
from pipelines.phrasing import contender_file_name
from pipelines.runs import Run, Step
from pipelines.upscalers.loading import fetch, find_lacking, holding, list_times
from ui.jobs import allowance, gpu, loans
from ui.jobs.choosing import check_here
from ui.jobs.lanes import Expected
from ui.jobs.loans import OverQuota, TakenBack

LONGEST_STEM = 200  # bytes of a result's name before its scale, of which a file may have 255 in all


def open_picture(
    source: ImageSource | None,
    stages: Sequence[Stage],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
) -> Picture:
    """The picture read, once it is known that the stages exist, can use the settings, and give no more than is made
    here. `size` is the result's where it is shrunk to one.
    """
    source = _given(source)
    check_stages(stages, settings or Settings())
    estimates.plan_run(source, stages, size=size)
    return images.read(source, math.prod(stage.scale for stage in stages))


def plan_size_of(source: ImageSource | None, key: str, size: Size, first: Sequence[Stage] = ()) -> Sized:
    """Does as `estimates.plan_size_of`. Raises BadPicture as well where there is no picture."""
    return estimates.plan_size_of(_given(source), key, size, first)


def _given(source: ImageSource | None) -> ImageSource:
    if source is None:
        raise BadPicture("Choose an image first.")
    check_here(source)
    return source


def expect(source: ImageSource | None, stages: Sequence[Stage], settings: Settings | None = None) -> Expected:
    """What `open_picture` and `enlarge_picture` are expected to take, by the image's header; a file that cannot be read
    takes no time.
    """
    try:
        check_stages(stages, settings or Settings())
        width, height = images.read_size(source) if source is not None else (0, 0)
        if find_lacking(stages, settings):
            return Expected()  # nobody knows how long a download takes
    except UpscaleError:
        return Expected(0, 0)
    held = sum(each.megabytes for each in estimates.estimate_each(stages, width, height, settings))
    return Expected(loans.estimate_seconds(stages, settings, width, height), round(held * environment.MEGA))


def check_run(stages: Sequence[Stage], settings: Settings | None, size: tuple[int, int]) -> None:
    """Raises BadSetting where a run would take longer than a GPU is lent, TooMuch where it would take longer than the
    visitor's runs may, OutOfMemory where its result is too large for the machine, whatever else is being done.
    """
    loans.check_loan(stages, settings, size)
    allowance.check_seconds(loans.estimate_seconds(stages, settings, *size))
    estimates.check_memory(size, math.prod(stage.scale for stage in stages), memory_limit())


def enlarge_picture(
    picture: Picture,
    stages: Sequence[Stage],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
) -> Run[Enlarged]:
    """The picture enlarged by each stage in turn, and shrunk to a size if one is given.

    The settings are those that `open_picture` let through. What the models lack is downloaded before a GPU is borrowed.
    How long each stage took is learned for later estimates.
    """
    height, width, _ = picture.pixels.shape
    seconds = loans.plan_picture_loan(stages, settings, (width, height), picture)
    allowance.take_downloads(len({stage.key for stage in stages if find_lacking([stage], settings)}))
    fetched = yield from fetch(stages, settings)
    try:
        with holding(fetched):
            done = yield from gpu.run_job(seconds, stages, enlarge_fetched, picture, fetched, settings, size)
    except OverQuota as error:
        fits = partial(loans.find_fitting_size, stages, settings, (width, height), picture)
        raise loans.offer_what_fits(error, fits, "choose a model that needs no GPU") from None
    except TakenBack as error:
        loans.learn_cut_short(stages, settings, (width, height), seconds)
        raise loans.ask_again(error) from None
    loans.learn(list_times(stages, done.stages, width, height), settings)
    return done


def open_and_enlarge(
    source: ImageSource | None,
    stages: Sequence[Stage],
    settings: Settings | None = None,
    size: tuple[int, int] | None = None,
) -> Run[Enlarged]:
    """Does as `open_picture` and `enlarge_picture`, the reading in its turn as well."""
    yield Step(0, 1, "reading")
    picture = open_picture(source, stages, settings, size)
    return (yield from enlarge_picture(picture, stages, settings, size))


def save_result(
    done: Enlarged, source: ImageSource | None, folder: Path, suffix: str = "png", quality: int | None = None
) -> Path:
    """The result as a file, named after the picture, the models and the scale, or the size that it was shrunk to."""
    stem = source.stem if isinstance(source, Path) else "picture"
    name = f"{stem}_{contender_file_name(done.details.model)}".encode()[:LONGEST_STEM].decode(errors="ignore")
    width, height = done.details.size
    scale = f"{width}x{height}" if done.details.before_shrinking else f"x{done.details.scale}"
    path = folder / f"{name}_{scale}.{suffix}"
    images.write(done.picture, path, quality=quality)
    return path
