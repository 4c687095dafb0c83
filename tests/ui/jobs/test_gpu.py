"""The GPU boundary: on a ZeroGPU Space, played here, and anywhere else."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import numpy as np
import pytest

from pipelines import estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import File, Url, Weights
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring.run import REPEATS
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step, finish, send
from pipelines.upscalers import loading
from tests.conftest import smooth
from tests.support import painter
from tests.support.hub import LoopbackHub, use
from ui import api
from ui.jobs import comparing, enlarging, gpu
from ui.tabs import chained
from ui.widgets import comparison_form, wanted

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
    assert [str(gpu.USUAL_LOAN)] in lent and [str(round(gpu.LOADING_SECONDS + gpu.LOAN_SLACK * 7))] in lent


def where() -> Run[int]:
    yield Step(0, 1, "looking")
    return os.getpid()


def test_elsewhere_all_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "CPU_ENGINES", frozenset())
    assert finish(gpu.run_job(gpu.USUAL_LOAN, [Stage("bicubic", 2)], where)) == os.getpid()


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
        ("(60s requested vs. 3s left). 2 < 3 > 1", "(60s requested vs. 3s left). 2 < 3 > 1"),
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


# --- for how long -------------------------------------------------------------------------------------------------


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """A diffusion model that takes a second for each pass over 100 by 100 pixels."""
    painter.use(monkeypatch)
    return [Stage("painted", 4)]


def test_a_diffusion_model_is_lent_a_gpu_for_as_long_as_it_will_take(painted: list[Stage]) -> None:
    for steps, size, taken in ((4, (100, 100), 7), (17, (100, 100), 20), (4, (200, 100), 14)):
        assert gpu.plan_picture_loan(painted, Settings(steps=steps), size) == round(
            gpu.LOADING_SECONDS + gpu.LOAN_SLACK * taken
        )
    assert gpu.plan_picture_loan(painted, Settings(steps=200), (300, 300)) == gpu.LONGEST_LOAN
    assert gpu.plan_picture_loan(painted, None, None) == gpu.LONGEST_LOAN, "nobody knows"


def test_a_network_is_lent_a_gpu_for_as_long_as_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flat minute would be refused to who has less of their quota left, and would end what takes longer."""
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    network = [Stage("real-esrgan", 4)]

    def lent(taken: float | None, stages: list[Stage] = network) -> int:
        monkeypatch.setattr(estimates, "estimate_each", lambda *_: [estimates.Estimate(taken, 0, False)])
        return gpu.plan_picture_loan(stages, None, (64, 64))

    assert [lent(taken) for taken in (0.1, 10, 100)] == [10, 25, 160], "10 s to start, and half as long again"
    assert lent(180) == lent(230) == gpu.LONGEST_LOAN
    with pytest.raises(BadSetting, match=r"about 4 min after 10 s to load, .* at the most: take a smaller image\.$"):
        lent(231)
    assert lent(231, [Stage("espcn", 4)]) == gpu.LONGEST_LOAN, "it borrows none"
    assert lent(None) == gpu.USUAL_LOAN, "nobody knows"


def test_opacity_and_16_bits_are_lent_more_time(painted: list[Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks enlarge opacity as well, unless it is the same everywhere, and compute 16 bits in float32."""
    monkeypatch.setattr(
        estimates, "estimate_each", lambda stages, *_: [estimates.Estimate(10, 0, False) for _ in stages]
    )
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    pixels = smooth(8, 8)
    network, opacity, flat = [Stage("real-esrgan", 4)], pixels[..., 0], np.ones((8, 8), np.float32)
    asked = [
        gpu.plan_picture_loan(network, None, (8, 8), picture)
        for picture in (Picture(pixels), Picture(pixels, flat), Picture(pixels, opacity), Picture(pixels, depth=16))
    ]
    assert asked == [25, 25, 40, 10 + round(gpu.LOAN_SLACK * 10 * gpu.FLOAT32_SLOWDOWN)]
    assert gpu.plan_picture_loan(network, None, (8, 8), Picture(pixels, opacity, depth=16)) == gpu.LONGEST_LOAN
    assert gpu.plan_picture_loan(painted, None, (8, 8), Picture(pixels, opacity)) == 35, "its opacity is bicubic's"


def test_what_would_end_half_way_is_refused_where_gpus_are_lent(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    with pytest.raises(
        BadSetting,
        match=r"^That would take about 30 min after 20 s to load, and a GPU is lent for 4 min at the most: take",
    ):
        gpu.plan_picture_loan(painted, Settings(steps=200), (300, 300))
    assert gpu.plan_picture_loan(painted, Settings(steps=20), (100, 100)) < gpu.LONGEST_LOAN


@pytest.mark.parametrize(
    ("stages", "most"), [([Stage("painted", 4)], 220), ([Stage("painted", 4), Stage("twice", 2)], 200)], ids=str
)
def test_what_loading_leaves_no_time_for_is_refused_too(
    stages: list[Stage], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a run may take longer than estimated gives way where all of it would be too long."""
    painter.use(monkeypatch, painter.PAINTED, replace(painter.PAINTED, key="twice", scales={2: None}))
    assert gpu.plan_loan(stages, most + 1, "take less") == gpu.LONGEST_LOAN, "nothing ends it here"
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    assert gpu.plan_loan(stages, most, "take less") == gpu.LONGEST_LOAN
    with pytest.raises(BadSetting, match="and a GPU is lent for 4 min at the most: take less"):
        gpu.plan_loan(stages, most + 1, "take less")


def test_each_diffusion_model_of_a_chain_is_given_time_to_begin(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one reads sixteen times the pixels."""
    twice = replace(painter.PAINTED, key="twice", scales={2: None})
    painter.use(monkeypatch, painter.PAINTED, twice)
    estimates.learn("twice", 2, 100, 100, 0.07, settings=Settings(steps=4))
    chain, settings = [*painted, Stage("twice", 2)], Settings(steps=4)
    taken = 7 + 16 * 0.07
    assert gpu.plan_picture_loan(chain, settings, (100, 100)) == round(2 * gpu.LOADING_SECONDS + gpu.LOAN_SLACK * taken)


def test_a_chain_takes_as_long_as_its_stages() -> None:
    first, second = estimates.estimate("espcn", 4, 100, 50).seconds, estimates.estimate("fsrcnn", 2, 400, 200).seconds
    assert first is not None and second is not None
    chain = [Stage("espcn", 4), Stage("fsrcnn", 2)]
    assert gpu.estimate_seconds(chain, None, 100, 50) == pytest.approx(first + second)


def test_a_chain_with_a_model_that_was_never_measured_has_no_time() -> None:
    assert gpu.estimate_seconds([Stage("edsr", 4), Stage("bicubic", 2)], None, 100, 50) is None


def test_where_a_gpu_is_lent_a_network_after_a_diffusion_model_runs_on_it_too(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real-ESRGAN on 1600 x 1600 takes minutes on a plain processor, by which the chain would be refused."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    chain = [*painted, Stage("real-esrgan", 2)]
    alone = estimates.estimate("real-esrgan", 2, 1600, 1600).seconds
    assert alone is not None and alone > 100
    here = gpu.estimate_seconds(chain, Settings(steps=4), 400, 400)
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    there = gpu.estimate_seconds(chain, Settings(steps=4), 400, 400)
    assert here is not None and there is not None
    assert here - there == pytest.approx(alone * (1 - 1 / gpu.GPU_SPEEDUP))
    assert gpu.plan_picture_loan(chain, Settings(steps=4), (400, 400)) <= gpu.LONGEST_LOAN
    light = [Stage("espcn", 4)]
    assert gpu.estimate_seconds(light, None, 400, 400) == estimates.estimate("espcn", 4, 400, 400).seconds, (
        "it has no use for one"
    )


# --- for how long, to compare -------------------------------------------------------------------------------------


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """A picture that is 100 by 100 when it has been shrunk by 4: the painter takes 23 s, so it is timed once."""
    images.write(Picture(smooth(400, 400)), tmp_path / "square.png")
    return tmp_path / "square.png"


def lent_to_compare(source: Path | list[Path], *models: str, protocol: str = "round-trip") -> int:
    """For how long a GPU would be lent."""
    asked = comparing.start(
        source if isinstance(source, list) else [source], protocol, "x4", "bicubic", list(models), []
    )
    return comparing.gpu_seconds(asked.plan.contenders, [(100, 100)] * len(asked.pictures))


def test_a_comparison_is_lent_a_gpu_for_as_long_as_all_its_runs_will_take(
    painted: list[Stage], square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = round(gpu.LOADING_SECONDS + gpu.LOAN_SLACK * (23 + comparing.SCORING_SECONDS * 0.16))
    assert lent_to_compare(square, "painted") == alone
    assert alone <= lent_to_compare(square, "painted", "bicubic") <= alone + 1
    scoring = comparing.SCORING_SECONDS * 0.16
    network = [gpu.estimate_seconds([Stage(key, 4)], None, 100, 100) for key in ("bicubic", "real-esrgan")]
    runs = sum((1 + REPEATS) * once for once in network if once is not None)
    assert lent_to_compare(square, "bicubic", "real-esrgan") == round(
        gpu.STARTING_SECONDS + gpu.LOAN_SLACK * (runs + 2 * scoring)
    ), "each of its runs counts"
    asked: list[int] = []
    monkeypatch.setattr(gpu, "_can_use_gpu", lambda stages: True)
    monkeypatch.setattr(gpu, "_on_gpu", lambda lent, job, *rest: asked.append(lent) or send(job(*rest)))
    told = finish(comparing.measure(comparing.start([square], "round-trip", "x4", "bicubic", ["painted"], [])))
    assert asked == [alone] and told.rows[0].error is None and told.complete


@pytest.mark.parametrize(
    ("pictures", "models", "instead"),
    [
        (1, ["painted"], "take a smaller image."),
        (1, ["bicubic", "painted"], "leave out painted, which takes 2.3 h of it, or take a smaller image."),
        (2, ["bicubic", "painted"], "leave out painted, which takes 4.6 h of it, or take smaller images, or fewer."),
    ],
)
def test_a_comparison_that_would_end_half_way_is_refused_with_what_to_leave_out(
    pictures: int,
    models: list[str],
    instead: str,
    painted: list[Stage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the page before the run, and by the API; elsewhere than on a Space it takes its time."""
    estimates.learn("painted", 4, 100, 100, 7 * 720, settings=Settings(steps=4))  # half of that, with the 7 s before
    paths = [tmp_path / f"{number}.png" for number in range(pictures)]
    for number, path in enumerate(paths):
        images.write(Picture(smooth(400, 400) * np.float32(1 - number / 2)), path)
    asked = "round-trip", "x4", "bicubic", models, []
    assert "would take" not in comparison_form.describe_plan(paths, *asked)
    comparing.start(paths, *asked)
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    for refused in (
        lambda: comparison_form.describe_plan(paths, *asked),
        lambda: _error(lambda: comparing.start(paths, *asked)),
    ):
        told = refused()
        assert "and a GPU is lent for 4 min at the most: " + instead in told


def test_a_chain_that_would_end_half_way_is_refused_before(
    painted: list[Stage], square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored or not, on the page and by `/chain`."""
    estimates.learn("painted", 4, 100, 100, 7 * 720, settings=Settings(steps=4))
    assert "would take" not in chained.describe_plan(square, "painted", "bicubic", True)
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    lent = "and a GPU is lent for 4 min at the most: "
    assert f"{lent}take a smaller image" in chained.describe_plan(square, "painted", "bicubic", False)
    assert f"{lent}leave out painted x4 then bicubic x2" in chained.describe_plan(square, "painted", "bicubic", True)
    assert f"{lent}take a smaller image" in wanted.describe_plan(square, "painted", "", "x4", "", None, "", None)
    with pytest.raises(gr.Error, match=lent):
        list(api.chain(square, "painted", "bicubic"))


def _error(call: Callable[[], object]) -> str:
    with pytest.raises(BadSetting) as error:
        call()
    return str(error.value)


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
