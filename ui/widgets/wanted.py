"""What the Upscale form's values ask for: the run, the plan that says what it takes, and whether it is a matter of
a moment.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipelines import estimates
from pipelines.batch.run import Recipe
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import NO_CLEANUP, Cleanup, Model, Settings, Size, check_settings, parse_size
from pipelines.errors import BadSetting, UpscaleError
from pipelines.estimates import Estimate
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.upscalers.loading import find_lacking
from ui.jobs import batches, loans
from ui.jobs.batches import Batch, Chosen
from ui.jobs.choosing import check_here
from ui.jobs.enlarging import check_run
from ui.widgets import before_after, html, plans
from ui.widgets.advice import CUSTOM, explain_unfit, list_missing, measure, offer_scales
from ui.widgets.artifacts import read_artifacts
from ui.widgets.cleanup import FIRST_STRENGTH, name_cleanup, read_cleanup
from ui.widgets.licence import accepts

MOMENT_SECONDS = 2.0  # what takes less may run without a click
SEARCHING = "Choose a model from the search results, or enter a full name or address."
NO_SIZE = "Enter a size, such as x2.5, or 1920x for a width."


class Wanted(NamedTuple):
    """What was chosen, understood."""

    row: Model
    size: Size
    settings: Settings
    first: Cleanup = Cleanup()


def describe_plan(image: Chosen, *values: Any) -> str:
    """Returns what a run would give and take, or what is wrong with what was chosen."""
    if image is None:
        return html.aside(html.NO_IMAGE)
    if is_search(values[1]):
        return html.aside(SEARCHING)
    if lacks_size(*values[2:4]):
        return html.aside(NO_SIZE)
    if isinstance(image, Batch):
        return _describe_batch(image, values)
    try:
        check_here(image)
        row, size, settings, first = understand(*values)
        check_settings([*(stage.model for stage in first.stages), row], settings)
        sized = estimates.plan_size_of(image, row.key, size, first.stages)
        given = images.read_size(image)
        missing = find_lacking(sized.stages, settings)
        check_run(sized.stages, settings, given)
    except UpscaleError as error:
        return html.problem(str(error))
    unfit = explain_unfit(offer_scales(row, given))
    remarks = [*(f"{note[:1].upper()}{note[1:]}." for note in sized.notes), *([unfit] if unfit else [])]
    expected = _most(estimates.estimate_each(sized.stages, *given, settings))
    expected = replace(expected, seconds=loans.estimate_seconds(sized.stages, settings, *given))
    cost = loans.describe_picture_cost(sized.stages, settings, given)
    return plans.upscale_plan(row, given, sized.size, expected, missing, settings, remarks, cost)


def _describe_batch(chosen: Batch, values: Sequence[Any]) -> str:
    """Returns what a batch would give and take, or what is wrong with what was chosen."""
    try:
        row, recipe = understand_batch(*values)
        return plans.batch_plan(row, batches.foresee(chosen, recipe))
    except UpscaleError as error:
        return html.problem(str(error))


def understand_batch(*values: Any) -> tuple[Model, Recipe]:
    """Returns the model, and what is done to each image of a batch, as `understand`."""
    row, size, settings, first = understand(*values)
    check_settings([*(stage.model for stage in first.stages), row], settings)
    return row, Recipe(key=row.key, size=size, first=first.stages, settings=settings)


def _most(expected: Sequence[Estimate]) -> Estimate:
    """Returns the most memory that one of the stages takes, and whether one of them is timed on a processor."""
    return Estimate(None, max(each.megabytes for each in expected), any(each.on_cpu for each in expected))


def takes_a_moment(image: ImageSource, key: str, scale: str) -> bool:
    """Returns whether that model would upscale the image at once: nothing is lacking, and it is known to be quick."""
    size = measure(image)
    if size is None or scale == CUSTOM or catalog.find(key).from_hub:
        return False
    at = catalog.parse_scale(scale)
    if list_missing(catalog.find(key), at):
        return False
    seconds = estimates.estimate(key, at, *size).seconds
    return seconds is not None and seconds < MOMENT_SECONDS


def understand(
    model: str,
    own: str,
    scale: str,
    size: str,
    denoise: float | None,
    prompt: str | None,
    creativity: str | None,
    cleanup: str | None = NO_CLEANUP,
    strength: float | None = None,
    artifacts: str | None = None,
    accepted: Sequence[str] | None = None,
) -> Wanted:
    """Returns what the fields' values ask for. Raises BadSetting for what does not exist, or is still to be written."""
    row = find_model(model, own)
    if row.cleans:
        raise BadSetting(f"{row.name} does not upscale. Choose it under Clean up first.")
    steered = Settings(denoise=denoise, prompt=prompt or None, creativity=creativity or None)
    settings = replace(steered, artifacts=read_artifacts(artifacts), accept_licence=accepts(accepted, row) or None)
    if lacks_size(scale, size):
        raise BadSetting(NO_SIZE)
    wanted = parse_size(size) if scale == CUSTOM else Size(factor=catalog.parse_scale(scale))
    first = read_cleanup(cleanup, strength)
    return Wanted(row, wanted, replace(settings.only(row.takes), cleanup=first.strength), first)


def lacks_size(scale: str, size: str | None) -> bool:
    """Returns whether a size of one's own is asked for, and still to be written."""
    return scale == CUSTOM and not str(size or "").strip()


def is_search(own: object) -> bool:
    """Returns whether words to search for are in the field of one's own model, rather than a name or an address."""
    return isinstance(own, str) and bool(own.strip()) and "/" not in own


def find_model(model: str, own: str) -> Model:
    """The model that is to run: one's own where its field is filled. Raises BadSetting for what names no file."""
    if own is not None and not isinstance(own, str):  # strangers may send anything
        raise BadSetting(f"A model of your own is text, not {str(own)[:40]!r}.")
    if not own or not own.strip():
        return catalog.find(model)
    if is_search(own):
        raise BadSetting(SEARCHING)
    return catalog.find_named(own)


def name_choice(row: Model, size: Size, first: Cleanup) -> str:
    """Returns by what a result is made, to read: "Swift x4", "Swift, 1000 pixels wide", "Swift x4 with 1x-DeJPG"."""
    also = name_cleanup(first)
    if size.factor is not None:
        return before_after.name_result(row, size.factor) + also
    sides = {"wide": size.width, "high": size.height}
    return f"{row.name}, {' and '.join(f'{side} pixels {way}' for way, side in sides.items() if side)}{also}"


def name_chosen(model: str, own: str, scale: str, size: str, cleanup: str | None = NO_CLEANUP) -> str:
    """Returns by what a result would be made with these values of the fields; whichever strength a clean-up has."""
    row, wanted, _, first = understand(model, own, scale, size, None, None, None, cleanup, FIRST_STRENGTH)
    return name_choice(row, wanted, first)
