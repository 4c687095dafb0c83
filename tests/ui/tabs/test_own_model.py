"""A model of one's own, named by its file on the Hub, and the strength of denoising: page, API and command line.

The Hub is on loopback, the networks are tiny, and all between them is real.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, Page, expect
from safetensors.torch import save

from pipelines import estimates
from pipelines.cli.main import main
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring.run import resolve_contenders
from tests.conftest import serving, smooth, visit
from tests.support.hub import Behaviour, LoopbackHub, use
from tests.support.networks import as_pth, tiny_compact, tiny_rrdb
from ui.api import chain, upscale

GENERAL, TWIN = "realesr-general-x4v3.pth", "realesr-general-wdn-x4v3.pth"
RRDB, COMPACT = "owner/tiny/nets/4x_rrdb.safetensors", "owner/tiny/4x_compact.pth"
LARGE = b"\0" * 1_200_000


class Code:
    """What runs as it is loaded, by whoever loads it carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo it was run",)


def publish(hub: LoopbackHub, key: str, content: bytes, behaviour: Behaviour = "ok") -> str:
    """Put the file that a key names into its repository; returns its path on the server."""
    owner, name, path = key.split("/", 2)
    return hub.serve(f"/{owner}/{name}/resolve/main/{path}", content, behaviour)


def fill(hub: LoopbackHub) -> None:
    """Two models that work, and all that do not."""
    publish(hub, RRDB, save(tiny_rrdb()))
    publish(hub, COMPACT, as_pth({"params_ema": tiny_compact()}))
    publish(hub, "owner/code/x.pth", as_pth({"params": Code()}))
    publish(hub, "owner/cut/x.safetensors", save(tiny_rrdb())[:-100])
    publish(hub, "owner/empty/x.pth", b"")
    publish(hub, "owner/other/x.safetensors", save({"layer.weight": tiny_rrdb()["conv_first.weight"]}))
    publish(hub, "owner/large/x.pth", LARGE)
    publish(hub, "owner/gated/x.pth", b"1", "gated")
    publish(hub, "owner/gone/x.pth", b"1", "gone")
    publish(hub, "owner/broken/x.pth", b"1", "error")


BAD = [
    ("owner/code/x.pth", "x.pth holds code, not only numbers: it is refused"),
    ("owner/cut/x.safetensors", "x.safetensors is damaged or not a file of weights."),
    ("owner/empty/x.pth", "x.pth is unavailable: Hub owner/empty has an empty file"),
    (
        "owner/other/x.safetensors",
        "x.safetensors belongs to another network: expected RRDB, Swift, autoencoder, RCAN",
    ),
    ("owner/large/x.pth", "x.pth is unavailable: Hub owner/large has a file of 1.2 MB, and the limit here is 1.0 MB"),
    ("owner/gated/x.pth", "Hub owner/gated is gated, and only public files are downloaded by name"),
    ("owner/gone/x.pth", "Hub owner/gone does not exist, or is private"),
    ("owner/broken/x.pth", "Hub owner/broken has a server error (500)"),
    ("owner/tiny/no-such.pth", "no-such.pth is unavailable: Hub owner/tiny has no such file"),
    ("../../../x.pth", "'../../../x.pth' names no file on the Hub"),
    ("owner/name/" + "x" * 500 + ".pth", "has at most 200 characters here, not 515."),
    ("https://huggingface.co/spaces/o/n/blob/main/x.pth", "is the address of a space"),
    ("https://example.com/x.pth", "Files are not downloaded from example.com here, only from github.com"),
]


@pytest.fixture(scope="module")
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        fill(server)
        yield server


@pytest.fixture(scope="module")
def page_of_networks(hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that may ask the Hub, and has a tiny network as Real-ESRGAN general, with its twin."""
    folder = tmp_path_factory.mktemp("networks")
    for name, seed in ((GENERAL, 0), (TWIN, 1)):
        (folder / name).write_bytes(as_pth({"params": tiny_compact(seed)}))
    online = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_secret", "NO_PROXY": "*"}
    with serving(folder, **online, UPSCALE_MAX_MODEL_MEGABYTES="1") as address:
        yield address


@pytest.fixture
def client(page_of_networks: str, tmp_path: Path) -> Iterator[Client]:
    client = Client(page_of_networks, verbose=False, download_files=tmp_path / "downloads")
    yield client
    client.close()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (RRDB, "small_owner-tiny-nets-4x_rrdb.safetensors-HASH_x4.png"),
        ("https://huggingface.co/owner/tiny/blob/main/4x_compact.pth", "small_owner-tiny-4x_compact.pth-HASH_x4.png"),
    ],
)
def test_a_file_on_the_hub_runs_by_its_name(
    client: Client, small: Path, given: str, name: str, hub: LoopbackHub
) -> None:
    file, details = client.predict(handle_file(small), given, "x4", api_name="/upscale")
    key = given.removeprefix("https://huggingface.co/").replace("/blob/main", "")
    name = name.replace("HASH", hashlib.sha256(key.encode()).hexdigest()[:8])
    assert images.read(Path(file)).pixels.shape == (80, 120, 3) and Path(file).name == name
    assert details["model"] == key and len(details["weights_sha256"]) == 64
    hub.asked.clear()
    client.predict(handle_file(small), given, "x4", api_name="/upscale")
    assert hub.asked == [], "it was kept"


def test_another_scale_than_the_files_own_says_which_to_choose(client: Client, small: Path) -> None:
    with pytest.raises(AppError, match=r"4x_compact\.pth upscales by 4, not by 2: choose x4\."):
        client.predict(handle_file(small), COMPACT, "x2", api_name="/upscale")


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[given[:30] for given, _ in BAD])
def test_a_file_that_cannot_be_used_is_one_sentence(client: Client, small: Path, given: str, sentence: str) -> None:
    with pytest.raises(AppError) as error:
        client.predict(handle_file(small), given, "x4", api_name="/upscale")
    assert sentence in str(error.value)
    assert "/tmp" not in str(error.value) and "unreachable" not in str(error.value)
    assert "Something unexpected" not in str(error.value)
    assert client.predict(handle_file(small), "nearest", "x2", api_name="/upscale"), "the page goes on"


def test_the_pages_token_is_not_for_what_a_visitor_names(client: Client, small: Path, hub: LoopbackHub) -> None:
    hub.asked.clear()
    publish(hub, "owner/fresh/4x.safetensors", save(tiny_rrdb(3)))
    client.predict(handle_file(small), "owner/fresh/4x.safetensors", "x4", api_name="/upscale")
    assert hub.asked and {asked.token for asked in hub.asked} == {None}


def test_a_file_that_is_too_large_is_not_begun(client: Client, small: Path, hub: LoopbackHub) -> None:
    with pytest.raises(AppError, match="and the limit here is"):
        client.predict(handle_file(small), "owner/large/x.pth", "x4", api_name="/upscale")
    assert not any(asked.method == "GET" and "/large/" in asked.path for asked in hub.asked)


def test_no_more_than_four_are_compared_in_one_call(client: Client, small: Path, hub: LoopbackHub) -> None:
    hub.asked.clear()
    five = [f"owner/n{number}/x.pth" for number in range(5)]
    for models, stages in ((five, []), (five[:3], [f"{five[3]}:2,{five[4]}:2"])):
        with pytest.raises(AppError, match="At most 4 models of your own can be compared at once here, not 5"):
            client.predict(handle_file(small), "round-trip", models, "x4", "bicubic", stages, api_name="/benchmark")
    assert hub.asked == []


@pytest.mark.usefixtures("online")
def test_an_address_is_learned_as_the_key_that_it_stands_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[str] = []
    monkeypatch.setattr(estimates, "learn", lambda key, *_: learned.append(key))
    address = "https://huggingface.co/owner/tiny/blob/main/4x_compact.pth"
    *_, (_, details) = upscale(small, address, "x4")
    assert details is not None and details["model"] == COMPACT
    *_, (_, details) = chain(small, address, "nearest")
    assert details is not None and details["model"] == f"{COMPACT}:4,nearest:2"
    assert learned == [COMPACT, COMPACT, "nearest"]
    chained = resolve_contenders("chained-8x", 8, [], [[(address, 4), ("nearest", 2)], [(COMPACT, 4), ("nearest", 2)]])
    assert [each.key for each in chained] == ["bicubic", f"{COMPACT}:4,nearest:2"]


# --- denoise ------------------------------------------------------------------------------------------------------


def test_denoise_mixes_the_two_files(client: Client, small: Path) -> None:
    def pixels(**settings: Any) -> np.ndarray:
        file, details = client.predict(handle_file(small), "real-esrgan-general", "x4", **settings, api_name="/upscale")
        assert any("denoise" in note for note in details["notes"]) == (settings.get("denoise", 1) != 1)
        return images.read(Path(file)).pixels

    alone, whole, half, none = pixels(), pixels(denoise=1), pixels(denoise=0.5), pixels(denoise=0)
    np.testing.assert_array_equal(alone, whole)
    assert np.abs(alone - half).max() > 0.01 and np.abs(half - none).max() > 0.01


@pytest.mark.parametrize("value", [7, -0.1, "abc", True, [0.5], ""])
def test_nonsense_for_denoise_is_one_sentence(client: Client, small: Path, value: Any) -> None:
    with pytest.raises(AppError, match=r"Denoise is a number from 0 \(keeps noise\) to 1, not "):
        client.predict(handle_file(small), "real-esrgan-general", "x4", value, api_name="/upscale")


def test_denoise_is_for_those_that_take_it(client: Client, small: Path) -> None:
    with pytest.raises(AppError, match=r"Bicubic cannot use the setting denoise\."):
        client.predict(handle_file(small), "bicubic", "x4", 0.5, api_name="/upscale")


# --- the page -----------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser, page_of_networks: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """`parametrize` it with a width."""
    with visit(browser, getattr(request, "param", 1280), "light", page_of_networks) as page:
        page.goto(page_of_networks)
        expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_enabled()
        yield page


TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def open_models(page: Page) -> None:
    if not page.get_by_label("Model", exact=True).is_visible():
        page.get_by_role("button", name="All models").click()
        page.get_by_label("Or your own model").wait_for()
        page.evaluate(TWO_FRAMES)  # until then gradio does not hear what is put into a field


def choose(page: Page, model: str) -> None:
    open_models(page)
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name=f"{model} —").click()


def enlarge(page: Page) -> None:
    page.get_by_role("button", name="Upscale", exact=True).click()


def own(page: Page, text: str) -> None:
    open_models(page)
    page.get_by_label("Or your own model").fill(text)


def test_the_strength_is_there_for_models_that_take_it(page: Page) -> None:
    strength = page.get_by_role("slider", name="Denoise strength")
    expect(strength).to_have_count(0)
    choose(page, "Real-ESRGAN anime")
    expect(page.locator(".plan").first).to_contain_text("downloads 2.5 MB first")
    expect(strength).to_have_count(0)
    choose(page, "Real-ESRGAN general")
    page.get_by_role("button", name="Denoising").click()
    expect(strength).to_be_visible()
    expect(page.locator(".plan").first).not_to_contain_text("downloads")
    number = page.get_by_role("spinbutton", name="Denoise strength")
    number.fill("7")
    expect(page.locator(".trouble")).to_have_text("Denoise is a number from 0 (keeps noise) to 1, not 7.")
    strength.fill("0.3")
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text(f"denoise 0.3: mixed with {TWIN}")
    choose(page, "Bicubic")
    expect(strength).to_have_count(0)
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("Bicubic x4")


def test_ones_own_model_is_used_while_it_is_named(page: Page, hub: LoopbackHub) -> None:
    key = f"owner/seen/{(page.viewport_size or {})['width']}.safetensors"
    publish(hub, key, save(tiny_rrdb(5)))
    own(page, key)
    expect(page.locator(".plan").first).to_contain_text("time not known yet")
    expect(page.locator(".plan").first).to_contain_text("downloads a file of unknown size first")
    expect(page.get_by_text("A network of owner/seen.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= (page.viewport_size or {})["width"]
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text(f"{key.rpartition('/')[2]} x4")
    page.get_by_label("x2", exact=True).first.check()
    enlarge(page)
    expect(page.locator(".problem")).to_contain_text("upscales by 4, not by 2: choose x4.")
    own(page, "")
    expect(page.locator(".plan").first).not_to_contain_text("time not known yet")
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("Swift x2")


def test_ones_own_model_gives_way_to_one_of_the_list(page: Page) -> None:
    field, plan = page.get_by_label("Or your own model"), page.locator(".plan").first
    page.get_by_label("x2", exact=True).first.check()
    own(page, RRDB)
    expect(plan).to_contain_text(f"{RRDB}:")
    expect(page.get_by_label("x4", exact=True).first).to_be_checked()
    choose(page, "Bicubic")
    expect(field).to_have_value("")
    expect(plan).not_to_contain_text(RRDB)
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("Bicubic x4")


def test_a_size_stays_with_words_to_search_for_and_with_a_link(page: Page) -> None:
    """It is x4 again only for a model that is named by hand."""
    x2, plan = page.get_by_label("x2", exact=True).first, page.locator(".plan").first
    x2.check()
    own(page, "ul")
    expect(page.get_by_text("Choose a model from the search results")).to_be_visible()
    own(page, "")
    expect(plan).to_contain_text("Swift: 224 × 224 → 448 × 448")
    page.get_by_role("radio", name="Pixel art").check()
    expect(plan).to_contain_text("Nearest neighbour: 224 × 224 → 448 × 448")
    page.goto(f"{page.url.partition('?')[0]}?model={RRDB}&scale=x2")
    expect(plan).to_contain_text(f"{RRDB}: 224 × 224 → 448 × 448")
    page.get_by_role("button", name="Example: Drawing").filter(visible=True).click()
    expect(plan).to_contain_text(f"{RRDB}: 288 × 240 → 576 × 480")
    expect(x2).to_be_checked()


def test_what_cannot_be_ones_own_is_told_in_the_plan_and_on_the_run(page: Page) -> None:
    own(page, "../../x.pth")
    expect(page.locator(".trouble")).to_contain_text("'../../x.pth' names no file on the Hub")
    own(page, "owner/gone/x.pth")
    enlarge(page)
    expect(page.locator(".problem")).to_contain_text("Hub owner/gone does not exist, or is private")
    expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_enabled()


def test_offline_ones_own_model_is_a_sentence(browser: Browser, served: str) -> None:
    with visit(browser, 390, "light", served) as page:
        page.goto(served)
        expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_enabled()
        own(page, RRDB)
        expect(page.locator(".plan").first).to_contain_text("downloads a file of unknown size first")
        enlarge(page)
        said = "4x_rrdb.safetensors could not be downloaded: downloads are off here. Use Swift instead."
        expect(page.locator(".problem")).to_contain_text(said)


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def online(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub.url, tmp_path / "home", monkeypatch)


def run(*arguments: object) -> int:
    return main([str(each) for each in arguments])


@pytest.mark.usefixtures("online")
def test_the_command_line_takes_the_same_names(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, address = tmp_path / "out.png", f"https://huggingface.co/{COMPACT.replace('tiny/', 'tiny/blob/main/')}"
    assert run("upscale", small, out, "--model", address, "--scale", 4) == 0
    assert f"{COMPACT} x4" in capsys.readouterr().out
    assert run("chain", small, out, "--stages", f"{address}:4,bicubic:2") == 0
    assert images.read(out).pixels.shape == (160, 240, 3)
    assert run("upscale", small, out, "--model", RRDB, "--scale", 8) == 1
    assert capsys.readouterr().err == "4x_rrdb.safetensors upscales by 4, not by 8: choose x4.\n"


@pytest.mark.usefixtures("online")
def test_a_benchmark_of_ones_own_model(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, html = tmp_path / "report.json", tmp_path / "report.html"
    command = ["benchmark", small, "--protocol", "chained-8x", "--models", "bicubic"]
    command += ["--stages", f"{COMPACT}:4,bicubic:2"]
    images.write(Picture(smooth(64, 96)), small)
    assert run(*command, "--repeats", 0, "--json", report, "--html", html) == 0
    told = capsys.readouterr().out
    assert f"{COMPACT} x4 is not here: downloading a file of unknown size" in told
    rows = json.loads(report.read_text())["rows"]
    assert [row["model"] for row in rows] == ["bicubic", f"{COMPACT}:4,bicubic:2"]
    assert all(row["error"] is None for row in rows)
    assert run("benchmark", "--repeat", report, small, "--repeats", 0) == 0


@pytest.mark.usefixtures("online")
def test_weights_pull_of_ones_own_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "pull", RRDB) == 0
    asked, had = capsys.readouterr().out.splitlines()
    assert asked.endswith("is not here: downloading a file of unknown size")
    assert had.startswith(RRDB) and had.endswith("(Hub owner/tiny, unpinned)")


def test_denoise_on_the_command_line(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out = tmp_path / "own", tmp_path / "out.png"
    own.mkdir()
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(own))
    (own / GENERAL).write_bytes(as_pth({"params": tiny_compact(0)}))
    command = ["upscale", small, out, "--model", "real-esrgan-general", "--scale", 2, "--denoise"]
    assert run(*command, 1) == 0
    assert run(*command, 0.3) == 1
    assert capsys.readouterr().err.startswith(
        f"Denoise below 1 needs {TWIN} too, which is not in your folder of weights."
    )
    (own / TWIN).write_bytes(as_pth({"params": tiny_compact(1)}))
    assert run(*command, 0.3) == 0
    assert f"denoise 0.3: mixed with {TWIN}" in capsys.readouterr().out
    for nonsense in ("nan", "7", "-1"):
        assert run(*command, nonsense) == 1
        assert capsys.readouterr().err.startswith("Denoise is a number from 0 (keeps noise) to 1, not ")
