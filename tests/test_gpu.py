"""The GPU boundary: on a ZeroGPU Space, played here, and anywhere else."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines import catalog
from pipelines.catalog import File, Url, Weights
from pipelines.runs import Run, Step, finish
from pipelines.upscalers import Settings
from tests.hub import LoopbackHub, use
from ui import gpu

ROOT = Path(__file__).parents[1]


class Lender(BaseHTTPRequestHandler):
    """What ZeroGPU asks of the machine that lends the GPUs: always yes."""

    asked: list[str]

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        content = json.dumps({"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "yes"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def lender() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (Lender,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_on_zero_gpu(lender: tuple[str, list[str]], tmp_path: Path) -> None:
    """See tests/on_zero_gpu.py for what holds there."""
    url, asked = lender
    there = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": url, "HOME": str(tmp_path)}
    options = ["tests/on_zero_gpu.py", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = f"""
import sys
sys.modules["torch"] = None  # which would look for the GPU
import app, pytest
sys.exit(pytest.main({options}))
"""
    python = [sys.executable, "-c", code]
    done = subprocess.run(python, capture_output=True, text=True, cwd=ROOT, env=os.environ | there)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/startup-report" in asked
    assert asked.count("/schedule") == asked.count("/release") > 0


def where() -> Run[int]:
    yield Step(0, 1, "looking")
    return os.getpid()


def test_elsewhere_all_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "CPU_ENGINES", frozenset())
    assert finish(gpu.run([("bicubic", 2)], None, where)) == os.getpid()


def test_elsewhere_the_package_spaces_is_not_needed() -> None:
    code = "import sys; sys.modules['spaces'] = None; import app"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_what_denoising_needs_is_downloaded_before_the_gpu_is_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the parent's process, whose time is not the visitor's quota; the noisy twin only where it is mixed in."""
    with LoopbackHub() as hub:
        use(hub.url, tmp_path / "home", monkeypatch)
        for name in ("usual.pth", "twin.pth"):
            hub.serve(f"/nets/{name}", b"net")
        usual, twin = (Weights((File(name, 3),), (Url(f"{hub.url}/nets"),)) for name in ("usual.pth", "twin.pth"))
        row = catalog.Model("made", "Made", "gan", "network", {2: usual}, "none needed", True, "Made for tests.")
        monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, replace(row, noisy_twin=twin)))
        for settings, asked in ((None, ["usual.pth"]), (Settings(denoise=1), []), (Settings(denoise=0), ["twin.pth"])):
            hub.asked.clear()
            assert finish(gpu.run([("made", 2)], settings, where)) == os.getpid()
            assert [each.path.rpartition("/")[2] for each in hub.asked] == asked


def test_what_is_quick_without_a_gpu_asks_for_none() -> None:
    """One asked for these would be taken off the visitor's quota for nothing."""
    quick = [model for model in catalog.MODELS if model.engine in ("classical", "opencv") or model.key == "swift"]
    assert len(quick) > 5 and not any(model.gpu for model in quick)
