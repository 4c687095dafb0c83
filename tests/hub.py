"""A Hugging Face Hub and a plain file server on 127.0.0.1, for tests: real HTTP, and told to misbehave file by file.

It answers HEAD and GET of /{repo}/resolve/{revision}/{file} as the Hub does, with ETag, X-Repo-Commit, Content-Length
and Range, and everything that `serve` was given at its own path.
"""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest

REVISION = "c0ffee" * 6 + "c0de"
PIECE = 1 << 14  # what "slow" sends at a time

Behaviour = Literal[
    "ok",
    "missing",  # 404
    "gated",  # 403, with the Hub's X-Error-Code
    "error",  # 500
    "hang",  # takes the request and never answers
    "stall",  # sends half and then nothing
    "cut",  # sends half and closes the connection
    "wrong",  # other bytes of the same length
    "slow",  # takes more than half a second
    "no range",  # ignores Range
    "garbled",  # announces a length that is no number
    "huge",  # announces five times what it has
    "endless",  # announces nothing and sends for ever
    "elsewhere",  # redirects to another host and offers Xet, as the Hub does for large files
]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class LoopbackHub:
    """A context manager; `files` maps a path on the server to its content, `behaviour` to how it is answered."""

    files: dict[str, bytes] = field(default_factory=dict)
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.hub = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, repo: str, path: str, content: bytes, behaviour: Behaviour = "ok") -> str:
        """Put a file into a repository at REVISION; returns its path on the server."""
        return self.serve(f"/{repo}/resolve/{REVISION}/{path}", content, behaviour)

    def serve(self, path: str, content: bytes, behaviour: Behaviour = "ok") -> str:
        """Put a file at any path of the server."""
        self.files[path] = content
        self.behaviour[path] = behaviour
        if behaviour == "elsewhere":
            self.serve(f"/elsewhere{path}", content)
        return path

    def gets(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "GET" and asked.path == path]


def use(hub_url: str, home: Path, monkeypatch: pytest.MonkeyPatch, offline: bool = False) -> None:
    """Point huggingface_hub, here and in processes started from here, at a Hub and at a home of its own.

    The library reads its environment once, when it is imported, so here its constants are set as well. gradio imports
    it, which any test module may do before the first test runs.
    """
    import huggingface_hub
    from huggingface_hub import constants

    for name, value in {
        "HF_HOME": str(home),
        "HF_ENDPOINT": hub_url,
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)
    for name, value in {
        "ENDPOINT": hub_url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub_url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_XET_CACHE": str(home / "xet"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "CHECK_FOR_UPDATE_DONE_PATH": str(home / ".check_for_update_done"),
        "AGENT_HARNESSES_PATH": str(home / ".agent_harnesses.json"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    huggingface_hub.close_session()  # a connection that is kept from the last test leads nowhere


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them and no socket outlives the test
    hub: LoopbackHub


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, with_content: bool) -> None:
        hub = self.server.hub
        hub.asked.append(Asked(self.command, self.path, self.headers["Range"], self.headers["Authorization"]))
        content = hub.files.get(self.path)
        behaviour = hub.behaviour.get(self.path, "missing")
        if behaviour == "hang":
            hub.closing.wait()
            return
        if content is None or behaviour == "missing":
            self._refuse(404, "EntryNotFound")
        elif behaviour == "gated":
            self._refuse(403, "GatedRepo")
        elif behaviour == "error":
            self._refuse(500, None)
        elif behaviour == "elsewhere":
            self._redirect(content)
        else:
            self._send(content, behaviour, with_content)

    def _refuse(self, status: int, code: str | None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _redirect(self, content: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere{self.path}")
        self.send_header("X-Linked-ETag", f'"{self._etag(content)}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Xet-Hash", hashlib.sha256(content).hexdigest())
        self.send_header("X-Xet-Refresh-Route", f"{self.server.hub.url}/xet-token")
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, behaviour: Behaviour, with_content: bool) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked and behaviour != "no range" else 0
        if start >= len(content):
            self._refuse(416, None)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        lengths = {"garbled": "many", "huge": str(5 * len(content)), "endless": None}
        length = lengths.get(behaviour, str(len(content) - start))
        if length is not None:
            self.send_header("Content-Length", length)
        self.send_header("ETag", f'"{self._etag(content)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if with_content:
            try:
                self._send_body(content[start:], behaviour)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client left, as it is asked to in many a test

    def _etag(self, content: bytes) -> str:
        if self.path.endswith(".json"):  # the Hub keeps small text files in git itself
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return hashlib.sha256(content).hexdigest()

    def _send_body(self, body: bytes, behaviour: Behaviour) -> None:
        if behaviour == "wrong":
            body = bytes(255 - value for value in body)
        if behaviour in ("cut", "stall"):
            self.wfile.write(body[: len(body) // 2])
            if behaviour == "stall":
                self.server.hub.closing.wait()
            return
        while behaviour == "endless":
            self.wfile.write(body)
        for begin in range(0, len(body), PIECE):
            self.wfile.write(body[begin : begin + PIECE])
            if behaviour == "slow" and self.server.hub.closing.wait(0.6 * PIECE / len(body)):
                return
