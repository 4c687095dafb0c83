"""The sampled peak sees what was held for a while, also when it is let go again."""

import time

import numpy as np
import pytest

from pipelines.memory import peak_memory


def test_peak_counts_what_was_let_go_again() -> None:
    with peak_memory() as peak:
        held = np.ones(100_000_000, np.uint8)
        time.sleep(0.05)
        del held
    assert 95 < peak.megabytes < 200


def test_nothing_held_is_nothing() -> None:
    with peak_memory() as peak:
        pass
    assert peak.megabytes < 20


def test_the_sampler_ends_with_an_error() -> None:
    import threading

    with pytest.raises(RuntimeError), peak_memory():
        raise RuntimeError
    assert not [thread for thread in threading.enumerate() if thread.name == "memory"]
