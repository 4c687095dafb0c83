"""What there is to choose for an image, what the page chooses unless the visitor does, and why."""

from collections.abc import Sequence
from typing import NamedTuple

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import DAMAGED, PURPOSES, Model, Purpose, Stage, Weights
from pipelines.errors import BadSetting, UpscaleError
from pipelines.images import door as images
from pipelines.phrasing import format_download
from pipelines.upscalers.loading import find_lacking
from ui.jobs import prefetching
from ui.jobs.batches import Chosen, first_image
from ui.jobs.offered import list_offered
from ui.widgets import html, plans
from ui.widgets.choices import Option

FIRST_PURPOSE = catalog.PURPOSES[1]  # ready at once, and best on what nothing has damaged
FIRST_MODEL, FIRST_SCALE = FIRST_PURPOSE.model, "x4"
CUSTOM = "custom"  # in place of a scale: a size that the visitor writes


class Advice(NamedTuple):
    """What is best for an image, and a sentence why, which is empty where there is nothing to say."""

    purpose: Purpose
    why: str = ""


def advise(chosen: Chosen) -> Advice:
    """Returns the purpose for an image, of a batch the first: that of damaged ones, where its model is here or can be
    fetched.
    """
    image = first_image(chosen)
    try:
        condition = None if image is None else images.examine(image)
    except UpscaleError:  # what is wrong with it, the plan says
        condition = None
    if condition is None or not (condition.compressed or condition.noisy):
        return Advice(FIRST_PURPOSE)
    damage, what, instead = (
        ("This JPEG has compression marks.", "them", "It removes them too, but sharpens less.")
        if condition.compressed
        else ("This image is noisy.", "noise", "It is ready.")
    )
    missing = list_missing(catalog.find(DAMAGED.model), catalog.parse_scale(FIRST_SCALE))
    if not missing:
        return Advice(DAMAGED, f"{damage} {DAMAGED.name} removes {what}.")
    size = format_download(sum(each.size for each in missing))
    if all(map(prefetching.can_be_fetched, missing)):
        return Advice(DAMAGED, f"{damage} {DAMAGED.name} removes {what} ({size} download).")
    lacking = f"{DAMAGED.name} would remove {what}, but its download ({size}) is unavailable"
    return Advice(FIRST_PURPOSE, f"{damage} {lacking}, so {FIRST_PURPOSE.name} is chosen. {instead}")


def list_missing(model: Model, scale: int) -> Sequence[Weights]:
    """Returns what the model would download; nothing where that is not to be told, as a run will say what is wrong."""
    try:
        return find_lacking([Stage(model.key, scale)])
    except UpscaleError:
        return ()


def offer_scales(model: Model, size: tuple[int, int] | None) -> list[Option]:
    """Returns the model's scales as choices for an image of that size, and CUSTOM; what would be too large says so."""
    scales = [Option(f"x{scale}", f"x{scale}", never=_explain(scale, size)) for scale in model.scales]
    return [*scales, Option(CUSTOM, "Custom")]


def fit_scale(options: Sequence[Option], wanted: object) -> str:
    """Returns the wanted scale if it can be chosen, else the largest below it that can, else the smallest that can.

    Where none can, it is the smallest; a size of one's own stays. What is no scale, as strangers may send anything, is
    taken for FIRST_SCALE.
    """
    if wanted == CUSTOM:
        return CUSTOM
    try:
        most = catalog.parse_scale(wanted)
    except BadSetting:
        most = catalog.parse_scale(FIRST_SCALE)
    scales = [option for option in options if option.value != CUSTOM]
    possible = [option.value for option in scales if not option.never] or [scales[0].value]
    below = [value for value in possible if int(value[1:]) <= most]
    return below[-1] if below else possible[0]


def explain_unfit(options: Sequence[Option]) -> str:
    """Returns why the smallest scale that does not fit does not, and which one does; empty where all do."""
    never = [option.never for option in options if option.never]
    possible = [option.value for option in options if not option.never and option.value != CUSTOM]
    if not never:
        return ""
    return f"{never[0]} {possible[-1]} is the largest that fits." if possible else never[0]


def measure(chosen: Chosen) -> tuple[int, int] | None:
    """Returns the image's width and height, of a batch the first one's, if it can be read; the plan says what is
    wrong.
    """
    image = first_image(chosen)
    try:
        return None if image is None else images.read_size(image)
    except UpscaleError:
        return None


def offer_purposes(size: tuple[int, int] | None, scale: str) -> list[Option]:
    """Returns the purposes whose models are offered, each with what it takes for an image of that size."""
    offered = {row.key: row for row in list_offered()}
    return [
        Option(each.key, each.name, each.use, _describe_cost(offered[each.model], size, scale))
        for each in PURPOSES
        if each.model in offered
    ]


def offer_models(size: tuple[int, int] | None, scale: str) -> list[tuple[str, str]]:
    """Returns the models to choose from, each in a line of what it is good at and takes."""
    return [(html.name_model(row, _describe_cost(row, size, scale)), row.key) for row in list_offered()]


def _describe_cost(row: Model, size: tuple[int, int] | None, scale: str) -> str:
    at = int(fit_scale(offer_scales(row, size), FIRST_SCALE if scale == CUSTOM else scale)[1:])
    return plans.describe_cost(row, at, size, list_missing(row, at))


def _explain(scale: int, size: tuple[int, int] | None) -> str:
    told = images.explain_too_large(*size, scale) if size else None
    return f"{told}." if told else ""
