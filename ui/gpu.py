"""The GPU boundary: the only place that knows of GPUs which are borrowed for one call, as on a ZeroGPU Space.

There, what needs the GPU runs in a forked process that has it. That process outlives the call and serves later ones;
it is given, and gives back, only what can be pickled, and only by yielding. Anywhere else all runs happen right here,
and the package `spaces` need not be installed.
"""

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from pipelines import catalog
from pipelines.runs import Run, Sent, received, sent
from pipelines.settings import zero_gpu
from pipelines.upscalers import Settings, fetch

P = ParamSpec("P")
T = TypeVar("T")


def run(
    stages: Sequence[tuple[str, int]],
    settings: Settings | None,
    job: Callable[P, Run[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Run[T]:
    """Do `job(*args)`, on the GPU if one of the models (key, scale) that it loads can use one.

    `job` is a function of a module; its arguments and its result are plain data and arrays of the CPU. What the models
    lack to run with the settings is downloaded first, here: time on the GPU is the visitor's quota. Raises what the job
    and `fetch` raise, and gr.Error in the words of `spaces` when no GPU can be had.
    """
    yield from fetch(stages, settings)
    return (yield from within(stages, job, *args, **kwargs))


def within(stages: Sequence[tuple[str, int]], job: Callable[P, Run[T]], *args: P.args, **kwargs: P.kwargs) -> Run[T]:
    """`run` for a job whose models are here as far as they can be had."""
    if any(catalog.find(key).gpu for key, _ in stages):
        return (yield from received(_on_gpu(job, *args, **kwargs)))
    return (yield from job(*args, **kwargs))


def _borrowing(function: Callable[P, Sent[T]]) -> Callable[P, Sent[T]]:
    """The function with a GPU for each call, if this is a Space that borrows them."""
    if not zero_gpu():
        return function
    import spaces  # before gradio and torch, which it patches: app.py imports this module first

    return cast(Callable[P, Sent[T]], spaces.GPU(function))


@_borrowing
def _on_gpu(job: Callable[..., Run[T]], *args: Any, **kwargs: Any) -> Sent[T]:
    yield from sent(job(*args, **kwargs))
