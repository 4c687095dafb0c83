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

import gradio as gr
import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog import schema
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import File, Url, Weights
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting
from pipelines.images.picture import Picture
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step, finish
from pipelines.upscalers import loading
from tests.conftest import smooth
from tests.support.hub import LoopbackHub, use
from ui.jobs import enlarging, gpu, loans

ROOT = Path(__file__).parents[3]


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
    """See tests/support/on_zero_gpu.py for what holds there."""
    url, asked = lender
    there = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": url, "HOME": str(tmp_path)}
    options = [
        "tests/support/on_zero_gpu.py",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
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
    # On the first GPU that the package knows, a second of which is one of the quota.
    assert ["60"] in lent and [str(round(loans.LOADING_SECONDS + loans.find_margin(1) * 7))] in lent


def where() -> Run[int]:
    yield Step(0, 1, "looking")
    return os.getpid()


def test_elsewhere_all_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "CPU_ENGINES", frozenset())
    assert finish(gpu.run_job(60, [Stage("bicubic", 2)], where)) == os.getpid()


def test_elsewhere_the_package_spaces_is_not_needed() -> None:
    code = "import sys; sys.modules['spaces'] = None; import app"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_what_denoising_needs_is_downloaded_before_the_gpu_is_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the parent's process, whose time is not the visitor's quota; the noisy twin only where it is mixed in."""

    class Lent(Exception):
        pass

    def lent(*given: object) -> Run[None]:
        raise Lent

    with LoopbackHub() as hub:
        use(hub.url, tmp_path / "home", monkeypatch)
        for name in ("usual.pth", "twin.pth"):
            hub.serve(f"/nets/{name}", b"net")
        usual, twin = (Weights((File(name, 3),), (Url(f"{hub.url}/nets"),)) for name in ("usual.pth", "twin.pth"))
        row = catalog.Model("made", "Made", "gan", "network", {2: usual}, "none needed", True, "Made for tests.")
        monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, replace(row, noisy_twin=twin)))
        for settings, asked in ((None, ["usual.pth"]), (Settings(denoise=1), []), (Settings(denoise=0), ["twin.pth"])):
            hub.asked.clear()
            monkeypatch.setattr(gpu, "run_job", lent)
            with pytest.raises(Lent):
                finish(enlarging.enlarge_picture(Picture(smooth(4, 4)), [Stage("made", 2)], settings))
            assert [each.path.rpartition("/")[2] for each in hub.asked] == asked


def test_what_is_quick_without_a_gpu_asks_for_none() -> None:
    """One asked for these would be taken off the visitor's quota for nothing."""
    light = ("swift", "espcn", "fsrcnn", "fsrcnn-small")
    quick = [model for model in catalog.MODELS if model.engine == "classical" or model.key in light]
    assert len(quick) > 5 and not any(model.gpu for model in quick)


# --- what the platform says ---------------------------------------------------------------------------------------


class HtmlString(str):
    """As the package `spaces` makes its messages: HTML, and Markdown for who asks for a text."""

    def __str__(self) -> str:
        return "No GPU [Create](https://huggingface.co/join) an account"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            HtmlString(
                'No GPU was available after 60s. <a style="color: var(--body)" href="https://huggingface.co/join">'
                "Create a free account</a> to get a higher<br>priority &amp; more."
            ),
            "No GPU was available after 60s. Create a free account (https://huggingface.co/join) to get a higher "
            "priority & more.",
        ),
        (
            "Over your runs limit. 2 < 3 > 1",
            "Over your runs limit. 2 < 3 > 1",
        ),
        ('<a href="javascript:alert(1)">Go</a>', "Go"),
    ],
)
def test_what_the_platform_says_is_plain_text(said: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page escapes what it shows, and callers of the API show it as it is."""

    def refuse(*_: object) -> Iterator[Step]:
        raise gr.Error(said)
        yield

    monkeypatch.setattr(gpu, "_on_gpu", refuse)
    with pytest.raises(gr.Error) as error:
        finish(gpu.run_job(9, [Stage("real-esrgan", 4)], where))
    assert error.value.message == shown and type(error.value.message) is str


# --- what is loaded before the page opens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("painted", "UPSCALE_PRELOAD: 'painted' is not KEY:SCALE, such as lapsrn:4."),
        ("espcn:2,nonsense:4", "UPSCALE_PRELOAD: There is no model 'nonsense'"),
        ("espcn:8", "UPSCALE_PRELOAD: ESPCN has no scale x8"),
    ],
)
def test_a_preload_that_names_no_model_is_one_sentence(
    named: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", named)
    with pytest.raises(BadSetting) as error:
        gpu.preload()
    assert str(error.value).startswith(sentence)


def test_without_a_gpu_nothing_is_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", "bicubic:2")
    monkeypatch.setattr(devices, "choose_device", lambda light=False: Device("cpu"))
    gpu.preload()
    assert not loading._kept
    monkeypatch.setattr(devices, "choose_device", lambda light=False: Device("cuda"))
    gpu.preload()
    assert [key for key, *_ in loading._kept] == ["bicubic"]


def test_what_cannot_be_preloaded_is_logged_and_the_next_one_is_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", " edsr:2 , bicubic:2,")
    monkeypatch.setattr(devices, "choose_device", lambda light=False: Device("cuda"))
    gpu.preload()
    assert [key for key, *_ in loading._kept] == ["bicubic"]
    assert "edsr x2 is not preloaded: EDSR_x2.pb (40 MB) is unavailable" in caplog.text


def test_a_model_that_is_too_large_for_the_memory_is_logged_and_the_page_opens(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def short(key: str, scale: int) -> None:
        raise MemoryError

    monkeypatch.setenv("UPSCALE_PRELOAD", "espcn:2")
    monkeypatch.setattr(devices, "choose_device", lambda light=False: Device("cuda"))
    monkeypatch.setattr(gpu, "pin", short)
    gpu.preload()
    assert "espcn x2 is not preloaded: there is not enough memory for it." in caplog.text


def test_without_the_setting_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "choose_device", lambda: pytest.fail("the page would open seconds later"))
    gpu.preload()
