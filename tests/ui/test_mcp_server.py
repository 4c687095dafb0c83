"""The page as a server of the Model Context Protocol, used with the reference client."""

import asyncio
import json
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines import environment
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import serving, smooth

# Its HTTP client leaves streams to the garbage collector when a session ends.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore:.*:DeprecationWarning:mcp")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("mcp", reason="the package mcp is not installed")
    with serving(tmp_path_factory.mktemp("mcp"), UPSCALE_MCP="1") as address:
        yield address


def use(server: str, work: Callable[[Any], Awaitable[None]]) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def main() -> None:
        async with (
            streamable_http_client(f"{server.rstrip('/')}/mcp") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            await work(session)

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop in this one
        thread.submit(asyncio.run, main()).result()


def test_a_model_upscales_and_compares(server: str, tmp_path: Path) -> None:
    """Tools are listed and described; a result is an address, which the next call takes; errors are one sentence."""
    images.write(Picture(smooth(40, 60)), tmp_path / "small.png")
    encoded = "data:image/png;base64," + _base64(tmp_path / "small.png")
    said: list[str | None] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        said.append(message)

    async def work(session: Any) -> None:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert [*tools] == ["upscale", "compare", "models"]
        for tool in tools.values():
            assert tool.description and "." in tool.description and tool.annotations.readOnlyHint
        given = tools["upscale"].inputSchema
        assert given["required"] == ["image"] and given["properties"]["model"]["default"] == "swift"
        assert "address" in given["properties"]["image"]["description"].lower() and "context" not in given["properties"]

        listed = (await session.call_tool("models", {})).structuredContent["models"]
        assert {"swift", "espcn", "sd-x4"} <= {each["key"] for each in listed}
        assert next(each for each in listed if each["key"] == "swift")["commercial"] is True

        done = await session.call_tool(
            "upscale", {"image": encoded, "model": "espcn", "scale": "x2"}, progress_callback=heard
        )
        told = done.structuredContent
        assert not done.isError and told["size"] == [120, 80] and told["model"] == "espcn"
        assert told["file"].startswith(server.rstrip("/"))
        (tmp_path / "first.png").write_bytes(urllib.request.urlopen(told["file"]).read())
        sized = await session.call_tool("upscale", {"image": told["file"], "model": "nearest", "size": "200x"})
        assert sized.structuredContent["size"] == [200, 133]

        sent = httpx.post(  # a name that an address cannot have as it is
            f"{server.rstrip('/')}/gradio_api/upload",
            files={"files": ("a%20b #1.png", (tmp_path / "small.png").read_bytes())},
        )
        odd = f"{server.rstrip('/')}/gradio_api/file={quote(sent.json()[0])}"
        for _ in range(2):  # what comes out goes in again
            again = await session.call_tool("upscale", {"image": odd, "model": "nearest", "scale": "x2"})
            odd = again.structuredContent["file"]
            assert "a%2520b%20%231" in odd and httpx.get(odd).content[:4] == b"\x89PNG", odd
        assert again.structuredContent["size"] == [240, 160]

        asked = {"images": [told["file"]], "models": ["bicubic", "nearest"], "scale": "x2"}
        compared = await session.call_tool("compare", asked)
        assert not compared.isError, compared.content
        found = compared.structuredContent
        assert [each["model"] for each in found["scores"]] == ["bicubic", "nearest"] and found["failed"] == []
        assert found["scores"][0]["psnr_y"] > 0 and found["scores"][0]["seconds"] >= 0
        assert found["verdict"].startswith("Closest to the original at x2")

        wrong = await session.call_tool("upscale", {"image": encoded, "model": "bicubik"})
        assert wrong.isError and "did you mean bicubic" in wrong.content[0].text
        for address in (
            "http://127.0.0.1:9/x.png",
            "file:///etc/passwd",
            f"{server.rstrip('/')}/gradio_api/file=/etc/passwd",
        ):
            refused = await session.call_tool("upscale", {"image": address})
            assert refused.isError and "root:" not in json.dumps(refused.model_dump(mode="json")), address
            assert "Traceback" not in refused.content[0].text

    use(server, work)
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.size == (120, 80)
    assert any(said), "the caller hears how far it is"


def test_a_call_tells_whose_it_is() -> None:
    """As a proxy does, or the limits of a visitor would not hold for who comes this way."""
    from tests.ui.jobs.test_allowance import PUBLIC, event_from
    from ui.jobs.allowance import find_visitor
    from ui.mcp_server import tell_caller

    def asked(host: str, *noted: str) -> dict[str, str]:
        headers = [(b"x-forwarded-for", each.encode()) for each in noted]
        return tell_caller(Request({"type": "http", "headers": headers, "client": (host, 1234)}))

    for noted in ((), ("8.8.8.8, 10.0.0.1",)):
        with event_from("127.0.0.1", asked(PUBLIC, *noted)["x-forwarded-for"]):
            assert find_visitor() == PUBLIC, "though the call comes from this machine"
    with event_from("127.0.0.1", asked("127.0.0.1")["x-forwarded-for"]):
        assert find_visitor() is None
    assert tell_caller(Request({"type": "http", "headers": [], "client": None})) == {}


class Caller:
    """The context of a call, as the package gives it, of somebody who hears how far it is."""

    def __init__(self) -> None:
        address = {"scheme": "https", "path": "/mcp", "query_string": b"", "server": ("upscale.example", 443)}
        headers = [(b"host", b"upscale.example")]
        request = Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 1234)} | address)
        self.request_context = SimpleNamespace(request=request)
        self.heard: list[str] = []

    async def report_progress(self, progress: float, total: float | None = None, message: str = "") -> None:
        self.heard.append(message)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> "tuple[list[str], list[Response]]":
    """What a page is asked for, and what it answers to who follows an event; nothing while there is none."""
    from ui import mcp_server

    asked: list[str] = []
    answers: list[Response] = []

    async def answer(request: Request) -> Response:
        asked.append(f"{request.method} {request.url.path} {(await request.body()).decode()}".strip())
        if request.url.path.startswith("/gradio_api/call/v2/"):
            return JSONResponse({"event_id": "e1"})
        if "/call/" in request.url.path and not answers:
            await asyncio.sleep(60)
        return answers.pop() if "/call/" in request.url.path else Response("{}")

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    transport = httpx.ASGITransport(Starlette(routes=routes))
    monkeypatch.setattr(
        mcp_server, "_connect", lambda headers: httpx.AsyncClient(transport=transport, base_url="http://page")
    )
    fake = ModuleType("mcp.server.fastmcp.exceptions")
    fake.ToolError = RuntimeError  # type: ignore[attr-defined]
    for name in ("mcp", "mcp.server", "mcp.server.fastmcp"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    return asked, answers


def stream(event: str, data: Any) -> Response:
    beat = "event: heartbeat\ndata: null\n\n"
    return Response(f"{beat}event: {event}\ndata: {json.dumps(data)}\n\n", media_type="text/event-stream")


def in_thread(work: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop in this one
        return thread.submit(asyncio.run, work).result()


@pytest.mark.parametrize("name", ["a%20b #1", "50%", "ü?&=", "file=x"])
def test_the_address_of_a_result_is_that_of_its_file(name: str, page: "tuple[list[str], list[Response]]") -> None:
    """Whatever is in its name: for who opens it, and for the next call. No threads are left by a call."""
    from ui import mcp_server

    path = f"/tmp/gradio/abc/{name}_swift_x4.png"
    details = {"model": "swift", "scale": 4, "size": [8, 8], "seconds": 1.0, "notes": []}
    page[1].append(stream("complete", [{"path": path}, details]))
    caller, before = Caller(), threading.active_count()
    told = in_thread(mcp_server.upscale("https://example.org/x.png", caller))  # type: ignore[arg-type]
    assert threading.active_count() == before and caller.heard
    opened = httpx.URL(told["file"])
    assert opened.host == "upscale.example" and not opened.query and not opened.fragment
    assert opened.path == f"/gradio_api/file={path}", "as a server decodes it"
    assert mcp_server._as_file(told["file"], caller)["path"] == path  # type: ignore[arg-type]
    assert [each.partition(" {")[0] for each in page[0]] == [
        "POST /gradio_api/call/v2/upscale",
        "GET /gradio_api/call/upscale/e1",
    ], "nothing else is asked for"


def test_a_call_that_fails_or_is_left_is_no_run_any_more(page: "tuple[list[str], list[Response]]") -> None:
    from ui import mcp_server

    for data, said in (({"error": "The queue is full."}, "The queue is full."), (None, "does not answer")):
        page[1].append(stream("error", data))
        with pytest.raises(RuntimeError, match=said):
            in_thread(mcp_server.compare(["https://example.org/x.png"], Caller()))  # type: ignore[arg-type]
    page[1].append(Response(""))  # the server is gone
    with pytest.raises(RuntimeError, match="does not answer"):
        in_thread(mcp_server.compare(["https://example.org/x.png"], Caller()))  # type: ignore[arg-type]
    page[0].clear()

    async def leave() -> None:
        call = asyncio.create_task(mcp_server.upscale("https://example.org/x.png", Caller()))  # type: ignore[arg-type]
        while len(page[0]) < 2:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    in_thread(leave())
    assert page[0][-1] == 'POST /gradio_api/cancel {"session_hash":"e1","fn_index":0,"event_id":"e1"}'


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui import mcp_server

    monkeypatch.setitem(sys.modules, "mcp.server.fastmcp", None)
    with pytest.raises(BadSetting, match=r"pip install -r requirements-mcp\.txt"):
        mcp_server.make_server()
    monkeypatch.setenv("UPSCALE_MCP", "yes")
    with pytest.raises(BadSetting, match="UPSCALE_MCP must be 0 or 1"):
        environment.mcp()


def _base64(path: Path) -> str:
    from base64 import b64encode

    return b64encode(path.read_bytes()).decode()
