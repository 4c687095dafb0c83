"""Keeps all that a tab's long work changes in the store of results: a page that was loaded anew shows the same."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
from gradio.blocks import Block
from gradio.context import LocalContext

from ui.jobs import results
from ui.jobs.lanes import Visit, visiting

Update: TypeAlias = dict[Block, Any]  # the new value or properties of each component that changes
Work: TypeAlias = Callable[..., Iterator[Update]]


def keep_results(work: Work, give_again: Callable[..., Update], run_id: Block, state: gr.State | None = None) -> Work:
    """The same work, whose last argument is a run's id: all that it changes is kept in the store under that.

    `give_again` says how a page that was loaded anew gets the inputs back. The first that is changed is the component
    `run_id`, which says the id, and the `state`, which forgets what an earlier run left there.
    """
    takes = inspect.signature(work).parameters.values()
    extra = sum(each.annotation is gr.Request for each in takes)  # what gradio adds to the inputs

    @wraps(work)
    def run(*values: Any) -> Iterator[Update]:
        *given, key = values
        chosen = given[: len(given) - extra]

        def inputs() -> Update:
            try:
                return give_again(*chosen)
            except Exception:  # strangers may send anything; the work says what is wrong with it
                return {}

        kept, visit = results.begin(key, _find_session(), inputs), Visit()
        events, whole = work(*given), False
        first: Update = {run_id: kept.id} | ({} if state is None else {state: None})
        try:
            while not kept.cancelled:
                try:
                    with results.filling(kept), visiting(visit):
                        changes = next(events)
                except StopIteration:
                    whole = True
                    return
                changes, first = first | changes, {}
                kept.note(changes)
                yield changes
        finally:
            events.close()  # type: ignore[attr-defined]
            results.end(kept) if whole or kept.partial else results.forget(kept)

    return take_id(work, run)


def take_id(work: Work, run: Work) -> Work:
    """Returns `run`, by whose signature gradio hands over what it does to `work`, and then a run's id."""
    takes = [*inspect.signature(work).parameters.values()]
    if not any(each.kind == each.VAR_POSITIONAL for each in takes):
        takes.append(inspect.Parameter("run_id", inspect.Parameter.POSITIONAL_OR_KEYWORD))
    run.__signature__ = inspect.Signature(takes)  # type: ignore[attr-defined]
    return run


def _find_session() -> str:
    """Returns the session of the event that is handled; "" where there is none."""
    request = LocalContext.request.get(None)
    return str(getattr(request, "session_hash", None) or "")


def give_values(inputs: Sequence[Block]) -> Callable[..., Update]:
    """Returns what gives the components these values again."""
    return lambda *values: dict(zip(inputs, map(_as_value, values), strict=True))


def _as_value(given: Any) -> Any:
    """Returns what an input handed over as the component takes it back."""
    if isinstance(given, list):
        return [*map(_as_value, given)]
    if isinstance(given, bytes):  # a picture that no page sends
        return None
    return str(given) if isinstance(given, Path) else given
