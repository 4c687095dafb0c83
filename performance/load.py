"""Many visitors at once: each gets the own result or a clear refusal, the page answers, and memory comes back.

python -m performance.load [--clients 50] [--requests 300] [--leaving 10] [--cancelling 10] [--url URL] [--write]

On loopback and offline. Each client asks again and again, each time with another picture: for Swift, bicubic and a
comparison of three models. Some leave half-way, some cancel. Whether a result is the own one is told by its content: a
result shrunk again must be its picture. Then pictures of 150 sizes follow each other. Prints a table, --write puts it
into RESULTS.md; exits with 1 where something is not as it must be.
"""

import argparse
import hashlib
import json
import random
import re
import secrets
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from performance.measuring import table_lines, write_section
from performance.serving import resident_bytes, serve_page
from pipelines.images import door as images
from pipelines.images.door import Picture, Pixels
from pipelines.runs import finish

PREFIX = "/gradio_api"
PATIENCE_SECONDS = 180.0  # for one request, its waits and tries anew included
LOOK_SECONDS = 0.25  # between two looks at how fast the page answers
MOST_ANSWER_SECONDS = 1.0
MOST_GROWN = 1.1  # times the memory after the first requests
MOST_APART = 0.02  # mean difference of a result, shrunk again, from its picture; another's is 0.1 and more
SIZES = 150
REST_SECONDS = 40.0  # in which a page ends what nobody waits for (20 s) and gives back what is free
ABOUT = (
    "`python -m performance.load`, on loopback. Each client asks with another picture of 40 to 120 pixels a side, for "
    "Swift or bicubic x2 or a comparison of three models; who is told that the queue is full asks again. What is right "
    "is told by its content. Memory is that of a page that has rested for 40 s."
)
BUSY = re.compile(r"queue is full: .* Try again in", re.IGNORECASE)
KINDS = ("swift", "bicubic", "compare")
COMPARED = ("bicubic", "lanczos", "swift")


@dataclass
class Tally:
    """What came of all requests, counted by the clients at once."""

    ended: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of those that got their result
    answers: list[float] = field(default_factory=list)  # seconds in which the page answered meanwhile
    wrong: list[str] = field(default_factory=list)
    held: list[int] = field(default_factory=list)  # bytes of the server, looked at now and then


def draw_picture(seed: int, width: int = 0, height: int = 0) -> Pixels:
    """A smooth picture that no other seed gives: (H, W, 3) in [0, 1], of 40 to 120 pixels a side unless given."""
    draw = np.random.default_rng(seed)
    height, width = height or int(draw.integers(40, 121)), width or int(draw.integers(40, 121))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    slopes = draw.uniform(0.05, 0.2, (3, 2))
    waves = [np.sin(rows * down + columns * across + draw.uniform(0, 6)) for down, across in slopes]
    return (np.rint((np.stack(waves, axis=2) / 2 + 0.5) * 255) / 255).astype(np.float32)


def is_own(result: bytes, pixels: Pixels, scale: int) -> bool:
    """Returns whether a result is of that picture, by its content."""
    picture = images.read(result)
    height, width, _ = pixels.shape
    if picture.pixels.shape != (height * scale, width * scale, 3):
        return False
    return float(np.abs(finish(images.shrink(picture.pixels, scale, "area")) - pixels).mean()) < MOST_APART


class Visitor:
    """One client of the page."""

    def __init__(self, url: str, events: Mapping[str, int], number: int, tally: Tally) -> None:
        self.url, self.events, self.number, self.tally = url, events, number, tally
        self.draw = random.Random(number)

    def ask(self, seed: int, kind: str, way: str = "stay") -> None:
        """Asks once, for a picture of its own; `way` is to stay, to leave half-way, or to cancel."""
        started = time.monotonic()
        try:
            with httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS) as client:
                ended = self._ask(client, seed, kind, way, started)
        except httpx.HTTPError as error:
            ended = f"wrong: {type(error).__name__}"
        self.tally.ended[ended.partition(":")[0]] += 1
        if ended.startswith("wrong"):
            self.tally.wrong.append(f"{kind} {seed}, {way}: {ended}")
        elif ended == "right":
            self.tally.seconds.append(time.monotonic() - started)

    def _ask(self, client: httpx.Client, seed: int, kind: str, way: str, started: float) -> str:
        pixels = draw_picture(seed)
        file = images.encode(Picture(pixels))
        path = client.post(f"{PREFIX}/upload", files={"files": ("mine.png", file)}).json()[0]
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        name = "upscale"
        data: list[Any] = [given, kind, "x2"]
        if kind == "compare":
            name, data = "benchmark", [None, "round-trip", [*COMPARED], "x2", "bicubic", None, [given], False]
        while time.monotonic() - started < PATIENCE_SECONDS:
            said = self._call(client, {"data": data, "fn_index": self.events[name]}, way)
            if said is None:
                return way
            if said.get("success"):
                own = self._is_right(client, said["output"]["data"], pixels, file, kind)
                return "right" if own else "wrong: not the own result"
            told = str(said["output"].get("error"))
            if not BUSY.search(told):
                return f"wrong: {told[:200]}"
            self.tally.ended["told that the queue is full"] += 1
            time.sleep(self.draw.uniform(0.5, 2))
        return "gave up"

    def _call(self, client: httpx.Client, body: dict[str, Any], way: str) -> dict[str, Any] | None:
        """Returns the last message of the event; None where the client leaves it."""
        session = secrets.token_hex(8)  # nobody has that of another
        asked = client.post(f"{PREFIX}/queue/join", json=body | {"session_hash": session})
        if asked.status_code != 200:
            return {"output": {"error": asked.text}}
        with client.stream("GET", f"{PREFIX}/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    return message if way == "stay" else None
                if way != "stay" and message.get("msg") in ("process_starts", "process_generating"):
                    if way == "cancelled":
                        cancelled = {
                            "session_hash": session,
                            "fn_index": body["fn_index"],
                            "event_id": message["event_id"],
                        }
                        client.post(f"{PREFIX}/cancel", json=cancelled).raise_for_status()
                    return None
        return {"output": {"error": "the stream ended without a result"}}

    def _is_right(self, client: httpx.Client, result: list[Any], pixels: Pixels, file: bytes, kind: str) -> bool:
        if kind != "compare":
            return is_own(client.get(result[0]["url"]).content, pixels, 2)
        rows = result[0]["rows"]
        same = {row["image_sha256"] for row in rows} == {hashlib.sha256(file).hexdigest()}
        return same and {row["model"] for row in rows if not row["error"]} == {*COMPARED}


@contextmanager
def watching(url: str, process: int | None, tally: Tally) -> Iterator[None]:
    """Looks now and then how fast the page answers, and how much memory it has."""
    over = threading.Event()

    def look() -> None:
        with httpx.Client(timeout=30) as client:
            while not over.wait(LOOK_SECONDS):
                started = time.monotonic()
                try:
                    client.get(url).raise_for_status()
                except httpx.HTTPError as error:
                    tally.wrong.append(f"the page did not answer: {type(error).__name__}")
                tally.answers.append(time.monotonic() - started)
                tally.held.append(resident_bytes(process) if process else 0)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def list_ways(options: argparse.Namespace) -> list[str]:
    """Returns what each request is to do, spread over all of them."""
    ways = ["left"] * options.leaving + ["cancelled"] * options.cancelling
    ways += ["stay"] * max(0, options.requests - len(ways))
    random.Random(0).shuffle(ways)
    return ways


def run_load(url: str, process: int | None, options: argparse.Namespace) -> tuple[Tally, list[list[str]], list[str]]:
    """Makes all requests, then those of many sizes; returns what came of them, a table, and which bounds are broken."""
    tally, ways = Tally(), list_ways(options)
    found = httpx.get(f"{url}/config", timeout=30).json()["dependencies"]
    events = {each["api_name"]: each["id"] for each in found if each["api_name"]}
    visitors = [Visitor(url, events, number, tally) for number in range(options.clients)]

    def ask(first: int, some: Sequence[str]) -> float:
        started = time.monotonic()
        with ThreadPoolExecutor(options.clients) as pool:
            asked = [
                pool.submit(visitors[number % len(visitors)].ask, number, KINDS[number % len(KINDS)], way)
                for number, way in enumerate(some, first)
            ]
        for each in asked:
            each.result()  # an accident of the client's ends the script
        return time.monotonic() - started

    def rest() -> int:
        time.sleep(REST_SECONDS)
        return resident_bytes(process) if process else 0

    some = min(options.clients, len(ways))
    with watching(url, process, tally):
        seconds = ask(0, ways[:some])
    early = rest()
    with watching(url, process, tally):
        seconds += ask(some, ways[some:])
    late = rest()
    sizes = Tally()
    one = Visitor(url, events, 0, sizes)
    for number in range(options.sizes):
        one.ask(10_000 + number, "swift")
    after = rest()
    tally.wrong += sizes.wrong
    rows = [
        [f"{len(ways)} requests of {options.clients} clients at once, s", f"{seconds:.0f}"],
        *([f"requests: {what}", f"{count}"] for what, count in sorted(tally.ended.items())),
        ["seconds to the own result, median and largest", spread(tally.seconds)],
        ["the page's answer meanwhile, s, median and largest", spread(tally.answers)],
        [f"memory after the first {some} requests, and after all, MB", f"{early / 1e6:.0f}, {late / 1e6:.0f}"],
        ["largest meanwhile, MB", f"{max(tally.held, default=0) / 1e6:.0f}"],
        [f"after {options.sizes} more sizes one after another, MB", f"{after / 1e6:.0f}"],
    ]
    bounds = {
        "the page answered too slowly": max(tally.answers, default=0) <= MOST_ANSWER_SECONDS,
        "memory did not come back": late <= MOST_GROWN * early,
        "memory grew with new sizes": after <= MOST_GROWN * max(early, late),
        "somebody gave up": not tally.ended["gave up"],
    }
    return tally, rows, [what for what, holds in bounds.items() if not holds]


def spread(seconds: Sequence[float]) -> str:
    """Returns the median and the largest, to read."""
    return f"{statistics.median(seconds):.2f}, {max(seconds):.2f}" if seconds else "none"


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m performance.load", description=__doc__)
    for name, default in (("clients", 50), ("requests", 300), ("leaving", 10), ("cancelling", 10), ("sizes", SIZES)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--url", help="of a page that is open already")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    return parser.parse_args(arguments)


def main() -> None:
    """Loads a page, and tells what came of it."""
    options = read_options()
    with serve_page() if options.url is None else nullcontext((options.url, None)) as (url, process):
        tally, rows, broken = run_load(url, process, options)
    header = ["what", "measured"]
    if options.write:
        write_section("Many visitors at once", ABOUT, header, rows)
    else:
        print("\n".join(table_lines(header, rows)))
    print("\n".join([*tally.wrong, *broken, f"{len(tally.wrong)} wrong"]))
    sys.exit(bool(tally.wrong or broken))


if __name__ == "__main__":
    main()
