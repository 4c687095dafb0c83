"""A batch on the page, in a real browser: many images, a zip, cancelled, failed, and found again by its address."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth, visit
from tests.support.visitor import cancel_once, check_state, watch_console


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with visit(browser, 1280, "light", served) as page:
        page.goto(f"{served}/?model=espcn&scale=x2&example=drawing")
        expect(page.locator("#progress")).to_contain_text("Done in")
        yield page


def download(page: Page) -> dict[str, bytes]:
    with page.expect_download() as given:
        page.get_by_role("button", name="Download ZIP").click()
    assert given.value.suggested_filename == "upscaled_espcn_x2.zip"
    with zipfile.ZipFile(given.value.path()) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_many_images_become_a_zip_which_its_address_shows_again(
    page: Page, browser: Browser, served: str, tmp_path: Path
) -> None:
    messages = watch_console(page)
    paths = [tmp_path / f"photo {number}.png" for number in range(1, 21)]
    for number, path in enumerate(paths):
        images.write(Picture(smooth(20 + number, 30)), path)
    field, marks = page.locator("#picture"), page.locator("#batch li[data-state=done]")
    field.locator("input[type=file]").set_input_files(paths)
    expect(field.locator(".thumbs li")).to_have_count(20)
    expect(page.locator(".plan").first).to_contain_text("ESPCN: 20 images → 0.071 megapixels")
    expect(page.locator("#compare")).to_be_hidden()
    expect(page.locator("#batch")).to_contain_text("The results will appear here")
    expect(page.get_by_role("button", name="Download ZIP")).to_be_disabled()
    field.get_by_role("button", name="Remove photo 20.png").click()
    expect(page.locator(".plan").first).to_contain_text("19 images")
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator("#progress")).to_contain_text("Done in")
    expect(marks).to_have_count(19)
    expect(page.get_by_role("img", name="done", exact=True)).to_have_count(19)  # those in sight
    expect(page.locator("#batch-facts")).to_contain_text("19 done")
    check_state(page, "a batch that is done")
    page.get_by_role("button", name="Look at photo 7.png").click()
    expect(page.locator("#batch-viewer .name").last).to_have_text("After: photo 7.png")
    expect(page.locator("#progress")).to_have_text("Done.")
    found = download(page)
    assert [*found] == [path.name for path in paths[:19]], "names are kept"
    assert images.read(found["photo 1.png"]).pixels.shape == (40, 60, 3)

    address = page.url
    assert "job=" in address
    with visit(browser, 390, "dark", served) as other:
        other.goto(address)
        expect(other.locator("#batch li[data-state=done]")).to_have_count(19)
        expect(other.locator("#picture .thumbs li")).to_have_count(19)
        expect(other.locator("#progress")).to_contain_text("Done in")
        assert download(other) == found
        other.goto(f"{served}/?job=made-up")
        expect(other.get_by_text("The batch of this link is no longer kept here.")).to_be_visible()
        expect(other.locator("#compare")).to_be_visible()

    field.get_by_role("button", name="Remove all images").click()
    expect(page.locator("#compare")).to_be_visible()
    expect(page).not_to_have_url(address)
    assert messages == []


def test_a_zip_is_a_batch_and_what_is_done_outlasts_a_cancel(page: Page, tmp_path: Path) -> None:
    images.write(Picture(smooth(20, 30)), tmp_path / "small.png")
    images.write(Picture(np.tile(smooth(250, 250), (8, 8, 1))), tmp_path / "large.png")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as opened:
        opened.write(tmp_path / "small.png", "a/50% #1.png")
        opened.write(tmp_path / "large.png", "b/large.png")
        opened.write(tmp_path / "large.png", "c/large.png")
        opened.writestr("notes.txt", "x")
    field = page.locator("#picture")
    field.locator("input[type=file]").set_input_files(tmp_path / "mine.zip")
    expect(field.locator(".said")).to_have_text("Left out, not named as images are: notes.txt.")
    named = ["a/50% #1.png · 30\u00a0×\u00a020", *(f"{folder}/large.png · 2000\u00a0×\u00a02000" for folder in "bc")]
    expect(field.locator(".thumbs span")).to_have_text(named)
    page.wait_for_function("[...document.querySelectorAll('#picture .thumbs img')].every((each) => each.naturalWidth)")
    path, shown = page.locator("#picture .thumbs img").first.evaluate("each => [each.dataset.path, each.currentSrc]")
    assert unquote(urlsplit(shown).path).endswith(f"file={path}"), "the file itself, which nobody had to draw"
    page.locator("#batch-format").get_by_label("JPEG").check()
    page.get_by_role("button", name="Upscale", exact=True).click()
    cancel_once(page, "document.querySelector('#batch li[data-state=done]')")
    expect(page.locator("#progress")).to_have_text(re.compile(r"Cancelled: [12] of 3 are done\."))
    expect(page.locator("#batch-facts")).to_contain_text("not begun")
    assert [*download(page)] in (["a/50% #1.jpg"], ["a/50% #1.jpg", "b/large.jpg"])
    page.reload()
    expect(page.locator("#progress")).to_have_text(re.compile(r"Cancelled: [12] of 3 are done\."))
    expect(page.locator("#batch-facts")).to_contain_text("not begun")

    field.locator("input[type=file]").set_input_files(tmp_path / "small.png")
    expect(field.locator(".thumbs li")).to_have_count(4)
    with zipfile.ZipFile(tmp_path / "harmful.zip", "w") as opened:
        opened.writestr("../small.png", "x")
    field.locator("input[type=file]").set_input_files(tmp_path / "harmful.zip")
    expect(field.locator(".said")).to_contain_text("harmful.zip is refused: it has a file for a place outside")
    expect(field.locator(".thumbs li")).to_have_count(4)
