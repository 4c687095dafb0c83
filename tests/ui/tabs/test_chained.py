"""The Chained 8x tab and `/chain`: what the API gives, and the tab in Debian's Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.catalog.rows import Stage
from pipelines.cli.main import main
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish
from tests.conftest import smooth, visit
from tests.support.visitor import cancel_once, watch_console
from ui.examples import EXAMPLES

STAGES = [Stage("espcn", 4), Stage("espcn", 2)]
GRADIOS_OWN = "Method not implemented."  # a warning of gradio's client whenever an upload ends


# --- the API ------------------------------------------------------------------------------------------------------


def test_api_and_command_line_and_library_give_the_same_bytes(
    client: Client, small: Path, tmp_path: Path, own_weights: Path
) -> None:
    file, details = client.predict(image=handle_file(small), first="espcn", second="espcn", api_name="/chain")
    assert main(["chain", str(small), str(tmp_path / "out.png"), "--stages", "espcn:4,espcn:2"]) == 0
    assert Path(file).read_bytes() == (tmp_path / "out.png").read_bytes()
    done = finish(enlarge_by(images.read(small), STAGES))
    assert Path(file).read_bytes() == images.encode(done.picture, "png")
    assert Path(file).name == "small_espcn-x4_espcn-x2_x8.png"
    assert details["model"] == "espcn:4,espcn:2" and details["scale"] == 8 and details["size"] == [240, 160]


def test_transparency_and_16_bits_survive(client: Client, tmp_path: Path) -> None:
    images.write(Picture(smooth(9, 9), alpha=smooth(9, 9)[..., 0], depth=16), tmp_path / "fine.png")
    file, _ = client.predict(handle_file(tmp_path / "fine.png"), "bicubic", "nearest", api_name="/chain")
    result = images.read(Path(file))
    assert result.depth == 16 and result.alpha is not None and result.alpha.shape == (72, 72)


@pytest.mark.parametrize(
    ("given", "first", "second", "sentence"),
    [
        (None, "bicubic", "bicubic", "Choose an image first."),
        ("small", "bicubik", "bicubic", "There is no model 'bicubik'; did you mean bicubic?"),
        ("small", "bicubic", None, "There is no model 'None'"),
        ("large", "bicubic", "bicubic", "144 megapixels: the limit is 128"),
        ("small", "edsr", "bicubic", "EDSR_x4.pb (40 MB) is unavailable"),
    ],
)
def test_bad_input_gets_our_sentence(
    client: Client, small: Path, given: str | None, first: str, second: str | None, sentence: str
) -> None:
    images.write(Picture(np.zeros((1500, 1500, 3), np.float32)), small.with_name("large.png"))
    image = None if given is None else handle_file(small.with_name(f"{given}.png"))
    with pytest.raises(AppError) as error:
        client.predict(image, first, second, api_name="/chain")
    assert sentence in str(error.value)


# --- the tab ------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The tab, opened; `parametrize` it with (width, colour scheme). The console must stay empty."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, served) as page:
        messages = watch_console(page, "error", "warning")
        page.goto(served)
        page.get_by_role("tab", name="Chained 8x").click()
        expect(button(page, "Run")).to_be_enabled()
        yield page
        assert set(messages) <= {GRADIOS_OWN}


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def state(page: Page) -> Locator:
    return page.locator("#chained-progress")


def plan(page: Page) -> Locator:
    return page.locator(".run-bar .plan:visible")  # in sight beside the button, however long the form is


def captions(page: Page) -> list[str]:
    """What stands below each pane, once every pane is drawn."""
    expect(page.locator("#chained-viewer .panes[aria-busy=false]")).to_be_visible()
    return page.locator("#chained-viewer .pane figcaption").all_inner_texts()


def give(page: Page, path: Path) -> None:
    page.locator("#chained-picture input[type=file]").set_input_files(path)
    expect(page.locator("#chained-picture .about")).to_contain_text(path.name)


def choose(page: Page, label: str, model: str) -> None:
    page.get_by_label(label).click()
    page.get_by_role("option", name=f"{model} —").click()
    expect(page.locator("ul[role=listbox]")).to_have_count(0)  # the viewer has a list of its own


def choose_espcn(page: Page) -> None:
    choose(page, "First, x4", "ESPCN")
    choose(page, "Then, x2", "ESPCN")


def look_at_shared(page: Page, names: list[str]) -> None:
    """Shares what is shown: whoever opens the link sees the same panes, the verdict and the scores; deletes it."""
    button(page, "Share link").click()
    link = page.locator(".shared-link input:visible")
    expect(link).to_be_visible()
    other = page.context.new_page()
    other.goto(link.input_value())
    expect(other.locator(".shared-viewer .panes")).to_have_attribute("aria-busy", "false")
    assert other.locator(".shared-viewer .pane .name").all_inner_texts() == names
    expect(other.locator(".verdict").first).to_contain_text("Closest to the original at x8")
    expect(other.get_by_role("heading", name="Chains")).to_be_visible()
    other.close()
    page.locator(".shared-link:visible").get_by_role("button", name="Delete").click()
    expect(page.locator(".share-panel.prose:visible")).to_contain_text("The shared page is deleted")


def test_scored_every_stage_is_shown_beside_the_original(page: Page, tmp_path: Path) -> None:
    images.write(Picture(smooth(100, 130)), tmp_path / "odd.png")
    give(page, tmp_path / "odd.png")
    page.get_by_role("checkbox", name="Test mode").check()
    choose_espcn(page)
    expect(plan(page)).to_contain_text("130 × 100 → 16 × 12 → 64 × 48 → 128 × 96 · compared with Bicubic x8 · ")
    button(page, "Run").click()
    expect(state(page)).to_contain_text("Done.")
    original, small, x4, x2, bicubic = captions(page)
    assert "Original" in original and "128 × 96" in original
    assert "÷8" in small and "16 × 12" in small
    assert "ESPCN x4" in x4 and re.search(r"64 × 48, [\d.]+ m?s", x4)
    assert "then ESPCN x2" in x2 and re.search(r"128 × 96, [\d.]+ m?s · in all PSNR Y [\d.]+ dB, [\d.]+ m?s", x2)
    assert "Bicubic x8" in bicubic and re.search(r"PSNR Y [\d.]+ dB", bicubic)
    button(page, "Difference").click()
    expect(button(page, "Difference")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("The chain is scored as a whole")).to_contain_text("nothing is rounded")
    expect(button(page, "Download PNG")).to_have_count(0)
    verdict, table = page.locator(".claims:visible"), page.locator("table[data-name=summary]:visible")
    look_at_shared(page, ["Original", "÷8", "ESPCN x4", "then ESPCN x2", "Bicubic x8"])
    tops = [each.bounding_box()["y"] for each in (verdict, page.locator("#chained-viewer"), table)]  # type: ignore[index]
    assert tops == sorted(tops), "the verdict, then the viewer, then the table"

    page.get_by_role("checkbox", name="Test mode").uncheck()
    whose = "Result of ESPCN x4, then ESPCN x2 in test mode. Press Run for ESPCN x4, then ESPCN x2."
    expect(page.locator("p.whose:visible")).to_have_text(whose)
    page.locator("#chained-picture input[type=file]").set_input_files(EXAMPLES[4].path)
    expect(page.locator("#chained-viewer .name")).to_have_text(["Preview"])
    assert [caption.split() for caption in captions(page)] == [["Preview", "Bicubic", "x8"]]
    for gone in (verdict, table, page.locator("p.whose:visible")):
        expect(gone).to_have_count(0)
    expect(button(page, "Download PNG")).to_be_disabled()


def test_without_scoring_it_enlarges_by_eight(page: Page, small: Path, own_weights: Path) -> None:
    give(page, small)
    choose_espcn(page)
    expect(plan(page)).to_contain_text("30 × 20 → 120 × 80 → 240 × 160 · ")
    button(page, "Run").click()
    expect(state(page)).to_contain_text("Done in")
    picture, x4, x8 = captions(page)
    assert "Image" in picture and "ESPCN x4" in x4 and "120 × 80" in x4
    assert "then ESPCN x2" in x8 and "240 × 160" in x8
    expect(page.locator("#chained-about")).to_contain_text("240 × 160")
    with page.expect_download() as download:
        button(page, "Download PNG").click()
    assert download.value.suggested_filename == "small_espcn-x4_espcn-x2_x8.png"
    done = finish(enlarge_by(images.read(small), STAGES))
    assert download.value.path().read_bytes() == images.encode(done.picture, "png")


def test_a_transparent_grey_picture_is_shown_at_every_stage(page: Page, tmp_path: Path) -> None:
    alpha = smooth(16, 16)[..., 0]
    images.write(Picture(np.full((16, 16, 3), 0.5, np.float32), alpha=alpha, grey=True), tmp_path / "clear.png")
    give(page, tmp_path / "clear.png")
    button(page, "Run").click()
    expect(state(page)).to_contain_text("Done in")
    assert len(captions(page)) == 3


def test_an_example_is_ready_and_a_preset_chooses_both_models(page: Page) -> None:
    """The example was made beforehand, and a run takes its place."""
    example, x4, x8 = captions(page)
    assert "Example" in example and "224 × 224" in example
    assert "Swift x4" in x4 and "896 × 896" in x4 and "then Swift x2" in x8 and "1792 × 1792" in x8
    expect(page.locator("#chained-about")).to_contain_text("A finished example")

    for model in ("LapSRN", "FSRCNN", "Swift"):
        button(page, f"{model} twice").click()
        for label in ("First, x4", "Then, x2"):
            expect(page.get_by_label(label)).to_have_value(re.compile(f"^{model} — "))
        if model == "Swift":
            expect(plan(page)).not_to_contain_text("downloads")
        else:
            expect(plan(page)).to_contain_text("downloads")


def test_a_model_that_cannot_be_had_leaves_the_others(page: Page) -> None:
    page.get_by_role("checkbox", name="Test mode").check()
    button(page, "FSRCNN twice").click()
    button(page, "Run").click()
    expect(state(page)).to_contain_text("FSRCNN_x4.pb (42 kB) is unavailable")
    assert [caption.splitlines()[0] for caption in captions(page)] == ["Original", "÷8", "Bicubic x8"]


def test_cancel_within_a_stage_leaves_nothing(page: Page, tmp_path: Path) -> None:
    images.write(Picture(np.tile(smooth(280, 280), (5, 5, 1))), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    choose_espcn(page)
    expect(plan(page)).to_contain_text("11200 × 11200")
    button(page, "Run").click()
    expect(state(page)).to_contain_text("stage 2 of 2, ESPCN x2: tiles")
    button(page, "Cancel").click()
    expect(state(page)).to_contain_text("Cancelled.")
    expect(page.locator("#chained-viewer .viewer")).to_have_attribute("data-state", "preview")
    expect(button(page, "Download PNG")).to_be_disabled()
    expect(button(page, "Run")).to_be_enabled()


def test_cancel_keeps_what_is_scored(page: Page, tmp_path: Path) -> None:
    images.write(Picture(np.tile(smooth(320, 320), (5, 5, 1))), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    page.get_by_role("checkbox", name="Test mode").check()
    expect(plan(page)).to_contain_text("1600 × 1600")
    button(page, "Run").click()
    cancel_once(page, "document.querySelector('#chained-progress').innerText.includes('Bicubic x8')")
    expect(state(page)).to_contain_text("Cancelled: 1 of 2 are below.")
    names = [caption.splitlines()[0] for caption in captions(page)]
    assert names == ["Original", "÷8", "Swift x4", "then Swift x2"]


def test_what_cannot_run_is_told_before(page: Page, tmp_path: Path) -> None:
    page.locator("#chained-picture").get_by_label("Remove Image").click()
    expect(page.get_by_text("Choose an image first.", exact=True).filter(visible=True)).to_be_visible()
    expect(button(page, "Run")).to_be_disabled()

    images.write(Picture(smooth(7, 30)), tmp_path / "tiny.png")
    give(page, tmp_path / "tiny.png")
    page.get_by_role("checkbox", name="Test mode").check()
    sentence = "An image of 30 by 7 pixels is too small to be shrunk by 8."
    expect(plan(page)).to_have_text(sentence)
    button(page, "Run").click()
    expect(page.locator(".problem")).to_contain_text(sentence)
    page.get_by_role("checkbox", name="Test mode").uncheck()
    expect(plan(page)).to_contain_text("30 × 7 → 120 × 28 → 240 × 56")

    images.write(Picture(np.zeros((1500, 1500, 3), np.float32)), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    page.get_by_role("checkbox", name="Test mode").check()
    expect(plan(page)).to_contain_text("1500 × 1500 → 187 × 187 → 748 × 748 → 1496 × 1496")
    page.get_by_role("checkbox", name="Test mode").uncheck()
    expect(plan(page)).to_contain_text(
        "large.png at x8 would be 12000 by 12000 pixels, 144 megapixels: the limit is 128"
    )
