"""A visitor's click counts, also where the answer to what was chosen before comes after it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import serving, visit
from tests.support.late import answered_late
from tests.support.networks import put_tiny
from tests.ui.test_browser import open_page


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


def radio(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name).filter(visible=True)


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
