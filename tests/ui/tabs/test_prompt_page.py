"""The Prompt tab in Debian's Chromium: the real page, the real loading and the real loop, with a tiny network."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from pipelines.runs import finish
from tests.conftest import serving, smooth, visit
from tests.support import published
from tests.support.hub import LoopbackHub
from tests.support.visitor import watch_console

TO_LOAD = 120_000  # ms for a run that loads torch and the network first, on a busy machine
GRADIOS_OWN = "Method not implemented."  # a warning of gradio's client whenever an upload ends


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        yield server


@pytest.fixture
def page(browser: Browser, painting: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The tab, opened; `parametrize` it with (width, colour scheme). The console must stay empty."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, painting) as page:
        messages = watch_console(page, "error", "warning")
        open_tab(page, painting)
        yield page
        assert set(messages) <= {GRADIOS_OWN}


def open_tab(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Prompt").click()
    expect(button(page, "Upscale")).to_be_enabled()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("tabpanel").get_by_role("button", name=name, exact=True)


def field(page: Page, name: str) -> Locator:
    """A field of the tab, or of a slider the one for its number."""
    return page.get_by_role("tabpanel").get_by_label(name).and_(page.locator("input:not([type=range]), textarea")).first


def state(page: Page) -> Locator:
    return page.locator("#prompt-progress")


def plan(page: Page) -> Locator:
    return page.locator("#prompt-plan")


def advanced(page: Page) -> None:
    page.get_by_role("tabpanel").get_by_role("button", name="Advanced").click()
    expect(field(page, "Negative prompt")).to_be_visible()


def give(page: Page, height: int, width: int, path: Path) -> None:
    images.write(Picture(smooth(height, width)), path)
    page.locator("#prompt-picture").get_by_label("Remove Image").click()
    page.locator("#prompt-picture input[type=file]").set_input_files(path)
    expect(page.locator("#prompt-picture img")).to_be_visible()
    expect(plan(page)).to_contain_text(f"{width} × {height}")


def test_words_in_a_larger_picture_out(
    page: Page, tiny_diffusion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live, and in the end the bytes that the library gives for the settings that can be copied."""
    give(page, 40, 60, tmp_path / "small.png")
    expect(plan(page)).to_contain_text("60 × 40 → 240 × 160")
    expect(plan(page)).to_contain_text("without a prompt, twice as fast")
    field(page, "Describe the image").fill("a cat 🐈")
    expect(plan(page)).not_to_contain_text("without a prompt")
    button(page, "Upscale").click()
    expect(state(page)).to_contain_text("Done in", timeout=TO_LOAD)
    expect(page.locator("#prompt-compare .where")).to_have_text("240 × 160")
    expect(page.locator("#prompt-compare .name").last).to_have_text("After: Stable Diffusion x4")
    told = json.loads(page.locator("#prompt-settings textarea").input_value())
    assert told["model"] == "sd-x4" and told["settings"]["prompt"] == "a cat 🐈"
    advanced(page)
    expect(field(page, "Seed")).to_have_value(str(told["settings"]["seed"]))
    with page.expect_download() as download:
        button(page, "Download PNG").click()
    assert download.value.suggested_filename == "small_sd-x4_x4.png"
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tiny_diffusion))
    assert told["settings"].pop("scheduler") == "DPM++ 2M"
    settings = Settings(**told["settings"])
    done = finish(enlarge_by(images.read(tmp_path / "small.png"), [Stage("sd-x4", 4)], settings))
    assert download.value.path().read_bytes() == images.encode(done.picture, "png")


def test_previews_come_before_the_result_and_cancelling_ends_it(page: Page, tmp_path: Path) -> None:
    give(page, 200, 300, tmp_path / "small.png")
    advanced(page)
    field(page, "Steps").fill("200")
    field(page, "Steps").press("Tab")
    button(page, "Upscale").click()
    expect(state(page)).to_contain_text(re.compile(r".* left · step \d+ of 200, tile \d of \d"))
    expect(page.locator("#prompt-compare .viewer")).to_have_attribute("data-state", "running")
    expect(page.locator("#prompt-compare .about")).to_have_text("in progress")
    button(page, "Cancel").click()
    expect(state(page)).to_contain_text("Cancelled.")
    expect(button(page, "Upscale")).to_be_enabled()
    page.wait_for_timeout(500)
    expect(state(page)).to_contain_text("Cancelled.")
    expect(page.locator("#prompt-compare .viewer")).to_have_attribute("data-state", "preview")


def test_creativity_and_the_noise_level_stay_in_step(page: Page) -> None:
    levels = page.get_by_role("radiogroup", name="Creativity").filter(visible=True)
    advanced(page)
    levels.get_by_role("radio", name="High").check()
    expect(field(page, "Noise level")).to_have_value("200")
    field(page, "Noise level").fill("90")
    field(page, "Noise level").press("Tab")
    expect(levels.get_by_role("radio", name="Medium")).to_be_checked()
    expect(field(page, "Noise level")).to_have_value("90")
    field(page, "Negative prompt").fill("blurred")
    button(page, "Reset to defaults").click()
    expect(field(page, "Noise level")).to_have_value("20")
    expect(levels.get_by_role("radio", name="Low")).to_be_checked()
    expect(field(page, "Negative prompt")).to_have_value("")


def test_a_seed_that_was_rolled_or_written_is_kept(page: Page, tmp_path: Path) -> None:
    give(page, 8, 8, tmp_path / "tiny.png")
    advanced(page)
    lock, seed = page.get_by_label("Keep this seed"), field(page, "Seed")
    expect(lock).not_to_be_checked()
    button(page, "⚄ Another seed").click()
    expect(lock).to_be_checked()
    expect(seed).not_to_have_value("0")
    seed.fill("42")
    button(page, "Upscale").click()
    expect(state(page)).to_contain_text("Done in")
    expect(seed).to_have_value("42")
    expect(page.locator("#prompt-facts")).to_contain_text("seed 42")
    lock.uncheck()
    button(page, "Upscale").click()
    expect(page.locator("#prompt-facts")).not_to_contain_text("seed 42")
    expect(state(page)).to_contain_text("Done in")
    expect(seed).not_to_have_value("42")


def test_no_picture_is_our_sentence(page: Page) -> None:
    page.locator("#prompt-picture").get_by_label("Remove Image").click()
    expect(page.get_by_text("Choose an image first.", exact=True).filter(visible=True)).to_be_visible()
    expect(button(page, "Upscale")).to_be_disabled()
    page.get_by_role("button", name="Example: Drawing").filter(visible=True).click()
    expect(button(page, "Upscale")).to_be_enabled()


def test_a_second_visitor_waits_and_who_leaves_frees_the_place(
    browser: Browser, tiny_diffusion: Path, tmp_path: Path
) -> None:
    """On a page that waits for who is gone five seconds, not a minute and a half."""
    code = "from ui.jobs import results; results.LOST_SECONDS = 5; "
    code += "from ui.command import open_page; raise SystemExit(open_page())"
    with serving(tiny_diffusion, "-c", code) as address, visit(browser, 1280, "light", address) as page:
        open_tab(page, address)
        with visit(browser, 1280, "light", address) as first:
            open_tab(first, address)
            give(first, 200, 300, tmp_path / "small.png")
            advanced(first)
            field(first, "Steps").fill("200")
            field(first, "Steps").press("Tab")
            button(first, "Upscale").click()
            expect(state(first)).to_contain_text("step")
            give(page, 200, 300, tmp_path / "as-small.png")  # a smaller one would pass the other
            advanced(page)
            field(page, "Steps").fill("200")
            field(page, "Steps").press("Tab")
            button(page, "Upscale").click()
            expect(state(page)).to_contain_text("In line: 1st")
            first.close()
        expect(state(page)).to_contain_text("step")
        button(page, "Cancel").click()
        expect(state(page)).to_contain_text("Cancelled.")


def test_by_keyboard(page: Page, tmp_path: Path) -> None:
    give(page, 8, 8, tmp_path / "tiny.png")
    field(page, "Describe the image").focus()
    page.keyboard.type("a cat")
    for _ in range(40):
        if page.evaluate("document.activeElement.innerText") == "Upscale":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(state(page)).to_contain_text("Done in", timeout=TO_LOAD)
    line = page.locator("#prompt-compare").get_by_role("slider")
    line.focus()
    page.keyboard.press("ArrowLeft")
    expect(line).to_have_attribute("aria-valuenow", "45")


def test_without_weights_a_model_that_is_here_is_a_click_away(browser: Browser, served: str, tmp_path: Path) -> None:
    with visit(browser, 1280, "light", served) as page:
        open_tab(page, served)
        give(page, 20, 30, tmp_path / "small.png")
        expect(plan(page)).to_contain_text("downloads 3.5 GB first")
        button(page, "Upscale").click()
        expect(page.locator(".problem:visible")).to_contain_text("Stable Diffusion x4 could not be downloaded (3.5 GB)")
        button(page, "Use Swift").click()
        expect(page.get_by_role("tab", name="Upscale")).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("radio", name="Faithful")).to_be_checked()
        expect(page.locator("#facts")).to_contain_text("120 × 80")


def test_what_lacks_comes_from_the_hub_and_is_run(
    browser: Browser, tiny_diffusion: Path, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a fresh machine to a picture: what is to come is told, comes while one sees it come, and comes once."""
    published.publish(hub, tiny_diffusion / "sd-x4", "slow")
    program = "-m", "tests.support.published", str(tiny_diffusion / "sd-x4")
    online = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    (served := tmp_path / "served").mkdir()
    with serving(served, *program, **online) as address, visit(browser, 1280, "light", address) as page:
        open_tab(page, address)
        give(page, 20, 30, tmp_path / "small.png")
        expect(plan(page)).to_contain_text(re.compile(r"downloads 1\.\d MB first"))
        field(page, "Describe the image").fill("a cat")
        button(page, "Upscale").click()
        said = "/ of 1\\.\\d MB · .*downloading/.test(document.querySelector('#prompt-progress').innerText)"
        page.wait_for_function(said)  # which looks at every frame
        expect(state(page)).to_contain_text("Done in", timeout=TO_LOAD)
        expect(plan(page)).not_to_contain_text("downloads")
        first = page.locator("#prompt-settings textarea").input_value()
        button(page, "Upscale").click()  # with another seed
        expect(page.locator("#prompt-settings textarea")).not_to_have_value(first)
        expect(button(page, "Upscale")).to_be_enabled()
        with page.expect_download() as download:
            button(page, "Download PNG").click()
        made = images.read(download.value.path())
        again = json.loads(page.locator("#prompt-settings textarea").input_value())
    network = [each for each in hub.asked if each.method == "GET" and each.path.endswith("unet/config.json")]
    assert len(network) == 1 and json.loads(first)["weights_sha256"] == again["weights_sha256"]
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tiny_diffusion))
    del again["settings"]["scheduler"]
    settings = Settings(**again["settings"])
    done = finish(enlarge_by(images.read(tmp_path / "small.png"), [Stage("sd-x4", 4)], settings))
    np.testing.assert_array_equal(to_uint8(made.pixels), to_uint8(done.picture.pixels))


def test_page_and_api_and_library_give_the_same_bytes(
    painting: str, tiny_diffusion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.write(Picture(smooth(20, 30)), tmp_path / "small.png")
    client = Client(painting, verbose=False, download_files=tmp_path / "downloads")
    file, details = client.predict(handle_file(tmp_path / "small.png"), "a cat", seed=3, api_name="/prompt")
    again, _ = client.predict(handle_file(tmp_path / "small.png"), "a cat", seed=3, steps=20, api_name="/prompt")
    plain, _ = client.predict(handle_file(tmp_path / "small.png"), "sd-x4", "x4", api_name="/upscale")
    client.close()
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tiny_diffusion))
    source = images.read(tmp_path / "small.png")
    for path, settings in ((file, Settings(prompt="a cat", seed=3)), (plain, Settings())):
        done = finish(enlarge_by(source, [Stage("sd-x4", 4)], settings))
        assert Path(path).read_bytes() == images.encode(done.picture, "png")
    np.testing.assert_array_equal(images.read(Path(again)).pixels, images.read(Path(file)).pixels)
    assert details["settings"] == {
        **{"tile": 128, "seed": 3, "prompt": "a cat", "negative_prompt": "", "steps": 20, "guidance": 9.0},
        **{"noise_level": 20, "colour_fix": "wavelet", "scheduler": "DPM++ 2M"},
    }
