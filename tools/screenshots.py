"""Makes the pictures in docs/screenshots: the Upscale and Compare tabs, light and dark, wide and narrow, with Chromium.

python -m tools.screenshots    with UPSCALE_WEIGHTS_DIR, or the comparison is of classical methods alone
"""

import io
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from ui.preview_card import IMAGE, IMAGE_SIZE

SCREENSHOTS = Path(__file__).parents[1] / "docs" / "screenshots"
Scheme = Literal["light", "dark"]
SHOWN_STATE = "?model=swift&scale=x4&example=drawing"


@contextmanager
def serve_page() -> Iterator[str]:
    """The URL of a page started for the pictures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-u", "app.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PORT": port}) as server:
        assert server.stdout is not None
        try:
            next(line for line in server.stdout if "http://" in line)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def shoot_upscale(browser: Browser, url: str, scheme: Scheme, width: int) -> bytes:
    """The page with its result, as PNG; on a narrow screen scrolled to the result."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url + SHOWN_STATE)
    expect(page.locator("#facts")).to_contain_text("1152 × 960", timeout=60_000)  # it loads the libraries first
    expect(page.locator(".plan")).to_contain_text("1152 × 960")
    if width < 640:
        page.locator("#actions").evaluate("each => each.scrollIntoView()")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    picture = page.screenshot()
    context.close()
    return picture


def shoot_comparison(browser: Browser, url: str, scheme: Scheme, width: int) -> bytes:
    """The Compare tab after a run: the verdict, the scores and the first pictures."""
    context = browser.new_context(
        viewport={"width": width, "height": 1500}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Compare").click()
    page.get_by_role("button", name="Example: Building").last.click()
    expect(page.locator("#pictures")).to_contain_text("building")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("button", name="ZIP", exact=True)).to_be_visible(timeout=120_000)
    page.locator("#compare-verdict").evaluate("each => each.scrollIntoView()")
    page.wait_for_timeout(2000)  # the tiles are drawn as they come
    picture = page.screenshot()
    context.close()
    return picture


def shoot_card(browser: Browser, url: str) -> bytes:
    """The page as it opens, with all of the example in sight, of the proportions that readers of og:image want."""
    width, height = (side * 4 // 3 for side in IMAGE_SIZE)
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#compare .panes")).to_have_attribute("aria-busy", "false")
    page.locator("#compare").get_by_role("button", name="Fit", exact=True).click()
    page.wait_for_timeout(1000)  # the tiles are drawn as they come
    picture = page.screenshot()
    context.close()
    return picture


def save(taken: bytes, path: Path, size: tuple[int, int] | None = None) -> None:
    """Writes a picture with 256 colours, shrunk to a size if one is given: a page has few, and should load fast."""
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    few = (picture.resize(size) if size else picture).quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> None:
    """Writes each picture, and the one for the page's preview card."""
    with serve_page() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        schemes: tuple[Scheme, ...] = ("light", "dark")
        for scheme in schemes:
            for width in (1280, 390):
                for tab, taken in (("upscale", shoot_upscale), ("compare", shoot_comparison)):
                    save(taken(browser, url, scheme, width), SCREENSHOTS / f"{tab}-{scheme}-{width}.png")
        save(shoot_card(browser, url), IMAGE, IMAGE_SIZE)
        browser.close()


if __name__ == "__main__":
    main()
