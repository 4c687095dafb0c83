"""A page whose connection was lost, or that was loaded anew, shows the run that it had, and never starts it again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import serving, smooth, visit
from tests.support.relay import Relay

LOST_SECONDS = 4


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with visit(browser, 1280, "light", served) as page:
        yield page


def open_with(page: Page, served: str, picture: Path) -> None:
    """Opens the page with that picture, ESPCN and x4 chosen."""
    page.goto(served)
    expect(page.locator("#compare .panes")).to_have_attribute("aria-busy", "false")
    page.locator("#picture").get_by_label("Remove Image").click()
    page.locator("#picture input[type=file]").set_input_files(picture)
    expect(page.locator("#picture img")).to_be_visible()
    page.get_by_role("button", name="All models").click()
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="ESPCN —").click()
    expect(page.locator(".plan").first).to_contain_text("ESPCN:")


def test_a_result_outlasts_a_connection_that_is_lost_in_the_middle_of_the_run(
    browser: Browser, served: str, tmp_path: Path
) -> None:
    """The run goes on meanwhile; picture, model, and the result are there when the page has loaded itself anew.

    Within the time for which a run goes on unheard, which `test_listening` holds to be more than a minute.
    """
    images.write(Picture(np.tile(smooth(250, 250), (4, 4, 1))), tmp_path / "mine.png")
    with Relay(served) as relay, visit(browser, 1280, "light", relay.url) as page:
        open_with(page, relay.url, tmp_path / "mine.png")
        progress = page.locator("#progress")
        page.get_by_role("button", name="Upscale", exact=True).click()
        expect(progress).to_contain_text("tiles")
        relay.lose()
        page.wait_for_timeout(LOST_SECONDS * 1000)
        assert "Done" not in progress.inner_text(), "the browser has not heard of the end"
        with page.expect_event("load"):
            relay.restore()
        expect(progress).to_contain_text("Done in", timeout=90_000)
        expect(page.locator("#compare .name").last).to_have_text("After: ESPCN x4")
        expect(page.locator("#facts")).to_contain_text("4000 × 4000")
        expect(page.locator(".plan").first).to_contain_text("ESPCN: 1000 × 1000")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download PNG", exact=True).click()
        assert download.value.suggested_filename == "mine_espcn_x4.png"
        assert images.measure(Path(download.value.path())) == (4000, 4000)


def test_a_url_that_asks_for_a_run_is_one_wish(page: Page, served: str) -> None:
    page.goto(f"{served}/?model=espcn&scale=x3&example=drawing")
    expect(page.locator("#progress")).to_contain_text("Done in")
    before = page.locator("#progress").inner_text()
    joined: list[str] = []
    page.on("request", lambda sent: joined.append(str(sent.post_data)) if "queue/join" in sent.url else None)
    page.reload()
    expect(page.locator("#progress")).to_have_text(before)
    expect(page.locator("#compare .name").last).to_have_text("After: ESPCN x3")
    expect(page.get_by_role("radio", name="x3")).to_be_checked()
    page.wait_for_timeout(1000)
    assert page.locator("#progress").inner_text() == before and len(joined) == 1, "only what finds it again"


def test_another_tab_of_the_browser_begins_anew(page: Page, served: str) -> None:
    page.goto(f"{served}/?model=espcn&scale=x3&example=drawing")
    expect(page.locator("#progress")).to_contain_text("Done in")
    other = page.context.new_page()
    other.goto(served)
    expect(other.locator("#compare .name").last).to_have_text("After: Swift x4")
    expect(other.locator("#progress")).to_contain_text("Ready.")


def test_files_of_a_waiting_comparison_are_not_deleted(browser: Browser, tmp_path: Path) -> None:
    """On a page whose hour is four seconds, behind a run of several."""
    code = "from ui.jobs import sweeping; sweeping.KEPT_SECONDS = 4; sweeping.SWEEP_SECONDS = 0.5; "
    code += "from ui.command import open_page; raise SystemExit(open_page())"
    images.write(Picture(np.tile(smooth(250, 250), (4, 4, 1))), tmp_path / "large.png")
    paths = [tmp_path / f"mine{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        images.write(Picture(smooth(80, 80 + 8 * number)), path)
    with serving(tmp_path, "-c", code) as address, visit(browser, 1280, "light", address) as page:
        page.goto(address)
        page.get_by_role("tab", name="Compare").click()
        page.locator("#pictures input[type=file]").set_input_files(paths)
        expect(page.locator(".plan:visible")).to_contain_text("3 images")
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator(".progress:visible, [role=status]:visible").first).to_contain_text("Done.", timeout=120_000)
        expect(page.get_by_text("does not exist")).to_have_count(0)
