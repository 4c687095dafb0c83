"""How much memory a piece of work takes: its peak above what was held before, sampled while it goes on.

What worked on a CUDA GPU is told by the memory that it took there.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.machine import trim_heap
from pipelines.runs import Run, T

SAMPLING_SECONDS = 0.002  # seconds between two looks: a picture of a tenth of a megapixel takes about as long


class Peak:
    """The most resident memory seen so far, above the level at the beginning."""

    def __init__(self, level: int) -> None:
        self._level = self._most = level
        self._on_gpu = 0
        self._paused_at: int | None = None
        self._lock = threading.Lock()

    def record(self, resident: int) -> None:
        """Takes note of the resident memory of this moment, in bytes."""
        with self._lock:
            if self._paused_at is None:
                self._most = max(self._most, resident)

    def pause(self, resident: int) -> None:
        """Takes note of nothing from now on."""
        self.record(resident)
        self._paused_at = resident

    def go_on(self, resident: int) -> None:
        """Takes note again; what others have added or freed since `pause` counts for nothing."""
        with self._lock:
            added = resident - (resident if self._paused_at is None else self._paused_at)
            self._level, self._most, self._paused_at = self._level + added, self._most + added, None

    def record_gpu(self, added: int) -> None:
        """Takes note of the bytes that were added on the GPU at most."""
        self._on_gpu = added

    @property
    def megabytes(self) -> float:
        """Returns MB of 10^6 bytes; 0 where nothing was added. On the GPU, if something was added there."""
        return (self._on_gpu or self._most - self._level) / 1e6


def watch_peak(run: Run[T], peak: Peak) -> Run[T]:
    """Returns the same run; what happens to memory between a step and the next being asked for is the caller's."""
    import psutil

    process = psutil.Process()
    try:
        while True:
            step = next(run)
            peak.pause(process.memory_info().rss)
            yield step
            peak.go_on(process.memory_info().rss)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        run.close()


@contextmanager
def measure_peak_memory() -> Iterator[Peak]:
    """The process's peak resident memory inside the block, from all its threads.

    What the process has freed before is given back first where that can be done (Linux with glibc): used again it would
    count for nothing, and who runs last would seem to need the least.
    """
    import psutil

    process = psutil.Process()
    trim_heap()
    peak = Peak(process.memory_info().rss)
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLING_SECONDS):
            peak.record(process.memory_info().rss)

    sampler = threading.Thread(target=sample, name="memory", daemon=True)
    sampler.start()
    on_gpu = _gpu_peak()
    try:
        yield peak
    finally:
        done.set()
        sampler.join()
        peak.record(process.memory_info().rss)
        peak.record_gpu(on_gpu())


def _gpu_peak() -> Callable[[], int]:
    """A function that tells how many bytes torch held on the GPU at most since now, above what it holds now."""
    torch = sys.modules.get("torch")  # what has not been imported has no GPU in use, and takes seconds to import
    if torch is None or not torch.cuda.is_initialized():
        return lambda: 0
    torch.cuda.reset_peak_memory_stats()
    level = torch.cuda.memory_allocated()
    return lambda: int(torch.cuda.max_memory_allocated() - level)
