"""The result's side of a tab on the real page, and whose result it says it shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from pipelines.images.resample import enlarge
from pipelines.phrasing import format_bytes
from pipelines.runs import finish
from tests.conftest import smooth, visit
from tests.support.visitor import watch_console
from ui.widgets.result_panel import make_download, tell_whose

GRADIOS_OWN = "Method not implemented."  # a warning of gradio's client whenever an upload ends
CORNERS = {"left": (255, 0, 0), "right": (0, 0, 255)}  # of the wide image
AT = """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3)"""
SIZES = "canvas => [canvas.width, canvas.height]"


@pytest.fixture
def page(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The Upscale tab, opened; `parametrize` it with (width, colour scheme). The console must stay empty."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, served) as page:
        messages = watch_console(page, "error", "warning")
        page.goto(served)
        settle(page)
        yield page
        assert {each for each in messages if not each.startswith("Canvas2D: Multiple readback")} <= {GRADIOS_OWN}


def settle(page: Page) -> None:
    """Waits until every tile in sight is there and drawn."""
    panes = page.locator("#compare .panes")
    expect(panes).to_have_attribute("aria-busy", "false")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(panes).to_have_attribute("aria-busy", "false")


def give(page: Page, path: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(path)
    expect(page.locator("#compare .name")).to_have_text(["Preview"])
    settle(page)


def choose(page: Page, model: str, scale: str) -> None:
    field = page.get_by_label("Model", exact=True)
    if not field.is_visible():
        page.get_by_role("button", name="All models").click()
    field.click()
    page.get_by_role("option", name=re.compile(f"^{model}.* —")).first.click()
    page.get_by_role("radio", name=scale, exact=True).check()


def run(page: Page, after: str) -> None:
    """Runs what is chosen until the result is there, whose name is `after`."""
    page.locator("#actions button.primary").click()
    expect(page.locator("#progress")).to_contain_text("Done in")
    expect(page.locator("#compare .name").last).to_have_text(after)
    settle(page)


def press(page: Page, *keys: str) -> None:
    page.locator("#compare .panes").focus()
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def share(page: Page) -> int:
    return int(page.locator("#compare .swipe-line").get_attribute("aria-valuenow") or -1)


def colour(page: Page, side: str, x: float, y: float) -> list[int]:
    """The colour on the canvas of that side; from 0 to 1 across and down."""
    canvas = page.locator(f"#compare .pane.{side} canvas")
    width, height = canvas.evaluate(SIZES)
    found: list[int] = canvas.evaluate(AT, [int(x * (width - 1)), int(y * (height - 1))])
    return found


def test_another_image_takes_the_place_of_the_old_result_at_once(page: Page, small: Path) -> None:
    """What could be downloaded is never of another image than the one that is shown."""
    download = page.get_by_role("button", name="Download PNG", exact=True)
    expect(page.locator("#compare .name")).to_have_text(["Before: Bicubic", "After: Swift x4"])
    expect(download).to_be_enabled()
    page.get_by_role("button", name="Example: Face").first.click()
    page.wait_for_timeout(300)
    expect(page.locator("#compare .name")).to_have_count(2)  # the same image keeps its result
    give(page, small)
    expect(download).to_be_disabled()
    expect(page.locator("#compare .where")).to_have_text("120 × 80")
    expect(page.locator("#compare .about")).to_have_text("Bicubic x4")
    assert page.locator("#facts").inner_text().strip() == ""
    expect(page.locator(".told").first).not_to_contain_text("PNG")
    page.get_by_role("radio", name="x2", exact=True).check()
    expect(page.locator("#compare .where")).to_have_text("60 × 40")
    choose(page, "Nearest", "x8")
    run(page, "After: Nearest neighbour x8")
    expect(page.locator(".told").first).to_contain_text("PNG, ")
    with page.expect_download() as given:
        download.click()
    assert given.value.suggested_filename == "small_nearest_x8.png"
    expect(page.locator("#progress")).to_contain_text("Done in")
    page.get_by_role("radio", name="WebP", exact=True).check()
    expect(page.locator(".told").first).to_contain_text("WebP, ")
    page.get_by_role("radio", name="JPEG", exact=True).check()
    expect(page.locator(".told").first).to_contain_text("JPEG, ")
    usual = page.locator(".told").first.inner_text()
    page.get_by_role("spinbutton", name="Quality").fill("20")
    page.get_by_role("spinbutton", name="Quality").press("Tab")
    expect(page.locator(".told").first).not_to_have_text(usual)
    expect(page.locator(".told").first).to_contain_text("JPEG, ")
    # Another model leaves it there, and says whose it is.
    choose(page, "Lanczos", "x3")
    expect(page.locator("p.whose")).to_have_text("Result of Nearest neighbour x8. Press Upscale for Lanczos x3.")
    choose(page, "Nearest", "x8")
    expect(page.locator("p.whose")).to_have_count(0)
    page.locator("#picture").get_by_label("Remove Image").click()
    expect(page.locator("#compare .empty")).to_be_visible()
    expect(page.get_by_role("button", name="Download", exact=False).first).to_be_disabled()
    expect(page.locator("#progress")).to_have_text("Ready.")


def test_before_is_the_servers_bicubic(page: Page, small: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 1400})  # nothing lies over the image, as the buttons do lower down
    give(page, small)
    choose(page, "Nearest", "x8")
    run(page, "After: Nearest neighbour x8")
    pixels = images.read(small).pixels
    bicubic = to_uint8(finish(enlarge(pixels, 8, "bicubic"))).astype(int)
    after = to_uint8(pixels).repeat(8, 0).repeat(8, 1)
    box = page.locator("#compare .pane.right canvas").bounding_box()
    assert box is not None
    for x, y in ((0.31, 0.47), (0.55, 0.62), (0.7, 0.3)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        settle(page)
        expect(page.locator("#compare .where")).to_contain_text("RGB at ")
        told = page.locator("#compare .where").inner_text().split("RGB at ")[1]
        place, values = told.split(": ")
        column, row = map(int, place.split(", "))
        shown = [[*map(int, each.split())] for each in values.split(" | ")]
        assert shown[1] == after[row, column].tolist()
        assert np.abs(np.array(shown[0]) - bicubic[row, column]).max() <= 1
    # The edge, where the kernel reaches beyond the image; and what is drawn is what is told.
    drawn = colour(page, "left", 0.55, 0.62)
    page.mouse.move(box["x"] + 0.55 * (box["width"] - 1), box["y"] + 0.62 * (box["height"] - 1))
    settle(page)
    told = page.locator("#compare .where").inner_text().split(": ")[1].split(" | ")[0]
    assert np.abs(np.array(drawn) - [*map(int, told.split())]).max() <= 6, "between two of its pixels"


def test_a_result_of_16000_pixels_shows_its_corners(page: Page, tmp_path: Path) -> None:
    pixels = np.zeros((50, 2000, 3), np.uint8)
    pixels[:, :1000], pixels[:, 1000:] = CORNERS["left"], CORNERS["right"]
    pixels[24:26, 998:1002] = 255
    images.write(Picture(pixels.astype(np.float32) / 255), tmp_path / "wide.png")
    give(page, tmp_path / "wide.png")
    choose(page, "Nearest", "x8")
    run(page, "After: Nearest neighbour x8")
    expect(page.locator("#compare .where")).to_contain_text("16000 × 400")
    viewer = page.locator("#compare .viewer")
    x = float(viewer.get_attribute("data-x") or 0)
    assert 7000 < x < 9000 and float(viewer.get_attribute("data-zoom") or 0) == 2, "it opens where they differ"
    press(page, "0")
    for side in ("left", "right"):
        assert colour(page, side, 0.002, 0.5) == [*CORNERS["left"]]
        assert colour(page, side, 0.998, 0.5) == [*CORNERS["right"]]
    press(page, "1", *["ArrowRight"] * 230)
    assert colour(page, "right", 1, 0.5) == colour(page, "left", 1, 0.5) == [*CORNERS["right"]]
    assert float(viewer.get_attribute("data-x") or 0) > 15000
    navigator = page.locator("#compare .navigator").bounding_box()
    assert navigator is not None and navigator["width"] > 10 * navigator["height"] / 2
    page.mouse.click(navigator["x"] + 1, navigator["y"] + navigator["height"] / 2)
    settle(page)
    assert colour(page, "right", 0, 0.5) == [*CORNERS["left"]]


@pytest.mark.parametrize("page", [(390, "dark"), (1280, "light")], indirect=True)
def test_the_line_moves_by_keys_and_transparency_is_over_a_chequerboard(page: Page, tmp_path: Path) -> None:
    """At both widths, light and dark; with the help open, nothing overflows, and axe-core finds nothing serious."""
    alpha = np.zeros((20, 30), np.float32)
    alpha[:, 15:] = 1
    images.write(Picture(smooth(20, 30), alpha=alpha), tmp_path / "clear.png")
    give(page, tmp_path / "clear.png")
    run(page, "After: Swift x4")
    press(page, "0", ",", ",")
    assert share(page) == 40
    press(page, "Shift+ArrowRight", ".", ".")
    assert share(page) == 55
    page.get_by_role("slider", name="Line between").focus()
    page.keyboard.press("Home")
    assert share(page) == 0
    page.keyboard.press("End")
    assert share(page) == 100
    clear = {tuple(colour(page, "right", x / 100, 0.5)) for x in range(5, 35)}
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert clear == ({(63, 70, 80), (42, 47, 55)} if dark else {(255, 255, 255), (211, 215, 222)})
    page.get_by_role("button", name="How to use the viewer").click()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sides = page.locator("#compare :is(button, .swipe-line):visible").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert min(sides) >= 24
    serious = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == []
    press(page, "Escape")


def test_what_a_run_has_done_so_far_is_seen_and_what_was_there_comes_back(page: Page, tmp_path: Path) -> None:
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    choose(page, "ESPCN", "x4")
    expect(page.locator(".plan")).to_contain_text("10000 × 10000")
    box = page.locator("#compare .pane canvas").bounding_box()
    assert box is not None
    page.locator("#actions button.primary").click()
    viewer = page.locator("#compare .viewer")
    expect(viewer).to_have_attribute("data-state", "running")
    expect(page.locator("#compare .name")).to_have_text(["ESPCN x4"])
    settle(page)
    corners = (0.5 - 0.49 * box["height"] / box["width"], 0.01), (0.5 + 0.48 * box["height"] / box["width"], 0.98)
    dimmed = [colour(page, "left", *corner) for corner in corners]
    while (first := colour(page, "left", *corners[0])) == dimmed[0]:  # until the first tiles are done
        page.wait_for_timeout(50)
    around = to_uint8(smooth(500, 500))[:60, :60].reshape(-1, 3)
    assert np.abs(around - np.array(first)).max(axis=1).min() < 20, "not dimmed any more"
    assert colour(page, "left", *corners[1]) == dimmed[1], "not there yet"
    page.get_by_role("button", name="Cancel").click()
    expect(viewer).to_have_attribute("data-state", "preview")
    expect(page.get_by_role("button", name="Download PNG", exact=True)).to_be_disabled()


# --- whose --------------------------------------------------------------------------------------------------------

SWIFT = json.dumps({"source": "/files/a.png", "name": "Swift x4"})


def no_name() -> str:
    raise BadSetting("There is no such model.")


@pytest.mark.parametrize(
    ("made_of", "source", "name", "said"),
    [
        ("", "/files/a.png", "Swift x4", ""),
        (SWIFT, "/files/a.png", "Swift x4", ""),
        (SWIFT, "/files/a.png", "Swift x2", "Result of Swift x4. Press Upscale for Swift x2."),
        (SWIFT, "/files/b.png", "Swift x4", "Result of Swift x4 for a.png. Press Upscale for Swift x4."),
        (SWIFT, "/files/a.png", None, ""),
    ],
)
def test_whose_a_result_is_is_said_where_it_is_not_what_is_chosen(
    made_of: str, source: str, name: str | None, said: str
) -> None:
    text = tell_whose(made_of, Path(source), no_name if name is None else lambda: name, ())
    assert said in text and bool(text) == bool(said)


def test_a_files_name_cannot_write_html() -> None:
    made_of = json.dumps({"source": "/files/<b>.png", "name": "Swift x4"})
    assert "&lt;b&gt;.png" in tell_whose(made_of, Path("/files/a.png"), lambda: "Swift x4", ())


# --- the download -------------------------------------------------------------------------------------------------


def test_a_lower_quality_is_a_smaller_file_and_webps_highest_is_lossless(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((60, 80, 3), np.float32)
    images.write(Picture(pixels), tmp_path / "small_swift_x4.png")
    sizes, exact = {}, {}
    for kind, quality in [("PNG", None), ("WebP", 100), ("WebP", 60), ("JPEG", 95), ("JPEG", 40)]:
        for button, told in make_download(tmp_path / "small_swift_x4.png", kind, True, quality):
            path = Path(str(button.value["path"]) if isinstance(button.value, dict) else str(button.value))
            sizes[kind, quality] = path.stat().st_size
            exact[kind, quality] = np.abs(images.read(path).pixels - pixels).max() < 1 / 255
            assert f"{kind}, {format_bytes(path.stat().st_size)}" in told and button.interactive
    assert sizes["WebP", 60] < sizes["WebP", 100] and sizes["JPEG", 40] < sizes["JPEG", 95]
    assert exact == {key: key in [("PNG", None), ("WebP", 100)] for key in sizes}


def test_without_a_result_there_is_nothing_to_download() -> None:
    [(button, told)] = make_download(None, "JPEG", True, 95)
    assert not button.interactive and told == ""
