"""What every answer of the server has in common: its headers, and that a failure is one sentence.

An ASGI middleware. Anybody may embed the page, and a browser is to do nothing else that was not asked for. Gradio
writes no such headers, and answers what it does not understand with a traceback in the log.
"""

import logging
from collections.abc import Mapping

from gradio.route_utils import FnIndexInferError
from httpx import InvalidURL
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.jobs.running import FULL, NO_ROOM

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "frame-ancestors *; object-src 'none'; base-uri 'self'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",  # a visitor's file is what it is served as
}
EVENTS = "text/event-stream"

log = logging.getLogger(__name__)


class Answers:
    """Adds HEADERS to what has none of that name, and answers what failed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, kind = False, ""

        async def add(message: Message) -> None:
            nonlocal started, kind
            if message["type"] == "http.response.start":
                started, kind = True, MutableHeaders(scope=message).get("content-type", "")
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, add)
        except Exception as error:
            if not started:
                await explain_failure(error)(scope, receive, add)
            elif kind.startswith(EVENTS) and _is_unknown_session(error):
                log.debug("nobody knows the session of a stream", exc_info=True)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:  # cut off, and not ended: who asked must not take the part for the whole
                raise


def _is_unknown_session(error: Exception) -> bool:
    """Whether gradio ended a stream of events, and said so in it, because anybody may make up a session."""
    cause = error.__cause__ if isinstance(error, RuntimeError) else error  # as starlette wraps it
    return isinstance(cause, HTTPException) and cause.status_code == 404


def explain_failure(error: Exception) -> JSONResponse:
    """Returns the answer to a request that failed. What should not happen is logged."""
    if isinstance(error, FnIndexInferError):
        return JSONResponse({"detail": "There is no such function."}, status_code=404)
    if isinstance(error, InvalidURL):  # gradio's route to other pages takes an address from whoever asks
        return JSONResponse({"detail": "That is no address."}, status_code=400)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        log.error("no room is left for what visitors send: %s", error.strerror)
        return JSONResponse({"detail": FULL}, status_code=507)
    log.error("a request failed", exc_info=error)
    return JSONResponse({"detail": "Something unexpected went wrong. It has been logged."}, status_code=500)
