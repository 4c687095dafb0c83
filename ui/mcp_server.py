"""The page as a server of the Model Context Protocol, at /mcp: a model upscales and compares images by three tools.

Not gradio's own server: that sends each result as text of base64, whatever its size, writes what it is sent into a
folder that nobody sweeps, and offers endpoints that were made for programs. These tools call the same API as everybody:
in its queue, under its limits.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote

import anyio
import httpx
from gradio.route_utils import get_root_url
from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute

from pipelines import environment
from pipelines.catalog.rows import as_dict
from pipelines.errors import BadSetting
from ui.jobs.offered import list_offered
from ui.widgets.advice import FIRST_MODEL, FIRST_SCALE

if TYPE_CHECKING:
    from mcp.server.fastmcp import Context, FastMCP

PATH = "/mcp"
API = "/gradio_api"
FILES = f"{API}/file="
TELL_SECONDS = 1.0  # between two times that a caller is told that the run goes on
CANCEL_SECONDS = 5  # that a run which is to be ended may take to hear of it
NO_ANSWER = "The page does not answer. Try again later."
ENCODED = 4 / 3  # characters of base64 for a byte
SMALL_REQUEST = 1_000_000  # bytes beside an image
SCORES = ("psnr_y", "ssim_y", "ms_ssim", "lpips", "niqe", "consistency_psnr", "dists")
ABOUT = (
    "Upscales images with many models, from bicubic to Stable Diffusion, and measures which one is best for an image. "
    "Images are given and returned as addresses. Start with `upscale` and its default model. `models` lists the "
    "others, and `compare` says which model is best for an image."
)

Image = Annotated[
    str,
    Field(description="Address of the image: https://…, the address of a tool's result, or data:image/…;base64,…"),
]
Scale = Annotated[
    str, Field(description='How many times as wide and high: "x2", "x3", "x4", or a factor such as "2.5".')
]


def make_server() -> "FastMCP[Any]":
    """Returns the server with its tools. Raises BadSetting where the package that it takes is not installed."""
    try:
        from mcp.server.fastmcp import FastMCP
        from mcp.server.transport_security import TransportSecuritySettings
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise BadSetting("UPSCALE_MCP=1 needs the package mcp: pip install -r requirements-mcp.txt") from error
    server: FastMCP[Any] = FastMCP(
        "Upscale Bench",
        instructions=ABOUT,
        log_level="WARNING",
        stateless_http=True,
        streamable_http_path=PATH,
        max_request_body_size=int(environment.limits().file_bytes * ENCODED) + SMALL_REQUEST,
        # The page's own API answers under any name as well, and behind a proxy the name is the proxy's.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    harmless = ToolAnnotations(readOnlyHint=True, destructiveHint=False, openWorldHint=False)
    for tool in (upscale, compare, models):
        server.add_tool(_with_context(tool), annotations=harmless)
    return server


def make_parts() -> tuple[list[BaseRoute], Callable[[Any], AbstractAsyncContextManager[None]]]:
    """Returns the routes of a new server, and what has to be open while it is served."""
    server = make_server()
    routes = [*server.streamable_http_app().routes]

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    return routes, lifespan


async def upscale(
    image: Image,
    context: "Context[Any, Any, Any]",
    model: Annotated[str, Field(description="Key of a model, as `models` lists them. swift suits most photos.")] = (
        FIRST_MODEL
    ),
    scale: Scale = FIRST_SCALE,
    size: Annotated[
        str, Field(description='Instead of a scale: "800x" is a width, "x600" a height, "800x600" fits within both.')
    ] = "",
    format: Annotated[str, Field(description='"png", "webp" or "jpg".')] = "png",
) -> dict[str, Any]:
    """Upscales one image. Returns the address of the result (`file`), which is kept for about an hour, its `size` in
    pixels, the model and scale, the seconds that it took, and `notes` on what to know about it.
    """
    given = {"image": _as_file(image, context), "model": model, "scale": scale, "size": size or None, "format": format}
    file, details = await _call(context, "/upscale", given)
    told = {name: details[name] for name in ("model", "scale", "size", "seconds", "notes")}
    return {"file": f"{_root(context)}{FILES}{quote(file['path'])}", **told}  # names may have any sign in them


async def compare(
    images: Annotated[list[Image], Field(min_length=1, description="One image, or several of the same kind.")],
    context: "Context[Any, Any, Any]",
    models: Annotated[
        list[str] | None, Field(description="Keys of the models to compare. The default is all that need no download.")
    ] = None,
    scale: Scale = FIRST_SCALE,
) -> dict[str, Any]:
    """Measures which models upscale these images best: each image is shrunk, every model upscales it again, and the
    results are scored against the original. Returns the `verdict` in words and each model's mean `scores`: PSNR, SSIM,
    MS-SSIM and consistency, where higher is better, LPIPS, DISTS and NIQE, where lower is better, and seconds. It takes
    longer than one upscale: seconds to minutes. The images should be good ones, at their full size.
    """
    files = [_as_file(each, context) for each in images]
    given: dict[str, Any] = {"image": files[0]} if len(files) == 1 else {"images": files}
    report = await _call(context, "/benchmark", given | {"models": models or [], "scale": scale})
    scores = [
        {"model": each["model"], "images": each["n"]}
        | {name: each[name]["mean"] for name in SCORES if each.get(name) and each[name]["mean"] is not None}
        | ({"seconds": each["seconds"]["median"]} if each["seconds"] else {})
        for each in report["summary"]
    ]
    failed = [f"{row['model']}: {row['error']}" for row in report["rows"] if row["error"]]
    return {"verdict": report["verdict"], "scores": scores, "failed": failed}


async def models(context: "Context[Any, Any, Any]") -> dict[str, Any]:
    """Lists the models that upscale: key, name, what each is good at, scales, licence, whether commercial use is free,
    and how much has to be downloaded before the first use, in bytes by scale (nothing where the list is empty).
    """
    told = ("key", "name", "note", "scales", "licence", "commercial", "download")
    return {"models": [{name: as_dict(row)[name] for name in told} for row in list_offered()]}


async def _call(context: "Context[Any, Any, Any]", name: str, given: dict[str, Any]) -> Any:
    """Calls an endpoint of this page, in its queue; says that it goes on, and ends it if the caller leaves.

    By HTTP and not by gradio's client, which makes threads, a second connection that is kept and asks for the whole
    configuration, and whose close() would halt the loop that all requests share for a second.
    """
    from mcp.server.fastmcp.exceptions import ToolError

    async with _connect(tell_caller(_request_of(context))) as page:
        how = "error"
        answer: Any = None
        with suppress(httpx.HTTPError, ValueError):
            joined = await page.post(f"{API}/call/v2{name}", json=given)
            answer = joined.json()
            if joined.is_success:
                how, answer = await _follow(context, page, name, answer["event_id"])
        if how == "complete":
            return answer[0] if len(answer) == 1 else answer
        told = (answer.get("error") or answer.get("detail")) if isinstance(answer, dict) else answer
        raise ToolError(told if isinstance(told, str) else NO_ANSWER)


async def _follow(context: "Context[Any, Any, Any]", page: httpx.AsyncClient, name: str, event: str) -> tuple[str, Any]:
    """Returns how an event ended, "complete" or "error", and what it gives or what went wrong."""
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_tell_progress, context)
            ended = await _listen(page, f"{API}/call{name}/{event}")
            group.cancel_scope.cancel()
        return ended
    except BaseException:
        asked = {"session_hash": event, "fn_index": 0, "event_id": event}  # by its id alone it is found
        with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(httpx.HTTPError):
            await page.post(f"{API}/cancel", json=asked)
        raise


async def _listen(page: httpx.AsyncClient, address: str) -> tuple[str, Any]:
    """Reads a stream of events until the one that is the last."""
    with suppress(httpx.HTTPError):
        async with page.stream("GET", address) as answer:
            event = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    event = value
                elif field == "data" and event in ("complete", "error"):
                    return event, json.loads(value)
    return "error", NO_ANSWER


async def _tell_progress(context: "Context[Any, Any, Any]") -> None:
    """Says again and again that the run goes on: a client that hears nothing takes it for dead."""
    for looks in count():
        await context.report_progress(looks, message="in line or running")
        await anyio.sleep(TELL_SECONDS)


def tell_caller(request: Request) -> dict[str, str]:
    """Returns the headers by which a call of this page tells whose it is, as a proxy does: limits of a visitor hold."""
    return {"x-forwarded-for": request.client.host} if request.client else {}


def _connect(headers: dict[str, str]) -> httpx.AsyncClient:
    """Returns a client of this page."""
    host = environment.server_name()
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    # Plain HTTP to this machine: no certificates, which take a while to read, no proxy, and a run may take long.
    return httpx.AsyncClient(
        base_url=f"http://{host}:{environment.port()}", headers=headers, timeout=None, verify=False, trust_env=False
    )


def _as_file(address: str, context: "Context[Any, Any, Any]") -> dict[str, Any]:
    """The image as the API takes it. What this page made is no address elsewhere: it lies here."""
    meta = {"_type": "gradio.FileData"}
    own = f"{_root(context)}{FILES}"
    if address.startswith(own):
        return {"path": unquote(address.removeprefix(own)), "meta": meta}
    if address[:5].lower() == "data:":
        return {"url": address, "meta": meta}
    return {"path": address, "url": address, "meta": meta}


def _request_of(context: "Context[Any, Any, Any]") -> Request:
    """The request that a call came with: over HTTP there always is one."""
    request: Any = context.request_context.request
    assert isinstance(request, Request)
    return request


def _root(context: "Context[Any, Any, Any]") -> str:
    """The address of this page as the caller sees it."""
    return get_root_url(_request_of(context), PATH, environment.root_path())


def _with_context(tool: Any) -> Any:
    """The tool with the class of its context, by which the package finds that parameter."""
    from mcp.server.fastmcp import Context

    tool.__annotations__["context"] = Context
    return tool
