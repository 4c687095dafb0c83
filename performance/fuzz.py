"""What strangers may send to a page, through its API: no answer is an accident, none takes long, and the page goes on.

python -m performance.fuzz [--count 2000] [--seed 0] [--url URL]

Half of the calls are of the named endpoints, as the page itself describes them: values of wrong kinds, too long, out of
range, or naming files and hosts that are nobody's business, and damaged images. The others go to every address that
gradio serves. Prints what breaks the rule, and exits with 1; without --url a page is opened for it, and its memory is
looked at.
"""

import argparse
import io
import json
import random
import re
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from performance.measuring import ROOT, table_lines, write_section
from performance.mutations import draw_seeds, mutate
from performance.serving import resident_bytes, serve_page

ABOUT = (
    "`python -m performance.fuzz`: values of wrong kinds, too long, naming files and hosts that are nobody's business, "
    "and damaged images, sent to every address of a page on loopback. Wrong is a status of 500, an answer after 2 s, a "
    "path of the server or a traceback."
)
PREFIX = "/gradio_api"
MOST_SECONDS = 2.0  # until a call is refused; what is right and runs may take longer, and is cut off
SECONDS_TO_LISTEN = 20.0
LONG = "x" * 1_000_000
JSON = {"Content-Type": "application/json"}
# What no answer may hold: where the program lies and what Python says, a file of the system, a failure of ours.
ACCIDENT = re.compile(
    rf"{re.escape(str(ROOT))}/|site-packages|Traceback|root:x:0|0x[0-9a-f]{{8}}|<class '|object at |"
    r"(?:Key|Type|Value|Attribute|Index|Assertion|Runtime|Recursion|UnicodeDecode|Overflow)Error|Something unexpected"
)
PATHS = (
    "/etc/passwd",
    "../../../../etc/passwd",
    "..\\..\\app.py",
    "app.py",
    "/proc/self/environ",
    "~/.ssh/id_rsa",
    "file:///etc/passwd",
    "a\0b",
    "C:\\windows\\win.ini",
    "/dev/zero",
    "/",
    "",
)
HOSTS = (
    "http://127.0.0.1:1/x.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:1/",
    "http://2130706433/x.png",
    "gopher://127.0.0.1:1/",
    "https://localhost/x.safetensors",
    "data:text/html,<script>alert(1)</script>",
    "data:image/png;base64,@@@",
    "javascript:alert(1)",
)
WORDS = (
    "",
    " ",
    "\0",
    "\u202e",
    "🐈" * 500,
    "<img src=x onerror=alert(1)>",
    "{{7*7}}",
    "%s%n",
    "'; DROP TABLE x",
    LONG,
)
NAMES = ("a.png", "../../x.png", "a.svg", "<b>.png", "\u202egnp.exe", "x" * 300 + ".png", "a/b.html")
NUMBERS = (0, -1, 1, 1.5, 2**31, 2**63, 1e308, -1e308, 10**400, "NaN", True)
NESTED: Any = [[[[[[[[[[[[]]]]]]]]]]]]
ADDRESSES = (
    "/file=",
    "/file/",
    "/proxy=",
    "/queue/data?session_hash=",
    "/queue/status",
    "/call/upscale/",
    "/stream/",
    "/heartbeat/",
    "/component_server",
    "/custom_component/",
    "/login_check",
    "/startup-events",
    "/theme.css",
    "/deep_link",
    "/monitoring/",
    "/process_recording",
    "/vibe-code/",
    "/static/",
    "/assets/",
    "/svelte/",
    "/run/",
    "/info",
    "/openapi.json",
    "/",
)


POSTED = ("/queue/join", "/run/predict", "/cancel", "/reset", "/component_server", "/upload")


class Answer(NamedTuple):
    """What a call was, and how it ended: its status, or what went wrong; seconds; all that was said."""

    what: str
    status: int
    seconds: float
    said: str

    @property
    def fault(self) -> str:
        """Returns what is wrong with the answer; "" if nothing is."""
        if self.status >= 500 and self.status != 503:  # 503: the queue is full
            return f"status {self.status}"
        if found := ACCIDENT.search(self.said):
            return f"says {self.said[max(0, found.start() - 60) : found.end() + 60]!r}"
        return f"took {self.seconds:.1f} s" if self.seconds > MOST_SECONDS else ""


def draw_calls(url: str, count: int, seed: int = 0) -> Iterator[Answer]:
    """Makes so many calls, the same for the same seed, and gives their answers."""
    draw, seeds = random.Random(seed), list(draw_seeds().values())
    with httpx.Client(base_url=url, timeout=SECONDS_TO_LISTEN, headers={"Connection": "close"}) as client:
        info = client.get(f"{PREFIX}/info").json()["named_endpoints"]
        takes = {name: each["parameters"] for name, each in info.items()}
        events = [each["id"] for each in client.get("/config").json()["dependencies"]]
        for number in range(count):
            if number % 2:
                yield _ask_address(client, draw, events)
            else:
                name = draw.choice([*takes])
                yield _ask_endpoint(client, draw, name, takes[name], mutate(draw.choice(seeds), draw))


def _ask_endpoint(
    client: httpx.Client, draw: random.Random, name: str, takes: Sequence[dict[str, Any]], image: bytes
) -> Answer:
    """Calls a named endpoint; most of its values are right, so that the wrong ones are what is looked at."""
    values = [_draw_value(draw, each, client, image) for each in takes]
    if draw.random() < 0.1:
        values = values[: draw.randrange(len(values) + 1)] + [None] * draw.randrange(3)
    version = "/v2" * (draw.random() < 0.4)
    body: Any = {"data": values}
    if version:
        body = {each["parameter_name"]: value for each, value in zip(takes, values, strict=False)}
    if draw.random() < 0.05:
        body = draw.choice([[], None, "x", 5, NESTED, {"data": "x"}, {"data": {"a": 1}}, {}])
    what = f"POST {PREFIX}/call{version}{name} {_dump(body)[:300]}"
    started = time.monotonic()
    asked = client.post(
        f"{PREFIX}/call{version}{name}", content=_dump(body), headers={"Content-Type": "application/json"}
    )
    said, status = asked.text, asked.status_code
    if status == 200 and "event_id" in asked.json():
        told = _listen(client, f"{PREFIX}/call{name}/{asked.json()['event_id']}")
        if told is None:  # it runs, and goes on for longer than anybody would wait for here
            started = time.monotonic()
        said += told or ""
    return Answer(what, status, time.monotonic() - started, said)


def _listen(client: httpx.Client, address: str) -> str | None:
    """Returns what the event says until its end; None for one that begins to run, and is left."""
    said = []
    with client.stream("GET", address) as stream:
        for line in stream.iter_lines():
            said.append(line)
            if line.startswith("event: generating"):
                return None
            if line.startswith("data:") and len(said) > 1 and said[-2].startswith(("event: complete", "event: error")):
                break
    return "\n".join(said)


def _draw_value(draw: random.Random, takes: dict[str, Any], client: httpx.Client, image: bytes) -> Any:
    kind = takes["type"].get("type") if isinstance(takes["type"], dict) else ""
    if draw.random() < 0.2:
        return draw.choice([None, *NUMBERS, *WORDS, *PATHS, *HOSTS, NESTED, {}, [None], {"path": 5}])
    if kind == "object" or takes["parameter_name"] in ("image", "images"):
        if takes["parameter_name"] == "images":
            return [_draw_file(draw, client, image, packed=True) for _ in range(draw.randint(1, 3))]
        return _draw_file(draw, client, image)
    choices = {"model": "nearest", "first": "nearest", "second": "nearest", "scale": "x2", "models": ["nearest"]}
    return choices.get(takes["parameter_name"], takes.get("parameter_default"))


def _draw_file(draw: random.Random, client: httpx.Client, image: bytes, packed: bool = False) -> Any:
    way = draw.random()
    if way < 0.6:
        image = _pack(image, draw) if packed and draw.random() < 0.5 else image
        sent = client.post(f"{PREFIX}/upload", files={"files": (draw.choice(NAMES), image)})
        return {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}} if sent.status_code == 200 else None
    place = draw.choice([*PATHS, *HOSTS])
    return {draw.choice(["path", "url"]): place, "meta": {"_type": draw.choice(["gradio.FileData", "x", 5])}}


def _pack(image: bytes, draw: random.Random) -> bytes:
    """A zip that holds the image under a name that it should not have, damaged itself as often as not."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for number in range(draw.randint(1, 3)):
            archive.writestr(f"{number}/{draw.choice(NAMES)}", image)
    return mutate(file.getvalue(), draw) if draw.random() < 0.5 else file.getvalue()


def _ask_address(client: httpx.Client, draw: random.Random, events: Sequence[int]) -> Answer:
    """Asks for an address that gradio serves, or its queue by a body that is none."""
    tail = draw.choice([*PATHS, *HOSTS, *WORDS[:-1], "x" * 5000])
    method, body = "GET", None
    address = PREFIX + draw.choice(ADDRESSES) + quote(tail.encode(errors="replace"), safe="/.:?=&")
    if draw.random() < 0.5:
        method, body = "POST", draw.choice([{}, [], None, NESTED, {"data": NESTED}, LONG])
        address = PREFIX + draw.choice(POSTED)
        if address.endswith("/queue/join"):
            given = [draw.choice([None, *NUMBERS, *PATHS, *HOSTS, NESTED, {}]) for _ in range(draw.randrange(6))]
            body = {"data": given, "fn_index": draw.choice([*events, -1, 10**6, "x"]), "session_hash": tail[:50]}
    started, status, said = time.monotonic(), 599, "no answer"
    try:
        content = None if body is None else _dump(body)
        with client.stream(method, address, content=content, headers=JSON, timeout=MOST_SECONDS + 1) as stream:
            status, said, taken = stream.status_code, "", time.monotonic() - started
            for text in islice(stream.iter_text(), 20):  # a stream of events may go on for ever
                said += text
                if "event-stream" in stream.headers.get("Content-Type", ""):
                    break
    except httpx.HTTPError as error:
        if status == 599:
            return Answer(f"{method} {address[:120]}", status, time.monotonic() - started, type(error).__name__)
    return Answer(f"{method} {address[:120]} {_dump(body)[:200]}", status, taken, said)


def _dump(value: Any) -> str:
    return json.dumps(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the calls, prints those that end as they must not, and how many ended how."""
    parser = argparse.ArgumentParser(prog="python -m performance.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url", help="of a page that is open already")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    options = parser.parse_args(arguments)
    ended: Counter[str] = Counter()
    slowest, wrong = 0.0, 0
    with serve_page() if options.url is None else nullcontext((options.url, None)) as (url, process):
        list(draw_calls(url, 100, seed=-1))  # what is loaded once
        before = resident_bytes(process) if process else 0
        for answer in draw_calls(url, options.count, options.seed):
            ended[f"{answer.status // 100}xx"] += 1
            slowest = max(slowest, answer.seconds)
            if answer.fault:
                wrong += 1
                print(f"{answer.fault}: {answer.what}", flush=True)
        grown = resident_bytes(process) - before if process else 0
        alive = httpx.get(url, timeout=MOST_SECONDS).status_code == 200
    header = ["calls", *sorted(ended), "wrong", "slowest, s", "memory more than after 100 calls, MB"]
    row = [str(options.count), *(str(ended[key]) for key in sorted(ended)), str(wrong), f"{slowest:.2f}"]
    row.append(f"{grown / 1e6:.0f}")
    if options.write:
        write_section("Calls of strangers", ABOUT, header, [row])
    else:
        print("\n".join(table_lines(header, [row])))
    print("" if alive else "The page does not answer any more.", end="")
    sys.exit(bool(wrong) or not alive)


if __name__ == "__main__":
    main()
