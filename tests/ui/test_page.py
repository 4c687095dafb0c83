"""The page as a visitor and as a script meet it: a real server, a real client."""

import ast
import asyncio
import base64
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.cli.main import main
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.report.report import as_shown, find_changes
from pipelines.runs import finish
from tests.conftest import smooth
from ui import page
from ui.examples import EXAMPLES, FIRST_CHAIN, FIRST_CHAIN_CHANGES, FIRST_CHAIN_RESULT, FIRST_RESULT
from ui.jobs import prefetching
from ui.jobs.offered import list_offered
from ui.tabs import upscale

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore:Expected .*1 arguments")  # gradio says it, and goes on
def test_only_arguments_that_may_be_none_are_filled_in() -> None:
    def filled(function: Callable[..., None]) -> list[Any]:
        with gr.Blocks() as blocks:
            gr.Button().click(function, [gr.Text(), gr.Text()], None)
        return page._filled(next(iter(blocks.fns.values())), ["given"])

    assert filled(lambda one, two=None: None) == ["given", None]
    assert filled(lambda one, two: None) == filled(lambda one, two=3: None) == ["given"]
    assert filled(lambda one: None) == ["given"], "it takes no second one"


def test_page_api_and_command_line_give_the_same_bytes(
    client: Client, small: Path, tmp_path: Path, own_weights: Path
) -> None:
    file, details = client.predict(handle_file(small), "espcn", "x3", api_name="/upscale")
    assert main(["upscale", str(small), str(tmp_path / "out.png"), "--model", "espcn", "--scale", "3"]) == 0
    assert Path(file).read_bytes() == (tmp_path / "out.png").read_bytes()
    assert Path(file).name == "small_espcn_x3.png"
    assert details["size"] == [90, 60] and details["model"] == "espcn" and len(details["weights_sha256"]) == 64


def test_16_bits_and_alpha_survive_the_page(client: Client, tmp_path: Path) -> None:
    """Gradio's own reading would make 8 bits of them."""
    fine = Picture(smooth(16, 16) * np.float32(0.77), alpha=smooth(16, 16)[..., 0], depth=16)
    images.write(fine, tmp_path / "fine.png")
    file, _ = client.predict(handle_file(tmp_path / "fine.png"), "nearest", "x2", api_name="/upscale")
    result, given = images.read(Path(file)), images.read(tmp_path / "fine.png")
    assert result.depth == 16 and result.alpha is not None
    np.testing.assert_array_equal(result.pixels[::2, ::2], given.pixels)


@pytest.mark.parametrize(
    ("scale", "size", "pixels", "name"),
    [
        (2, None, (40, 60), "small_bicubic_x2.png"),
        ("2", "", (40, 60), "small_bicubic_x2.png"),
        ("x2.5", None, (50, 75), "small_bicubic_75x50.png"),
        ("x2", "100x", (67, 100), "small_bicubic_100x67.png"),
        ("x2", "x50", (50, 75), "small_bicubic_75x50.png"),
        ("x2", "90x90", (60, 90), "small_bicubic_x3.png"),
    ],
)
def test_sizes_are_those_of_the_command_line(
    client: Client, small: Path, scale: object, size: str | None, pixels: tuple[int, int], name: str
) -> None:
    file, details = client.predict(handle_file(small), "bicubic", scale, size=size, api_name="/upscale")
    assert Path(file).name == name and images.read(Path(file)).pixels.shape == (*pixels, 3)
    assert details["size"] == [*reversed(pixels)]


@pytest.mark.parametrize(
    ("format_", "quality"), [("png", None), ("jpg", 30), ("jpeg", None), ("webp", 5), ("webp", "")]
)
def test_the_result_comes_in_any_format(client: Client, small: Path, format_: str, quality: object) -> None:
    file, _ = client.predict(handle_file(small), "bicubic", 2, format=format_, quality=quality, api_name="/upscale")
    assert Path(file).name == f"small_bicubic_x2.{format_}"
    expected = finish(enlarge_by(images.read(small), [Stage("bicubic", 2)])).picture
    assert Path(file).read_bytes() == images.encode(expected, images.format_of(Path(file)), quality=quality or None)


@pytest.mark.parametrize(
    ("format_", "quality", "sentence"),
    [
        ("gif", None, "There is no format 'gif': there are png, webp, jpg, jpeg."),
        ("/../x.png", None, "There is no format '/../x.png'"),
        ("jpg", 0, "The quality is a whole number from 1 to 100, not '0'."),
        ("jpg", "fine", "The quality is a whole number from 1 to 100, not 'fine'."),
        ("", 50, "PNG is lossless and has no quality: choose JPEG or WebP."),
    ],
)
def test_a_format_that_is_none_is_refused(
    client: Client, small: Path, format_: str, quality: object, sentence: str
) -> None:
    with pytest.raises(AppError) as error:
        client.predict(handle_file(small), "bicubic", 2, format=format_, quality=quality, api_name="/upscale")
    assert sentence in str(error.value)


def test_a_benchmark_takes_what_the_command_line_takes(client: Client, small: Path, tmp_path: Path) -> None:
    """Several images, chains as text, any kernel; without models those that are ready."""
    images.write(Picture(smooth(40, 64)), tmp_path / "other.png")
    images.write(Picture(smooth(40, 60)), small)
    given = {
        "scale": 4,
        "kernel": "bicubic+jpeg75",
        "images": [handle_file(small), handle_file(tmp_path / "other.png")],
    }
    report = client.predict(**given, stages="bicubic:2,nearest:2; nearest:2,bicubic:2", api_name="/benchmark")
    assert [(row["image"], row["model"]) for row in report["rows"]] == [
        (name, chain) for name in ("small.png", "other.png") for chain in ("bicubic:2,nearest:2", "nearest:2,bicubic:2")
    ]
    assert report["kernel"] == "bicubic+jpeg75"
    report = client.predict(handle_file(small), scale="3", api_name="/benchmark")
    ready = {row["model"] for row in report["rows"]}
    assert {"nearest", "bicubic", "swift", "espcn"} <= ready and "edsr" not in ready and "sd-x4" not in ready
    with pytest.raises(AppError, match="did you mean bicubic"):
        client.predict(handle_file(small), stages="bicubik:4,nearest:2", api_name="/benchmark")


def test_models_are_the_catalog(client: Client) -> None:
    assert client.predict(api_name="/models") == [catalog.as_dict(model) for model in catalog.MODELS]


@pytest.mark.parametrize(
    ("content", "model", "scale", "sentence"),
    [
        (b"print('no picture')", "bicubic", "x2", "given.png is not an image in a format that can be read"),
        (b"", "bicubic", "x2", "given.png is empty"),
        (None, "bicubic", "x2", "Choose an image first."),
        ("good", "bicubik", "x2", "There is no model 'bicubik'; did you mean bicubic?"),
        ("good", "sd-x2", "x8", "Stable Diffusion x2 reaches at most x4."),
        ("good", "espcn", "huge", "The scale is a number from 1.5 to 16, not 'huge'."),
        ("good", "edsr", "x2", "EDSR_x2.pb (40 MB) is unavailable: HF_HUB_OFFLINE is set"),
    ],
)
def test_bad_input_gets_our_sentence(
    client: Client,
    content: bytes | str | None,
    model: str,
    scale: str,
    sentence: str,
    small: Path,
) -> None:
    given = small.with_name("given.png")
    given.write_bytes(small.read_bytes() if content == "good" else content if isinstance(content, bytes) else b"")
    with pytest.raises(AppError) as error:
        client.predict(None if content is None else handle_file(given), model, scale, api_name="/upscale")
    assert sentence in str(error.value)
    assert "/tmp" not in str(error.value) and "Traceback" not in str(error.value)
    assert client.predict(handle_file(small), "nearest", "x2", api_name="/upscale"), "the page goes on"


def test_a_data_address_is_read_like_a_file(client: Client, small: Path) -> None:
    address = "data:image/png;base64," + base64.b64encode(small.read_bytes()).decode()
    given = {"url": address, "meta": {"_type": "gradio.FileData"}}
    file, _ = client.predict(given, "nearest", "x2", api_name="/upscale")
    assert images.read(Path(file)).pixels.shape == (40, 60, 3)


def test_cancelling_frees_the_worker(client: Client, tmp_path: Path) -> None:
    """A long run is cancelled; the one compute slot is free at once for the next visitor."""
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    long = client.submit(handle_file(tmp_path / "large.png"), "espcn", "x4", api_name="/upscale")
    while not long.status().code.name.startswith(("PROCESSING", "ITERATING")):
        time.sleep(0.05)
    long.cancel()
    images.write(Picture(smooth(8, 8)), tmp_path / "small.png")
    quick = client.submit(handle_file(tmp_path / "small.png"), "nearest", "x2", api_name="/upscale")
    assert quick.result(timeout=20)


def test_the_page_opens_before_any_heavy_library() -> None:
    code = """import sys
from ui import page
page.build().launch(**(page.launch_options() | {"server_port": None}), prevent_thread_lock=True, quiet=True)
print({"torch", "cv2", "diffusers", "transformers"} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("lent", [False, True])
def test_the_first_model_is_loaded_before_anyone_clicks(lent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the page once it is open; before it where GPUs are lent, since processes are forked there."""
    loaded, fetched = threading.Event(), threading.Event()
    monkeypatch.setattr(upscale, "load_first_model", loaded.set)
    monkeypatch.setattr(prefetching, "fetch_named", fetched.set)
    if lent:
        monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    blocks = gr.Blocks()
    page.warm_up(blocks)
    assert loaded.wait(0.3) == lent, "not while it opens"
    blocks.is_running = True
    assert loaded.wait(20)
    assert lent or fetched.wait(20), "what most visitors need is downloaded after it"


def test_what_is_shown_first_is_what_the_model_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made beforehand, by the very weights that are included."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    details = json.loads(FIRST_RESULT.with_suffix(".json").read_text())
    stages = [Stage(upscale.FIRST_MODEL, catalog.parse_scale(upscale.FIRST_SCALE))]
    done = finish(enlarge_by(images.read(EXAMPLES[0].path), stages))
    assert details["weights_sha256"] == done.details.weights_sha256 and details["model"] == done.details.model
    assert tuple(details["size"]) == done.details.size
    np.testing.assert_allclose(images.read(FIRST_RESULT).pixels, done.picture.pixels, atol=1.5 / 255)


def test_the_chain_that_is_shown_first_is_what_the_models_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first stage is the other example; its last is a lossy file, which is hardly to be told from the result."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    details = json.loads(FIRST_CHAIN_RESULT.with_suffix(".json").read_text())
    done = finish(enlarge_by(images.read(EXAMPLES[0].path), catalog.parse_stages(",".join(FIRST_CHAIN))))
    for name in ("model", "scale", "weights_sha256"):
        assert details[name] == done.details.as_dict()[name]
    np.testing.assert_allclose(images.read(FIRST_RESULT).pixels, done.stages[0].pixels, atol=1.5 / 255)
    apart = images.read(FIRST_CHAIN_RESULT).pixels - done.picture.pixels
    found = find_changes(*map(as_shown, map(images.read, (EXAMPLES[0].path, FIRST_CHAIN_RESULT))))
    assert tuple((x, y, side, side) for x, y, side in found) == FIRST_CHAIN_CHANGES, "where its viewer goes to"
    assert apart.shape == (1792, 1792, 3) and 10 * np.log10(1 / np.mean(apart**2)) > 38, "decibels"


def test_only_ui_imports_gradio_and_pipelines_never_imports_ui() -> None:
    for path in (ROOT / "pipelines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"gradio", "ui"} & {name.partition(".")[0] for name in names}, path


def test_the_page_names_no_model_by_itself() -> None:
    """Every choice of the dropdown comes from the catalog."""
    lists = [block for block in page.build().blocks.values() if isinstance(block, gr.Dropdown)]
    choices = next(block.choices for block in lists if block.elem_id == "all-models")
    assert [key for _, key in choices] == [model.key for model in list_offered()]


def test_what_is_copied_for_each_visitor_is_plain_data() -> None:
    """Gradio copies it deeply: what leads to the rest of the page would have the whole page copied as well."""
    for component in page.build().config["components"]:
        given = {name: value for name, value in component["props"].items() if name != "delete_callback"}
        assert json.loads(json.dumps(given)), component["type"]


def test_the_script_of_the_viewers_is_sent_once() -> None:
    sent = json.dumps([each["props"].get("js_on_load") for each in page.build().config["components"]])
    assert (sent + page.launch_options()["js"]).count("const drawPane = ") == 1


@pytest.mark.parametrize(
    ("port", "sentence"), [("many", "PORT must be a whole number"), ("taken", "is in use: choose another with PORT")]
)
def test_a_page_that_cannot_open_says_why(port: str, sentence: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = os.environ | {"PORT": str(taken.getsockname()[1]) if port == "taken" else port}
        done = subprocess.run([sys.executable, "app.py"], capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr


def test_malformed_input_is_logged_for_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    """The visitor sees one sentence, and the server's log stays short unless debugging is wanted."""
    with page.Page() as built:
        gr.Button().click(lambda image: None, gr.Image(), None)
    event = next(iter(built.fns.values()))
    for level, logged in ((logging.INFO, False), (logging.DEBUG, True)):
        caplog.clear()
        # In a thread of its own: the browser of other tests has a loop in this one.
        with (
            caplog.at_level(level, "ui.page"),
            ThreadPoolExecutor() as thread,
            pytest.raises(gr.Error, match="must be uploaded first"),
        ):
            thread.submit(asyncio.run, built.preprocess_data(event, ["no image"], None)).result()
        assert ("Traceback" in caplog.text) == logged


def test_a_choice_that_there_is_not_is_one_sentence_and_not_logged() -> None:
    """Sent as no browser does it; gradio's own message tells of Python, and its traceback goes to the log."""
    with page.Page() as built:
        gr.Button().click(lambda choice: None, gr.Radio(["a", "b"]), None)
    event = next(iter(built.fns.values()))
    with ThreadPoolExecutor() as thread, pytest.raises(gr.Error) as told:
        thread.submit(asyncio.run, built.preprocess_data(event, ["c"], None)).result()
    assert (told.value.message, told.value.print_exception) == ("That is not one of the choices.", False)
