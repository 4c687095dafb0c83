"""Work on a picture strip by strip, on all cores: memory does not grow with the picture."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipelines.runs import Run, Step

T = TypeVar("T")


def by_strips(work: Callable[[int, int], T], height: int, rows: int, note: str) -> Run[list[T]]:
    """What `work(top, stop)` gives for every `rows` rows of `height`, from the top.

    Strips are worked on in threads; closing the run drops those that have not begun.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        strips = [pool.submit(work, top, min(top + rows, height)) for top in range(0, height, rows)]
        results = []
        for done, strip in enumerate(strips, 1):
            results.append(strip.result())
            yield Step(done, len(strips), note)
        return results
    finally:
        pool.shutdown(cancel_futures=True)
