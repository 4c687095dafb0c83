"""The addresses of shared pages: /r/ID, what it is made of below that, and how it is deleted."""

from typing import Any

from gradio.route_utils import get_root_url
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipelines import environment
from pipelines.errors import CannotWrite
from ui.preview_card import write_tags
from ui.sharing import store
from ui.sharing.dataset import Unanswered

PATH = "/r"
EVENT_PATH = "/gradio_api/queue/join"  # where the page sends its events
SECRET_HEADER = "X-Delete-Secret"
TYPES = {"webp": "image/webp", "jpg": "image/jpeg", "png": "image/png", "css": "text/css", "js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address is all that it takes to see the page
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
GONE = "This page does not exist, or it was deleted."
NOT_YOURS = "Only who shared this page can delete it."
RETRY_SECONDS = 60  # after which a page that nobody could tell of may be asked for again


def make_routes() -> list[Route]:
    """Returns the routes; none where sharing is off."""
    if not environment.share_days():
        return []
    return [
        Route(f"{PATH}/{{key}}", send_page, methods=["GET"]),
        Route(f"{PATH}/{{key}}", delete_page, methods=["DELETE"]),
        Route(f"{PATH}/{{key}}/{{name:path}}", send_file, methods=["GET"]),
    ]


def send_page(request: Request) -> Response:
    """Answers with the page, and with what other sites show of a link to it.

    Whoever sends what may delete it is told whether it does, so that a browser need not keep what does not.
    """
    key = str(request.path_params["key"])
    try:
        path = store.find(key)
    except Unanswered as error:
        return HTMLResponse(_write_notice(str(error)), 503, HEADERS | {"Retry-After": str(RETRY_SECONDS)})
    html = None if path is None else store.read(path, store.INDEX)
    if path is None or html is None:
        return HTMLResponse(_write_notice(GONE), 404, HEADERS)
    told = store.tell(path)
    root = get_root_url(request, f"{PATH}/{key}", environment.root_path())
    address = f"{PATH}/{key}"
    tags = write_tags(root, told.get("title", ""), told.get("about", ""), address, f"{address}/{store.CARD}")
    page = html.replace(b"<head>", b"<head>" + tags.encode(), 1)
    headers = HEADERS | {"Cache-Control": "no-cache"}
    if store.may_delete(path, request.headers.get(SECRET_HEADER, "")):
        headers |= {SECRET_HEADER: "valid"}
    return HTMLResponse(page, headers=headers)


def send_file(request: Request) -> Response:
    """Answers with one of the files that a page is made of."""
    name = str(request.path_params["name"])
    kind = TYPES.get(name.rpartition(".")[2])
    try:
        path = store.find(str(request.path_params["key"])) if kind else None
    except Unanswered as error:
        return PlainTextResponse(str(error), 503, HEADERS | {"Retry-After": str(RETRY_SECONDS)})
    content = None if path is None else store.read(path, name)
    if content is None or kind is None:
        return PlainTextResponse(GONE, 404, HEADERS)
    return Response(content, media_type=kind, headers=HEADERS | {"Cache-Control": "private, max-age=3600"})


def delete_page(request: Request) -> Response:
    """Deletes the page, for who has its secret."""
    try:
        done = store.delete(str(request.path_params["key"]), request.headers.get(SECRET_HEADER, ""))
    except (CannotWrite, Unanswered) as error:
        return PlainTextResponse(str(error), 503, HEADERS)
    if not done:
        return PlainTextResponse(NOT_YOURS, 403, HEADERS)
    return PlainTextResponse("Deleted. The link no longer works.", headers=HEADERS)


def write_link(request: Any, key: str) -> str:
    """Returns the address of a page, as the visitor sees this server whose event has that request of gradio's."""
    root = get_root_url(request.request, EVENT_PATH, environment.root_path())
    return f"{root}{PATH}/{key}"


def _write_notice(said: str) -> str:
    """Returns a page of one sentence as HTML."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{said}</title><style>body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: "
        f"36rem; padding: 0 1rem; color-scheme: light dark; }}</style></head><body><p>{said}</p><p>"
        '<a href="../">Upscale an image</a></p></body></html>'
    )
