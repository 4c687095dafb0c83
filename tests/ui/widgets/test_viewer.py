"""The viewer in Chromium, on a small page of its own: made pictures, moved by mouse, wheel, fingers and keys."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.images.picture import Pixels8
from pipelines.images.pyramid import CONSISTENCY_LEVELS, ERROR_LEVELS, compute_heat, heat_palette, write_pyramid
from pipelines.runs import finish
from tests.conftest import free_port, visit
from tests.support.pictures import ramp
from tests.support.visitor import check_state, watch_console
from ui.theme import THEME
from ui.widgets.viewer import VIEWER_FILES, VIEWER_SCRIPTS, Pane, View, Viewer, tiles_folder, viewer_script

WIDTH, HEIGHT = 1100, 900  # three tiles wide, two high
BOXES = ((300, 200, 60, 50), (900, 700, 100, 80), (0, 0, 40, 40))
LABELS = ["Original", "<b>Off</b> by 5", "Same"]
DRAWN = (
    "canvas => [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3)"
)
ALL_DRAWN = "canvases => canvases.map(canvas => canvas.toDataURL())"


def original() -> Pixels8:
    return ramp(HEIGHT, WIDTH)


def off() -> Pixels8:
    """The original with a green that is 5 levels away everywhere."""
    pixels = original()
    pixels[..., 1] += np.where(pixels[..., 1] < 128, 5, -5).astype(np.int8).view(np.uint8)
    return pixels


def pane(label: str, pixels: Pixels8) -> Pane:
    picture = finish(write_pyramid(pixels, tiles_folder()))
    if label == LABELS[0]:
        return Pane(label, f"{WIDTH} × {HEIGHT}", picture)
    error = finish(write_pyramid(compute_heat(pixels, original(), ERROR_LEVELS), tiles_folder()))
    small = compute_heat(pixels[::4, ::4], original()[::4, ::4], CONSISTENCY_LEVELS)
    return Pane(label, "31.2 dB, 0.4 s", picture, error, finish(write_pyramid(small, tiles_folder())))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with the viewer, and buttons that give it another value."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        view = View([pane(*each) for each in zip(LABELS, (original(), off(), original()), strict=True)], 0, BOXES)
        with gr.Blocks(analytics_enabled=False) as page:
            viewer = Viewer(view)
            gr.Button("Two").click(lambda: replace(view, panes=view.panes[:2], boxes=()), None, viewer, queue=False)
            gr.Button("Three").click(lambda: view, None, viewer, queue=False)
            gr.Button("None").click(lambda: None, None, viewer, queue=False)
            gr.Button("Lost").click(lambda: View([_lost()], None), None, viewer, queue=False)
            gr.Textbox(label="Elsewhere")
        _, local, _ = page.launch(
            server_port=free_port(),
            prevent_thread_lock=True,
            quiet=True,
            theme=THEME,
            footer_links=[],
            js=viewer_script(),
        )
        yield local
        page.close()


def _lost() -> Pane:
    """A pane whose files are gone but for the one that gradio looks for."""
    lost = pane(LABELS[0], original())
    for file in lost.picture.files():
        if file != lost.picture.top:
            file.unlink()
    return lost


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The viewer, opened and drawn; `parametrize` it with (width, colour scheme). The console must stay empty."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, address) as page:
        messages = watch_console(page, "error", "warning")
        page.goto(address)
        settle(page)
        yield page
        assert messages == []


def settle(page: Page) -> None:
    """Wait until every tile in sight is there and drawn."""
    expect(page.locator(".panes")).to_have_attribute("aria-busy", "false")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(page.locator(".panes")).to_have_attribute("aria-busy", "false")


def where(page: Page) -> tuple[float, float, float]:
    """The middle of the view in pixels of the picture, and the zoom, once the view is drawn."""
    settle(page)
    data = page.locator(".viewer").evaluate("viewer => ({...viewer.dataset})")
    return float(data["x"]), float(data["y"]), float(data["zoom"])


def canvas(page: Page, index: int = 0) -> Locator:
    return page.locator(".panes canvas").nth(index)


def middle(page: Page, index: int = 0) -> tuple[float, float]:
    box = canvas(page, index).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def press(page: Page, *keys: str) -> None:
    page.locator(".panes").focus()
    for key in keys:
        page.keyboard.press(key)


def assert_moved_together(page: Page) -> None:
    """The first and the last pane hold the same picture, so that they must look the same."""
    settle(page)
    drawn = page.locator(".panes canvas").evaluate_all(ALL_DRAWN)
    assert drawn[0] == drawn[2] != drawn[1]


def test_all_of_it_is_there_at_first(page: Page) -> None:
    x, y, zoom = where(page)
    assert (x, y) == (WIDTH / 2, HEIGHT / 2)
    box = canvas(page).bounding_box()
    assert box is not None and zoom == pytest.approx(min(box["width"] / WIDTH, box["height"] / HEIGHT), rel=0.01)
    assert page.locator(".name").all_text_contents() == LABELS
    assert_moved_together(page)


def test_dragging_moves_all(page: Page) -> None:
    press(page, "1")
    before = where(page)
    x, y = middle(page, 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=5)
    page.mouse.up()
    assert where(page) == (before[0] - 60, before[1] - 40, 1)
    assert_moved_together(page)
    page.mouse.move(x + 20, y + 20)
    assert where(page) == (before[0] - 60, before[1] - 40, 1), "let go"


def test_the_wheel_zooms_where_the_pointer_is_once_the_image_was_clicked(page: Page) -> None:
    """Until then it scrolls the page, which a hint says, unless Ctrl is held; Esc gives it back to the page."""
    page.set_viewport_size({"width": 1280, "height": 500})
    x, y = middle(page, 2)
    page.mouse.move(x - 50, y - 30)
    fitted = where(page)
    page.mouse.wheel(0, 60)
    page.wait_for_function("scrollY > 0")
    expect(page.locator(".hint")).to_be_visible()
    page.mouse.wheel(0, -60)
    page.wait_for_function("scrollY === 0")
    assert where(page) == fitted
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")
    assert where(page)[2] > fitted[2]
    page.mouse.click(x - 50, y - 30)
    page.keyboard.press("0")
    zoom = where(page)[2]
    held = where(page)[0] - 50 / zoom, where(page)[1] - 30 / zoom
    page.mouse.wheel(0, -900)
    after = where(page)
    assert after[2] > 3 * zoom
    assert after[0] - 50 / after[2] == pytest.approx(held[0], abs=3)  # the wheel's place is told in whole pixels
    assert after[1] - 30 / after[2] == pytest.approx(held[1], abs=3)
    assert_moved_together(page)
    page.keyboard.press("Escape")
    page.mouse.wheel(0, 60)
    page.wait_for_function("scrollY > 0")
    assert where(page) == after


def test_the_wheel_scrolls_the_page_where_there_is_no_farther(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 300})
    press(page, "0")
    before = where(page)
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, 100)
    page.wait_for_function("scrollY > 0")
    assert where(page) == before


def test_two_fingers_zoom_and_one_moves(page: Page) -> None:
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    x, y = middle(page)
    before = where(page)
    touch("touchStart", (x - 30, y))
    touch("touchStart", (x - 30, y), (x + 30, y))
    for step in range(1, 10):
        touch("touchMove", (x - 30 - 10 * step, y), (x + 30 + 10 * step, y))
    touch("touchEnd")
    after = where(page)
    assert after[2] == pytest.approx(before[2] * 4, rel=0.02)
    assert after[:2] == pytest.approx(before[:2], abs=2), "what lies between the fingers stays there"
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x + 10 * step, y + 4 * step))
    touch("touchEnd")
    assert where(page) == pytest.approx((after[0] - 50 / after[2], after[1] - 20 / after[2], after[2]), abs=2)
    assert_moved_together(page)


@pytest.mark.parametrize("page", [(390, "light")], indirect=True)
def test_one_finger_scrolls_the_page_until_it_is_zoomed(page: Page) -> None:
    assert canvas(page).evaluate("canvas => getComputedStyle(canvas).touchAction") == "pan-y"
    press(page, "+", "+")
    settle(page)
    assert canvas(page).evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"


def test_keys_move_all(page: Page) -> None:
    fitted = where(page)
    press(page, "1")
    assert where(page)[2] == 1
    press(page, "ArrowRight", "ArrowDown", "ArrowDown")
    right = where(page)
    assert right[0] > fitted[0] and right[1] > fitted[1]
    press(page, "ArrowLeft", "ArrowUp", "ArrowUp")
    assert where(page) == pytest.approx((*fitted[:2], 1))
    press(page, "+", "+", "-")
    assert where(page)[2] == pytest.approx(1.25)
    assert_moved_together(page)
    expect(page.locator(".said")).to_have_text("Zoom 125 %, middle at 550, 450.")
    press(page, "0")
    assert where(page) == fitted


def test_nothing_leads_out_of_the_picture(page: Page) -> None:
    press(page, *["-"] * 30, *["ArrowLeft"] * 3)
    assert where(page)[:2] == (WIDTH / 2, HEIGHT / 2)
    press(page, *["+"] * 60)
    assert where(page)[2] == 32
    box = canvas(page).bounding_box()
    press(page, "1", *["ArrowLeft"] * 30)
    assert box is not None and where(page)[0] == pytest.approx(box["width"] / 2, abs=1)


def test_pixels_are_those_of_the_file(page: Page) -> None:
    """At 100 % and beyond each is drawn as it is, without smoothing, and told in numbers under the pointer."""
    for keys in (["1"], ["+"] * 40):
        press(page, *keys, "ArrowRight", "ArrowDown", "ArrowDown")
        x, y, _ = where(page)
        page.mouse.move(*middle(page))
        for index, pixels in enumerate((original(), off(), original())):
            there = pixels[int(y), int(x)].tolist()
            expect(page.locator(".value").nth(index)).to_have_text(" ".join(map(str, there)))
            if keys != ["1"]:  # there the middle of the canvas may be an edge between two pixels
                assert canvas(page, index).evaluate(DRAWN) == there
    expect(page.locator(".where")).to_contain_text(f"RGB at {int(x)}, {int(y)}")


def test_numbers_are_exact_where_the_picture_is_shown_small(page: Page) -> None:
    x, y = middle(page)
    page.mouse.move(x + 31, y - 17)
    assert where(page)[2] < 0.5
    told = re.search(r"RGB at (\d+), (\d+)", page.locator(".where").inner_text())
    assert told is not None
    for index, pixels in enumerate((original(), off())):
        there = pixels[int(told[2]), int(told[1])].tolist()
        expect(page.locator(".value").nth(index)).to_have_text(" ".join(map(str, there)))


@pytest.mark.parametrize("way", ["key", "button", "button by key"])
def test_blinking_shows_the_other_picture_while_held(page: Page, way: str) -> None:
    before = page.locator(".panes canvas").evaluate_all(ALL_DRAWN)
    button = page.get_by_role("button", name="Hold to blink")
    if way == "key":
        page.locator(".panes").focus()
        page.keyboard.down("b")
    elif way == "button":
        page.locator(".panes").focus()
        button.hover()
        page.mouse.down()
    else:
        button.focus()
        page.keyboard.down("Space")
    settle(page)
    assert page.locator(".panes canvas").evaluate_all(ALL_DRAWN) == [before[0]] * 3
    assert page.locator(".name").all_text_contents() == ["Original"] * 3
    expect(button).to_have_attribute("aria-pressed", "true")
    page.mouse.up()
    page.keyboard.up("b")
    page.keyboard.up("Space")
    settle(page)
    assert page.locator(".panes canvas").evaluate_all(ALL_DRAWN) == before
    assert page.locator(".name").all_text_contents() == LABELS


def test_what_is_blinked_with_can_be_chosen(page: Page) -> None:
    before = page.locator(".panes canvas").evaluate_all(ALL_DRAWN)
    page.get_by_label("with").select_option(label=LABELS[1])
    page.locator(".panes").focus()
    page.keyboard.down("b")
    settle(page)
    assert page.locator(".panes canvas").evaluate_all(ALL_DRAWN) == [before[1]] * 3
    page.get_by_label("Elsewhere").focus()
    settle(page)
    assert page.locator(".panes canvas").evaluate_all(ALL_DRAWN) == before, "leaving lets go"


@pytest.mark.parametrize(("button", "most"), [("Difference", ERROR_LEVELS), ("Consistency", CONSISTENCY_LEVELS)])
def test_heat_has_the_colour_of_the_error(page: Page, button: str, most: int) -> None:
    """5 levels everywhere for one, none for the other, and the original as it is."""
    plain = canvas(page).evaluate("canvas => canvas.toDataURL()")
    expect(page.locator(".scale")).not_to_be_visible()
    page.get_by_role("button", name=button).click()
    expect(page.locator(".scale")).to_contain_text(f"{most} levels or more")
    settle(page)
    assert canvas(page).evaluate("canvas => canvas.toDataURL()") == plain
    assert canvas(page, 1).evaluate(DRAWN) == heat_palette()[round(5 * 255 / most)].tolist()
    assert canvas(page, 2).evaluate(DRAWN) == heat_palette()[0].tolist()
    press(page, "1")
    page.mouse.move(*middle(page))
    expect(page.locator(".value").nth(1)).to_contain_text("Δ 5" if button == "Difference" else " ")
    page.get_by_role("button", name="Images").click()
    assert_moved_together(page)


def test_one_click_goes_to_a_place(page: Page) -> None:
    for index, (left, top, width, height) in enumerate(BOXES[:2]):
        page.get_by_role("button", name=f"Place {index + 1} where").click()
        x, y, zoom = where(page)
        assert (x, y) == (left + width / 2, top + height / 2)
        box = canvas(page).bounding_box()
        assert box is not None and zoom == pytest.approx(min(box["width"] / width, box["height"] / height), rel=0.02)
        assert_moved_together(page)


def test_one_is_larger_beside_the_one_it_is_compared_with(page: Page) -> None:
    before = canvas(page, 1).bounding_box()
    only = page.get_by_role("button", name=f"Show {LABELS[1]} larger")
    only.click()
    expect(page.locator(".pane:visible .name")).to_have_text(LABELS[:2])
    after = page.locator(".pane.right canvas").bounding_box()
    assert before is not None and after is not None and after["width"] > 1.5 * before["width"]
    page.get_by_role("button", name="Side by side").click()
    left, right = (page.locator(f".pane.{side} canvas").bounding_box() for side in ("left", "right"))
    assert left is not None and right is not None and left["x"] + left["width"] < right["x"]
    page.get_by_label("with").select_option(label=LABELS[2])
    expect(page.locator(".pane:visible .name")).to_have_text([LABELS[2], LABELS[1]])
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator(".pane:visible")).to_have_count(3)
    only.click()
    expect(page.locator(".pane:visible")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(".pane:visible")).to_have_count(3)
    expect(only).to_be_focused()
    assert_moved_together(page)


def test_a_full_view_is_left_by_escape(page: Page) -> None:
    small = canvas(page, 1).bounding_box()
    page.get_by_role("button", name="Swipe").click()
    press(page, "f")
    viewer = page.locator(".viewer").bounding_box()
    assert viewer is not None and (viewer["x"], viewer["y"], viewer["width"]) == (0, 0, 1280)
    assert viewer["height"] == 844 and page.evaluate("document.documentElement.style.overflow") == "hidden"
    for _ in range(20):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.viewer') !== null"), "what is behind is out of reach"
    press(page, "?")
    about = page.get_by_text("Drag to move.")  # the keys are left out for a finger, which this visitor has too
    expect(about).to_be_visible()
    page.keyboard.press("Escape")
    expect(about).not_to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Full view")).to_be_focused()
    page.get_by_role("button", name="All", exact=True).click()
    assert canvas(page, 1).bounding_box() == small


def test_the_navigator_shows_where_the_view_is_and_moves_it(page: Page) -> None:
    navigator = page.locator(".navigator")
    expect(navigator).not_to_be_visible()
    press(page, "1")
    settle(page)
    whole, frame = navigator.bounding_box(), navigator.locator("i").bounding_box()
    seen = canvas(page).bounding_box()
    assert whole is not None and frame is not None and seen is not None
    assert frame["width"] / whole["width"] == pytest.approx(seen["width"] / WIDTH, rel=0.05)
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    page.mouse.down()
    page.mouse.move(whole["x"] + whole["width"] * 0.75, whole["y"] + whole["height"] / 2, steps=3)
    page.mouse.up()
    x, y, zoom = where(page)
    assert (x, y) == pytest.approx((0.75 * WIDTH, HEIGHT / 2), abs=0.02 * WIDTH) and zoom == 1


def test_a_new_value_keeps_the_view_and_adds_no_listener(page: Page) -> None:
    press(page, "1", "ArrowRight")
    before = where(page)
    for name, count in [("Two", 2), ("Three", 3), ("Two", 2), ("Three", 3)]:
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator(".panes canvas")).to_have_count(count)
    assert where(page) == before
    press(page, "ArrowRight")
    assert where(page)[0] - before[0] == pytest.approx(before[0] - WIDTH / 2), (
        "one step, however many values there were"
    )
    assert_moved_together(page)
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator(".viewer")).not_to_be_visible()
    page.get_by_role("button", name="Three", exact=True).click()
    expect(page.locator(".panes canvas")).to_have_count(3)
    assert_moved_together(page)


def test_the_server_keeps_account_of_every_tile(address: str) -> None:
    """What gradio is told of, it deletes in its time."""
    viewer = Viewer()
    lone = pane(LABELS[1], off())
    viewer.postprocess(View([lone]))
    assert lone.error is not None and lone.consistency is not None
    files = {*lone.picture.files(), *lone.error.files(), *lone.consistency.files()}
    assert {Path(file) for file in viewer.temp_files} == files


def test_lost_tiles_are_told(browser: Browser, address: str) -> None:
    with visit(browser, 1280, "light", address) as page:
        page.goto(address)
        page.get_by_role("button", name="Lost", exact=True).click()
        expect(page.locator(".panes canvas")).to_have_count(1)
        press(page, "1")
        expect(page.get_by_role("alert")).to_contain_text("could not be loaded")


def test_it_works_in_a_frame(browser: Browser, address: str) -> None:
    with visit(browser, 1280, "light", address, alone=True) as post:
        post.set_content(f'<iframe src="{address}" width="390" height="700"></iframe>')
        inside = post.frame_locator("iframe")
        expect(inside.locator(".panes")).to_have_attribute("aria-busy", "false")
        inside.locator(".panes canvas").first.click()
        post.keyboard.press("1")
        expect(inside.locator(".viewer")).to_have_attribute("data-zoom", "1")


def test_every_width_in_light_and_dark(page: Page) -> None:
    """Two panes in a row on a telephone, all of them on a screen; nothing overflows, axe-core finds nothing serious."""
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        tops = page.locator(".pane").evaluate_all("panes => panes.map(pane => pane.getBoundingClientRect().y)")
        assert tops.count(tops[0]) == (2 if width == 390 else 3)
    page.get_by_role("button", name="Difference").click()
    settle(page)
    check_state(page, "with the difference")


def test_every_script_is_read() -> None:
    assert sorted(VIEWER_SCRIPTS) == sorted(path.stem for path in VIEWER_FILES.glob("*.js"))
