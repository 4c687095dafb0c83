"""What every answer has: headers that allow embedding and nothing else, and one sentence where it fails."""

import asyncio
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse
from fastapi.testclient import TestClient
from gradio.route_utils import FnIndexInferError
from httpx import InvalidURL
from starlette.exceptions import HTTPException

from ui.answers import HEADERS, Answers


def _break_off(error: Exception, kind: str) -> Response:
    def broken() -> Iterator[str]:
        yield "first"
        raise error

    return StreamingResponse(broken(), media_type=kind)


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.add_middleware(Answers)

    failures = {
        "/full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/secret/file"),
        "/unknown": FnIndexInferError("no such function"),
        "/address": InvalidURL("non-printable character"),
        "/wrong": KeyError("/srv/secret"),
    }

    def failing(path: str) -> None:
        raise failures[f"/{path}"]

    app.get("/fine")(lambda: "fine")
    app.get("/events")(lambda: _break_off(HTTPException(404), "text/event-stream"))
    app.get("/cut")(lambda: _break_off(LookupError("half-way"), "text/event-stream"))
    app.get("/download")(lambda: _break_off(HTTPException(404), "image/png"))
    app.get("/{path}")(failing)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/fine", "/full", "/wrong"])
def test_anybody_may_embed_it_and_nothing_else(path: str, client: TestClient) -> None:
    headers = client.get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "frame-ancestors *;" in headers["Content-Security-Policy"] and "X-Frame-Options" not in headers


@pytest.mark.parametrize(
    ("path", "status", "detail", "logged"),
    [
        ("/full", 507, "The server has no room left. Try again later.", "no room is left for what visitors send"),
        ("/unknown", 404, "There is no such function.", ""),
        ("/address", 400, "That is no address.", ""),
        ("/wrong", 500, "Something unexpected went wrong. It has been logged.", "KeyError: '/srv/secret'"),
    ],
)
def test_a_failure_is_one_sentence(
    path: str, status: int, detail: str, logged: str, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a path of the server; what should not happen is in the log."""
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert logged in caplog.text and (logged or not caplog.text)


def test_a_stream_for_a_session_that_there_is_not_ends_in_silence(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Which it says itself: anybody may make up a session."""
    answer = client.get("/events")
    assert (answer.status_code, answer.text, caplog.text) == (200, "first", "")


@pytest.mark.parametrize("path", ["/cut", "/download"])
def test_an_answer_that_breaks_off_does_not_look_whole(path: str, client: TestClient) -> None:
    """As a download that is cut: its end is never sent, so a client says that it is incomplete."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.sleep(60)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}

    def answer() -> None:
        asyncio.run(client.app(scope | {"asgi": {"spec_version": "2.4"}}, receive, send))  # type: ignore[arg-type]

    with ThreadPoolExecutor(1) as thread, pytest.raises((LookupError, RuntimeError), match=r"half-way|handled"):
        thread.submit(answer).result()  # the browser of other tests keeps a loop in this one
    bodies = [each for each in sent if each["type"] == "http.response.body"]
    assert [(each["body"], each["more_body"]) for each in bodies] == [(b"first", True)]
