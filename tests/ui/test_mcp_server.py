"""The page as a server of the Model Context Protocol, used with the reference client."""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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
    from starlette.requests import Request

    from tests.ui.jobs.test_allowance import PUBLIC, event_from
    from ui.jobs.allowance import find_visitor
    from ui.mcp_server import tell_caller

    def asked(*noted: str) -> dict[str, str]:
        headers = [(b"x-forwarded-for", each.encode()) for each in noted]
        return tell_caller(Request({"type": "http", "headers": headers, "client": (PUBLIC, 1234)}))

    assert asked() == {"x-forwarded-for": PUBLIC}
    assert asked("8.8.8.8, 10.0.0.1") == {"x-forwarded-for": f"8.8.8.8, 10.0.0.1, {PUBLIC}"}
    with event_from("127.0.0.1", asked()["x-forwarded-for"]):
        assert find_visitor() == PUBLIC, "though the call comes from this machine"


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
