"""What strangers send to a public page: each gets one sentence of ours, and the page goes on."""

import base64
import os
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, wait
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import serving, smooth
from tests.support.visitor import file_at, upload
from ui.jobs.listening import PATIENCE_SECONDS

READABLE = "is not an image in a format that can be read: PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC."


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page that takes 1 MB at the most and lets one request wait."""
    folder = tmp_path_factory.mktemp("narrow")
    with serving(folder, UPSCALE_MAX_UPLOAD_MEGABYTES="1", UPSCALE_MAX_QUEUE="1") as address:
        yield address


def png(width: int, height: int) -> bytes:
    """A PNG that claims to be of that size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def ask(address: str, *data: Any) -> str:
    """What `/upscale` ends with, asked without gradio's client: a picture as JSON, model, scale."""
    event = httpx.post(f"{address}/gradio_api/call/upscale", json={"data": data}, timeout=30).json()["event_id"]
    return httpx.get(f"{address}/gradio_api/call/upscale/{event}", timeout=30).text


SMALL = images.encode(Picture(smooth(20, 30)))


def test_a_call_from_before_denoise_was_added_works(served: str) -> None:
    """Three values, and four; two are too few."""
    good = upload(served, "small.png", SMALL).json()[0]
    for more in ((), (None,)):
        assert "event: complete" in ask(served, file_at(good), "nearest", "x2", *more)
    assert "The image must be uploaded first" in ask(served, file_at(good), "nearest")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("code.png", b"import os\n" * 50, f"code.png {READABLE}"),
        (
            "vector.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "vector.svg is an SVG drawing, which cannot be read",
        ),
        (
            "vector.png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "vector.png is an SVG drawing, which cannot be read",
        ),
        ("film.exr", b"\x76\x2f\x31\x01" + bytes(500), "film.exr is an OpenEXR image, which cannot be read"),
        ("empty.png", b"", "empty.png is empty."),
        ("cut.png", SMALL[: len(SMALL) // 2], "cut.png is damaged or cut short."),
        ("bomb.png", png(60_000, 60_000), "bomb.png is 60000 by 60000 pixels, 3600 megapixels: the limit is 50."),
        ("large.png", png(7000, 7000), "at x2 would be 14000 by 14000 pixels, 196 megapixels: the limit is 128."),
        ("<img src=x onerror=alert(1)>.png", b"x" * 100, READABLE),
    ],
)
def test_a_hostile_file(name: str, content: bytes, sentence: str, served: str) -> None:
    path = upload(served, name, content).json()[0]
    answer = ask(served, file_at(path), "bicubic", "x2")
    assert "event: error" in answer and sentence in answer
    assert str(Path(path).parent) not in answer and "Traceback" not in answer
    good = upload(served, "small.png", SMALL).json()[0]
    assert "event: complete" in ask(served, file_at(good), "nearest", "x2"), "the page goes on"


MALFORMED = "The image must be uploaded first or sent as a data: address, with a model and a scale."


@pytest.mark.parametrize(
    "picture",
    [file_at("/etc/passwd"), file_at("app.py"), file_at("../app.py"), file_at("http://127.0.0.1:9/x.png"), "x", 5, [1]],
)
def test_what_is_no_upload_is_told_so(picture: Any, served: str) -> None:
    answer = ask(served, picture, "bicubic", "x2")
    assert "event: error" in answer and MALFORMED in answer


def test_what_others_sent_cannot_be_found(served: str) -> None:
    """An upload's address is known to who sent it; its folder, those around it and their lists to nobody."""
    path = Path(upload(served, "secret.png", SMALL).json()[0])
    assert httpx.get(f"{served}/gradio_api/file={path}", timeout=30).content == SMALL
    assert len(path.parent.name) >= 32, "nobody can guess it"
    folder = path.parent
    for place in (folder, folder.parent, folder.parent.parent, f"{path}/..", f"{folder}/../.."):
        assert httpx.get(f"{served}/gradio_api/file={place}", timeout=30).status_code in (403, 404), place


def test_too_few_inputs_are_told_so(served: str) -> None:
    assert "Choose an image first." in ask(served, None) or MALFORMED in ask(served, None)


@pytest.mark.parametrize("name", ["upscale", "convert_result", "run"])
def test_nothing_passes_the_queue_by(name: str, served: str) -> None:
    answer = httpx.post(f"{served}/gradio_api/run/{name}", json={"data": [None, "bicubic", "x2"]}, timeout=30)
    assert answer.status_code >= 400


def test_a_bomb_for_the_private_conversion_is_refused(served: str) -> None:
    """What the page converts is named by the browser, so it may be any uploaded file."""
    path = upload(served, "bomb.png", png(60_000, 60_000)).json()[0]
    dependencies = httpx.get(f"{served}/config", timeout=30).json()["dependencies"]
    convert = next(each["id"] for each in dependencies if each["api_name"] == "convert_result")
    body = {"data": [file_at(path), "WebP", True, 100], "fn_index": convert, "session_hash": "bomb"}
    httpx.post(f"{served}/gradio_api/queue/join", json=body, timeout=30).raise_for_status()
    answer = httpx.get(f"{served}/gradio_api/queue/data?session_hash=bomb", timeout=30).text
    assert "3600 megapixels: the limit is 128." in answer


@pytest.mark.parametrize(
    ("picture", "model", "scale", "sentence"),
    [
        (None, "bicubic", "x2", "Choose an image first."),
        ("good", "bicubik", "x2", "There is no model 'bicubik'; did you mean bicubic?"),
        ("good", ["bicubic"], "x2", "There is no model"),
        ("good", None, "x2", "There is no model 'None'"),
        ("good", "x" * 5000, "x2", "There is no model 'xxxxx"),
        ("good", "bicubic", "x17", "The scale is a number from 1.5 to 16, not 'x17'."),
        ("good", "bicubic", ["x2"], "The scale is a number from 1.5 to 16, not 'list'."),
        ("good", "bicubic", 1e300, "The scale is a number from 1.5 to 16, not 'float'."),
        ("good", "sd-x2", "x8", "Stable Diffusion x2 reaches at most x4."),
    ],
)
def test_a_hostile_choice(picture: str | None, model: Any, scale: Any, sentence: str, served: str) -> None:
    file = file_at(upload(served, "small.png", SMALL).json()[0]) if picture else None
    answer = ask(served, file, model, scale)
    assert "event: error" in answer and sentence in answer and len(answer) < 1000


def test_a_data_address(served: str) -> None:
    def address(content: str) -> dict[str, Any]:
        return {"url": f"data:image/png;base64,{content}", "meta": {"_type": "gradio.FileData"}}

    assert "event: complete" in ask(served, address(base64.b64encode(SMALL).decode()), "bicubic", "x2")
    coded = base64.b64encode(SMALL).decode()
    in_lines = "\r\n".join(coded[at : at + 76] for at in range(0, len(coded), 76))
    for legal in (in_lines, coded.rstrip("="), coded.replace("+", "-").replace("/", "_"), coded.replace("+", "%2B")):
        assert "event: complete" in ask(served, address(legal), "nearest", "x2")
    shouted = address(coded)
    shouted["url"] = shouted["url"].replace("data:", "DATA:")
    assert "event: complete" in ask(served, shouted, "nearest", "x2")
    assert "does not hold a file" in ask(served, address("@@@@"), "bicubic", "x2")


def test_more_than_the_limit(narrow: str, tmp_path: Path) -> None:
    """By upload, which is refused at the door, and by a data: address, which gradio's own limit does not see."""
    refused = upload(narrow, "large.png", SMALL + os.urandom(1_500_000))
    assert refused.status_code == 413
    large = base64.b64encode(SMALL + bytes(1_500_000)).decode()
    data = {"url": f"data:image/png;base64,{large}", "meta": {"_type": "gradio.FileData"}}
    assert "The image is larger than 1 MB, the most that can be read." in ask(narrow, data, "bicubic", "x2")


def test_a_full_queue_is_said(narrow: str, tmp_path: Path) -> None:
    images.write(Picture(np.zeros((2500, 2500, 3), np.float32)), tmp_path / "large.png")
    client = Client(narrow, verbose=False, download_files=tmp_path)
    jobs = [client.submit(handle_file(tmp_path / "large.png"), "espcn", "x4", api_name="/upscale") for _ in range(6)]
    done, _ = wait(jobs, timeout=60, return_when=FIRST_EXCEPTION)
    said = [str(job.exception()) for job in done if job.exception()]
    assert said and all("queue is full" in sentence.lower() for sentence in said)
    for job in jobs:
        job.cancel()
    client.close()


def test_leaving_frees_the_worker(served: str, tmp_path: Path) -> None:
    """A client that goes away in the middle of a long run leaves the one compute slot to the next, in a while."""
    images.write(Picture(np.tile(smooth(500, 500), (5, 5, 1))), tmp_path / "large.png")
    path = upload(served, "large.png", (tmp_path / "large.png").read_bytes()).json()[0]
    session = {"session_hash": "leaving", "fn_index": _index_of_upscale(served)}
    body = session | {"data": [file_at(path), "espcn", "x4"]}
    httpx.post(f"{served}/gradio_api/queue/join", json=body, timeout=30).raise_for_status()
    with httpx.stream("GET", f"{served}/gradio_api/queue/data?session_hash=leaving", timeout=30) as events:
        next(line for line in events.iter_lines() if "process_generating" in line or "process_starts" in line)
    started = time.monotonic()
    good = upload(served, "small.png", SMALL).json()[0]
    assert "event: complete" in ask(served, file_at(good), "nearest", "x2")
    assert time.monotonic() - started < PATIENCE_SECONDS + 20, "the long run takes minutes"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"model": "nearest", "scale": "x2"}, "The argument 'image' is missing."),
        ({"image": None, "model": "nearest", "scale": "x2", "sclae": 1}, "There is no argument 'sclae'."),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments: dict[str, Any], sentence: str, served: str) -> None:
    answer = httpx.post(f"{served}/gradio_api/call/v2/upscale", json=arguments, timeout=30)
    assert (answer.status_code, answer.json()) == (422, {"detail": sentence})


def test_values_beyond_the_last_argument_are_refused(served: str) -> None:
    good = file_at(upload(served, "small.png", SMALL).json()[0])
    most = (good, "nearest", "x2", *(None,) * 7)
    assert "It takes at most 10 values, not 11." in ask(served, *most, "more")


def test_a_call_is_found_again_after_its_connection_was_lost(served: str) -> None:
    large = images.encode(Picture(np.tile(smooth(250, 250), (4, 4, 1))))
    body = {"data": [file_at(upload(served, "l.png", large).json()[0]), "espcn", "x4"]}
    event = httpx.post(f"{served}/gradio_api/call/upscale", json=body, timeout=30).json()["event_id"]
    with httpx.stream("GET", f"{served}/gradio_api/call/upscale/{event}", timeout=30) as events:
        next(line for line in events.iter_lines() if "generating" in line)
    time.sleep(2)
    answer = httpx.get(f"{served}/gradio_api/call/upscale/{event}", timeout=120).text
    assert "event: complete" in answer and "l_espcn_x4.png" in answer


def _index_of_upscale(address: str) -> int:
    dependencies = httpx.get(f"{address}/config", timeout=30).json()["dependencies"]
    return next(each["id"] for each in dependencies if each["api_name"] == "upscale")


@pytest.mark.parametrize("address", ["%00", "a%00b", "http://[::1", "//"])
def test_no_address_breaks_the_route_to_other_pages(address: str, served: str) -> None:
    assert 400 <= httpx.get(f"{served}/gradio_api/proxy={address}", timeout=30).status_code < 500


@pytest.mark.parametrize("function", [10**6, -1, None])
@pytest.mark.parametrize("session", ["", "made-up"])
def test_a_function_that_is_none_cannot_be_queued(function: int | None, session: str, served: str) -> None:
    body = {"data": [], "fn_index": function, "session_hash": session}
    answer = httpx.post(f"{served}/gradio_api/queue/join", json=body, timeout=30)
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is no such function."})
