"""examples/embed.html as a blog would serve it: from another address than the page's own."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from tests.conftest import ROOT, visit

EMBED = (ROOT / "examples" / "embed.html").read_text()
WIDTHS = pytest.mark.parametrize("post", [390, 1280], indirect=True)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def blog(served: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the post; its port, and so its origin, differs from the page's."""
    folder = tmp_path_factory.mktemp("blog")
    (folder / "embed.html").write_text(EMBED.replace("http://127.0.0.1:7860", served))
    (folder / "favicon.ico").touch()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def post(browser: Browser, served: str, blog: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The post with both pages in it opened, light, at the width that the test names; once for all tests."""
    with visit(browser, request.param, "light", served, blog, alone=True) as post:
        post.goto(f"{blog}/embed.html?model=nearest&scale=x3&example=page")
        for name, (inside, result) in both(post).items():
            post.locator(name).scroll_into_view_if_needed()
            expect(inside.locator("#compare .name").last).to_have_text(result)
        yield post


def both(post: Page) -> dict[str, tuple[FrameLocator | Locator, str]]:
    """The frame and the component, each with the result that its address asks for."""
    return {
        "iframe": (post.frame_locator("iframe"), "After: Bicubic x2"),
        "gradio-app": (post.locator("gradio-app"), "After: Nearest neighbour x3"),
    }


@WIDTHS
def test_nothing_scrolls_but_the_post(post: Page) -> None:
    """Once the results are there, the frame is as tall as its page, and nothing anywhere is wider than its place."""
    inside = post.frames[1]
    inside.wait_for_function("document.documentElement.scrollHeight <= innerHeight && innerHeight > 800")
    assert inside.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert post.evaluate("document.documentElement.scrollWidth <= innerWidth")
    scrolls = """app => [...app.querySelectorAll("*")].filter(each =>
        /auto|scroll/.test(getComputedStyle(each).overflowY) && each.scrollHeight > each.clientHeight + 1)
        .map(each => each.className)"""
    assert post.locator("gradio-app").evaluate(scrolls) == []


@WIDTHS
def test_the_line_follows_a_finger(post: Page) -> None:
    """Downwards as well as sideways: the post must not scroll away under the finger."""
    finger = post.context.new_cdp_session(post)
    for inside, _ in both(post).values():
        handle = inside.locator("#compare .swipe-line i")
        handle.scroll_into_view_if_needed()
        expect(inside.locator("#compare .panes")).to_have_attribute("aria-busy", "false")
        before, scrolled = handle.bounding_box(), post.evaluate("scrollY")
        assert before is not None
        x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(1, 9):
            point = {"x": x + 10 * step, "y": y + 5 * step}
            finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        after = handle.bounding_box()
        assert after is not None and after["x"] - before["x"] == pytest.approx(80, abs=2)
        assert post.evaluate("scrollY") == scrolled


@WIDTHS
def test_dark_mode_follows_the_post(post: Page) -> None:
    """At once, when the visitor's system turns dark. What counts is what is seen: the colour behind the facts."""
    brightness = """text => {
        while (/, 0\\)$/.test(getComputedStyle(text).backgroundColor)) text = text.parentElement;
        return Math.max(...getComputedStyle(text).backgroundColor.match(/\\d+/g).slice(0, 3)); }"""
    facts = [inside.locator("#facts") for inside, _ in both(post).values()]
    assert min(each.evaluate(brightness) for each in facts) > 240
    post.emulate_media(color_scheme="dark")
    for name, each in zip(both(post), facts, strict=True):
        post.locator(name).scroll_into_view_if_needed()  # a frame out of sight is not drawn anew
        assert each.evaluate(brightness) < 60
    post.emulate_media(color_scheme="light")


def test_what_the_post_says_of_gradio_is_true() -> None:
    """The version in the CDN's address is the one that runs here."""
    version = re.search(r"gradio==([\d.]+)", (ROOT / "requirements.txt").read_text())
    assert version is not None and f"amazonaws.com/{version[1]}/gradio.js" in EMBED
