"""The GPU boundary: the only place that knows of GPUs which are borrowed for one call, as on a ZeroGPU Space.

There, what needs the GPU runs in a forked process that has it. That process outlives the call and serves later ones;
it is given, and gives back, only what can be pickled, and only by yielding. Anywhere else all runs happen right here,
and the package `spaces` need not be installed.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any, ParamSpec, TypeVar, cast

from pipelines import estimates
from pipelines.catalog.rows import Settings, Stage
from pipelines.environment import preloaded, zero_gpu
from pipelines.errors import BadSetting, UpscaleError
from pipelines.images.door import Picture
from pipelines.phrasing import format_duration
from pipelines.runs import Run, Sent, receive, send
from pipelines.upscalers.loading import device_name, pin
from ui.jobs.prefetching import USUAL, list_stages

P = ParamSpec("P")
T = TypeVar("T")

USUAL_LOAN = 60  # seconds for which a GPU is borrowed where nobody knows how long
STARTING_SECONDS = 10  # that a process on a GPU may take until a network of ours runs: the least that is asked for
LOADING_SECONDS = 20  # seconds that a diffusion model may take until it begins
LOAN_SLACK = 1.5  # how much longer than estimated a run may take
GPU_SPEEDUP = 20  # times, a GPU than two cores of a processor; by its operations a hundred and more
FLOAT32_SLOWDOWN = 8  # times, a network on a GPU in float32, which images of 16 bits need, than in float16
LONGEST_LOAN = 240  # seconds; who asks for longer waits longer, and few visitors have more left of their day's quota

log = logging.getLogger(__name__)


def run_job(
    seconds: int, stages: Sequence[Stage], job: Callable[P, Run[T]], *args: P.args, **kwargs: P.kwargs
) -> Run[T]:
    """Runs `job(*args)`, with the GPU for so many seconds if one of the models that it loads can use one.

    `job` is a function of a module; its arguments and its result are plain data and arrays of the CPU. What its models
    are loaded from is here already: time on the GPU is the visitor's quota. Raises what the job raises, and gr.Error in
    the words of `spaces`, as plain text, when no GPU can be had.
    """
    if _can_use_gpu(stages):
        with _plain_errors():
            return (yield from receive(_on_gpu(seconds, job, *args, **kwargs)))
    return (yield from job(*args, **kwargs))


def plan_picture_loan(
    stages: Sequence[Stage],
    settings: Settings | None,
    size: tuple[int, int] | None,
    picture: Picture | None = None,
) -> int:
    """Returns for how many seconds to borrow a GPU for a picture of that size, by its tiles and steps in diffusion.

    More for a `picture` with opacity, which networks enlarge too, or of 16 bits, which they compute in float32. Raises
    BadSetting where no GPU can be borrowed for so long, and where this matters: it would end half-way.
    """
    taken = estimate_seconds(stages, settings, *size) if size else None
    instead = f"take a smaller image{', or fewer steps' * any(stage.model.diffusion for stage in stages)}"
    more = 0.0 if picture is None or taken is None else taken * (_times_longer(stages, picture) - 1)
    return plan_loan(stages, taken or 0.0, instead, taken is None, more)


def plan_loan(stages: Sequence[Stage], taken: float, instead: str, unknown: int = 0, more: float = 0.0) -> int:
    """Returns for how many seconds to borrow a GPU for a job of these models that takes so long.

    `unknown` counts the runs beyond those that nobody can estimate, and `more` is what it may take on top, by a belief
    that is too rough to refuse a job. Raises as `plan_picture_loan`; `instead` says how the job would be shorter.
    """
    diffusion = len({stage for stage in stages if stage.model.diffusion})
    if diffusion and unknown:
        return LONGEST_LOAN
    loading = LOADING_SECONDS * diffusion or STARTING_SECONDS
    if zero_gpu() and _can_use_gpu(stages) and loading + taken > LONGEST_LOAN:
        most = f"a GPU is lent for {format_duration(LONGEST_LOAN)} at the most"
        raise BadSetting(
            f"That would take about {format_duration(taken)} after {format_duration(loading)} to load, "
            f"and {most}: {instead}."
        )
    asked = LOAN_SLACK * (taken + more) + (USUAL_LOAN * unknown or loading)
    return min(LONGEST_LOAN, round(asked))


def _times_longer(stages: Sequence[Stage], picture: Picture) -> int:
    """Returns how many times longer than an opaque one of 8 bits a picture takes the networks on a GPU."""
    if any(stage.model.diffusion for stage in stages):
        return 1
    opacity = picture.alpha is not None and picture.alpha.min() < picture.alpha.max()
    return (1 + opacity) * (FLOAT32_SLOWDOWN if picture.depth == 16 else 1)


def check_loan(stages: Sequence[Stage], settings: Settings | None, size: tuple[int, int]) -> None:
    """Raises BadSetting where a run would take longer than a GPU can be borrowed, as `plan_picture_loan` does."""
    plan_picture_loan(stages, settings, size)


def estimate_seconds(stages: Sequence[Stage], settings: Settings | None, width: int, height: int) -> float | None:
    """Returns the seconds of all stages together on a picture of that size; None if one of them was never measured.

    Where a GPU is borrowed, networks that were measured on a processor alone are quicker.
    """
    total = 0.0
    for stage, each in zip(stages, estimates.estimate_each(stages, width, height, settings), strict=True):
        if each.seconds is None:
            return None
        row = stage.model
        by_gpu = zero_gpu() and row.gpu and not row.diffusion and each.on_cpu
        total += each.seconds / (GPU_SPEEDUP if by_gpu else 1)
    return total


def preload() -> None:
    """Loads what UPSCALE_PRELOAD names, if there is a GPU or one can be borrowed: a process forked from here has it.

    Where one is borrowed it is the usual model unless the setting says otherwise. What cannot be had is logged, and the
    page opens without it. Raises BadSetting for what is no model.
    """
    stages = list_stages(preloaded(USUAL if zero_gpu() else ""))
    if not stages or not (zero_gpu() or device_name() == "cuda"):
        return
    for stage in stages:
        try:
            pin(*stage)
        except (UpscaleError, MemoryError) as error:
            reason = str(error) or "there is not enough memory for it."
            log.warning("%s x%d is not preloaded: %s", *stage, reason)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns the platform's errors, which may be HTML, into plain text: the page, and callers of the API, show that."""
    import gradio as gr  # not before `spaces`

    try:
        yield
    except gr.Error as error:
        # Not str(): the platform's own kind of string is HTML inside, and Markdown by its __str__.
        raise gr.Error(to_plain_text("".join(error.message)), print_exception=False) from None


def to_plain_text(html: str) -> str:
    """Returns the text of a piece of HTML: without its tags, but with the addresses of its links, and in one line."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return " ".join("".join(reader.parts).split())


class _Text(HTMLParser):
    """Gathers the text between tags, character references decoded, and each web address that a link leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._address = ""

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._address = (dict(attrs).get("href") or "") if tag == "a" else self._address
        if tag in ("br", "p", "div", "li"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._address.startswith("https://"):
            self.parts.append(f" ({self._address})")
            self._address = ""


def _can_use_gpu(stages: Sequence[Stage]) -> bool:
    return any(stage.model.gpu for stage in stages)


def _borrow(function: Callable[P, Sent[T]]) -> Callable[P, Sent[T]]:
    """The function with a GPU for each call, if this is a Space that borrows them; its first argument says how long."""
    if not zero_gpu():
        return function
    import spaces  # before gradio and torch, which it patches: ui/command.py imports this module first

    return cast(Callable[P, Sent[T]], spaces.GPU(function, duration=lambda seconds, *args, **kwargs: seconds))


@_borrow
def _on_gpu(seconds: int, job: Callable[..., Run[T]], *args: Any, **kwargs: Any) -> Sent[T]:
    yield from send(job(*args, **kwargs))
