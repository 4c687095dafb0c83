"""What a browser sends to the page, without gradio's client, and what a page says in a browser's console."""

from collections.abc import Sequence
from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# The buttons in sight that a finger misses; gradio measures its tabs by copies out of sight.
SMALL = """all => all.filter((each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !each.closest("[aria-hidden=true]") && Math.min(each.offsetWidth, each.offsetHeight) < 24)
    .map((each) => `${each.offsetWidth} x ${each.offsetHeight}: ${each.outerHTML.slice(0, 200)}`)"""
STILL = "document.getAnimations().every((each) => each.playState !== 'running')"
DARK = "(dark) => document.body.classList.toggle('dark', dark)"


def upload(url: str, name: str, content: bytes) -> httpx.Response:
    """What the page answers to an upload: the paths of its files there, as a list in JSON."""
    return httpx.post(f"{url}/gradio_api/upload", files={"files": (name, content)}, timeout=30)


def file_at(path: str) -> dict[str, Any]:
    """The file of that path, as an event's input names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def watch_console(page: Page, *kinds: str) -> list[str]:
    """Returns a list that grows by each message of these kinds in the console, errors alone unless named, and errors
    of scripts.
    """
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type in (kinds or ("error",)) else None)
    page.on("pageerror", lambda error: messages.append(str(error)))
    return messages


def cancel_once(page: Page, condition: str) -> None:
    """Presses the Cancel in sight in the frame in which that JavaScript is true: a moment later all may be done."""
    press = "[...document.querySelectorAll('button.cancel')].find((each) => each.checkVisibility()).click()"
    page.wait_for_function(f"() => ({condition}) && ({press}, true)")


def check_state(page: Page, state: str, widths: Sequence[int] = (390, 1280)) -> None:
    """Asserts what holds in every state of the page, at these widths, in the dark where it is narrow.

    Nothing overflows, axe-core finds nothing serious, and no button is too small for a finger.
    """
    assert page.viewport_size is not None
    before = page.viewport_size
    for width in widths:
        page.set_viewport_size({"width": width, "height": before["height"]})
        page.evaluate(DARK, width < 900)
        page.wait_for_function(STILL)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{state} at {width}"
        assert page.locator("button").evaluate_all(SMALL) == [], f"{state} at {width}"
        report = Axe().run(page)
        serious = [each for each in report.response["violations"] if each["impact"] in ("serious", "critical")]
        assert serious == [], f"{state} at {width}: {report.generate_report()}"
    page.evaluate(DARK, False)
    page.set_viewport_size(before)
