"""Every state of the Upscale tab at both widths, in light and dark: nothing overflows, axe-core finds nothing serious,
and on a phone the buttons and the progress stay in sight.
"""

from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth, visit

# The buttons in sight that a finger misses; gradio measures its tabs by copies out of sight.
SMALL = """all => all.filter((each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !each.closest("[aria-hidden=true]") && Math.min(each.offsetWidth, each.offsetHeight) < 24)
    .map((each) => `${each.offsetWidth} x ${each.offsetHeight}: ${each.outerHTML.slice(0, 200)}`)"""


def check(page: Page, state: str) -> None:
    """Asserts what holds in every state."""
    page.wait_for_function("document.getAnimations().every((each) => each.playState !== 'running')")
    assert page.viewport_size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], state
    report = Axe().run(page)
    serious = [each for each in report.response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == [], f"{state}: {report.generate_report()}"


def choose(page: Page, model: str) -> None:
    field = page.get_by_label("Model", exact=True)
    if not field.is_visible():
        page.get_by_role("button", name="All models").click()
    field.click()
    page.get_by_role("option", name=f"{model} —").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_state(width: int, scheme: str, browser: Browser, served: str, tmp_path: Path) -> None:
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    with visit(browser, width, scheme, served) as page:
        page.goto(served)
        field, bar = page.locator("#picture"), page.locator(".run-bar:visible")
        run, cancel = bar.locator("button.run"), bar.locator("button.cancel")
        expect(field.locator("img")).to_be_visible()
        expect(page.locator("#head p")).to_contain_text("measure which one is best for it")
        field.get_by_label("Remove image").click()
        expect(run).to_be_disabled()
        check(page, "without an image")

        field.locator("input").set_input_files(tmp_path / "large.png")
        expect(field.locator(".about")).to_have_text("large.png · 2500 × 2500")
        choose(page, "EDSR")
        run.click()
        expect(page.locator(".problem")).to_be_visible()
        check(page, "with an error")

        choose(page, "ESPCN")
        expect(page.locator(".problem")).to_have_count(0)
        run.click()
        expect(bar.get_by_role("progressbar")).to_contain_text("tiles")
        check(page, "running")
        if width == 390:
            for place in ("0", "document.body.scrollHeight"):
                page.evaluate(f"scrollTo(0, {place})")
                expect(run).to_be_in_viewport(ratio=1)
                expect(cancel).to_be_in_viewport(ratio=1)
                expect(bar.get_by_role("progressbar")).to_be_in_viewport(ratio=1)
        cancel.click()
        expect(page.locator("#progress")).to_contain_text("Cancelled.")

        page.get_by_role("button", name="Example: Drawing").click()
        expect(field.locator(".about")).to_have_text("drawing.png · 288 × 240")
        run.click()
        expect(page.locator("#progress")).to_contain_text("Done in")
        check(page, "done")
        assert page.locator("button").evaluate_all(SMALL) == []


def test_the_keyboard_stays_where_it_was(browser: Browser, served: str) -> None:
    """By keys alone: a model is chosen from the list, and Tab goes on to what follows it; a run begins, and at its end
    its button has the focus again, though it could not be pressed in between.
    """
    with visit(browser, 1280, "light", served) as page:
        page.goto(served)
        page.get_by_role("button", name="All models").click()
        model = page.get_by_label("Model", exact=True)
        model.focus()
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(page.locator("[role=option].active")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(page.get_by_role("option")).to_have_count(0)
        page.wait_for_function("document.activeElement !== document.body")
        page.keyboard.press("Tab")
        assert page.evaluate("Boolean(document.activeElement.closest('#own'))"), "what follows the list"
        page.get_by_role("button", name="Example: Drawing").click()
        run = page.locator("#actions button.run")
        run.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#progress")).to_contain_text("Done in")
        expect(run).to_be_focused()
