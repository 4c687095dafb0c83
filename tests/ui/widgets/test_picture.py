"""Choosing images in a real browser: by a click, dropped or pasted anywhere, replaced, refused in our words, kept."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from tests.conftest import free_port, smooth, visit
from ui.examples import EXAMPLES
from ui.page import launch_options
from ui.widgets.picture import PicturesField, place_pictures_field

# What a browser makes of a file that is dropped or pasted by hand; returns whether the page kept it for itself.
GIVE = """([kind, name, type, data]) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], name, { type }));
    const common = { bubbles: true, cancelable: true };
    const event = kind === "drop"
        ? new DragEvent("drop", { ...common, dataTransfer: files })
        : new ClipboardEvent("paste", { ...common, clipboardData: files });
    document.querySelector("#head").dispatchEvent(event);
    return event.defaultPrevented;
}"""


def give(page: Page, kind: str, path: Path, type_: str = "image/png") -> bool:
    """Drops or pastes a file far from any field."""
    return bool(page.evaluate(GIVE, [kind, path.name, type_, b64encode(path.read_bytes()).decode()]))


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with visit(browser, 1280, "light", served) as page:
        page.goto(served)
        expect(page.locator("#picture img")).to_be_visible()
        yield page


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of images of different sizes, and of what is none."""
    for name, width in (("one.png", 30), ("two.png", 40), ("three.png", 50)):
        images.write(Picture(smooth(20, width)), tmp_path / name)
    Image.fromarray(to_uint8(smooth(20, 60))).save(tmp_path / "scan.tif")
    Image.fromarray(to_uint8(smooth(200, 300))).save(tmp_path / "photo.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:2500])
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7\n" + bytes(200))
    (tmp_path / "heavy.png").write_bytes((tmp_path / "one.png").read_bytes() + bytes(61_000_000))
    return tmp_path


def test_an_image_comes_by_click_drop_and_paste_and_each_replaces_the_last(page: Page, files: Path) -> None:
    field, plan = page.locator("#picture"), page.locator(".plan").first
    expect(field.get_by_text("Choose an image")).to_be_visible()
    expect(field.locator("label")).to_contain_text("or drop it anywhere, or paste with Ctrl+V")
    with page.expect_file_chooser() as chooser:
        field.locator("label").click()
    chooser.value.set_files(files / "one.png")
    expect(field.locator(".about")).to_have_text("one.png · 30 × 20")
    expect(plan).to_contain_text("30 × 20")
    assert give(page, "drop", files / "two.png")
    expect(field.locator(".about")).to_have_text("two.png · 40 × 20")
    expect(plan).to_contain_text("40 × 20")
    assert give(page, "paste", files / "three.png")
    expect(plan).to_contain_text("50 × 20")
    assert page.url.rstrip("/").count("/") == 2, "a drop never leaves the page"
    give(page, "drop", files / "scan.tif", "image/tiff")
    expect(plan).to_contain_text("60 × 20")
    page.wait_for_function("document.querySelector('#picture label > img').naturalWidth === 60")


@pytest.mark.parametrize(("height", "width"), [(20, 160), (160, 20), (8, 8)])
def test_no_more_is_shown_than_the_image(page: Page, tmp_path: Path, height: int, width: int) -> None:
    """The chequerboard, which tells what is transparent, is behind the image alone, and no image is a dot."""
    images.write(Picture(smooth(height, width)), tmp_path / "own.png")
    page.locator("#picture input").set_input_files(tmp_path / "own.png")
    expect(page.locator("#picture .about")).to_have_text(f"own.png · {width} × {height}")
    page.wait_for_function("width => document.querySelector('#picture img').naturalWidth === width", arg=width)
    box, place = page.locator("#picture img").bounding_box(), page.locator("#picture label").bounding_box()
    assert box is not None and place is not None
    assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.02)
    assert box["height"] <= 160 and (box["height"] == pytest.approx(160) or box["width"] > place["width"] - 4)


def test_a_wrong_file_is_told_at_once_and_nothing_is_lost(page: Page, files: Path) -> None:
    field, said = page.locator("#picture"), page.locator("#picture .said")
    field.locator("input").set_input_files(files / "one.png")
    expect(field.locator(".about")).to_have_text("one.png · 30 × 20")
    for name, sentence in (
        ("paper.pdf", "paper.pdf is a PDF document, which cannot be read"),
        ("heavy.png", "heavy.png is 61 MB. The limit is 50 MB."),
    ):
        field.locator("input").set_input_files(files / name)
        expect(said).to_contain_text(sentence)
        expect(field.locator(".about")).to_have_text("one.png · 30 × 20")
        expect(page.locator(".plan").first).to_contain_text("30 × 20")
    field.locator("input").set_input_files(files / "half.jpg")
    expect(said).to_contain_text("half.jpg is")
    expect(field.locator("label > img")).to_be_hidden()
    field.locator("input").set_input_files(files / "photo.jpg")
    expect(field.locator(".about")).to_have_text("photo.jpg · 300 × 200")
    expect(said).to_have_text("")


def test_what_the_page_shows_is_sent_again_where_the_server_deleted_it(
    page: Page, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    images.write(Picture(smooth(20, 70)), files / "kept.png")
    page.locator("#picture input").set_input_files(files / "kept.png")
    expect(page.locator("#picture .about")).to_have_text("kept.png · 70 × 20")
    pattern = "served0/gradio/*/*/kept.png"
    (sent,) = tmp_path_factory.getbasetemp().glob(pattern)
    sent.unlink()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    for _ in range(100):
        if sent.exists():
            break
        page.wait_for_timeout(100)
    assert sent.read_bytes() == (files / "kept.png").read_bytes()
    expect(page.locator("#picture .about")).to_have_text("kept.png · 70 × 20")


def test_an_example_that_the_page_sends_back_is_one(tmp_path: Path) -> None:
    """It is a copy in a folder of the server. Another file of that name is the visitor's own."""
    copy, own = (tmp_path / folder / EXAMPLES[0].path.name for folder in ("copy", "own"))
    for path, content in ((copy, EXAMPLES[0].path.read_bytes()), (own, b"another")):
        path.parent.mkdir()
        path.write_bytes(content)
    shown = PicturesField(render=False).postprocess([EXAMPLES[0].path, copy, own, tmp_path / "page.png"])
    assert [each.example for each in shown.root] == [True, True, False, False]


@pytest.fixture
def several(browser: Browser) -> Iterator[Page]:
    """A page of nothing but a field for several images, and their names."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML("<h1>Several</h1>", elem_id="head")
        field, names = place_pictures_field("several"), gr.HTML("", elem_id="names")
        field.change(lambda paths: " ".join(path.name for path in paths), field, names, queue=False)
    port = free_port()
    options = launch_options() | {"server_port": port, "prevent_thread_lock": True, "quiet": True}
    blocks.launch(**options)
    address = f"http://127.0.0.1:{port}"
    with visit(browser, 1280, "light", address) as page:
        page.goto(address)
        yield page
    blocks.close(verbose=False)


def test_several_images_replace_the_example_and_are_removed_one_by_one(several: Page, files: Path) -> None:
    field, names = several.locator("#several"), several.locator("#names")
    expect(field.locator("li")).to_have_count(1)
    field.locator("input").set_input_files([files / "one.png", files / "two.png"])
    expect(names).to_have_text("one.png two.png")
    expect(field.locator("li img").first).to_be_visible()
    give(several, "drop", files / "three.png")
    expect(names).to_have_text("one.png two.png three.png")
    field.get_by_role("button", name="Remove two.png").click()
    expect(names).to_have_text("one.png three.png")
    field.locator("input").set_input_files(files / "paper.pdf")
    expect(field.locator(".said")).to_contain_text("paper.pdf is a PDF document")
    expect(names).to_have_text("one.png three.png")
    several.get_by_role("button", name="Example: Drawing").click()
    expect(names).to_have_text("drawing.png")
