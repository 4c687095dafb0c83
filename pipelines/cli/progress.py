"""What a run is doing, on a terminal, and what it made, in a line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.enlarge import Details
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


@contextmanager
def show_files() -> Iterator[Callable[["Step"], None]]:
    """Shows two bars on a terminal: images with the time left, and above it the tiles of the one at work."""
    from tqdm import tqdm

    from pipelines.batch.run import FileStep

    with show_progress() as show:
        bar = None

        def update(step: "Step") -> None:
            nonlocal bar
            if not isinstance(step, FileStep):
                return
            if bar is None:
                bar = tqdm(total=step.total, desc="images", unit="image", leave=False, disable=None, position=1)
            bar.update(step.done - bar.n)
            if step.within is not None:
                show(step.within)

        try:
            yield update
        finally:
            if bar is not None:
                bar.close()


def summarise(details: "Details") -> str:
    """Returns a line on how a result was made."""
    width, height = details.size
    tiles = f", {details.tiles} tiles" if details.tiles > 1 else ""
    return f"{width} x {height}, {details.model} x{details.scale}, {details.seconds:.2f} s on {details.device}{tiles}"
