"""What one visitor may ask for: so many runs and downloads an hour, and so long a run.

A visitor is a network address. Whoever opens the page on the machine that serves it may ask for anything, and so may
everybody where no limit is set.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from gradio.context import LocalContext

from pipelines import environment
from pipelines.errors import UpscaleError
from pipelines.phrasing import format_duration

HOUR = 3600.0  # seconds
RUNS, DOWNLOADS = "runs", "downloads"
MOST_VISITORS = 10_000  # whose last hour is known; those that were not seen for the longest time give way
UNKNOWN = "unknown"  # whoever a proxy notes as something else than an address: all of them are one
SAME_VISITOR = 64  # bits of an address of version 6 that a visitor is known by: the rest is theirs to choose


class TooMuch(UpscaleError):
    """A visitor asks for more than one may have here."""


class Allowances:
    """What each visitor had within the last hour. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._had: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def take(self, visitor: str | None, what: str, most: int | None, count: int = 1, instead: str = "") -> None:
        """Notes that the visitor has `count` more RUNS or DOWNLOADS; None is whoever may have anything.

        Raises TooMuch where that would be more than `most` in an hour, and then notes nothing. `instead` says in the
        message what can be done at once.
        """
        if visitor is None or most is None or count < 1:
            return
        with self._lock:
            now = self._clock()
            had = self._had.setdefault((visitor, what), deque())
            self._had.move_to_end((visitor, what))
            while had and now - had[0] >= HOUR:
                had.popleft()
            if len(had) + count > most:
                frees = len(had) + count - most  # so many of those it had must be an hour ago
                wait = HOUR - (now - had[frees - 1]) if frees <= len(had) else HOUR
                raise TooMuch(_refuse(what, most, count, instead, wait))
            had.extend([now] * count)
            while len(self._had) > MOST_VISITORS:
                self._had.popitem(last=False)


ALLOWANCES = Allowances()


def take_run() -> None:
    """Notes that a run begins. Raises TooMuch."""
    ALLOWANCES.take(find_visitor(), RUNS, environment.most_runs())


def take_downloads(count: int) -> None:
    """Notes that the files of so many models are downloaded for a run. Raises TooMuch."""
    instead = "choose a model that needs no download, or "
    ALLOWANCES.take(find_visitor(), DOWNLOADS, environment.most_downloads(), count, instead)


def most_seconds() -> float:
    """Returns for how many seconds a run of the current event's visitor may compute."""
    return float("inf") if find_visitor() is None else environment.most_run_seconds()


def check_seconds(expected: float | None) -> None:
    """Raises TooMuch for a run that is expected to take longer than the current event's visitor may compute."""
    if expected is not None and expected > (most := most_seconds()):
        raise TooMuch(
            f"That would take about {format_duration(expected)}, and one run may compute for "
            f"{format_duration(most)} here: choose a smaller image, fewer models, or a faster one."
        )


def find_visitor() -> str | None:
    """Returns the address that the current event was sent from; None for this machine's own, or without an event.

    Behind a proxy it is the one that the proxy noted, as the server's uvicorn reads it: of proxies that
    FORWARDED_ALLOW_IPS names, because anybody may write such a header.
    """
    request = LocalContext.request.get(None)
    host = str(getattr(getattr(request, "client", None), "host", ""))
    if not host:
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return UNKNOWN
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SAME_VISITOR), strict=False))
    return str(address)


def _refuse(what: str, most: int, count: int, instead: str, wait: float) -> str:
    plural = "s" * (most != 1)
    may = f"start {most} run{plural}" if what == RUNS else f"have {most} model{plural} downloaded"
    said = f"One visitor may {may} per hour here"
    if count > most:
        return f"{said}, and this run needs {count}: {instead.removesuffix(', or ') or 'choose fewer'}."
    return f"{said}: {instead}try again in {format_duration(max(1.0, wait))}."
