"""What the page downloads before anybody asks: by default the small model for photos, which most visitors need.

It never delays the page nor complains: who needs a file that is unavailable is told so on using it.
"""

import logging
from collections.abc import Sequence

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import DAMAGED, Stage, Weights, parse_stages
from pipelines.environment import preloaded
from pipelines.errors import BadSetting, UpscaleError
from pipelines.runs import finish
from pipelines.upscalers.loading import find_lacking
from pipelines.weights.fetch import fetch, may_be_asked
from ui.jobs.metric_files import is_metric

USUAL = f"{DAMAGED.model}:4"  # unless UPSCALE_PRELOAD says otherwise

log = logging.getLogger(__name__)
_failed: set[Weights] = set()


def list_stages(named: Sequence[str]) -> list[Stage]:
    """Returns the models among the names, each KEY:SCALE; a metric's key is none. Raises BadSetting for nonsense."""
    try:
        found = [stage for name in named if not is_metric(name) for stage in parse_stages(name)]
        catalog.check_stages(found, catalog.Settings())
    except BadSetting as error:
        raise BadSetting(f"UPSCALE_PRELOAD: {error}") from None
    return found


def fetch_named() -> None:
    """Downloads the models that UPSCALE_PRELOAD names, or else the usual one, where they are not here."""
    for weights in find_lacking(list_stages(preloaded(USUAL))):
        try:
            if may_be_asked(weights):
                finish(fetch(weights))
        except UpscaleError as error:
            log.info("not downloaded beforehand: %s", error)
            _failed.add(weights)


def can_be_fetched(weights: Weights) -> bool:
    """Returns whether a download is likely to succeed: it may be tried, and did not fail when the page was opened."""
    return may_be_asked(weights) and weights not in _failed
