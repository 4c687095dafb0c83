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
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines import catalog, devices, upscalers
from pipelines.catalog import File, Url, Weights
from pipelines.devices import Device
from pipelines.errors import BadSetting
from pipelines.runs import Run, Step, finish
from pipelines.upscalers import Settings
from tests import painter
from tests.hub import LoopbackHub, use
from ui import gpu

ROOT = Path(__file__).parents[1]


class Lender(BaseHTTPRequestHandler):
    """What ZeroGPU asks of the machine that lends the GPUs: always yes."""

    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
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
    paths = [urlsplit(each).path for each in asked]
    assert "/startup-report" in paths
    assert paths.count("/schedule") == paths.count("/release") > 0
    lent = [parse_qs(urlsplit(each).query)["durationSeconds"] for each in asked if each.startswith("/schedule")]
    assert [str(gpu.USUAL)] in lent and [str(round(gpu.LOADING + gpu.SLACK * 7))] in lent


def where() -> Run[int]:
    yield Step(0, 1, "looking")
    return os.getpid()


def test_elsewhere_all_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "CPU_ENGINES", frozenset())
    assert finish(gpu.run([("bicubic", 2)], None, None, where)) == os.getpid()


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
            assert finish(gpu.run([("made", 2)], settings, None, where)) == os.getpid()
            assert [each.path.rpartition("/")[2] for each in hub.asked] == asked


def test_what_is_quick_without_a_gpu_asks_for_none() -> None:
    """One asked for these would be taken off the visitor's quota for nothing."""
    quick = [model for model in catalog.MODELS if model.engine in ("classical", "opencv") or model.key == "swift"]
    assert len(quick) > 5 and not any(model.gpu for model in quick)


# --- for how long -------------------------------------------------------------------------------------------------


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """A diffusion model that takes a second for each pass over 100 by 100 pixels."""
    painter.use(monkeypatch)
    return [("painted", 4)]


def test_a_diffusion_model_is_lent_a_gpu_for_as_long_as_it_will_take(painted: list[tuple[str, int]]) -> None:
    for steps, size, taken in ((4, (100, 100), 7), (17, (100, 100), 20), (4, (200, 100), 14)):
        assert gpu.seconds(painted, Settings(steps=steps), size) == round(gpu.LOADING + gpu.SLACK * taken)
    assert gpu.seconds(painted, Settings(steps=200), (300, 300)) == gpu.LONGEST
    assert gpu.seconds(painted, None, None) == gpu.LONGEST, "nobody knows"
    assert gpu.seconds([("real-esrgan", 4)], None, (9000, 9000)) == gpu.USUAL


def test_what_would_end_half_way_is_refused_where_gpus_are_lent(
    painted: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    with pytest.raises(
        BadSetting, match=r"^That would take about 30 min, and a GPU is lent for 4 min at the most: take"
    ):
        gpu.seconds(painted, Settings(steps=200), (300, 300))
    assert gpu.seconds(painted, Settings(steps=20), (100, 100)) < gpu.LONGEST


# --- what is loaded before the page opens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("painted", "UPSCALE_PRELOAD: 'painted' is not KEY:SCALE, such as lapsrn:4."),
        ("espcn:2,nonsense:4", "UPSCALE_PRELOAD: There is no model 'nonsense'"),
        ("espcn:8", "ESPCN has no scale x8"),
    ],
)
def test_a_preload_that_names_no_model_is_one_sentence(
    named: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", named)
    with pytest.raises(BadSetting) as error:
        gpu.preload()
    assert str(error.value).startswith(sentence)


def test_without_a_gpu_nothing_is_preloaded(own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", "espcn:2")
    monkeypatch.setattr(devices, "choose", lambda: Device("cpu"))
    gpu.preload()
    assert not upscalers._kept
    monkeypatch.setattr(devices, "choose", lambda: Device("cuda"))
    gpu.preload()
    assert [key for key, *_ in upscalers._kept] == ["espcn"]


def test_what_cannot_be_preloaded_is_logged_and_the_next_one_is_loaded(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", " edsr:2 , espcn:2,")
    monkeypatch.setattr(devices, "choose", lambda: Device("cuda"))
    gpu.preload()
    assert [key for key, *_ in upscalers._kept] == ["espcn"]
    assert "edsr x2 is not preloaded: EDSR_x2.pb (40 MB) cannot be had" in caplog.text


def test_without_the_setting_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "choose", lambda: pytest.fail("the page would open seconds later"))
    gpu.preload()
