"""The page in a real browser: Debian's Chromium, one server, one page for each test."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from pipelines.phrasing import format_bytes
from tests.conftest import smooth, visit
from ui.examples import FIRST_RESULT


@pytest.fixture
def page(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened; `parametrize` it with (width, colour scheme). No request may leave this machine."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, served) as page:
        open_page(page, served)
        yield page


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_enabled()
    expect(page.locator("#compare .panes")).to_have_attribute("aria-busy", "false")


def give(page: Page, path: Path) -> None:
    page.locator("#picture").get_by_label("Remove Image").click()
    page.locator("#picture input[type=file]").set_input_files(path)
    expect(page.locator("#picture img")).to_be_visible()


def choose(page: Page, model: str) -> None:
    field = page.get_by_label("Model", exact=True)
    if not field.is_visible():
        page.get_by_role("button", name="All models").click()
    field.click()
    page.get_by_role("option", name=f"{model} —").click()


def enlarge(page: Page) -> None:
    page.get_by_role("button", name="Upscale", exact=True).click()


def downloaded(page: Page, kind: str) -> tuple[str, Path]:
    """What the button gives at one click, once it offers that format."""
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Download {kind}", exact=True).click()
    return download.value.suggested_filename, Path(download.value.path())


def test_a_result_is_there_before_anyone_clicks_and_another_is_made(page: Page) -> None:
    expect(page.locator("#compare .name")).to_have_text(["Before: Bicubic", "After: Swift x4"])
    expect(page.locator("#compare .where")).to_have_text("896 × 896")
    expect(page.locator("#facts")).to_contain_text("896 × 896")
    expect(page.get_by_text(f"PNG, {format_bytes(FIRST_RESULT.stat().st_size)}")).to_be_visible()
    name, path = downloaded(page, "PNG")
    assert (name, path.read_bytes()) == (FIRST_RESULT.name, FIRST_RESULT.read_bytes())

    # Swift is included: nothing is chosen, nothing downloaded.
    page.get_by_role("button", name="Example: Drawing").click()
    expect(page.locator(".plan")).to_contain_text("288 × 240 → 1152 × 960")
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("1152 × 960")
    expect(page.locator("#compare .name")).to_have_text(["Before: Bicubic", "After: Swift x4"])


def test_from_upload_to_download(page: Page, small: Path) -> None:
    give(page, small)
    choose(page, "ESPCN")
    page.get_by_role("radio", name="x3").check()
    expect(page.locator(".plan")).to_contain_text("30 × 20 → 90 × 60")
    enlarge(page)
    expect(page.locator("#progress")).to_contain_text("Done in")
    page.locator("#facts summary").click()
    expect(page.locator("#facts")).to_contain_text("sha256")
    expect(page.locator("#compare .name")).to_have_text(["Before: Bicubic", "After: ESPCN x3"])
    for kind in ("PNG", "WebP", "JPEG"):
        page.get_by_role("radio", name=kind, exact=True).check()
        suffix = "jpg" if kind == "JPEG" else kind.lower()
        name, path = downloaded(page, kind)
        assert name == f"small_espcn_x3.{suffix}"
        assert images.read(path).pixels.shape == (60, 90, 3)


def test_a_result_too_large_for_a_format_can_still_be_downloaded_as_png(page: Page, tmp_path: Path) -> None:
    """16400 pixels are too many for WebP, which is said before the run; the button does not stay without a use."""
    images.write(Picture(np.zeros((4100, 8, 3), np.float32)), tmp_path / "tall.png")
    give(page, tmp_path / "tall.png")
    choose(page, "Bicubic")
    page.get_by_role("radio", name="x4").check()
    expect(page.locator(".plan")).to_contain_text("8 × 4100 → 32 × 16400")
    expect(page.locator(".plan")).to_contain_text("too large for WebP")
    enlarge(page)
    expect(page.locator("#progress")).to_contain_text("Done in")
    page.get_by_role("radio", name="WebP", exact=True).check()
    expect(page.get_by_text("WebP holds at most 16383 pixels a side")).to_be_visible()
    name, path = downloaded(page, "PNG")
    assert name == "tall_bicubic_x4.png" and images.read(path).pixels.shape == (16400, 32, 3)


def test_an_example_and_a_scale_that_the_model_lacks(page: Page) -> None:
    page.get_by_role("button", name="Example: Drawing").click()
    expect(page.locator(".plan")).to_contain_text("288 × 240 → 1152 × 960")
    choose(page, "Lanczos")
    page.get_by_role("radio", name="x8").check()
    choose(page, "ESPCN")
    expect(page.get_by_role("radio", name="x8")).to_have_count(0)
    expect(page.get_by_role("radio", name="x4")).to_be_checked()
    expect(page.locator(".plan")).to_contain_text("1152 × 960")


def test_what_must_be_downloaded_is_told_first_and_an_error_once_with_a_way_out(page: Page) -> None:
    """In the place of the result, which comes back; the button does the same by a model that is here."""
    choose(page, "EDSR")
    expect(page.locator(".plan")).to_contain_text("downloads 40 MB first")
    panel = page.get_by_role("alert")
    for scale in ("x3", "x2"):
        enlarge(page)
        expect(panel).to_contain_text("EDSR could not be downloaded (40 MB): downloads are off here.")
        expect(panel).to_contain_text("Use Swift instead. It is ready.")
        expect(page.get_by_test_id("toast-body")).to_have_count(0)
        expect(page.locator("#progress")).to_have_text("Ready.")
        expect(page.locator("#facts")).to_be_hidden()
        expect(page.get_by_text("HF_HUB_OFFLINE is set")).to_be_hidden()
        panel.get_by_text("Details").click()
        expect(page.get_by_text("HF_HUB_OFFLINE is set")).to_be_visible()
        page.get_by_role("radio", name=scale).check()
        expect(panel).to_have_count(0)
        expect(page.locator("#facts")).to_be_visible()
    enlarge(page)
    page.get_by_role("button", name="Use Swift", exact=True).click()
    expect(page.locator("#facts")).to_contain_text("Swift x4")
    expect(page.locator("#progress")).to_contain_text("Done in")
    expect(page.locator("#compare .name")).to_have_text(["Before: Bicubic", "After: Swift x4"])
    expect(panel).to_have_count(0)


def test_without_an_image_there_is_nothing_to_press(page: Page, tmp_path: Path) -> None:
    page.locator("#picture").get_by_label("Remove Image").click()
    expect(page.get_by_text("Choose an image first.", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Example: Drawing").click()
    expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_enabled()
    (tmp_path / "<b>text.png").write_text("print('no picture')\n" * 9)
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "<b>text.png")
    expect(page.locator("#picture .said")).to_contain_text("is not an image in a format that can be read")


def test_a_tiff_is_shown_and_enlarged(page: Page, tmp_path: Path) -> None:
    """No browser shows one, so the server draws a preview."""
    Image.fromarray(to_uint8(smooth(20, 30))).save(tmp_path / "small.tif")
    give(page, tmp_path / "small.tif")
    expect(page.locator(".plan")).to_contain_text("30 × 20")
    page.wait_for_function("document.querySelector('#picture img').naturalWidth === 30")
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("120 × 80")


def test_a_run_can_be_cancelled_and_another_one_follows(page: Page, tmp_path: Path) -> None:
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    choose(page, "ESPCN")
    expect(page.locator(".plan")).to_contain_text("10000 × 10000")
    enlarge(page)
    expect(page.get_by_role("progressbar")).to_contain_text("tiles")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#progress")).to_contain_text("Cancelled.")
    page.get_by_role("button", name="Example: Page").click()
    choose(page, "Bicubic")
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("1280 × 960")


def test_an_address_opens_its_state_and_nonsense_in_it_changes_nothing(page: Page, served: str) -> None:
    open_page(page, f"{served}?model=espcn&scale=x3&example=drawing")
    expect(page.locator("#facts")).to_contain_text("864 × 720")
    expect(page.get_by_role("radio", name="x3")).to_be_checked()
    expect(page.locator(".plan").first).to_contain_text("ESPCN: 288 × 240")
    open_page(page, f"{served}?model=nonsense&scale=99&example=zzz")
    expect(page.get_by_role("radio", name="x4")).to_be_checked()
    expect(page.locator("#facts")).to_contain_text("896 × 896")
    expect(page.locator("#progress")).to_contain_text("Ready.")


def find_places(page: Page) -> list[dict[str, float]]:
    """Where the viewer, the facts and the buttons begin, and how wide they are; the facts may have a line more."""
    boxes = [page.locator(name).bounding_box() for name in ("#compare", "#facts", "#actions")]
    return [{side: box[side] for side in ("x", "y", "width")} for box in boxes if box]


def test_nothing_jumps_and_the_scale_stays(page: Page) -> None:
    where = find_places(page)
    page.get_by_role("button", name="Example: Page").click()
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("1280 × 960")
    assert find_places(page) == where

    # Opening the list of models does not undo the scale.
    page.get_by_role("button", name="All models").click()
    page.get_by_label("Model", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="x3").check()
    page.wait_for_timeout(500)
    expect(page.get_by_role("radio", name="x3")).to_be_checked()
    enlarge(page)
    expect(page.locator("#facts")).to_contain_text("960 × 720")


def test_a_short_job_passes_a_long_one_and_who_waits_is_told(
    page: Page, browser: Browser, served: str, tmp_path: Path
) -> None:
    """One visitor runs for minutes; a second one only looks, has a small image upscaled meanwhile, then waits in line
    with a large one, sees so, and gives up.
    """
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    expect(page.locator(".plan")).to_contain_text("10000 × 10000")
    enlarge(page)
    expect(page.get_by_role("progressbar")).to_contain_text("tiles")
    with visit(browser, 1280, "light", served) as second:
        open_page(second, served)
        expect(second.locator("#progress")).to_contain_text("Ready.")
        second.get_by_role("button", name="Example: Drawing").click()
        expect(second.locator(".plan")).to_contain_text("288 × 240")
        enlarge(second)
        expect(second.locator("#progress")).to_contain_text("Done in")
        expect(second.locator("#facts")).to_contain_text("1152 × 960")
        expect(page.get_by_role("button", name="Cancel")).to_be_enabled()
        expect(page.get_by_role("progressbar")).to_contain_text("tiles")
        give(second, tmp_path / "large.png")
        expect(second.locator(".plan")).to_contain_text("10000 × 10000")
        enlarge(second)
        expect(second.locator("#progress")).to_contain_text("In line: 1st")
        second.get_by_role("button", name="Cancel").click()
        expect(second.locator("#progress")).to_contain_text("Cancelled.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#progress")).to_contain_text("Cancelled.")


def test_a_run_that_the_server_did_not_take_can_be_asked_for_again(page: Page, served: str) -> None:
    """A lost connection is said, and gradio loads the page anew once the server answers: nothing of the run is left."""
    page.goto(served)
    run, line = page.locator("#actions button.primary"), page.locator("#progress")
    for path in ("queue/join", "app_id"):  # what runs begin with, and what gradio asks for to learn that it is back
        page.route(f"**/{path}*", lambda route: route.abort())
    run.click()
    expect(page.locator(".toast-wrap")).to_contain_text("Connection")
    with page.expect_event("load"):
        page.unroute_all()
    expect(line).to_have_text("Ready.")
    run.click()
    expect(line).to_contain_text("Done in")
