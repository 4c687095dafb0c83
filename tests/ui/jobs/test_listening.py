"""The queue ends what nobody listens to, and nothing else."""

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal

from ui.jobs import listening, results
from ui.jobs.listening import UNHEARD, ListeningQueue


def test_only_what_somebody_listens_to_or_follows_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four sessions that wait, one never asked for its messages; who asks after all is told what became of it.

    A page's browser may lose its connection for a minute.
    """
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(listening, "PATIENCE_SECONDS", 0.05)
    with gr.Blocks() as blocks:
        gr.Button().click(lambda: None)
    patience = {"followed": math.inf, "lost": 60.0}
    options = {"live_updates": False, "concurrency_count": 1, "update_intervals": 1, "max_size": 9, "blocks": blocks}

    async def wait() -> tuple[set[str], Sequence[object]]:
        queue = ListeningQueue(find_patience=patience.get, **options)
        for session in ("heard", "lost", "followed", "unheard"):
            await queue.push(PredictBodyInternal(fn_index=0, data=[], session_hash=session), None, None)
        inboxes = queue.pending_messages_per_session

        async def listen() -> None:
            while True:
                await inboxes["heard"].get()

        tasks = [asyncio.create_task(listen()), asyncio.create_task(queue._drop_unheard())]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        told = inboxes["unheard"]
        messages = [told.get_nowait() for _ in range(told.qsize())]
        return {event.session_hash for event in queue.event_ids_to_events.values()}, messages

    # In a thread of its own: the tests' browser has a loop running in this one.
    with ThreadPoolExecutor(1) as own:
        left, messages = own.submit(lambda: asyncio.run(wait())).result()
    assert left == {"heard", "lost", "followed"}
    assert getattr(messages[-1], "output", None) == {"error": UNHEARD}


def test_a_page_may_lose_its_connection_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """While its run goes on; a run that somebody follows is never ended, and one that has ended holds nothing up."""
    monkeypatch.setattr(results, "_kept", {})
    kept = results.begin("", "page")
    assert results.find_patience("api") is None
    assert results.find_patience("page") == results.LOST_SECONDS > 60 + listening.LOOK_SECONDS
    with results.follow(kept):
        assert results.find_patience("page") == math.inf
    results.end(kept)
    assert results.find_patience("page") is None
