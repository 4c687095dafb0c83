"""The Upscale tab's form in a browser: what it is for comes first, sizes that do not fit cannot be chosen."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from tests.conftest import ROOT, smooth, visit
from tests.support.visitor import check_state
from tests.ui.test_browser import choose, give, open_page

ORIENTATION = 0x0112  # EXIF's tag


@pytest.fixture
def page(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened; `parametrize` it with (width, colour scheme)."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, served) as page:
        open_page(page, served)
        yield page


def radio(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name).filter(visible=True)


def plan(page: Page) -> Locator:
    return page.locator(".plan:visible").first


def test_what_it_is_for_comes_first(page: Page, tmp_path: Path) -> None:
    """Each card says what it is good at and costs; by mouse and by keys, and the models are behind it."""
    expect(radio(page, "Faithful")).to_be_checked()
    expect(radio(page, "Photo Cleans and sharpens.")).to_have_count(1)
    radio(page, "Pixel art").check()
    expect(plan(page)).to_contain_text(re.compile("Nearest neighbour: 224 × 224 → 896 × 896 · (about|under) "))
    expect(page.get_by_label("Describe the image")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    expect(radio(page, "Creative")).to_be_checked()
    expect(radio(page, "Creative")).to_be_focused()
    expect(plan(page)).to_contain_text("Stable Diffusion x4: 224 × 224 → 896 × 896")
    expect(plan(page)).to_contain_text("downloads 3.5 GB first")
    page.get_by_label("Describe the image").filter(visible=True).fill("a cat")
    expect(plan(page)).not_to_contain_text("without a prompt")
    radio(page, "High").check()
    check_state(page, "what it is for")
    choose(page, "Bicubic")
    expect(page.locator("[role=radiogroup]:visible").first.locator(":checked")).to_have_count(0)
    expect(page.get_by_label("Describe the image")).to_have_count(0)
    Image.fromarray(to_uint8(smooth(60, 80))).save(tmp_path / "photo.jpg", quality=75)
    give(page, tmp_path / "photo.jpg")
    expect(plan(page)).to_contain_text("Bicubic: 80 × 60")
    expect(page.get_by_text("compression marks")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= (page.viewport_size or {})["width"]


def test_a_jpeg_is_told_why_and_a_click_overrules_it(page: Page, tmp_path: Path) -> None:
    """Photo's file cannot be fetched here."""
    Image.fromarray(to_uint8(smooth(60, 80))).save(tmp_path / "photo.jpg", quality=75)
    give(page, tmp_path / "photo.jpg")
    why = page.get_by_text("This JPEG has compression marks. Photo would remove them, but its download (4.9 MB)")
    expect(why).to_be_visible()
    expect(radio(page, "Faithful")).to_be_checked()
    radio(page, "Drawing or anime").check()
    expect(why).to_have_count(0)
    Image.fromarray(to_uint8(smooth(50, 70))).save(tmp_path / "other.jpg", quality=75)
    give(page, tmp_path / "other.jpg")
    expect(plan(page)).to_contain_text("Real-ESRGAN anime: 70 × 50")
    expect(radio(page, "Drawing or anime")).to_be_checked()


@pytest.mark.parametrize("name", ["exact.png", "photo.jpg", "turned.jpg"])
def test_before_has_the_pixels_that_were_upscaled(page: Page, tmp_path: Path, name: str) -> None:
    """The browser would make colours of its own of a JPEG."""
    pixels = np.random.default_rng(5).integers(0, 256, (30, 40, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    turned = Image.Exif()
    if name == "turned.jpg":
        turned[ORIENTATION] = 6
    Image.fromarray(pixels).save(tmp_path / name, quality=80, exif=turned)
    give(page, tmp_path / name)
    expect(plan(page)).to_contain_text(re.compile("1[26]0 × 1[26]0"))
    choose(page, "Bicubic")
    expect(plan(page)).to_contain_text("Bicubic: 1")
    radio(page, "x2").check()
    expect(plan(page)).to_contain_text(re.compile("→ (320|240)"))
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator("#progress")).to_contain_text("Done in")
    panes = page.locator("#compare .panes")
    expect(panes).to_have_attribute("aria-busy", "false")
    read = to_uint8(images.read(tmp_path / name).pixels)
    box = panes.bounding_box()
    assert box is not None
    for right, down in ((0.4, 0.3), (0.42, 0.5), (0.38, 0.7)):
        panes.hover(position={"x": right * box["width"], "y": down * box["height"]}, force=True)
        where = page.locator("#compare .where")
        expect(where).to_contain_text("RGB at")
        told = [int(each) for each in re.findall(r"\d+", where.inner_text())]
        assert told[4:7] == read[told[3] // 2, told[2] // 2].tolist()


def test_a_preview_under_a_size_of_ones_own_names_no_scale(page: Page, tmp_path: Path) -> None:
    about = page.locator("#compare figcaption .about")
    images.write(Picture(smooth(40, 50)), tmp_path / "one.png")
    give(page, tmp_path / "one.png")
    expect(about).to_have_text(["Bicubic x4"])
    radio(page, "Custom").check()
    images.write(Picture(smooth(50, 60)), tmp_path / "other.png")
    give(page, tmp_path / "other.png")
    expect(about).to_have_text(["Bicubic"])


def test_a_scale_that_does_not_fit_cannot_be_chosen(page: Page, tmp_path: Path) -> None:
    images.write(Picture(np.zeros((3000, 4000, 3), np.float32)), tmp_path / "phone.png")
    give(page, tmp_path / "phone.png")
    expect(plan(page)).to_contain_text("4000 × 3000 → 12000 × 9000")
    expect(plan(page)).to_contain_text("x4 would be 192 megapixels, the limit is 128. x3 is the largest that fits.")
    expect(radio(page, "x4")).to_be_disabled()
    expect(radio(page, "x3")).to_be_checked()
    radio(page, "x2").check()
    expect(plan(page)).to_contain_text("8000 × 6000")
    page.get_by_role("button", name="Example: Drawing").filter(visible=True).click()
    expect(plan(page)).to_contain_text("288 × 240 → 576 × 480")
    expect(radio(page, "x4")).to_be_enabled()


def test_links_open_what_they_ask_for_and_follow_what_is_chosen(page: Page, served: str, tmp_path: Path) -> None:
    """A heavy model waits for a click, what there is not is named, and a reload gives the chosen image back."""
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.url) if "queue/join" in each.url else None)
    page.goto(f"{served}?purpose=creative&prompt=a+cat&creativity=high&example=drawing")
    expect(plan(page)).to_contain_text("Stable Diffusion x4: 288 × 240")
    expect(page.locator(".link-note")).to_have_text("Press Upscale to run.")
    expect(radio(page, "Creative")).to_be_checked()
    expect(radio(page, "High")).to_be_checked()
    expect(page.get_by_label("Describe the image").filter(visible=True)).to_have_value("a cat")
    page.goto(f"{served}?model=nope&scale=9")
    expect(page.locator(".link-note")).to_have_text(
        "There is no model “nope”. There is no scale “9”. Press Upscale to run."
    )
    expect(radio(page, "Faithful")).to_be_checked()
    expect(page.locator("#progress")).to_contain_text("Ready.")
    assert sent == [], "nothing runs by itself"
    page.goto(f"{served}?model=nearest&scale=8&example=drawing&purpose=photo")
    expect(radio(page, "Pixel art")).to_be_checked()
    page.goto(f"{served}?tab=nope")
    expect(page.locator(".link-note")).to_have_text("There is no tab “nope”.")
    page.goto(f"{served}?tab=nope&purpose=creative")
    expect(page.locator(".link-note")).to_have_text("There is no tab “nope”. Press Upscale to run.")
    expect(radio(page, "Creative")).to_be_checked()
    page.goto(f"{served}?tab=chained")
    sent.clear()

    page.goto(served)
    expect(plan(page)).to_contain_text("Swift: 224 × 224")
    images.write(Picture(smooth(50, 70)), tmp_path / "mine.png")
    give(page, tmp_path / "mine.png")
    expect(plan(page)).to_contain_text("Swift: 70 × 50")
    radio(page, "Pixel art").check()
    page.wait_for_url("**/?purpose=pixel-art")
    expect(plan(page)).to_contain_text("Nearest neighbour: 70 × 50")
    radio(page, "x8").check()
    page.wait_for_url("**/?purpose=pixel-art&scale=x8")
    expect(plan(page)).to_contain_text("Nearest neighbour: 70 × 50 → 560 × 400")
    page.reload()
    expect(plan(page)).to_contain_text("Nearest neighbour: 70 × 50 → 560 × 400")
    expect(page.locator("#picture img")).to_have_count(1)
    assert sent == [], "nor after a reload"

    page.get_by_role("tab", name="Chained 8x").click()
    page.wait_for_url("**/?tab=chained")
    page.get_by_role("tab", name="Upscale").click()
    page.wait_for_url("**/?purpose=pixel-art&scale=x8")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").filter(visible=True).click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.context.clear_permissions()
    page.goto(f"{served}?tab=prompt&prompt=a+dog&creativity=medium")
    expect(page.get_by_role("tab", name="Prompt")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Describe the image").filter(visible=True)).to_have_value("a dog")
    expect(radio(page, "Medium")).to_be_checked()


def test_what_came_of_a_run_is_in_sight_and_so_is_the_model(page: Page, served: str) -> None:
    """Of a link to a model that serves no purpose, far down the page; and Swift instead of it, of the same example."""
    page.set_viewport_size({"width": 1280, "height": 600})
    page.goto(f"{served}?model=edsr")
    field, bar = page.get_by_label("Model", exact=True), page.locator(".run-bar:visible")
    expect(field).to_be_visible()
    expect(field).to_have_value(re.compile("^EDSR"))
    ends = "() => ['#all-models input', '#all-models .icon-wrap'].map((part) => document.querySelector(part)"
    right, left = page.evaluate(f"{ends}.getBoundingClientRect()).map(({{ left, right }}, at) => at ? left : right)")
    assert right <= left, "a long name ends before the arrow"
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(bar.locator(".plan")).to_contain_text("EDSR")
    expect(bar).to_be_in_viewport(ratio=1)
    bar.locator("button.run").click()
    problem = page.locator(".problem:visible")
    expect(problem).to_contain_text("EDSR")
    expect(problem).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Use Swift").click()
    expect(page.locator("#progress")).to_contain_text("Done in")
    expect(page.locator("#picture .call strong")).to_be_visible()  # which asks for an image of one's own

    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("#compare .panes")).not_to_be_in_viewport()
    bar.locator("button.run").click()
    expect(page.locator("#compare .panes")).to_be_in_viewport(ratio=0.5)
    give(page, ROOT / "tests" / "data" / "images" / "heic" / "plain.heic")
    expect(page.locator("#picture .about")).to_contain_text("plain.heic · ")
    page.wait_for_function("document.querySelector('#picture label > img').naturalWidth > 0")  # drawn by the server


def test_a_quick_link_runs_and_a_size_of_ones_own_is_made(page: Page, served: str) -> None:
    page.goto(f"{served}?model=bicubic&scale=2&example=drawing")
    expect(page.locator("#progress")).to_contain_text("Done in")
    expect(page.locator("#facts")).to_contain_text("576 × 480")
    expect(page.locator("[role=radiogroup]:visible").first.locator(":checked")).to_have_count(0)
    radio(page, "Custom").check()
    expect(page.get_by_text("Enter a size, such as x2.5, or 1920x for a width.")).to_be_visible()
    page.get_by_label("Custom size").fill("500x")
    expect(plan(page)).to_contain_text("Bicubic: 288 × 240 → 500 × 417")
    expect(plan(page)).to_contain_text("then shrunk to 500 × 417 by antialiased bicubic.")
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator("#facts")).to_contain_text("500 × 417")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG", exact=True).click()
    assert images.read(Path(download.value.path())).pixels.shape == (417, 500, 3)
