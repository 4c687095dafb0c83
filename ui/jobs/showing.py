"""How long the page takes to write a result and cut it into tiles, learned from the results that it has shown.

It is kept in memory alone: the first result after a start tells it.
"""

import threading

from pipelines.environment import MEGA

AT_FIRST = 0.4  # seconds for a megapixel, where none was shown yet
LEAST_PIXELS = 100_000  # how long a smaller result takes tells too little

_lock = threading.Lock()
_learned: list[float] = []  # seconds for a megapixel: none, or one


def estimate_showing(size: tuple[int, int]) -> float:
    """Returns about how many seconds a result of that width and height takes beside the model's work."""
    return (_learned or [AT_FIRST])[0] * size[0] * size[1] / MEGA


def learn_showing(size: tuple[int, int], seconds: float) -> None:
    """Takes into account that a result of that width and height took so long.

    The first one replaces what was believed; each later one counts as much as all before it.
    """
    pixels = size[0] * size[1]
    if pixels < LEAST_PIXELS:
        return
    new = seconds * MEGA / pixels
    with _lock:
        _learned[:] = [(_learned[0] + new) / 2 if _learned else new]
