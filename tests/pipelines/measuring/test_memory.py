"""The sampled peak sees what was held for a while, also when it is let go again."""

import ctypes
import time

import numpy as np
import pytest
import torch

from pipelines.measuring.memory import measure_peak_memory, watch_peak
from pipelines.runs import Run, Step, finish


def test_peak_counts_what_was_let_go_again() -> None:
    with measure_peak_memory() as peak:
        held = np.ones(100_000_000, np.uint8)
        time.sleep(0.05)
        del held
    assert 95 < peak.megabytes < 200


def test_nothing_held_is_nothing() -> None:
    with measure_peak_memory() as peak:
        pass
    assert peak.megabytes < 20


def test_what_others_hold_between_two_steps_is_not_the_runs() -> None:
    """As a short run for which this one gives way."""

    def work() -> Run[int]:
        held = np.ones(60_000_000, np.uint8)
        yield Step(0, 1, "working")
        return len(held)

    with measure_peak_memory() as peak:
        run = watch_peak(work(), peak)
        next(run)
        others = np.ones(300_000_000, np.uint8)
        time.sleep(0.05)
        assert finish(run) == 60_000_000
    assert 55 < peak.megabytes < 150 and others.size


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives back when asked")
def test_memory_that_was_freed_before_counts_when_it_is_used_again() -> None:
    """Blocks small enough to be cut out of the heap, with one left above them, so that the heap cannot shrink."""
    held = [bytes([1]) * 100_000 for _ in range(500)]
    above = held.pop()
    held.clear()
    with measure_peak_memory() as peak:
        held += [bytes([1]) * 100_000 for _ in range(500)]
    assert peak.megabytes > 40 and above


def test_on_a_gpu_its_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own counters, but for the GPU behind them."""
    counters = iter([300_000_000, 750_000_000])
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: next(counters))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: next(counters))
    with measure_peak_memory() as peak:
        pass
    assert peak.megabytes == 450


def test_the_sampler_ends_with_an_error() -> None:
    import threading

    with pytest.raises(RuntimeError), measure_peak_memory():
        raise RuntimeError
    assert not [thread for thread in threading.enumerate() if thread.name == "memory"]
