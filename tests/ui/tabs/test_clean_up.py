"""OpenModelDB in the page: searched as one types, and an x1 model of it before an x4 one; it is on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, expect

from pipelines.images import door as images
from tests.conftest import serving, visit
from tests.support.hub import LoopbackHub
from tests.support.openmodeldb import HOST, LIST, publish
from tests.support.visitor import check_state


@pytest.fixture(scope="module")
def database() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        publish(server)
        yield server


@pytest.fixture(scope="module")
def page_with_database(database: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    online = {"HF_ENDPOINT": database.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    allowed = {"UPSCALE_OPENMODELDB": database.url, "UPSCALE_MODEL_HOSTS": HOST}
    folder = tmp_path_factory.mktemp("database")
    with serving(folder, "-m", "tests.support.openmodeldb", **online, **allowed) as address:
        yield address


def searches(asked: list[Request]) -> int:
    """How many of these requests asked for models with what had been typed."""
    typed = {"s", "sh", "sha", "shar", "sharp"}
    return sum(bool(typed & {*each.post_data_json["data"]}) for each in asked if len(each.post_data_json["data"]) == 1)


def test_a_model_is_searched_and_another_cleans_up_first(
    browser: Browser, page_with_database: str, database: LoopbackHub, tmp_path: Path
) -> None:
    with visit(browser, 1280, "light", page_with_database) as page:
        page.goto(page_with_database)
        expect(page.get_by_role("button", name="Upscale", exact=True)).to_be_enabled()
        plan, asked = page.locator(".plan").first, list[Request]()
        page.get_by_role("button", name="All models").click()
        page.on("request", lambda sent: asked.append(sent) if "/run/predict" in sent.url else None)
        field = page.get_by_label("Or your own model")
        field.press_sequentially("sharp", delay=1)
        found = page.get_by_role("radiogroup", name="Found in OpenModelDB")
        expect(found.get_by_role("radio")).to_have_count(2)
        assert searches(asked) <= 2, "one, or two where the machine is busy: not one for each letter"
        expect(page.get_by_text("Choose a model from the search results")).to_be_visible()
        expect(page.get_by_role("radio", name="4x-SharpByHand x4, CC-BY-4.0 download in a browser")).to_be_disabled()
        check_state(page, "models that are found")
        page.get_by_role("radio", name="4x-TinySharp").click()
        expect(field).to_have_value("omdb/4x-TinySharp")
        expect(found).to_have_count(0)
        expect(plan).to_contain_text("omdb/4x-TinySharp: 224 × 224 → 896 × 896")
        expect(page.get_by_text("esrgan by ann, from OpenModelDB.")).to_contain_text(
            "CC-BY-4.0, free for commercial use"
        )
        page.get_by_role("button", name="Clean up first").click()
        page.get_by_label("Clean up with").click()
        page.get_by_role("option", name="1x-TinyClean").click()
        expect(plan).to_contain_text("Cleaned up first by 1x-TinyClean.")
        check_state(page, "what cleans up first is chosen")
        page.get_by_role("button", name="Upscale", exact=True).click()
        facts = page.locator("#facts")
        expect(facts).to_contain_text("1x-TinyClean x1, then 4x-TinySharp x4")
        expect(facts).to_contain_text("cleaned up first by 1x-TinyClean")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download PNG").click()
        download.value.save_as(tmp_path / "result.png")
        assert images.read(tmp_path / "result.png").pixels.shape == (896, 896, 3)
        assert page.url.endswith("/?model=omdb%2F4x-TinySharp&cleanup=omdb%2F1x-TinyClean")
        page.get_by_label("Clean up with").fill("swift")
        page.keyboard.press("Enter")
        expect(page.locator(".trouble")).to_contain_text("only an x1 model can clean up first")
        assert len(database.gets(LIST)) == 1


def test_words_that_are_pasted_are_looked_for_as_well(browser: Browser, page_with_database: str) -> None:
    """No key is pressed then. A name that is chosen afterwards looks for nothing."""
    with visit(browser, 1280, "light", page_with_database) as page:
        page.goto(page_with_database)
        page.get_by_role("button", name="All models").click()
        field = page.get_by_label("Or your own model")
        field.focus()
        page.keyboard.insert_text("sharp")
        found = page.get_by_role("radiogroup", name="Found in OpenModelDB")
        expect(found.get_by_role("radio")).to_have_count(2)
        with page.expect_response(lambda response: _looks_for(response.request, "omdb/4x-TinySharp")):
            page.get_by_role("radio", name="4x-TinySharp").click()
            expect(field).to_have_value("omdb/4x-TinySharp")
        page.wait_for_timeout(500)  # for what an answer would show
        expect(found).to_have_count(0)


def _looks_for(request: Request, text: str) -> bool:
    return "/run/predict" in request.url and request.post_data_json["data"] == [text]
