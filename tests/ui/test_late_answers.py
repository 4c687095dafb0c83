"""A visitor's click counts, also where the answer to what was chosen before comes after it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from tests.conftest import serving, smooth, visit
from tests.support.late import answered_late
from tests.support.networks import put_tiny
from tests.ui.test_browser import choose, open_page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page that has the model for damaged images, too."""
    folder = tmp_path_factory.mktemp("late")
    put_tiny(folder)
    with serving(folder) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with visit(browser, 1280, "light", address) as page:
        open_page(page, address)
        yield page
        page.unroute_all()


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    """A photo so large that each purpose takes another time for it than for the example."""
    Image.fromarray(to_uint8(smooth(900, 1200))).save(tmp_path / "photo.jpg", quality=75)
    return tmp_path / "photo.jpg"


def give(page: Page, path: Path) -> None:
    """Puts the image in the place of the one that is there: one event."""
    page.locator("#picture input[type=file]").set_input_files(path)


def radio(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name).filter(visible=True)


def read_cost(page: Page) -> tuple[Locator, str]:
    """Where it is told what Faithful takes, and what it says now: another image changes it."""
    cost = page.locator(".cards label", has_text="Faithful").locator(".cost")
    return cost, cost.inner_text()


def plan(page: Page) -> Locator:
    return page.locator(".plan:visible").first


def test_a_purpose_clicked_after_an_image_was_chosen_stays(page: Page, jpeg: Path) -> None:
    """The image, a JPEG, would choose Photo; what each purpose takes for it is told all the same."""
    cost, before = read_cost(page)
    with answered_late(page, "fit", lambda: give(page, jpeg)):
        radio(page, "Pixel art").check()
        expect(plan(page)).to_contain_text("Nearest neighbour: 1200 × 900 → 4800 × 3600")
        expect(cost).to_have_text(before)
    expect(cost).not_to_have_text(before)
    expect(radio(page, "Pixel art")).to_be_checked()
    expect(page.get_by_text("compression marks")).to_have_count(0)
    expect(plan(page)).to_contain_text("Nearest neighbour: 1200 × 900 → 4800 × 3600")


def test_a_model_chosen_after_an_image_was_chosen_stays(page: Page, jpeg: Path) -> None:
    """With the fields that belong to it, and not with those of the one that the image would choose."""
    cost, before = read_cost(page)
    with answered_late(page, "fit", lambda: give(page, jpeg)):
        choose(page, "Bicubic")
        expect(plan(page)).to_contain_text("Bicubic: 1200 × 900")
    expect(cost).not_to_have_text(before)
    expect(page.locator(".cards:visible :checked")).to_have_count(0)
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("^Bicubic"))
    expect(page.get_by_role("button", name="Denoising").filter(visible=True)).to_have_count(0)


def test_a_size_clicked_after_an_image_was_chosen_stays(page: Page, tmp_path: Path) -> None:
    """The image is too large for x4, for which x3 would be chosen."""
    images.write(Picture(np.zeros((3000, 4000, 3), np.float32)), tmp_path / "phone.png")
    with answered_late(page, "fit", lambda: give(page, tmp_path / "phone.png")):
        radio(page, "x2").check()
        expect(plan(page)).to_contain_text("4000 × 3000 → 8000 × 6000")
    expect(radio(page, "x4")).to_be_disabled()
    expect(radio(page, "x2")).to_be_checked()
    expect(plan(page)).to_contain_text("4000 × 3000 → 8000 × 6000")


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.locator(".run-bar:visible button.run")).to_be_enabled()


def test_a_tick_set_after_another_scale_was_chosen_stays(page: Page) -> None:
    """Beside the models of that scale, of which Swift is none."""
    open_tab(page, "Compare")
    page.locator("#compare-form").get_by_role("button").first.click()
    models = page.locator("#models")
    x8 = page.locator("#compare-form").get_by_role("radio", name="x8", exact=True)
    with answered_late(page, "offer_choices", x8.check):
        models.get_by_label("Nearest neighbour", exact=True).check()
        models.get_by_label("Lanczos", exact=True).uncheck()
    expect(models.get_by_label("Swift", exact=True)).to_have_count(0)
    expect(models.get_by_label("Nearest neighbour", exact=True)).to_be_checked()
    expect(models.get_by_label("Lanczos", exact=True)).not_to_be_checked()


def test_models_and_their_fields_are_chosen_without_the_server(page: Page) -> None:
    """So nothing late undoes what is chosen next: on Prompt a creativity, in a chain another model."""
    pick = page.locator("input[role=combobox]:visible")
    open_tab(page, "Prompt")
    page.get_by_role("tabpanel").get_by_role("button", name="Advanced").click()
    guidance = page.get_by_role("tabpanel").get_by_label("Guidance").and_(page.locator("input[type=number]"))
    page.route("**/run/predict*", lambda route: None)  # is never answered
    page.get_by_label("Model", exact=True).filter(visible=True).click()
    page.get_by_role("option", name="SUPIR", exact=True).click()
    expect(guidance).to_have_value("4")
    expect(page.locator("#prompt-licence").get_by_role("checkbox")).not_to_be_checked()
    radio(page, "High").check()
    expect(guidance).to_have_value("6")
    page.get_by_role("button", name="Reset to defaults").click()
    expect(guidance).to_have_value("4")
    expect(radio(page, "Low")).to_be_checked()
    page.get_by_role("tab", name="Chained 8x").click()
    before = [each.input_value() for each in pick.all()]
    page.locator(".presets:visible button").first.click()
    expect(pick.first).not_to_have_value(before[0])
