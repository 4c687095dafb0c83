"""An OpenModelDB on loopback, and the page that takes it for the public one: `python -m tests.support.openmodeldb`.

Only what a test cannot have is stood in for: https, and a server with a public address.
"""

import hashlib
import json
import runpy
from typing import Any

from pipelines.catalog import openmodeldb
from pipelines.weights import public
from tests.support.hub import LoopbackHub
from tests.support.networks import as_pth, compact, rrdb

LIST = "/api/v1/models.json"
HOST = "127.0.0.1"


def allow_loopback() -> None:
    """Takes the loopback server for one of the public internet, in this process."""
    check = public.check_request
    openmodeldb.SCHEME = "http"
    public.check_peer = lambda connected: None
    public.check_request = lambda request: check(request) if request.url.host != HOST else None


def publish(hub: LoopbackHub) -> None:
    """A list with an x1 and an x4 model that are networks, one that needs a browser, and many that nobody runs."""
    listed = {}
    for name, scale, content in (
        ("1x-TinyClean", 1, as_pth(compact(1).state_dict())),
        ("4x-TinySharp", 4, as_pth(rrdb(4).state_dict())),
    ):
        hub.serve(f"/files/{name}.pth", content)
        listed[name] = tell(f"{hub.url}/files/{name}.pth", scale, content)
    listed["4x-SharpByHand"] = tell("https://mega.nz/file/1", 4, b"by hand")
    listed |= {f"4x-Other{number}": tell(f"{hub.url}/files/other.pth", 4, b"other") for number in range(12)}
    hub.serve(LIST, json.dumps(listed).encode())


def tell(url: str, scale: int, content: bytes) -> dict[str, Any]:
    """A model as the list has it."""
    digest = hashlib.sha256(content).hexdigest()
    file = {"platform": "pytorch", "type": "pth", "size": len(content), "sha256": digest, "urls": [url]}
    about = {"author": "ann", "license": "CC-BY-4.0", "tags": [], "description": "Made for tests."}
    return {"scale": scale, "architecture": "esrgan", "resources": [file], **about}


if __name__ == "__main__":
    allow_loopback()
    runpy.run_path("app.py", run_name="__main__")
