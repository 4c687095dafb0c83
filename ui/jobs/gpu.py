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

from pipelines.catalog.rows import Stage
from pipelines.environment import preloaded, zero_gpu
from pipelines.errors import UpscaleError
from pipelines.runs import Run, Sent, receive, send
from pipelines.upscalers.loading import device_name, pin
from ui.jobs.loans import can_use_gpu, read_refusal
from ui.jobs.prefetching import USUAL, list_stages

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


def run_job(
    seconds: int, stages: Sequence[Stage], job: Callable[P, Run[T]], *args: P.args, **kwargs: P.kwargs
) -> Run[T]:
    """Runs `job(*args)`, with the GPU for so many seconds if one of the models that it loads can use one.

    `job` is a function of a module; its arguments and its result are plain data and arrays of the CPU. What its models
    are loaded from is here already: time on the GPU is the visitor's quota. Raises what the job raises, OverQuota where
    the visitor has too little of it left, TakenBack where the run takes longer than it asked for, and gr.Error in the
    words of `spaces`, as plain text, when no GPU is available.
    """
    if can_use_gpu(stages):
        with _plain_errors():
            return (yield from receive(_on_gpu(seconds, job, *args, **kwargs)))
    return (yield from job(*args, **kwargs))


def preload() -> None:
    """Loads what UPSCALE_PRELOAD names, if there is a GPU or one can be borrowed: a process forked from here has it.

    Where one is borrowed it is the usual model unless the setting says otherwise. What is unavailable is logged, and
    the page opens without it. Raises BadSetting for what is no model.
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
    """Turns the platform's errors, which may be HTML, into ours or into plain text, which is shown as it is."""
    import gradio as gr  # not before `spaces`

    try:
        yield
    except gr.Error as error:
        # Not str(): the platform's own kind of string is HTML inside, and Markdown by its __str__.
        said = to_plain_text("".join(error.message))
        raise read_refusal(said) or gr.Error(said, print_exception=False) from None


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


def _borrow(function: Callable[P, Sent[T]]) -> Callable[P, Sent[T]]:
    """The function with a GPU for each call, if this is a Space that borrows them; its first argument says how long."""
    if not zero_gpu():
        return function
    import spaces  # before gradio and torch, which it patches: ui/command.py imports this module first

    return cast(Callable[P, Sent[T]], spaces.GPU(function, duration=lambda seconds, *args, **kwargs: seconds))


@_borrow
def _on_gpu(seconds: int, job: Callable[..., Run[T]], *args: Any, **kwargs: Any) -> Sent[T]:
    yield from send(job(*args, **kwargs))
