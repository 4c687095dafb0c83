"""Every state of every tab, narrow and dark, wide and light, as `check_state` sees it; and where the keyboard is."""

from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth, visit
from tests.support.visitor import check_state

COUNT_FRAMES = """window.asked = 0;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => { window.asked++; return ask(draw); };"""


def choose(page: Page, model: str) -> None:
    field = page.get_by_label("Model", exact=True)
    if not field.is_visible():
        page.get_by_role("button", name="All models").click()
    field.click()
    page.get_by_role("option", name=f"{model} —").click()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.locator(".run-bar:visible button.run")).to_be_visible()


def leave_full_view(page: Page) -> None:
    """Opens the full view of the tab's viewer, and leaves it by Esc."""
    full = page.locator("[data-full]:visible")
    full.click()
    expect(page.locator(".viewer.full")).to_have_count(1)
    check_state(page, "full view")
    page.keyboard.press("Escape")
    expect(page.locator(".viewer.full")).to_have_count(0)
    expect(full).to_be_focused()


def test_upscale(browser: Browser, served: str, tmp_path: Path) -> None:
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    with visit(browser, 390, "light", served, alone=True) as page:
        page.add_init_script(COUNT_FRAMES)
        page.goto(served)
        field, bar = page.locator("#picture"), page.locator(".run-bar:visible")
        run, cancel = bar.locator("button.run"), bar.locator("button.cancel")
        expect(field.locator("img")).to_be_visible()
        expect(page.locator("#head p")).to_contain_text("measure which one is best for it")
        expect(page.locator("#compare .panes[aria-busy=false]")).to_be_visible()
        page.wait_for_function(
            "new Promise((done, { asked } = window) => setTimeout(() => done(asked === window.asked), 500))"
        )
        check_state(page, "as it opens", (390, 768, 1280, 1920))
        keep = page.locator("label:visible", has_text="Keep metadata").bounding_box()
        assert keep is not None and keep["width"] > 150, "it is not cut off"
        leave_full_view(page)
        field.get_by_label("Remove image").click()
        expect(run).to_be_disabled()
        expect(page.locator(".empty:visible")).to_have_text("Choose an image, and your result will appear here.")
        expect(page.locator(".swipe-line:visible")).to_have_count(0)
        check_state(page, "without an image")

        field.locator("input").set_input_files(tmp_path / "large.png")
        expect(field.locator(".about")).to_have_text("large.png · 2500 × 2500")
        choose(page, "EDSR")
        run.click()
        expect(page.locator(".problem")).to_be_visible()
        check_state(page, "with an error")

        choose(page, "ESPCN")
        expect(page.locator(".problem")).to_have_count(0)
        run.click()
        expect(bar.get_by_role("progressbar")).to_contain_text("tiles")
        for place in ("0", "document.body.scrollHeight"):
            page.evaluate(f"scrollTo(0, {place})")
            for part in (run, cancel, bar.get_by_role("progressbar")):
                expect(part).to_be_in_viewport(ratio=1)
        check_state(page, "running", (390,))
        cancel.click()
        expect(page.locator("#progress")).to_contain_text("Cancelled.")

        page.get_by_role("button", name="Example: Drawing").click()
        expect(field.locator(".about")).to_have_text("drawing.png · 288 × 240")
        run.click()
        expect(page.locator("#progress")).to_contain_text("Done in")
        check_state(page, "done")
        page.set_viewport_size({"width": 1280, "height": 640})
        page.evaluate("scrollTo(0, 0)")
        expect(bar).to_be_in_viewport(ratio=1)  # on a low screen, too


def test_the_other_tabs(browser: Browser, painting: str, tmp_path: Path) -> None:
    images.write(Picture(smooth(64, 80)), tmp_path / "small.png")
    with visit(browser, 1280, "light", painting) as page:
        page.goto(painting)
        open_tab(page, "Compare")
        expect(page.locator(".claims:visible")).to_be_visible()
        check_state(page, "a comparison that is ready")
        page.get_by_role("button", name="Show Swift larger").click()
        expect(page.locator(".pane:visible")).to_have_count(2)
        leave_full_view(page)
        page.locator(".panes:visible").focus()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Show Swift larger")).to_be_focused()
        page.locator("#pictures input[type=file]").set_input_files(tmp_path / "small.png")
        whose = "Results of face.png at x4. Press Compare for what is chosen now."
        expect(page.locator("p.whose:visible")).to_have_text(whose)
        check_state(page, "other images than the results are of")
        page.get_by_role("button", name="Blind test").click()
        expect(page.locator("dialog[open]")).to_be_visible()
        check_state(page, "blind test")
        for _ in range(3):
            number = page.locator("dialog .count").inner_text()
            page.keyboard.press("ArrowLeft")
            expect(page.locator("dialog .count")).not_to_have_text(number)
        page.keyboard.press("Escape")
        expect(page.locator("#blind-outcome .claims")).to_be_visible()
        check_state(page, "what came of the blind test")
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.get_by_role("button", name="ZIP", exact=True)).to_be_visible(timeout=60_000)
        expect(page.locator("p.whose:visible")).to_have_count(0)
        check_state(page, "a comparison that is done")

        open_tab(page, "Chained 8x")
        expect(page.locator("#chained-viewer .panes[aria-busy=false]")).to_be_visible()
        assert "several" not in (page.locator("#chained-picture .image-field").get_attribute("class") or "")
        check_state(page, "a chain that is ready")
        page.get_by_role("checkbox", name="Test mode").check()
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#chained-progress")).to_contain_text("Done.")
        check_state(page, "a chain that was measured")
        leave_full_view(page)

        open_tab(page, "Prompt")
        page.get_by_role("button", name="Advanced").click()
        expect(page.get_by_label("Guidance").first).to_be_visible()
        check_state(page, "what to tell Stable Diffusion")
        page.locator("#prompt-picture input[type=file]").set_input_files(tmp_path / "small.png")
        page.locator("#prompt-actions button.run").click()
        expect(page.locator("#prompt-progress")).to_contain_text("Done in", timeout=120_000)
        check_state(page, "what Stable Diffusion made")


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
