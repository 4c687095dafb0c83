"""What every answer has: headers that allow embedding and nothing else, and one sentence where it fails."""

import errno
import os
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from gradio.route_utils import FnIndexInferError

from ui.answers import HEADERS, Answers


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.add_middleware(Answers)

    def broken() -> Iterator[str]:
        yield "first"
        raise LookupError("no such session")

    failures = {
        "/full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/secret/file"),
        "/unknown": FnIndexInferError("no such function"),
        "/wrong": KeyError("/srv/secret"),
    }

    def failing(path: str) -> None:
        raise failures[f"/{path}"]

    app.get("/fine")(lambda: "fine")
    app.get("/stream")(lambda: StreamingResponse(broken()))
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


def test_a_stream_that_fails_ends_in_silence(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/stream")
    assert (answer.status_code, answer.text, caplog.text) == (200, "first", "")
