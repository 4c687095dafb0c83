"""What several tests share: made pictures, tiny networks, the assets where they are at hand."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pipelines import upscalers
from pipelines.images import Pixels
from tests.tiny_graph import espcn_like

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
hypothesis.settings.register_profile("untimed", deadline=None, derandomize=True)
hypothesis.settings.load_profile("untimed")
ROOT = Path(__file__).parents[1]
ASSETS = os.environ.get("UPSCALE_ASSETS")
CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the machine's settings or caches, or a model that another test loaded."""
    for name in [
        name for name in os.environ if name.startswith(("UPSCALE_", "HF_", "PORT")) and name != "UPSCALE_ASSETS"
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setattr(upscalers, "_kept", type(upscalers._kept)())


@pytest.fixture
def assets() -> Path:
    """The folder of real weights and pictures; the test is skipped without it."""
    if not ASSETS:
        pytest.skip("UPSCALE_ASSETS is not set")
    return Path(ASSETS).resolve()


@pytest.fixture
def own_weights(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, holding a tiny network under the name of each ESPCN file."""
    folder = tmp_path_factory.mktemp("weights")
    tiny_networks(folder)
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page, served as `make demo` does: offline, with a tiny network in the user's folder."""
    folder = tmp_path_factory.mktemp("served")
    tiny_networks(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = {
        "PORT": port,
        "UPSCALE_WEIGHTS_DIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
    }
    command = [sys.executable, "-u", "app.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | settings) as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "http://" in line)
        yield line[line.index("http://") :].strip()
        server.terminate()
        server.stdout.read()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; the test is skipped without it."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, width: int, scheme: str, *allowed: str) -> Iterator[Page]:
    """A fresh visitor's empty page, with mouse and touch. No request may go anywhere but to the allowed addresses."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=True, reduced_motion="reduce"
    )
    page = context.new_page()
    strays: list[str] = []
    page.on(
        "request", lambda sent: None if sent.url.startswith((*allowed, "data:", "blob:")) else strays.append(sent.url)
    )
    yield page
    assert strays == []
    context.close()


def tiny_networks(folder: Path) -> None:
    """Put a tiny network under the name of each ESPCN file."""
    for scale in (2, 3, 4):
        (folder / f"ESPCN_x{scale}.pb").write_bytes(espcn_like(scale))


def smooth(height: int, width: int) -> Pixels:
    """A made picture with flat parts, slopes and edges: (H, W, 3), each value a multiple of 1/255."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(rows / 5), np.cos(columns / 7), np.sign(np.sin((rows + columns) / 9))], axis=2)
    return (np.rint((waves / 2 + 0.5) * 255) / 255).astype(np.float32)
