"""What a browser sends to the page, without gradio's client, and what a page says in a browser's console."""

from typing import Any

import httpx
from playwright.sync_api import Page


def upload(url: str, name: str, content: bytes) -> httpx.Response:
    """What the page answers to an upload: the paths of its files there, as a list in JSON."""
    return httpx.post(f"{url}/gradio_api/upload", files={"files": (name, content)}, timeout=30)


def file_at(path: str) -> dict[str, Any]:
    """The file of that path, as an event's input names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def watch_console(page: Page, *kinds: str) -> list[str]:
    """Returns a list that grows by each message of these kinds in the console, errors alone unless named, and errors
    of scripts.
    """
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type in (kinds or ("error",)) else None)
    page.on("pageerror", lambda error: messages.append(str(error)))
    return messages
