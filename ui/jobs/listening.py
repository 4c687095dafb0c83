"""The page's queue, which ends what nobody listens to, and outlives a connection that is lost for a while.

Gradio's own ends a session's events at once when its stream breaks off, and runs those that were never listened to, as
a POST without the GET, to their end. Here both have the same time to be heard.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gradio.queueing import Event, Queue
from gradio.route_utils import FnIndexInferError
from gradio.server_messages import EventMessage, ProcessCompletedMessage
from gradio.utils import LRUCache, run_coro_in_background

from ui.jobs.lanes import describe_full

PATIENCE_SECONDS = 20  # for which events go on that nobody listens to: a reload, or a network that changes, is shorter
LOOK_SECONDS = 1.0  # seconds between two looks
IDLE_SECONDS = 0.01  # between two looks for new events; gradio's thousand a second take a tenth of a core all the time
EMPTYING_SECONDS = 5  # after which there is room again for events that only have to begin
MOST_SESSIONS = 2000  # whose messages are kept, as gradio does
STOPPING_SECONDS = 3.0  # in which all are told that the server stops
TELLING_SECONDS = 0.05  # between two looks at whether all have been told
STOPPING = "The server is being stopped, so the run was ended. Try again in a few minutes."
UNHEARD = "Nobody waited for the result, so the run was ended. Ask again."


class Inbox(asyncio.Queue[EventMessage]):
    """The messages for a session, which knows for how many looks nobody has waited for them."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners = 0
        self.unheard = 0

    async def get(self) -> EventMessage:
        self.listeners += 1
        try:
            return await super().get()
        finally:
            self.listeners -= 1
            self.unheard = 0


class ListeningQueue(Queue):
    """Gradio's queue, but that events last for as long as somebody listens to them, and PATIENCE_SECONDS more.

    `find_patience` says of a session for how many seconds instead, or None.
    """

    def __init__(self, *, find_patience: Callable[[str], float | None], **options: Any) -> None:
        super().__init__(**options)
        self.sleep_when_free = IDLE_SECONDS
        self._find_patience = find_patience
        self._inboxes: LRUCache[str, Inbox] = LRUCache(MOST_SESSIONS)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        super().start()  # type: ignore[no-untyped-call]
        run_coro_in_background(self._drop_unheard)

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        if body.fn_index not in self.blocks.fns:
            raise FnIndexInferError(f"there is no function {body.fn_index}")
        body.session_hash = body.session_hash or Event(None, self.blocks.fns[body.fn_index], request, username)._id
        if body.session_hash not in self._inboxes:
            self._inboxes[body.session_hash] = Inbox()
        inbox = self._inboxes[body.session_hash]
        inbox.unheard = 0
        self.pending_messages_per_session[body.session_hash] = inbox
        joined, said, how = await super().push(body, request, username)
        return joined, describe_full(EMPTYING_SECONDS) if how == "queue_full" else said, how

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        if event.session_hash in self.pending_messages_per_session:  # else it is too long ago
            super().send_message(event, event_message)

    async def clean_events(self, *, session_hash: str | None = None, event_id: str | None = None) -> None:
        """Called where a session's stream breaks off: its messages wait, and its events go on for now."""
        if session_hash is None:
            await super().clean_events(event_id=event_id)
        elif session_hash in self._inboxes:
            self.pending_messages_per_session[session_hash] = self._inboxes[session_hash]

    def tell_all(self, said: str) -> int:
        """Ends all events, from another thread than the loop's, and tells who listens why. Returns how many."""
        if self._loop is None or self._loop.is_closed():
            return 0
        ending = asyncio.run_coroutine_threadsafe(self._drop_all(said), self._loop)
        with suppress(TimeoutError):
            return ending.result(STOPPING_SECONDS)
        return 0

    async def _drop_all(self, said: str) -> int:
        sessions = {event.session_hash for event in self.event_ids_to_events.values() if event.alive}
        inboxes = [self._inboxes[session] for session in sessions if session in self._inboxes]
        for session in sessions & {*self._inboxes}:
            await self._drop(session, self._inboxes[session], said)
        while any(inbox.listeners and not inbox.empty() for inbox in inboxes):  # until they have been told
            await asyncio.sleep(TELLING_SECONDS)
        return len(sessions)

    async def _drop_unheard(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self.stopped:
            await asyncio.sleep(LOOK_SECONDS)
            for session in {event.session_hash for event in self.event_ids_to_events.values() if event.alive}:
                inbox = self._inboxes.get(session)
                if inbox is None or inbox.listeners:
                    continue
                inbox.unheard += 1
                patience = self._find_patience(session)
                if inbox.unheard * LOOK_SECONDS >= (PATIENCE_SECONDS if patience is None else patience):
                    await self._drop(session, inbox, UNHEARD)

    async def _drop(self, session: str, inbox: Inbox, said: str) -> None:
        """Ends the session's events; who asks for them after all is told why."""
        dropped = [event for event in self.event_ids_to_events.values() if event.session_hash == session]
        await super().clean_events(session_hash=session)
        for event in dropped:
            told = ProcessCompletedMessage(output={"error": said}, success=False)
            told.event_id = event._id
            inbox.put_nowait(told)
        self.pending_event_ids_session[session] = {event._id for event in dropped}
        for old in self.pending_event_ids_session.keys() - self._inboxes.keys():
            del self.pending_event_ids_session[old]
