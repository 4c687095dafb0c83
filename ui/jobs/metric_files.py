"""The files that metrics need, fetched while the page opens: a visitor cannot be asked to install anything."""

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.catalog.rows import METRIC_FILES
from pipelines.environment import preloaded
from pipelines.phrasing import format_download
from pipelines.runs import finish

if TYPE_CHECKING:
    from pipelines.measuring.run import Judges

USUAL = "niqe"  # 12 kB, unless UPSCALE_PRELOAD says otherwise

_failed: set[str] = set()  # metrics whose files could not be downloaded

log = logging.getLogger(__name__)


def is_metric(named: str) -> bool:
    """Returns whether an entry of UPSCALE_PRELOAD is a metric, such as "lpips", and no model."""
    return named in METRIC_FILES


def start_fetching() -> threading.Thread | None:
    """Begins to download what the metrics that UPSCALE_PRELOAD names lack; None where it names none.

    The page need not wait: a comparison measures what is there by then. What cannot be downloaded is logged.
    """
    keys = [named for named in preloaded(USUAL) if is_metric(named)]
    if not keys:
        return None
    level = logging.WARNING if preloaded() else logging.INFO  # nobody asked for the usual one
    thread = threading.Thread(target=_fetch, args=(keys, level), name="metric files", daemon=True)
    thread.start()
    return thread


def _fetch(keys: Sequence[str], level: int) -> None:
    from pipelines.measuring.run import fetch_files

    failed = finish(fetch_files(keys))
    _failed.difference_update(keys)
    _failed.update(failed)
    for key, reason in failed.items():
        log.log(level, "%s is not preloaded: %s", key, reason)


def load_judges() -> "Judges":
    """Returns what the metrics need, as far as it is here; of what the server tried to download in vain, that."""
    from pipelines.measuring.run import Judges, find_metric, find_missing_files
    from pipelines.measuring.run import load_judges as load

    judges = load()
    tried = {}
    for key in _failed & judges.lacking.keys():
        size = format_download(sum(needed.size for needed in find_missing_files(key)))
        tried[key] = f"The server could not download {find_metric(key).name} ({size})."
    return Judges(judges.loaded, {**judges.lacking, **tried})
