"""What strangers send to `/prompt` and to the command line: one sentence of ours or a right answer, and it goes on."""

import json
import math
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pipelines.cli.main import main
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth
from tests.support.visitor import file_at, upload

SMALL = images.encode(Picture(smooth(5, 6)))
GREY = np.repeat(smooth(7, 9)[..., :1], 3, axis=2)
NAMES = ("prompt", "negative_prompt", "steps", "guidance", "noise_level", "seed")


def ask(address: str, content: bytes, **named: Any) -> str:
    """What `/prompt` ends with, asked without gradio's client. NaN and Infinity go as Python writes them in JSON."""
    picture = file_at(upload(address, "in.png", content).json()[0])
    body = json.dumps({"data": [picture, *(named.get(name) for name in NAMES)]})
    headers = {"Content-Type": "application/json"}
    asked = httpx.post(f"{address}/gradio_api/call/prompt", content=body, headers=headers, timeout=30)
    if asked.status_code != 200:
        return f"refused: {asked.text}"
    return httpx.get(f"{address}/gradio_api/call/prompt/{asked.json()['event_id']}", timeout=120).text


def made(address: str, content: bytes, **named: Any) -> Picture:
    answer = ask(address, content, **named)
    assert "event: complete" in answer, answer
    file, _ = json.loads(answer.rpartition("data: ")[2])
    return images.read(httpx.get(file["url"], timeout=30).content)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("prompt", "x" * 10_000, "The prompt has at most 2000 characters, not 10000."),
        ("prompt", "🐈" * 10_000, "The prompt has at most 2000 characters, not 10000."),
        ("negative_prompt", "\ud83d", "The negative prompt contains half a character"),
        ("prompt", 5, "The prompt is text, not 5."),
        ("steps", 0, "Steps are a whole number from 1 to 200, not 0."),
        ("steps", 10_000, "Steps are a whole number from 1 to 200, not 10000."),
        ("steps", 2.5, "Steps are a whole number from 1 to 200, not 2.5."),
        ("steps", math.nan, "Steps are a whole number from 1 to 200, not nan."),
        ("steps", "many", r"Steps are a whole number from 1 to 200, not \"many\"."),
        ("noise_level", 400, "The noise level is a whole number from 0 to 350, not 400."),
        ("noise_level", -1, "The noise level is a whole number from 0 to 350, not -1."),
        ("seed", -1, "The seed is a whole number from 0 to 4294967295, not -1."),
        ("seed", "abc", r"The seed is a whole number from 0 to 4294967295, not \"abc\"."),
        ("seed", 1e30, "The seed is a whole number from 0 to 4294967295, not 1000000000000000019884624838656."),
        ("guidance", math.inf, "Guidance is a number from 1 to 30, not inf."),
        ("guidance", math.nan, "Guidance is a number from 1 to 30, not nan."),
        ("guidance", 0, "Guidance is a number from 1 to 30, not 0."),
        ("guidance", [9], "Guidance is a number from 1 to 30, not [9]."),
    ],
    ids=lambda value: str(value).encode("unicode_escape").decode()[:20],
)
def test_a_hostile_setting_is_one_sentence(name: str, value: Any, sentence: str, painting: str) -> None:
    answer = ask(painting, SMALL, **{name: value})
    assert "event: error" in answer and sentence in answer and len(answer) < 1000


@pytest.mark.parametrize(
    "prompt", ["", " \n\t", "🐕‍🦺 雪の中の狐 ثعلب", "\x00", "a\x00b\x1b[31m\x7f", "<b>&amp;</b>", "x" * 2000]
)
def test_any_words_give_a_picture(prompt: str, painting: str) -> None:
    assert made(painting, SMALL, prompt=prompt, steps=1).pixels.shape == (20, 24, 3)


def test_what_is_left_out_or_empty_is_the_models_own(painting: str) -> None:
    plain = made(painting, SMALL)
    for named in ({"steps": None, "seed": None}, {"prompt": "", "seed": 0.0, "steps": 20.0}):
        np.testing.assert_array_equal(made(painting, SMALL, **named).pixels, plain.pixels)


@pytest.mark.parametrize(
    "picture",
    [
        Picture(smooth(1, 1)),
        Picture(smooth(3, 4097)),
        Picture(GREY, grey=True),
        Picture(GREY, grey=True, depth=16, alpha=GREY[..., 0]),
        Picture(smooth(7, 9), alpha=smooth(7, 9)[..., 1]),
        Picture(smooth(7, 9) ** 2, depth=16),
    ],
    ids=["1x1", "3x4097", "grey", "16-bit grey with alpha", "alpha", "16-bit"],
)
def test_any_picture_comes_back_in_kind_and_four_times_as_large(picture: Picture, painting: str) -> None:
    done = made(painting, images.encode(picture), steps=1)
    height, width, _ = picture.pixels.shape
    assert done.pixels.shape == (4 * height, 4 * width, 3)
    assert (done.grey, done.depth, done.alpha is None) == (picture.grey, picture.depth, picture.alpha is None)


def test_who_leaves_half_way_frees_the_place_for_who_waits(painting: str, tiny_diffusion: Path) -> None:
    """Its run is closed and not only left behind: one that went on to its end would be learned from."""
    made(painting, images.encode(Picture(smooth(100, 100))), steps=1)
    speeds = tiny_diffusion / "hub" / "assets" / "upscale-bench" / "speeds.json"
    learned = speeds.read_bytes()
    large = file_at(upload(painting, "large.png", images.encode(Picture(smooth(500, 500)))).json()[0])
    dependencies = httpx.get(f"{painting}/config", timeout=30).json()["dependencies"]
    index = next(each["id"] for each in dependencies if each["api_name"] == "prompt")
    body = {"session_hash": "leaving", "fn_index": index, "data": [large, "a cat", "", 200, 9, 20, 0]}
    httpx.post(f"{painting}/gradio_api/queue/join", json=body, timeout=30).raise_for_status()
    with httpx.stream("GET", f"{painting}/gradio_api/queue/data?session_hash=leaving", timeout=60) as events:
        next(line for line in events.iter_lines() if "process_generating" in line)
    assert made(painting, SMALL, steps=1).pixels.shape == (20, 24, 3)  # too small to be learned from
    assert speeds.read_bytes() == learned


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--steps", "0"], 1, "Steps are a whole number from 1 to 200, not 0."),
        (["--steps", "10000"], 1, "Steps are a whole number from 1 to 200, not 10000."),
        (["--noise-level", "400"], 1, "The noise level is a whole number from 0 to 350, not 400."),
        (["--seed=-1"], 1, "The seed is a whole number from 0 to 4294967295, not -1."),
        (["--seed", "9" * 30], 1, "The seed is a whole number from 0 to 4294967295, not " + "9" * 30),
        (["--guidance", "nan"], 1, "Guidance is a number from 1 to 30, not nan."),
        (["--guidance", "inf"], 1, "Guidance is a number from 1 to 30, not inf."),
        (["--prompt", "x" * 10_000], 1, "The prompt has at most 2000 characters, not 10000."),
        (["--prompt", "\udce9"], 1, "The prompt contains half a character"),
        (["--tile", "7"], 1, "A tile for Stable Diffusion x4 has 32 to 512 pixels a side, not 7."),
        (["--steps", "2.5"], 2, "Argument --steps: '2.5' is not a whole number. See"),
        (["--seed", "abc"], 2, "Argument --seed: 'abc' is not a whole number. See"),
    ],
    ids=lambda value: str(value).encode("unicode_escape").decode()[:20],
)
def test_a_hostile_option_is_one_line_and_writes_nothing(
    options: list[str],
    code: int,
    sentence: str,
    tiny_diffusion: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tiny_diffusion))
    (tmp_path / "in.png").write_bytes(SMALL)
    command = ["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", "sd-x4", "--scale", "4"]
    if code == 2:
        with pytest.raises(SystemExit) as ended:
            main([*command, *options])
        assert ended.value.code == code
    else:
        assert main([*command, *options]) == code
    said = capsys.readouterr().err
    assert sentence in said and (code == 2 or said.count("\n") == 1)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
