"""How quick the page feels: first page, click to result, and an answer while a job runs. Needs Debian's Chromium.

python -m performance.page
python -m performance.page --peer FOLDER    beside another checkout in the same run, and to the terminal alone
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from gradio_client import Client, handle_file
from playwright.sync_api import Page, sync_playwright

from performance.measuring import ROOT, write_section
from performance.scene import make_scene
from pipelines.catalog import rows as catalog
from pipelines.images import door as images
from pipelines.images.picture import Picture
from ui.widgets.advice import FIRST_MODEL

CLICKS = 5
PATIENCE = 180_000  # milliseconds for a result, on a machine that does much else
ROUNDS = 3  # in which the two checkouts take turns
RUN = "#actions button.primary"
# From the click as the page gets it, to the frame in which the result's image is drawn. A driver's own clock would
# count how long it looks whether the button holds still, and how seldom it asks.
WATCH_CLICK = """(width) => {
    const inSight = () => {
        const viewer = document.querySelector("#compare .viewer");
        const told = viewer.querySelector(".where").textContent.startsWith(`${width} ×`);
        const ended = document.querySelector("#progress").textContent.includes("Done in");
        return told && ended && viewer.dataset.state === "" && viewer.querySelector(".panes[aria-busy=false] .right");
    };
    window.clickToSight = new Promise((done) => {
        const begin = ({ timeStamp }) => {
            const look = () => {
                if (!inSight()) return requestAnimationFrame(look);
                requestAnimationFrame(() => setTimeout(() => done((performance.now() - timeStamp) / 1000)));
            };
            requestAnimationFrame(look);
        };
        document.querySelector("RUN").addEventListener("click", begin, { capture: true, once: true });
    });
}"""


@contextmanager
def serve_page(checkout: Path = ROOT) -> Iterator[str]:
    """A fresh page's URL, once it has answered for the first time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    env = os.environ | {"PORT": str(port)}
    with subprocess.Popen([sys.executable, "app.py"], stdout=subprocess.DEVNULL, cwd=checkout, env=env) as server:
        try:
            while not _answers(url):
                time.sleep(0.02)
            yield url
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url).read()
    except OSError:
        return False
    return True


def time_first_page(checkout: Path = ROOT) -> float:
    """Seconds from `python app.py` to the page's first whole answer, median of 3 starts."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        with serve_page(checkout):
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


@contextmanager
def open_in_chromium(url: str) -> Iterator[Page]:
    """The page in Chromium, ready for a click."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.locator(f"{RUN}:enabled").wait_for()
        yield page
        chromium.close()


def time_first_click() -> float:
    """Seconds from a click on a page just opened, of a server just started, to its result; median of 3 starts."""
    taken = []
    for _ in range(3):
        with serve_page() as url, open_in_chromium(url) as page:
            taken.append(_click(page, 896))
    return statistics.median(taken)


def time_click(url: str, picture: Path) -> float:
    """Seconds from the click to both sides of the new result painted, median of CLICKS."""
    with open_in_chromium(url) as page:
        page.locator("#picture input[type=file]").set_input_files(picture)
        page.locator(".plan", has_text="512 × 512").wait_for()
        page.get_by_role("radio", name=re.compile("^Faithful")).click()  # Photo needs a download
        taken = [_time_one_click(page, f"x{scale}", 512 * scale) for scale in (2, 4) * CLICKS]
    return statistics.median(taken[::2])


def _time_one_click(page: Page, scale: str, width: int) -> float:
    page.locator("#scale").get_by_role("radio", name=scale, exact=True).check()
    page.locator(".plan", has_text=f"{width} × {width}").wait_for()
    return _click(page, width)


def _click(page: Page, width: int) -> float:
    """Seconds from a click on the button to its result, so many pixels wide, painted."""
    page.evaluate(WATCH_CLICK.replace("RUN", RUN), width)
    page.locator(RUN).click()
    return float(page.evaluate("window.clickToSight"))


def time_answer_while_busy(url: str, picture: Path) -> float:
    """Slowest of CLICKS answers of the page, in seconds, while an enlargement to 64 megapixels runs."""
    job = Client(url, verbose=False).submit(handle_file(picture), "lanczos", "x8", api_name="/upscale")
    busy = threading.Event()
    job.add_done_callback(lambda done: busy.set())
    taken: list[float] = []
    while not busy.is_set() and len(taken) < CLICKS:
        time.sleep(0.1)
        start = time.perf_counter()
        urllib.request.urlopen(url).read()
        taken.append(time.perf_counter() - start)
    job.result()
    return max(taken)


def compare_with(peer: Path, picture: Path) -> Iterator[str]:
    """Lines that say how long the first page and a click take here and in another checkout, medians of ROUNDS.

    Both are measured by this script, so the other page needs the same buttons and the same viewer.
    """
    taken: dict[Path, list[list[float]]] = {ROOT: [], peer: []}
    for _ in range(ROUNDS):
        for folder, times in taken.items():
            with serve_page(folder) as url:
                click = time_click(url, picture)
            times.append([time_first_page(folder), click])
    for number, what in enumerate(("first whole page", f"click to {catalog.find(FIRST_MODEL).name} x2 in sight")):
        here, there = (statistics.median(times[number] for times in each) for each in taken.values())
        yield f"{what}: {here:.2f} s here, {there:.2f} s there, {here / there:.2f} of its time"


def main() -> None:
    """Measures, and writes to RESULTS.md; beside a peer it prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="the folder of another checkout")
    peer: Path | None = parser.parse_args().peer
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.png"
        # As an antialiased photograph: else Swift would run the larger of its two networks.
        images.write(Picture(cv2.GaussianBlur(make_scene(512), (0, 0), 0.6).astype(np.float32)), small)
        if peer is not None:
            for line in compare_with(peer.resolve(), small):
                print(line)
            return
        _write_results(small)


def _write_results(small: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, serve_page() as url:
        large = Path(folder) / "large.png"
        images.write(Picture(make_scene(1000)), large)
        name = catalog.find(FIRST_MODEL).name
        rows = [
            ["`python app.py` to the first whole page, median of 3", f"{time_first_page():.1f}"],
            [
                f"click to {name} x2 of 512 x 512 in sight, median of {CLICKS}",
                f"{time_click(url, small):.2f}",
            ],
            [f"first click after a start, to {name} x4 of the first example, median of 3", f"{time_first_click():.2f}"],
            [
                f"page's answer while 64 megapixels are made, slowest of {CLICKS}",
                f"{time_answer_while_busy(url, large):.2f}",
            ],
        ]
    write_section("The page", "In headless Chromium on the same machine as the server.", ["what", "seconds"], rows)


if __name__ == "__main__":
    main()
