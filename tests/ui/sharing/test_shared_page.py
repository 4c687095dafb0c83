"""A result and a comparison shared, looked at by somebody else, and deleted by who made them."""

import json
import re
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth, visit
from tests.support.visitor import watch_console
from tests.ui.test_preview_card import tags
from ui.examples import FIRST_RESULT, find_example

PANEL = ".share-panel.prose:visible"
SEEN = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(data).size > 30; }"""


def share(page: Page) -> str:
    """Presses the button in sight; returns the link."""
    page.get_by_role("button", name="Share link").click()
    link = page.locator(".shared-link input:visible")
    expect(link).to_be_visible()
    return link.input_value()


def fetch(address: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(address, headers=sent)) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def look(browser: Browser, served: str, link: str, after: str) -> None:
    """Somebody else opens the link, on a phone in the dark: all is there, in a frame too, and cannot be deleted."""
    with visit(browser, 390, "dark", served) as other:
        messages = watch_console(other)
        other.goto(f"{link}#made-up")
        expect(other.locator(".shared-viewer .panes")).to_have_attribute("aria-busy", "false")
        assert after in [name.strip() for name in other.locator(".shared-viewer .name").all_inner_texts()]
        assert other.locator(".shared-viewer canvas").first.evaluate(SEEN), "the image is drawn"
        expect(other.get_by_text("Anyone with the link can see this page")).to_be_visible()
        expect(other.get_by_role("button", name="Delete this page now")).to_be_hidden()
        assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert other.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(2, 6, 23)"
        other.goto(f"{served}/gradio_api/info")  # a document without rules of its own
        other.set_content(f'<iframe src="{link}" width="380" height="700"></iframe>')
        expect(other.frame_locator("iframe").locator(".shared-viewer .panes")).to_have_attribute("aria-busy", "false")
        assert messages == []


def test_a_result_and_a_comparison_are_shared(browser: Browser, served: str, client: Client, tmp_path: Path) -> None:
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    images.write(Picture(smooth(64, 80)), paths[0])
    images.write(Picture(smooth(56, 48)[::-1].copy()), paths[1])
    with visit(browser, 1280, "light", served) as page:
        messages = watch_console(page)
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.goto(served)
        ready = share(page)
        assert fetch(f"{ready}/0-1/{FIRST_RESULT.name}")[0] == FIRST_RESULT.read_bytes(), "the example can be shared"
        asked.clear()
        page.goto(f"{served}/?model=espcn&scale=x3&example=drawing")
        expect(page.locator("#progress")).to_contain_text("Done in")
        about = page.locator(".share-about.prose:visible")
        expect(about).to_contain_text("Anyone with the link can see it, for 30 days")
        assert not any("/r/" in each for each in asked), "nothing is shared before it is asked for"
        link = share(page)
        assert re.fullmatch(rf"{re.escape(served.rstrip('/'))}/r/[0-9a-f]{{4}}-[\w-]{{22}}", link)
        expect(page.locator(PANEL)).to_contain_text("works only there")
        expect(page.get_by_role("button", name="Delete the shared page")).to_have_count(0)

        html, headers = fetch(link)
        card = tags(html.decode())
        assert card["og:title"] == "ESPCN x3: before and after" and card["og:url"] == link
        assert 'name="robots" content="noindex' in html.decode() and headers["x-robots-tag"].startswith("noindex")
        assert headers["referrer-policy"] == "no-referrer" and "script-src 'self'" in headers["content-security-policy"]
        assert b"/gradio/" not in html and b"drawing.png" not in html, "no path of the server, nor a file's name"
        there = fetch(link, X_Forwarded_Host="upscale.example", X_Forwarded_Proto="https")[0].decode()
        assert tags(there)["og:image"] == f"https://upscale.example{urlsplit(card['og:image']).path}"
        with Image.open(BytesIO(fetch(card["og:image"])[0])) as picture:
            assert picture.size == (1200, 630)
        example = find_example("drawing")
        assert example is not None
        file, _ = client.predict(image=handle_file(example.path), model="espcn", scale="x3", api_name="/upscale")
        with Image.open(file) as result, Image.open(BytesIO(fetch(f"{link}/0-1/0_0_0.webp")[0])) as tile:
            corner = result.convert("RGB").crop((0, 0, *tile.size))
            np.testing.assert_array_equal(np.asarray(tile.convert("RGB")), np.asarray(corner))
        look(browser, served, link, "After: ESPCN x3")
        assert share(page) == link, "it is shared already"
        page.reload()
        expect(page.locator(".shared-link input:visible")).to_have_value(link)
        messages.clear()  # gradio says that its streams were broken off
        page.locator("#picture input[type=file]").set_input_files(paths[0])
        expect(page.locator(".shared-link:visible")).to_have_count(0)  # it is not of this image
        page.get_by_role("button", name="Share link").click()
        expect(page.locator(PANEL)).to_contain_text("There is no result of this image yet.")

        page.get_by_role("tab", name="Compare").click()
        page.locator("#pictures input[type=file]").set_input_files(paths)
        expect(page.locator("#pictures li")).to_have_count(2)
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.get_by_role("button", name="ZIP", exact=True)).to_be_visible(timeout=90_000)
        compared = share(page)
        look(browser, served, compared, "Original")
        html = fetch(compared)[0]
        assert tags(html.decode())["og:title"] == "Which upscaler is best at x4?"
        assert b"/gradio/" not in html
        views = json.loads(re.findall(rb'class="shared-views">(.*?)</script>', html, re.DOTALL)[0])
        assert [len(view["panes"]) for view in views] == [7, 7] and b"Where the models differ most: one.png" in html

        # Who made it sees the button here and there; another visitor's secret deletes nothing.
        refused = urllib.request.Request(link, method="DELETE", headers={"X-Delete-Secret": "x" * 22})
        try:
            urllib.request.urlopen(refused)
            raise AssertionError("it was deleted")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and error.read() == b"Only who shared this page can delete it."
        page.locator(".shared-link:visible").get_by_role("button", name="Delete").click()
        expect(page.locator(PANEL)).to_contain_text("The shared page is deleted")
        page.goto(f"{link}#made-up")  # as somebody may send it: what deletes it is not lost
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete this page now").click()
        expect(page.get_by_text("Deleted. The link no longer works.")).to_be_visible()
        assert messages == []
        for gone in (link, compared):
            answer = page.goto(gone)
            assert answer is not None and answer.status == 404
            expect(page.get_by_text("does not exist, or it was deleted")).to_be_visible()
