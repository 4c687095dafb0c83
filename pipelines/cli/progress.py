"""What a run is doing, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.runs import Step


@contextmanager
def show_progress() -> Iterator[Callable[["Step"], None]]:
    """Shows a bar with an estimate of the time left, on a terminal; a new one for each total."""
    from tqdm import tqdm

    bar = None

    def update(step: "Step") -> None:
        nonlocal bar
        if bar is None or bar.total != step.total or bar.n > step.done:
            if bar is not None:
                bar.close()
            large = step.total > 10_000  # bytes
            bar = tqdm(total=step.total, leave=False, unit_scale=large, disable=None)
        bar.set_description(step.note, refresh=False)
        bar.update(step.done - bar.n)

    try:
        yield update
    finally:
        if bar is not None:
            bar.close()
