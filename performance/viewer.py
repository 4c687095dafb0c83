"""Frames per second of the viewer over six pictures of 4096 x 4096, in headless Chromium; and what the tiles take.

python -m performance.viewer

Headless Chromium draws on the processor, beside the server of the page: what a visitor has is rather more.
"""

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import gradio as gr
import numpy as np
from playwright.sync_api import Page, sync_playwright

from performance.measuring import medians, peak_megabytes, write_section
from performance.scene import make_scene
from pipelines.images.picture import Pixels8, to_uint8
from pipelines.images.pyramid import ERROR_LEVELS, compute_heat, write_pyramid
from pipelines.runs import finish
from ui.widgets.viewer import Pane, View, Viewer, tiles_folder, viewer_script

VIEWED_SIDE = 4096
PICTURES = 6
FRAMES = 300
ABOUT = (
    f"{PICTURES} pictures of {VIEWED_SIDE} x {VIEWED_SIDE} in panes at 1280 pixels width, headless Chromium drawing on "
    f"the processor. A frame is the time between two calls of requestAnimationFrame, over {FRAMES} of them, with the "
    "mouse moved or the wheel turned in each; fetching and decoding tiles included."
)
# One event a frame, sent from within the page: the automation's own would come unevenly.
EACH_FRAME = """([kind, frames]) => new Promise((done) => {
    const canvas = document.querySelector(".panes canvas");
    const box = canvas.getBoundingClientRect();
    const drag = (type, x, y) => canvas.dispatchEvent(
        new PointerEvent(type, { bubbles: true, pointerId: 1, clientX: box.x + 10 + x, clientY: box.y + 10 + y }));
    const turn = (deltaY) => canvas.dispatchEvent(
        new WheelEvent("wheel", { bubbles: true, cancelable: true, deltaY, clientX: box.x + 90, clientY: box.y + 70 }));
    canvas.setPointerCapture = () => {}; // the browser knows of no such pointer
    if (kind === "drag") drag("pointerdown", 0, 0);
    const times = [];
    const step = (now) => {
        times.push(now);
        if (kind === "wheel") turn(times.length % 120 < 60 ? -60 : 60);
        else drag("pointermove", 600 * Math.sin(times.length / 40), 600 * Math.cos(times.length / 30) - 600);
        if (times.length <= frames) return requestAnimationFrame(step);
        drag("pointerup", 0, 0);
        done(times);
    };
    requestAnimationFrame(step);
})"""


def make_pictures() -> list[Pixels8]:
    """The same made scene, shifted, so that no two panes can share a tile."""
    first = to_uint8(make_scene(VIEWED_SIDE))
    return [np.ascontiguousarray(np.roll(first, 100 * number, axis=1)) for number in range(PICTURES)]


def time_frames(page: Page, kind: str, *keys: str) -> list[float]:
    """Milliseconds of each frame while the panes are moved, from the view that the keys lead to."""
    page.locator(".panes").focus()
    for key in keys:
        page.keyboard.press(key)
    times = page.evaluate(EACH_FRAME, [kind, FRAMES])
    return [after - before for before, after in pairwise(times)]


def describe_frames(what: str, milliseconds: Sequence[float]) -> list[str]:
    """Median and 95th percentile of the frames."""
    median, slow = statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1]
    return [what, f"{median:.1f} ms", f"{slow:.1f} ms", f"{1000 / median:.0f} frames a second"]


def measure_in_browser(url: str) -> list[list[str]]:
    """Frame times of a first pass, in which tiles are fetched, and the memory that is held after all of them."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.locator(".panes[aria-busy=false]").wait_for()
        rows = [
            describe_frames("dragging at 100 %", time_frames(page, "drag", "1")),
            describe_frames("dragging at 51 %", time_frames(page, "drag", "1", "-", "-", "-")),
            describe_frames("zooming with the wheel from all of it on", time_frames(page, "wheel", "0")),
        ]
        page.get_by_role("button", name="Difference").click()
        rows.append(describe_frames("dragging five maps of the difference at 100 %", time_frames(page, "drag", "1")))
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        chromium.close()
    return [*rows, ["JavaScript's memory after that, without the decoded tiles", f"{heap:.0f} MB", "", ""]]


def measure_tiles() -> list[list[str]]:
    """Seconds and memory to write the tiles of one picture, and of its difference from another."""
    one, two = make_pictures()[:2]
    difference = compute_heat(one, two, ERROR_LEVELS)
    with tempfile.TemporaryDirectory() as folder:
        jobs: list[tuple[str, Callable[[], object]]] = [
            ("tiles of one picture", lambda: finish(write_pyramid(one, Path(folder)))),
            ("the difference of two", lambda: compute_heat(one, two, ERROR_LEVELS)),
            ("tiles of one difference", lambda: finish(write_pyramid(difference, Path(folder)))),
        ]
        seconds = medians([job for _, job in jobs])
        return [
            [what, f"{taken:.2f} s", "", f"{peak_megabytes(job):.0f} MB more"]
            for (what, job), taken in zip(jobs, seconds, strict=True)
        ]


def main() -> None:
    """Measures, and writes to RESULTS.md."""
    rows = measure_tiles()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        original, *results = make_pictures()
        panes = [Pane("Original", "", finish(write_pyramid(original, tiles_folder())))]
        for number, result in enumerate(results, 1):
            picture = finish(write_pyramid(result, tiles_folder()))
            error = finish(write_pyramid(compute_heat(result, original, ERROR_LEVELS), tiles_folder()))
            panes.append(Pane(f"Result {number}", "", picture, error))
        with gr.Blocks(analytics_enabled=False) as page:
            Viewer(View(panes))
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, js=viewer_script())
        rows = measure_in_browser(url) + rows
        page.close()
    write_section("The viewer", ABOUT, ["what", "median", "95th percentile", ""], rows)


if __name__ == "__main__":
    main()
