"""A page of its own for a measurement: offline, on loopback, with a folder of its own, and the memory that it takes."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from performance.measuring import ROOT

NOWHERE = "http://127.0.0.1:9"  # a Hub that refuses: the port is reserved for discarding (RFC 863)


@contextmanager
def serve_page(settings: Mapping[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """A fresh page's URL and its process, once it answers. It reaches no network, and leaves nothing behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        own = {"PORT": str(port), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": NOWHERE, "GRADIO_TEMP_DIR": folder}
        env = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"} | own | dict(settings or {})
        with subprocess.Popen([sys.executable, "app.py"], stdout=subprocess.DEVNULL, cwd=ROOT, env=env) as server:
            try:
                while server.poll() is None and not _answers(url):
                    time.sleep(0.1)
                yield url, server.pid
            finally:
                server.terminate()


def resident_bytes(process: int) -> int:
    """Returns the memory that a process and those that it started hold now."""
    found = [_resident(process)]
    children = Path(f"/proc/{process}/task/{process}/children")
    for child in children.read_text().split() if children.exists() else ():
        found.append(_resident(int(child)))
    return sum(found)


def _resident(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:  # it has ended meanwhile
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).read()
    except OSError:
        return False
    return True
