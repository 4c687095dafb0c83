"""A Hugging Face Hub and a plain file server on 127.0.0.1, for tests: real HTTP, and told to misbehave file by file.

It answers HEAD and GET of /{repo}/resolve/{revision}/{file} as the Hub does, with ETag, X-Repo-Commit, Content-Length
and Range, and everything that `serve` was given at its own path; what is on main is there at main's commit as well.
It also takes what is uploaded to a Space or a dataset.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Url

REVISION = "c0ffee" * 6 + "c0de"
PIECE = 1 << 14  # what "slow" sends at a time
MAY_WRITE, MAY_READ = "hf_write", "hf_read"  # the tokens it knows

Behaviour = Literal[
    "ok",
    "missing",  # 404
    "gated",  # 403, with the Hub's X-Error-Code
    "gone",  # 401, as the Hub answers whoever may not know whether there is such a repository
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
    """A context manager; `files` maps a path on the server to its content, `behaviour` to how it is answered.

    `spaces` and `datasets` have the files of each, `created` what each was asked for with, `commits` how many
    each has had.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    spaces: dict[str, dict[str, bytes]] = field(default_factory=dict)
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    public: set[str] = field(default_factory=set)  # the datasets that everybody may read
    squashed: list[str] = field(default_factory=list)  # the datasets whose history was
    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)  # by sha256
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    main: str = REVISION  # the commit that main is at, in all repositories
    moves: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # path -> what main becomes once it was asked for
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
        if "/resolve/main/" in path:
            self.serve(self.at_main(path), content, behaviour)
        if behaviour == "elsewhere":
            self.serve(f"/elsewhere{path}", content)
        return path

    def at_main(self, path: str) -> str:
        """The path of a file on main at the commit that main is at."""
        return path.replace("/resolve/main/", f"/resolve/{self.main}/")

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
        if self.path.startswith(("/api/spaces/", "/api/datasets/")):
            self._about_a_repo(None)
        else:
            self._answer(with_content=True)

    def do_POST(self) -> None:
        self._about_a_repo(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self) -> None:
        """A large file, at the address that the batch gave for it: as on the Hub no token is asked for there."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.hub.large[self.path.removeprefix("/large/")] = content
        same = hashlib.sha256(content).hexdigest() == self.path.removeprefix("/large/")
        self._tell(200 if same else 400, {})

    def _about_a_repo(self, content: bytes | None) -> None:
        """The part of the Hub's API by which huggingface_hub 2.4 creates a Space or a dataset and uploads files."""
        hub, path = self.server.hub, urlsplit(self.path).path
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        asked = json.loads(content or b"") if path == "/api/repos/create" else {}
        kind = "datasets" if asked.get("type") == "dataset" or "/datasets/" in path else "spaces"
        repos = hub.datasets if kind == "datasets" else hub.spaces
        repo = "/".join(re.sub(rf"^/(api/)?{kind}/", "", path).split("/")[:2]).removesuffix(".git")
        if token not in (MAY_WRITE, MAY_READ):
            self._tell(401, {"error": "Invalid username or password."})
        elif asked:
            repo = f"{asked['organization']}/{asked['name']}"
            if token == MAY_WRITE and repo not in repos:
                hub.created[repo], repos[repo] = asked, {".gitattributes": b"*.png filter=lfs\n"}
                self._tell(200, {"url": f"{hub.url}/{kind}/{repo}"})
            else:
                status = 409 if token == MAY_WRITE else 403
                self._tell(status, {"error": "No.", "url": f"{hub.url}/{kind}/{repo}"})
        elif path == "/api/validate-yaml":
            self._tell(200, {"warnings": [], "errors": []})
        elif repo not in repos:
            self._refuse(404, "RepoNotFound")
        elif path in (f"/api/{kind}/{repo}", f"/api/{kind}/{repo}/revision/main"):
            self._tell(200, {"id": repo, "sha": REVISION, "private": repo not in hub.public})
        elif "/tree/" in path:
            files = repos[repo].items()
            self._tell(200, [{"type": "file", "path": n, "size": len(c), "oid": _git_blob(c)} for n, c in files])
        elif "/preupload/" in path:
            files = json.loads(content or b"")["files"]
            self._tell(200, {"files": [_how_to_send(repos[repo], file) for file in files]})
        elif path.endswith("/info/lfs/objects/batch") and token == MAY_WRITE:
            objects = json.loads(content or b"")["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{hub.url}/large/{each['oid']}"}}
            self._tell(200, {"transfer": "basic", "objects": objects})
        elif "/commit/" in path and token == MAY_WRITE:
            self._commit(kind, repo, [json.loads(line) for line in (content or b"").splitlines()])
        elif "/super-squash/" in path and token == MAY_WRITE:
            hub.squashed.append(repo)
            self._tell(200, {})
        else:
            self._tell(403, {"error": "You don't have the rights."})

    def _commit(self, kind: str, repo: str, operations: list[dict[str, Any]]) -> None:
        hub = self.server.hub
        files = (hub.datasets if kind == "datasets" else hub.spaces)[repo]
        for operation in operations:
            value = operation["value"]
            address = f"/{kind}/{repo}/resolve/main/{value.get('path')}"
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = hub.large[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
                hub.behaviour[address] = hub.behaviour[hub.at_main(address)] = "missing"
            if operation["key"] in ("file", "lfsFile"):
                hub.serve(address, files[value["path"]])
        hub.commits.append(repo)
        self._tell(200, {"commitUrl": f"{hub.url}/{kind}/{repo}/commit/{REVISION}", "commitOid": REVISION})

    def _tell(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, with_content: bool) -> None:
        hub = self.server.hub
        hub.asked.append(Asked(self.command, self.path, self.headers["Range"], self.headers["Authorization"]))
        at = re.search(r"/resolve/([0-9a-f]{40})/", self.path)
        self.commit = at[1] if at else hub.main
        content = hub.files.get(self.path)
        if self.path in hub.moves:
            hub.main, after = hub.moves.pop(self.path)
            hub.serve(self.path, after)
        behaviour = hub.behaviour.get(self.path, "missing")
        if behaviour == "hang":
            hub.closing.wait()
            return
        if content is None or behaviour == "missing":
            self._refuse(404, "EntryNotFound")
        elif behaviour == "gated":
            self._refuse(403, "GatedRepo")
        elif behaviour == "gone":
            self._refuse(401, "RepoNotFound")
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
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, behaviour: Behaviour, with_content: bool) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked and behaviour != "no range" else 0
        if start and start >= len(content):
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
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if with_content:
            try:
                self._send_body(content[start:], behaviour)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client left, as it is asked to in many a test

    def _etag(self, content: bytes) -> str:
        if self.path.endswith(".json"):  # the Hub keeps small text files in git itself
            return _git_blob(content)
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


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _how_to_send(files: dict[str, bytes], file: dict[str, Any]) -> dict[str, Any]:
    """Binary files go to the large file storage, and are known by their sha256; others by git's hash."""
    binary = b"\0" in base64.b64decode(file["sample"])
    here = files.get(file["path"])
    mode = "lfs" if binary else "regular"
    oid = None if here is None else hashlib.sha256(here).hexdigest() if binary else _git_blob(here)
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}


def serve_metric(hub: LoopbackHub, key: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the hub serve a metric's files, which are in that folder, as each one's own publisher."""
    parts = {}
    for part, needed in catalog.METRIC_FILES[key].items():
        (file,) = needed.files
        content = (files / file.name).read_bytes()
        known = replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest(), sha256_prefix=None)
        hub.serve(f"/{part}/{file.path}", content)
        parts[part] = replace(needed, files=(known,), sources=(Url(f"{hub.url}/{part}"),))
    monkeypatch.setattr(catalog, "METRIC_FILES", {**catalog.METRIC_FILES, key: parts})
