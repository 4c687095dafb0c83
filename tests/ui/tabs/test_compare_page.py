"""The Compare tab in Chromium: from the example that is ready to a report with a blind test in it."""

import base64
import csv
import json
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.catalog import rows as catalog
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth, visit
from tests.support.visitor import cancel_once, watch_console


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    images.write(Picture(smooth(64, 80)), tmp_path / "one.png")
    images.write(Picture(smooth(56, 48)[::-1].copy()), tmp_path / "two.png")
    return [tmp_path / "one.png", tmp_path / "two.png"]


@pytest.fixture
def page(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The tab, opened; `parametrize` it with (width, colour scheme). No request may leave this machine."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, served) as page:
        messages = watch_console(page)
        page.goto(served)
        page.get_by_role("tab", name="Compare").click()
        expect(button(page, "Compare")).to_be_enabled()
        yield page
        assert messages == []


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def open_form(page: Page) -> Locator:
    """The fold with all that is chosen but the images, opened."""
    form = page.locator("#compare-form")
    if not page.locator("#models").is_visible():
        form.get_by_role("button").first.click()
        expect(page.locator("#models")).to_be_visible()
    return form


def tick(page: Page, *models: str) -> None:
    """Only these models."""
    open_form(page)
    boxes = page.locator("#models").get_by_role("checkbox")
    for index in range(boxes.count()):
        boxes.nth(index).uncheck()
    for model in models:
        page.locator("#models").get_by_label(model, exact=True).check()


def give(page: Page, *paths: Path) -> None:
    page.locator("#pictures input[type=file]").set_input_files([*paths])
    expect(page.locator("#pictures li")).to_have_count(len(paths))


def compare(page: Page) -> None:
    button(page, "Compare").click()
    expect(button(page, "ZIP")).to_be_visible(timeout=90_000)


def downloaded(page: Page, kind: str) -> Path:
    with page.expect_download() as download:
        button(page, kind).click()
    return Path(download.value.path())


# Of the bar in sight: where something else is in front of it, as the browser hits it.
COVERED = """() => {
    const bar = [...document.querySelectorAll(".run-bar")].find((each) => each.checkVisibility());
    const { left, top, width, height } = bar.getBoundingClientRect();
    const steps = [...Array(40).keys()].map((step) => (step + 0.5) / 40);
    const spots = steps.flatMap((x) => steps.map((y) => [left + x * width, top + y * height]));
    return spots.filter(([x, y]) => !bar.contains(document.elementFromPoint(x, y)));
}"""


def ranking(page: Page) -> Locator:
    """The names in the table of scores."""
    return page.locator("table[data-name=summary] tbody tr")


def test_an_example_is_ready_and_a_run_replaces_it(page: Page, pictures: list[Path]) -> None:
    """At once: who is best of the usual models. After a run: its own, in the order of verdict, viewer, table, plots."""
    page.set_viewport_size({"width": 1280, "height": 800})
    form = page.locator("#compare-form")
    expect(page.locator("#compare-verdict .lead").first).to_contain_text("Swift")
    expect(page.locator("#compare-verdict .claims")).to_be_in_viewport(ratio=1)
    expect(form).to_contain_text("What to compare: 1 image, 5 models, x4")
    expect(ranking(page).first).to_contain_text("Swift")
    expect(page.locator(".viewer:visible .pane")).to_have_count(7)
    expect(page.locator(".viewer:visible .panes")).to_have_attribute("aria-busy", "false")

    give(page, *pictures)
    open_form(page)
    expect(page.locator("#models").get_by_label("Swift")).to_be_checked()
    expect(page.locator("#models").get_by_label("Nearest neighbour")).not_to_be_checked()
    form.get_by_label("x2", exact=True).check()
    expect(page.locator("#models").get_by_role("checkbox")).to_have_count(7)  # and no longer those of x4
    expect(page.locator("#models")).not_to_contain_text("MB")
    page.set_viewport_size({"width": 1280, "height": 500})
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator(".run-bar:visible")).to_be_in_viewport(ratio=1)
    assert page.evaluate(COVERED) == [], "the bar lies over what scrolls behind it"
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_label("More models (download)").check()
    there = sum(2 in row.scales for row in catalog.MODELS)
    expect(page.locator("#models").get_by_role("checkbox")).to_have_count(there)
    page.locator("#models").get_by_label("EDSR · 40 MB").check()
    page.get_by_label("More models (download)").uncheck()
    expect(page.locator("#models").get_by_role("checkbox")).to_have_count(8)  # what is ticked stays
    tick(page, "Nearest neighbour", "Bicubic", "Lanczos", "ESPCN")
    expect(page.locator(".plan:visible")).to_contain_text("2 images, 4 models")
    expect(form).to_contain_text("What to compare: 2 images, 4 models, x2")
    compare(page)
    expect(form.locator("#models")).not_to_be_visible()
    claims = page.locator("#compare-verdict .claims")
    expect(claims).to_be_in_viewport()
    expect(claims).to_be_focused()
    expect(claims.locator(".lead").first).to_contain_text("Lanczos")
    names = ranking(page).all_inner_texts()
    assert names[0].split("\t")[:2] == ["1", "Lanczos"] and len(names) == 4
    order = (".claims", ".viewer:visible", "table[data-name=summary]", ".plots")
    heights = [box["y"] for each in order if (box := page.locator(each).first.bounding_box()) is not None]
    assert heights == sorted(heights) and len(heights) == 4

    head = page.locator("table[data-name=summary] thead")
    expect(head.get_by_text("MSE", exact=True)).not_to_be_visible()
    button(page, "All columns").click()
    expect(head.get_by_text("MSE", exact=True)).to_be_visible()
    interval = page.locator("table[data-name=summary] .interval").first
    expect(interval).not_to_be_visible()
    button(page, "Intervals").click()
    expect(interval).to_be_visible()
    expect(page.locator(".viewer:visible .panes > figure")).to_have_count(6)
    button(page, "two.png").click()
    expect(page.locator(".viewer:visible")).to_contain_text("48 × 56")
    form.get_by_role("button").first.click()
    expect(form.locator("#models")).to_be_visible()

    report = json.loads(downloaded(page, "JSON").read_text())
    assert report["complete"] and len(report["rows"]) == 8
    rows = list(csv.DictReader(downloaded(page, "CSV").read_text().splitlines()))
    assert [row["model"] for row in rows] == [row["model"] for row in report["rows"]]
    for kind in ("HTML", "Markdown", "LaTeX"):
        assert "Lanczos" in downloaded(page, kind).read_text()
    with zipfile.ZipFile(downloaded(page, "ZIP")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert {"report.json", "report.tex", "report.md", "1_one_espcn_x2.png", "2_two_original.png"} <= set(names)


# --- the blind test -----------------------------------------------------------------------------------------------


def sharpness(image: Locator) -> float:
    """How hard the edges of a crop in the page are."""
    data = (image.get_attribute("src") or "").partition(",")[2]
    pixels = np.asarray(Image.open(BytesIO(base64.b64decode(data))).convert("L"), float)
    return float((np.diff(pixels, axis=0) ** 2).sum() + (np.diff(pixels, axis=1) ** 2).sum())


def test_a_blind_test_from_the_first_pair_into_the_report(page: Page) -> None:
    """Somebody who always prefers the harder edges ranks nearest over Lanczos over bicubic."""
    tick(page, "Nearest neighbour", "Bicubic", "Lanczos")
    compare(page)
    button(page, "Blind test").click()
    window = page.locator("dialog.blind")
    expect(window).to_be_visible()
    inside = re.sub(r"data:[^\"]*", "", window.inner_html()).lower()
    assert not any(name in inside for name in ("nearest", "bicubic", "lanczos", "face", "file=")), inside
    count = window.locator(".count")
    expect(count).to_have_text("1 of 10")
    button(page, "Show the original").click()
    expect(window.get_by_alt_text("The original")).to_be_visible()
    button(page, "Show the original").click()
    page.keyboard.press("ArrowDown")  # no difference, once
    for number in range(2, 11):
        expect(count).to_have_text(f"{number} of 10")
        left, right = (sharpness(window.locator(f"img.{side}")) for side in ("left", "right"))
        if number % 2:
            page.keyboard.press("ArrowLeft" if left > right else "ArrowRight")
        else:
            window.get_by_label("Left is better" if left > right else "Right is better").click()
    expect(window).not_to_be_visible()
    outcome = page.locator("#blind-outcome")
    expect(outcome.locator(".lead")).to_have_text("Nearest neighbour")
    expect(outcome.locator(".claims")).to_be_focused()
    expect(page.locator(".progress:visible")).to_have_text("Done.")
    expect(outcome.locator("tbody th")).to_have_text(["1 Nearest neighbour", "2 Lanczos", "3 Bicubic"])
    expect(outcome).to_contain_text("10 choices")
    page.get_by_text("Which model was which").click()
    expect(outcome.locator("li")).to_have_count(10)
    button(page, "Add to the report").click()
    expect(button(page, "Add to the report")).not_to_be_visible()
    preference = json.loads(downloaded(page, "JSON").read_text())["preference"]
    assert [each["model"] for each in preference["ranking"]] == ["nearest", "lanczos", "bicubic"]
    assert len(preference["votes"]) == 10
    assert "Blind test" in downloaded(page, "HTML").read_text()

    button(page, "Blind test").click()
    expect(window).to_be_visible()
    page.keyboard.press("Escape")
    expect(window).not_to_be_visible()
    expect(outcome.locator(".lead")).to_have_text("Nearest neighbour")
    expect(page.locator(".progress:visible")).to_have_text("Done.")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(outcome.locator(".chance small").first).to_be_visible()  # the interval, without which a rank says little


# --- choosing and cancelling --------------------------------------------------------------------------------------


def test_cancel_keeps_what_is_finished(page: Page, tmp_path: Path) -> None:
    images.write(Picture(smooth(1600, 1600)), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    tick(page, "Nearest neighbour", "Bilinear", "Bicubic", "Lanczos", "ESPCN")
    button(page, "Compare").click()
    expect(page.locator("#compare-verdict .claims")).to_have_count(0)  # the example's
    cancel_once(page, "document.querySelector('table[data-name=summary] tbody tr')")
    expect(button(page, "ZIP")).to_be_visible(timeout=60_000)
    expect(page.locator(".progress:visible")).to_contain_text("Cancelled: ")
    report = json.loads(downloaded(page, "JSON").read_text())
    assert not report["complete"] and 1 <= len(report["rows"]) < 5
    expect(button(page, "Compare")).to_be_enabled()


def test_models_follow_protocol_and_scale(page: Page, pictures: list[Path]) -> None:
    models = page.locator("#models")
    tick(page)
    expect(page.locator(".trouble")).to_have_text("Name at least one model.")
    page.locator("#compare-form").get_by_label("x3", exact=True).check()
    page.get_by_label("More models (download)").check()
    expect(models.get_by_label("EDSR · 40 MB")).not_to_be_checked()
    models.get_by_label("ESPCN").check()
    page.locator("#compare-form").get_by_label("x8", exact=True).check()
    expect(models.get_by_label("ESPCN")).to_have_count(0)
    expect(models.get_by_label("Bicubic", exact=True)).not_to_be_checked()
    page.locator("#compare-form").get_by_label("x2", exact=True).check()
    expect(models.get_by_label("Bicubic", exact=True)).not_to_be_checked()
    page.locator("#compare-form").get_by_label("Chained 8x", exact=True).check()
    expect(page.get_by_label("Chains: x4, then x2")).to_be_visible()
    expect(models).to_contain_text("Direct x8 models")
    page.get_by_label("I only have the small image").check()
    give(page, pictures[0])
    tick(page, "Nearest neighbour", "Lanczos")
    compare(page)
    expect(page.locator("#compare-verdict")).to_contain_text("original")
    expect(page.locator("table[data-name=summary]")).not_to_contain_text("PSNR Y")


def test_a_link_fills_the_form_and_waits(page: Page, served: str) -> None:
    """What there is not is named; the address says what is chosen from then on."""
    page.goto(f"{served}?tab=compare&scale=x2&kernel=bicubic%2Bjpeg75&models=nearest,swfit,lanczos&protocol=half")
    expect(page.locator("#compare-form")).to_contain_text("What to compare: 1 image, 2 models, x2")
    form, models = open_form(page), page.locator("#models")
    expect(models.get_by_role("checkbox", checked=True)).to_have_count(2)
    expect(models.get_by_label("Lanczos")).to_be_checked()
    expect(form.get_by_label("x2", exact=True)).to_be_checked()
    expect(form.get_by_label("Shrunk by")).to_have_value("Bicubic, then saved as JPEG 75")
    told = page.get_by_role("tabpanel").filter(visible=True)
    expect(told).to_contain_text("There is no protocol “half”. “swfit” is not among the models here.")
    expect(told).to_contain_text("Press Compare to run.")
    expect(page.locator(".progress:visible")).to_have_text("Ready.")
    models.get_by_label("Bicubic", exact=True).check()
    expect(page).to_have_url(re.compile("models=nearest%2Clanczos%2Cbicubic|models=nearest%2Cbicubic%2Clanczos"))
    assert "tab=compare" in page.url and "scale=x2" in page.url


def test_what_measures_the_same_elsewhere(page: Page) -> None:
    tick(page, "Bicubic")
    compare(page)
    page.get_by_role("button", name="Repeat this comparison elsewhere").click()
    command = page.locator("#command textarea").input_value()
    assert command.startswith("python -m pipelines benchmark face.png --protocol round-trip --scale 4 --models bicubic")
    script = page.locator("#script textarea").input_value()
    compile(script, "script", "exec")
    assert "api_name='/benchmark'" in script and page.url.partition("?")[0].rstrip("/") in script
