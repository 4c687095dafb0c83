"""The boxes for licences in a browser, on each tab: a tick is for one licence, and comes back with its model."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import serving, visit
from tests.support.visitor import check_state

# A page on which SUPIR F has another licence than SUPIR.
OTHER_LICENCE = """
from dataclasses import replace
from pipelines.catalog import rows
change = {"terms": "other", "terms_url": "https://example.org/terms", "commercial": True}
rows.MODELS = tuple(replace(row, **change) if row.key == "supir-f" else row for row in rows.MODELS)
from ui.command import open_page
raise SystemExit(open_page())
"""
SUPIR, OTHER = "I accept the licence of SUPIR: no commercial use", "I accept the licence of SUPIR F"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("licences"), "-c", OTHER_LICENCE) as address:
        yield address


def choose_from(field: str) -> Callable[[Page, str, str], None]:
    def choose(page: Page, model: str, _: str) -> None:
        page.get_by_label(field, exact=True).filter(visible=True).click()
        page.get_by_role("option", name=re.compile(f"^{model}( —|$)")).click()

    return choose


def tick(page: Page, model: str, before: str) -> None:
    page.locator("#models").get_by_label(f"{before} · 9.6 GB", exact=True).uncheck()
    page.locator("#models").get_by_label(f"{model} · 9.6 GB", exact=True).check()


@pytest.mark.parametrize(
    ("link", "choose"),
    [
        ("?model=supir&scale=x4", choose_from("Model")),
        ("?tab=prompt&model=supir", choose_from("Model")),
        ("?tab=chained&first=supir&second=bicubic", choose_from("First, x4")),
        ("?tab=compare&models=bicubic,supir", tick),
    ],
)
def test_each_licence_is_asked_for_anew(
    browser: Browser, address: str, link: str, choose: Callable[[Page, str, str], None]
) -> None:
    with visit(browser, 1280, "light", address) as page:
        page.goto(f"{address}{link}")
        if "compare" in link:
            page.locator("#compare-form").get_by_role("button").first.click()

        def box(label: str) -> Locator:
            return page.get_by_role("checkbox", name=label, exact=True).filter(visible=True)

        plan = page.locator(".plan:visible")
        expect(plan).to_contain_text("SUPIR is not for commercial use, and its licence must be accepted first")
        check_state(page, "with a licence", (390,))
        box(SUPIR).check()
        expect(plan).to_contain_text("downloads 9.6 GB first")
        choose(page, "SUPIR F", "SUPIR")
        expect(plan).to_contain_text("The licence of SUPIR F must be accepted first")
        expect(box(OTHER)).not_to_be_checked()
        expect(box(SUPIR)).to_have_count(0)
        choose(page, "SUPIR", "SUPIR F")
        expect(plan).to_contain_text("downloads 9.6 GB first")
        expect(box(SUPIR)).to_be_checked()
        expect(box(OTHER)).to_have_count(0)
