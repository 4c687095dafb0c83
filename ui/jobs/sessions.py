"""What the page keeps of each visitor's session: what differs from the page itself, and no more.

Gradio's own sessions each keep a copy of the whole page's configuration, 0.65 MB of it, for links to a state of the
page, which are not offered here; and every call of the API is a session. Ten thousand are kept: six gigabytes.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import copy
from typing import Any

import gradio as gr
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

KEPT_SECONDS = 3600  # for which the state of a session that is closed is kept, as gradio has it

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


class Session(SessionState):
    """The page's own components until one of them is changed, and the values of its states."""

    def __init__(self, blocks: gr.Blocks) -> None:  # not gradio's, which would make the copy first
        self.blocks_config = blocks.default_config
        self.config_values = {}
        self.state_data = {}
        self._state_ttl = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = KEPT_SECONDS
        self._shares = True

    def __setitem__(self, key: int, value: Any) -> None:
        if self._shares and not isinstance(self.blocks_config.blocks.get(key), gr.State):
            self.blocks_config, self._shares = copy(self.blocks_config), False
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Keeps nothing."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keeps nothing."""


class Sessions(StateHolder):
    """Gradio's store of sessions, which are ours."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self.blocks)
        return super().__getitem__(session_id)


def make_lifespan(*others: Lifespan) -> Lifespan:
    """What an app does from before its first request on: it keeps its sessions so, and what others do."""

    @asynccontextmanager
    async def live(app: App) -> AsyncIterator[None]:
        app.state_holder = Sessions()  # type: ignore[no-untyped-call]
        app.state_holder.set_blocks(app.get_blocks())
        async with AsyncExitStack() as stack:
            for each in others:
                await stack.enter_async_context(each(app))
            yield

    return live
