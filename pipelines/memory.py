"""How much memory a piece of work takes: its peak above what was held before, sampled while it goes on."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERVAL = 0.002  # seconds between two looks: a picture of a tenth of a megapixel takes about as long


class Peak:
    """The most resident memory seen so far, above the level at the beginning."""

    def __init__(self, level: int) -> None:
        self._level = self._most = level

    def see(self, resident: int) -> None:
        """Take note of the resident memory of this moment, in bytes."""
        self._most = max(self._most, resident)

    @property
    def megabytes(self) -> float:
        """In MB of 10^6 bytes; 0 where nothing was added."""
        return (self._most - self._level) / 1e6


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """The process's peak resident memory inside the block, from all its threads.

    What the process has freed before is given back first where that can be done (Linux with glibc): used again it would
    count for nothing, and who runs last would seem to need the least.
    """
    import psutil

    process = psutil.Process()
    _give_back()
    peak = Peak(process.memory_info().rss)
    done = threading.Event()

    def sample() -> None:
        while not done.wait(INTERVAL):
            peak.see(process.memory_info().rss)

    sampler = threading.Thread(target=sample, name="memory", daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        done.set()
        sampler.join()
        peak.see(process.memory_info().rss)


def _give_back() -> None:
    """Return freed memory to the system."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # musl has none
            trim(0)
