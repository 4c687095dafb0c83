"""What the Chained 8x tab runs: the chain of the two models that were chosen, and the plan that says what it takes."""

import math

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage, parse_stages
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.measuring.run import CHAINED_8X, Contender, check_size
from ui.jobs import comparing, enlarging, loans
from ui.jobs.choosing import check_here
from ui.jobs.offered import list_offered
from ui.widgets import before_after, html, plans
from ui.widgets.licence import accepts, check_ticked

CHAIN_SCALES = CHAINED_8X.chain_scales
CHAINED_SCALE = math.prod(CHAIN_SCALES)


def chain_of(first: str, second: str, accepted: object = None) -> Contender:
    """Returns the chain of the two models, where these licences are accepted. Raises BadSetting."""
    x4, x2 = CHAIN_SCALES
    stages = Stage(catalog.find(first).key, x4), Stage(catalog.find(second).key, x2)
    return Contender(stages, accepts(accepted, *(stage.model for stage in stages)))


def split_chain(chain: str) -> tuple[str, str]:
    """The two models of a chain."""
    first, second = parse_stages(chain)
    return first.key, second.key


def chain_settings(found: Contender) -> Settings:
    """Returns what a chain enlarges with: the usual of each model, and what was accepted."""
    return found.settings.only(frozenset({"accept_licence"}))


def name_choice(first: str, second: str, scored: bool) -> str:
    """Returns by what a result would be made now: "Swift x4, then LapSRN x2"."""
    names = (before_after.name_result(stage.model, stage.scale) for stage in chain_of(first, second).stages)
    return ", then ".join(names) + (" in test mode" if scored else "")


def model_choices(scale: int) -> list[tuple[str, str]]:
    """The models to choose from for a stage of that scale."""
    return [(html.name_model(model), model.key) for model in list_offered(scale)]


def list_direct_models() -> list[str]:
    """The networks that enlarge by eight at once, as far as their weights are here and they need no GPU."""
    rows = [row for row in catalog.MODELS if row.scales.get(CHAINED_SCALE) is not None]
    return [row.key for row in rows if comparing.needs_nothing(Contender((Stage(row.key, CHAINED_SCALE),)))]


def describe_plan(source: ImageSource | None, first: str, second: str, scored: bool, accepted: object = None) -> str:
    """Returns what a run would give and take, or what is wrong with what was chosen."""
    if source is None:
        return html.aside(html.NO_IMAGE)
    try:
        check_here(source)
        found = chain_of(first, second, accepted)
        check_ticked(accepted, *(stage.model for stage in found.stages))
        return _plan_to_measure(source, found) if scored else _plan_to_enlarge(source, found)
    except UpscaleError as error:
        return html.problem(str(error))


def _plan_to_measure(source: ImageSource, chain: Contender) -> str:
    direct = list_direct_models()
    taking_part = comparing.choose_contenders(CHAINED_8X.key, "x8", direct, [chain.key], chain.accepted)
    width, height = images.read_size(source)
    check_size(width, height, CHAINED_SCALE)
    small = width // CHAINED_SCALE, height // CHAINED_SCALE
    comparing.check_gpu_seconds(taking_part, [small])
    times = [comparing.estimate_seconds(each, *small) for each in taking_part]
    lacking = {needed for each in taking_part for needed in comparing.lacking_weights(each)}
    beside = [catalog.find(each.key).name for each in taking_part if not each.is_chain]
    sizes, cost = [(width, height), *_stage_sizes(small)], comparing.describe_cost(taking_part, [small])
    return plans.chain_plan(sizes, beside, times, sum(needed.size for needed in lacking), cost)


def _plan_to_enlarge(source: ImageSource, chain: Contender) -> str:
    settings = chain_settings(chain)
    catalog.check_settings([stage.model for stage in chain.stages], settings)
    missing = sum(needed.size for needed in comparing.lacking_weights(chain))
    size = images.read_size(source, CHAINED_SCALE)
    enlarging.check_run(chain.stages, settings, size)
    cost = loans.describe_picture_cost(chain.stages, settings, size)
    seconds = loans.estimate_seconds(chain.stages, settings, *size)
    return plans.chain_plan(_stage_sizes(size), [], [seconds], missing, cost)


def _stage_sizes(small: tuple[int, int]) -> list[tuple[int, int]]:
    """The picture's size before the first stage, after it and after the second."""
    width, height = small
    return [(width * scale, height * scale) for scale in (1, CHAIN_SCALES[0], CHAINED_SCALE)]
