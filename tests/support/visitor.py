"""What a browser sends to the page, without gradio's client: an upload, and the file that it gave as JSON."""

from typing import Any

import httpx


def upload(address: str, name: str, content: bytes) -> httpx.Response:
    """What the page answers to an upload: the paths of its files there, as a list in JSON."""
    return httpx.post(f"{address}/gradio_api/upload", files={"files": (name, content)}, timeout=30)


def file_at(path: str) -> dict[str, Any]:
    """The file of that path, as an event's input names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}
