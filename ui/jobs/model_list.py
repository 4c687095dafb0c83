"""OpenModelDB's list, brought when somebody first searches it, and once for all visitors."""

import logging
import threading
import time

from pipelines.errors import UpscaleError
from pipelines.runs import finish
from pipelines.weights.fetch import refresh_list

AGAIN_SECONDS = 60.0  # until an unavailable list is asked for again
WAITING = "OpenModelDB's list is being downloaded. Search again in a moment."
UNAVAILABLE = "OpenModelDB's list is not available here, so it cannot be searched."

log = logging.getLogger(__name__)
_bringing = threading.Lock()
_next_try = 0.0  # by time.monotonic


def bring() -> str:
    """Downloads the list, unless that is being done or just failed; returns why it is not here, "" where it is."""
    global _next_try
    if not _bringing.acquire(blocking=False):
        return WAITING
    try:
        if time.monotonic() < _next_try:
            return UNAVAILABLE
        finish(refresh_list())
        return ""
    except UpscaleError as error:
        log.info("%s", error)
        _next_try = time.monotonic() + AGAIN_SECONDS
        return UNAVAILABLE
    finally:
        _bringing.release()
