"""What a link to the page looks like elsewhere: our own title, sentence and image, where gradio's HTML has its own.

An ASGI middleware, because gradio writes these tags into its template and offers no way to change them. What passes
through it is compressed as well: a megabyte of which four fifths are repeated.
"""

import re
from html import escape
from pathlib import Path

from fastapi import Request
from gradio.route_utils import get_root_url
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.environment import root_path
from ui.examples import EXAMPLES_FOLDER

IMAGE = EXAMPLES_FOLDER / "card.png"  # 1200 by 630 pixels, as the readers of such tags want it; tools/screenshots.py
IMAGE_SIZE = (1200, 630)
PATH = "/preview-card.png"
GRADIOS_TAGS = re.compile(rb'<meta\s+(?:property="og:|name="(?:twitter:|description))[^>]*>\s*')


def write_tags(root: str, title: str, about: str, path: str = "/", image: str = PATH) -> str:
    """Returns the tags for a page at a path of that address, and for its image, of IMAGE_SIZE.

    What they say must be absolute, as it is read elsewhere.
    """
    width, height = map(str, IMAGE_SIZE)
    properties = {"title": title, "description": about, "type": "website", "url": f"{root}{path}"}
    properties |= {"image": f"{root}{image}", "image:width": width, "image:height": height, "image:alt": title}
    tags = [f'<meta property="og:{name}" content="{escape(text)}">' for name, text in properties.items()]
    named = {"twitter:card": "summary_large_image", "description": about}
    return "".join([*tags, *(f'<meta name="{name}" content="{escape(text)}">' for name, text in named.items())])


class PreviewCard:
    """Puts our tags in the place of gradio's into the page's HTML, and serves the image that they name.

    `script` is JavaScript that runs there before any of gradio's.
    """

    def __init__(self, app: ASGIApp, title: str, about: str, script: str = "") -> None:
        self.app, self.title, self.about = app, title, about
        self.first = f"<script>{script}</script>" if script else ""
        self.page = GZipMiddleware(self._send_page, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "") if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else ""
        if path.endswith(PATH):
            await FileResponse(Path(IMAGE))(scope, receive, send)
        elif path and not path.removeprefix(scope.get("root_path", "").rstrip("/")).strip("/"):
            if scope["method"] == "HEAD":  # gradio asks so on starting, and waits 3 s: the page need not be made for it
                await HTMLResponse()(scope, receive, send)
                return
            await self.page(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _send_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = get_root_url(Request(scope), "/", root_path())
        start: Message = {}
        body = bytearray()

        async def change(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            whole, known = bytes(body), dict(start["headers"])
            if known.get(b"content-type", b"").startswith(b"text/html") and b"content-encoding" not in known:
                tags = (write_tags(root, self.title, self.about) + self.first).encode()
                whole = GRADIOS_TAGS.sub(b"", whole).replace(b"<head>", b"<head>" + tags, 1)
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(whole)).encode())]})
            await send({"type": "http.response.body", "body": whole})

        await self.app(scope, receive, change)
