"""What several tests share: made pictures, tiny networks, the assets where they are at hand."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from pipelines.images.picture import Pixels
from pipelines.upscalers import loading
from pipelines.weights import sources
from tests.support import hub
from tests.support.tiny_graph import espcn_like

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
hypothesis.settings.register_profile("untimed", deadline=None, derandomize=True)
hypothesis.settings.load_profile("untimed")
PATIENCE = 60_000  # ms: a busy machine may take longer than the usual 5 s to answer a click
expect.set_options(timeout=PATIENCE)
ROOT = Path(__file__).parents[1]
ASSETS = os.environ.get("UPSCALE_ASSETS")
NOWHERE = "http://127.0.0.1:9"  # a Hub that refuses: the port is reserved for discarding (RFC 863)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


# Whose tests start programs, servers or training runs, or run networks at length: folders and files of tests.
SLOW = (
    "docs/test_extending.py",
    "docs/test_python.py",
    "pipelines/cli",
    "pipelines/images/test_mutations.py",
    "pipelines/images/test_tiff_hostile.py",
    "pipelines/upscalers/diffusion",
    "pipelines/upscalers/test_network.py",
    "tools",
    "test_library.py",
    "training",
    "ui",
)
FAST = ("ui/jobs/test_offered.py", "ui/jobs/test_running.py", "ui/widgets/test_html.py", "ui/widgets/test_plans.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it needs, as its fixtures and its place tell: `make quick` leaves these out.

    What takes long comes first: begun last, one file would keep a single worker busy at the end.
    """
    for item in items:
        for name in ("browser", "assets"):
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)
        place = item.path.relative_to(ROOT / "tests").as_posix()
        if place.startswith(SLOW) and place not in FAST:
            item.add_marker("slow")
    first = {item.path for item in items if item.get_closest_marker("browser")}
    items.sort(key=lambda item: (item.path not in first, item.get_closest_marker("slow") is None))


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the machine's settings or caches, or what another test left in memory; downloads are forbidden."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    hub.use(NOWHERE, tmp_path_factory.mktemp("hub"), monkeypatch, offline=True)
    monkeypatch.setattr(loading, "_kept", type(loading._kept)())
    monkeypatch.setattr(loading, "_pinned", set())
    monkeypatch.setattr(sources, "_unreachable", {})


@pytest.fixture(autouse=True)
def strays(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The hosts beyond this machine that a test asked: each is refused, and the test fails, whatever it made of that.

    A name that ends in ".invalid" is no stray (RFC 2606): tests ask for one to have a host that does not exist.
    """
    asked: list[str] = []
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
        if name in ("localhost", "::1") or name.startswith("127."):
            return
        if not name.endswith(".invalid"):
            asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "tests have no network")

    def checked_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        return connect_ex(self, address)

    def checked_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        check(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", checked_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", checked_look_up)
    yield asked
    assert asked == [], "a test may ask this machine alone"


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


@pytest.fixture
def own_networks(own_weights: Path) -> Path:
    """The user's folder, holding a tiny network under the name of each file of Real-ESRGAN as well."""
    from tests.support.networks import put_tiny

    put_tiny(own_weights)
    return own_weights


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page that most tests share."""
    with serving(tmp_path_factory.mktemp("served")) as address:
        yield address


@contextmanager
def serving(folder: Path, *program: str, **settings: str) -> Iterator[str]:
    """The address of a page, served as `make demo` does: offline, with tiny networks in the user's folder.

    `program` is what Python runs instead of app.py.
    """
    tiny_networks(folder)
    own = {
        "PORT": str(free_port()),
        "UPSCALE_WEIGHTS_DIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "HF_ENDPOINT": NOWHERE,
        "HF_HOME": str(folder / "hub"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
    }
    command, env = [sys.executable, "-u", *(program or ("app.py",))], clean_environment() | own | settings
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "http://" in line)
        try:
            yield line[line.index("http://") :].split()[0]
        finally:
            server.terminate()
            server.stdout.read()


def free_port() -> int:
    """A port that nobody listens on. Left to look for one, gradio leaves a socket open for each that is taken."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """The environment without what steers the program or the Hub's library."""
    steering = ("UPSCALE_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "PORT")
    return {
        name: value for name, value in os.environ.items() if not name.startswith(steering) or name == "UPSCALE_ASSETS"
    }


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once for all tests: `visit` keeps them apart.

    Without it a test is skipped, or fails where CI is set, as workflows have it.
    """
    with sync_playwright() as playwright:
        chromium = find_chromium(playwright.chromium.executable_path)
        if chromium is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is not installed")
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        browser.close()


def find_chromium(playwrights: str) -> str | None:
    """The path of Debian's Chromium, of the one that `playwright install chromium` puts there, or None.

    The headless shell comes first: Chromium itself has its own windows and menus to keep up beside the page.
    """
    debians = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    return debians or (playwrights if Path(playwrights).is_file() else None)


@contextmanager
def visit(browser: Browser, width: int, scheme: str, *allowed: str, alone: bool = False) -> Iterator[Page]:
    """A fresh visitor's empty page, with mouse and touch. No request may go anywhere but to the allowed addresses.

    The next visitor gets the same one, emptied: it has the page's scripts compiled, and opens it in a third of the
    time. `alone` is for who leaves something behind in it: scripts, listeners that act, permissions.
    """
    page = _left.pop() if _left and not alone else _open(browser)
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    strays: list[str] = []

    def look(sent: Request) -> None:
        if not sent.url.startswith((*allowed, "data:", "blob:")):
            strays.append(sent.url)

    page.on("request", look)
    try:
        yield page
        assert strays == []
    except BaseException:  # a page that a failed test leaves open would go on working beside the next ones
        page.context.close()
        raise
    if alone or page.is_closed() or len(page.context.pages) > 1:
        page.context.close()
        return
    page.remove_listener("request", look)
    page.goto("about:blank")
    page.evaluate("window.name = ''")
    page.context.clear_cookies()
    _left.append(page)


_left: list[Page] = []  # pages that visitors have left
# What a visitor's first page does before all else: the one before may have kept something.
FORGET = """
if (window === top && !window.name) {
    try { localStorage.clear(); sessionStorage.clear(); } catch {}
    window.name = "visited";
}
"""


def _open(browser: Browser) -> Page:
    context = browser.new_context(has_touch=True, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    context.add_init_script(FORGET)
    return context.new_page()


def tiny_networks(folder: Path) -> None:
    """Put a tiny network under the name of each ESPCN file."""
    for scale in (2, 3, 4):
        (folder / f"ESPCN_x{scale}.pb").write_bytes(espcn_like(scale))


def smooth(height: int, width: int) -> Pixels:
    """A made picture with flat parts, slopes and edges: (H, W, 3), each value a multiple of 1/255."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(rows / 5), np.cos(columns / 7), np.sign(np.sin((rows + columns) / 9))], axis=2)
    return (np.rint((waves / 2 + 0.5) * 255) / 255).astype(np.float32)
