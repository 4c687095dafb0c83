"""Work on a picture strip by strip, on all cores: memory does not grow with the picture."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipelines.runs import Run, Step

T = TypeVar("T")

STRIPS_PER_CORE = 4  # strips for each core: few enough to be cancelled soon, enough that no core waits for long


def map_strips(work: Callable[[int, int], T], height: int, rows: int, note: str) -> Run[list[T]]:
    """Returns what `work(top, stop)` gives for every `rows` rows of `height`, from the top.

    Strips are worked on in threads, some at a time. Between those nothing works on: a run that is timed would otherwise
    be given the time between two steps for nothing.
    """
    cores = os.cpu_count() or 1
    tops = range(0, height, rows)
    results: list[T] = []
    with ThreadPoolExecutor(cores) as pool:
        for first in range(0, len(tops), STRIPS_PER_CORE * cores):
            some = tops[first : first + STRIPS_PER_CORE * cores]
            results += pool.map(lambda top: work(top, min(top + rows, height)), some)
            yield Step(len(results), len(tops), note)
    return results
