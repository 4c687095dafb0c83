"""The queue ends what nobody listens to, and nothing else."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal

from ui.jobs import listening
from ui.jobs.listening import UNHEARD, ListeningQueue


def test_only_what_somebody_listens_to_or_follows_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three sessions that wait, one never asked for its messages; who asks after all is told what became of it."""
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(listening, "PATIENCE_SECONDS", 0.05)
    with gr.Blocks() as blocks:
        gr.Button().click(lambda: None)
    options = {"live_updates": False, "concurrency_count": 1, "update_intervals": 1, "max_size": 9, "blocks": blocks}

    async def wait() -> tuple[set[str], Sequence[object]]:
        queue = ListeningQueue(is_followed=lambda session: session == "followed", **options)
        for session in ("heard", "followed", "unheard"):
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
    assert left == {"heard", "followed"}
    assert getattr(messages[-1], "output", None) == {"error": UNHEARD}
