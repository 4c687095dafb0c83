"""The Prompt tab and `/prompt`: what their events do, with a painter in the place of a diffusion model."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Model, Weights
from pipelines.catalog.settings import Settings, check
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth
from tests.support import painter
from ui import page
from ui.jobs import gpu
from ui.tabs import prompt, upscale
from ui.widgets import html as words

STEERING = ("a cat", "blurred", 4, 9, 20, 7, "wavelet", None)
SKIP = gr.skip()


@pytest.fixture(autouse=True)
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    painter.use(monkeypatch)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    images.write(Picture(smooth(20, 30)), tmp_path / "small.png")
    return tmp_path / "small.png"


def seen(events: Iterator[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Each event of the tab by name: what the widgets became, as far as they changed."""
    names = ("progress", "run", "cancel", "instead", "seed", "slider", "download", "facts", "settings")
    return [{name: value for name, value in zip(names, each, strict=True) if not _is_skip(value)} for each in events]


def _is_skip(value: Any) -> bool:
    return isinstance(value, dict) and value.get("__type__") == "update" and len(value) == 1


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


# --- running ------------------------------------------------------------------------------------------------------


def test_steps_previews_and_the_result_are_shown(small: Path) -> None:
    events, pairs = [], []
    for each in prompt._on_page(small, "painted", *STEERING, True):
        (event,) = seen(iter([each]))
        if event.get("slider", {}).get("value"):
            pairs.append([images.read(Path(path)).pixels for path in event["slider"]["value"]])
        events.append(event)
    first, *between, last = events
    assert "Starting" in first["progress"] and not first["slider"]["visible"] and first["facts"] == ""
    assert any(">step 1 of 4, tile 1 of 2<" in each["progress"] for each in between)
    *previews, (before, after) = pairs
    assert len(previews) == 2 and all(picture.shape == (20, 30, 3) for pair in previews for picture in pair)
    assert [round(float(preview.max()), 2) for _, preview in previews] == [0.5, 1.0]
    np.testing.assert_array_equal(after, smooth(20, 30).repeat(4, 0).repeat(4, 1))
    assert before.shape == after.shape
    assert "Done in" in last["progress"] and last["run"].interactive and not last["cancel"].interactive
    assert "left bicubic, right painted x4" in text(last["facts"])


def test_the_settings_can_be_copied_and_reach_the_model(small: Path) -> None:
    *_, last = seen(prompt._on_page(small, "painted", *STEERING, True))
    names = dict(zip(prompt.STEERING, STEERING, strict=True))
    told = json.loads(last["settings"].value)
    assert (told["model"], told["scale"]) == ("painted", 4)
    assert told["settings"] == {name: value for name, value in names.items() if value is not None}
    assert f"with {Settings(**names)}" in text(last["facts"]).replace("&#x27;", "'")


def test_a_locked_seed_is_kept_and_another_one_is_drawn_without(small: Path) -> None:
    def seed(given: int | None, locked: bool) -> int:
        steering = [*STEERING[:5], given, *STEERING[6:]]
        first, *_, last = seen(prompt._on_page(small, "painted", *steering, locked))
        used: int = json.loads(last["settings"].value)["settings"]["seed"]
        assert used == first["seed"]
        return used

    assert seed(7, True) == 7 and seed(0, True) == 0
    drawn = {seed(7, False), seed(7, False), seed(None, True)}
    assert len(drawn) == 3 and 7 not in drawn and all(0 <= each < 2**32 for each in drawn)


def test_closing_ends_the_run(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As gradio does when the visitor cancels or leaves."""
    ended: list[str] = []

    def endless(self: painter.Painter, pixels: Any, settings: Settings) -> Any:
        try:
            while True:
                yield painter.Preview(0, 1, "painting", np.zeros((2, 2, 3), np.uint8))
        finally:
            ended.append("ended")

    monkeypatch.setattr(painter.Painter, "run", endless)
    events = prompt._on_page(small, "painted", *STEERING, True)
    for _ in range(3):
        next(events)
    assert not ended
    events.close()
    assert ended == ["ended"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("steps", 0, "Steps are a whole number from 1 to 200, not 0."),
        ("steps", 20.5, "Steps are a whole number from 1 to 200, not 20.5."),
        ("noise_level", 400, "The noise level is a whole number from 0 to 350, not 400."),
        ("guidance", "much", "Guidance is a number from 1 to 30, not much."),
        ("seed", -1, "The seed is a whole number from 0 to 4294967295, not -1."),
        ("prompt", ["a"], "The prompt is text, not ['a']."),
        ("prompt", "x" * 10_000, "The prompt has at most 2000 characters, not 10000."),
        ("colour_fix", "sepia", "The colour fix is wavelet, adain or none, not sepia."),
        ("tile", 8, "A tile for Painted x4 has 32 to 512 pixels a side, not 8."),
        ("tile", "abc", "A tile for Painted x4 has 32 to 512 pixels a side, not abc."),
    ],
)
def test_nonsense_is_one_sentence_before_and_in_a_run(name: str, value: Any, sentence: str, small: Path) -> None:
    steering = [value if each == name else usual for each, usual in zip(prompt.STEERING, STEERING, strict=True)]
    assert sentence in text(prompt._plan(small, "painted", *steering)).replace("&#x27;", "'")
    events, told = prompt._on_page(small, "painted", *steering, True), []
    with pytest.raises(gr.Error) as error:
        told.extend(events)
    assert sentence in str(error.value)


def test_no_picture_is_our_sentence() -> None:
    assert "Choose a picture first." in prompt._plan(None, "painted", *STEERING)
    events = prompt._on_page(None, "painted", *STEERING, True)
    next(events)
    (told,) = seen(iter([next(events)]))
    assert "Choose a picture first." in told["progress"] and told["run"].interactive and not told["instead"].visible
    with pytest.raises(gr.Error, match=r"^'Choose a picture first\.'$"):
        next(events)


# --- what cannot be had -------------------------------------------------------------------------------------------


def test_where_weights_cannot_be_had_another_model_is_offered(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = Weights((File("unet/model.safetensors", 1_900_000_000),), ())
    painter.use(monkeypatch, replace(painter.PAINTED, key="far", scales={4: needed}))
    assert "downloads 1.9 GB first" in prompt._plan(small, "far", *STEERING)
    events, told = prompt._on_page(small, "far", *STEERING, True), []
    with pytest.raises(gr.Error, match=r"model\.safetensors .*cannot be had"):
        for each in events:
            told.append(each)
    first, last = seen(iter(told))
    assert not first["instead"].visible and last["instead"].visible and "cannot be had" in last["progress"]
    first, *_ = seen(prompt._on_page(small, "painted", *STEERING, True))
    assert not first["instead"].visible, "the next run takes the offer back"


def test_the_other_model_is_real_esrgan_with_the_same_picture(small: Path) -> None:
    path, key, own, scale, about, denoise = upscale.instead(small)
    assert (path, key, own, scale.value) == (str(small), "real-esrgan", "", "x4")
    assert "BSD-3-Clause" in about and not denoise.visible
    assert upscale.instead(None)[0] is None


# --- the plan -----------------------------------------------------------------------------------------------------


def test_the_plan_tells_size_time_memory_and_that_guidance_is_off(tmp_path: Path) -> None:
    images.write(Picture(smooth(100, 100)), tmp_path / "hundred.png")
    told = text(prompt._plan(tmp_path / "hundred.png", "painted", *STEERING))
    assert re.search(r"100 × 100 → 400 × 400 · about 11 s without a GPU · [\d.]+ MB memory", told)
    assert "guidance off" not in told
    told = text(prompt._plan(tmp_path / "hundred.png", "painted", " ", "", *STEERING[2:]))
    assert "about 7.0 s without a GPU" in told and "guidance off: the prompt is empty, twice as fast" in told


def test_what_no_gpu_is_lent_for_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "zero_gpu", lambda: True)
    images.write(Picture(smooth(300, 300)), tmp_path / "large.png")
    told = prompt._plan(tmp_path / "large.png", "painted", "a cat", "", 200, *STEERING[3:])
    assert "a GPU is lent for 4 min at the most" in told


# --- models and fields --------------------------------------------------------------------------------------------


def test_the_model_that_enlarges_by_four_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = replace(painter.PAINTED, key="twice", scales={2: None}, takes=frozenset({"prompt", "steps", "seed"}))
    painter.use(monkeypatch, twice, painter.PAINTED)
    made = [row.key for row in prompt.rows() if row.engine == "painter"]
    assert made == ["painted", "twice"] and prompt.rows()[-1].key == "twice"


def test_only_what_a_model_takes_is_asked_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = replace(painter.PAINTED, key="twice", scales={2: None}, takes=frozenset({"prompt", "steps", "seed"}))
    painter.use(monkeypatch, twice, painter.PAINTED)
    _, *fields = prompt._choose("twice")
    assert [each["visible"] for each in fields] == [False, False, True, False, False, False, False]
    _, *fields = prompt._choose("painted")
    assert all(each["visible"] for each in fields)
    *_, last = seen(prompt._on_page(small, "twice", *STEERING, True))
    assert STEERING[1] not in last["facts"]
    told = json.loads(last["settings"].value)
    assert told["scale"] == 2 and told["settings"] == {"seed": 7, "prompt": "a cat", "steps": 4}


def test_the_defaults_are_those_that_the_fields_begin_with() -> None:
    built = page.build()
    values = {each.label: each.value for each in built.blocks.values() if isinstance(each, gr.components.Component)}
    *fields, lock = prompt._defaults("sd-x4")
    creative, negative, steps, guidance, noise, fix, tile = (each["value"] for each in fields)
    assert (steps, guidance, noise, fix) == (20, 9.0, 20, "wavelet")
    assert values["Steps"] is None or values["Steps"] == steps  # the API's field has none
    names = {"Lock: keep it for the next run": lock, "Colour fix": fix, "Tile": tile, "Faithful to creative": creative}
    assert {name: values[name] for name in names} == names and (negative or None) == values["Negative prompt"]


def test_choosing_a_model_leaves_the_words_alone_and_reset_the_first_ones() -> None:
    assert "value" not in prompt._choose("sd-x2")[2]
    assert prompt._defaults("sd-x2")[1]["value"] == ""


def test_a_model_without_words_is_refused_in_a_sentence(small: Path) -> None:
    assert "espcn does not take words" in text(prompt._plan(small, "espcn", *STEERING))
    for event in (prompt._choose, prompt._defaults):
        with pytest.raises(gr.Error, match=r"^'espcn does not take words; the models that do are sd-x4, "):
            event("espcn")


@pytest.mark.parametrize(
    ("model", "settings", "told"),
    [
        ("sd-x4", Settings(prompt=" "), True),
        ("sd-x4", Settings(), True),
        ("sd-x4", Settings(prompt="a cat"), False),
        ("sd-x4", Settings(negative_prompt="a cat"), False),
        ("sd-x4", Settings(guidance=1.0), False),
        ("sd-x2", Settings(), False),
        ("sd-x2", Settings(guidance=3.0), True),
        ("espcn", Settings(), False),
    ],
)
def test_that_guidance_is_off_is_told_where_words_would_turn_it_on(model: str, settings: Settings, told: bool) -> None:
    assert words._lacks_words(catalog.find(model), settings) == told


@pytest.mark.parametrize("row", prompt.rows(), ids=lambda row: row.key)
def test_each_model_has_its_own_defaults_and_takes_every_tile_that_is_offered(row: Model) -> None:
    _, _, _, steps, guidance, _, _, tile = prompt._choose(row.key)
    assert (steps["value"], guidance["value"]) == {"sd-x4": (20, 9.0), "sd-x2": (20, 1.0)}[row.key]
    for _, side in tile["choices"][1:]:
        check([row], Settings(tile=side))


# --- the API ------------------------------------------------------------------------------------------------------


def called(*arguments: Any, **named: Any) -> tuple[np.ndarray, dict[str, Any]]:
    last: tuple[np.ndarray, dict[str, Any]] | None = None
    for file, details in prompt.enlarge(*arguments, **named):
        last = None if file is None or details is None else (images.read(Path(file)).pixels, details)
    assert last is not None
    return last


def first_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MODELS", (painter.PAINTED, *(row for row in catalog.MODELS if not row.prompt)))


def test_the_api_takes_a_picture_alone(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_is_painted(monkeypatch)
    pixels, details = called(small)
    assert pixels.shape == (80, 120, 3)
    assert details["model"] == "painted" and details["size"] == [120, 80]
    assert f"with {Settings()}" in details["notes"]


def test_the_api_hands_on_what_steers(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_is_painted(monkeypatch)
    _, details = called(small, "a cat", "", 5.0, 3, 40, 7)
    given = Settings(prompt="a cat", negative_prompt="", steps=5, guidance=3, noise_level=40, seed=7)
    assert f"with {given}" in details["notes"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prompt": 7}, "The prompt is text, not 7."),
        ({"prompt": "x" * 10_000}, "at most 2000 characters"),
        ({"negative_prompt": {"a": 1}}, "The negative prompt is text"),
        ({"steps": 0}, "Steps are a whole number from 1 to 200, not 0."),
        ({"steps": 10_000}, "not 10000."),
        ({"steps": True}, "not True."),
        ({"guidance": float("nan")}, "Guidance is a number from 1 to 30, not nan."),
        ({"noise_level": 400}, "not 400."),
        ({"seed": -1}, "not -1."),
        ({"seed": "abc"}, "not abc."),
        ({"seed": float("inf")}, "not inf."),
    ],
)
def test_nonsense_for_the_api_is_one_sentence(
    given: dict[str, Any], sentence: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_is_painted(monkeypatch)
    with pytest.raises(gr.Error) as error:
        called(small, **given)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_served_page_answers_by_name(served: str, small: Path, tmp_path: Path) -> None:
    """It has no weights and may not download any: what is said of that is all there is to get."""
    client = Client(served, verbose=False, download_files=tmp_path / "downloads")
    for given, sentence in (
        ({"image": handle_file(small)}, "cannot be had: HF_HUB_OFFLINE is set"),
        ({"image": handle_file(small), "seed": "abc"}, "The seed is a whole number from 0 to 4294967295, not abc."),
        ({"image": None}, "Choose a picture first."),
    ):
        with pytest.raises(AppError) as error:
            client.predict(**given, api_name="/prompt")
        assert sentence in str(error.value)
    client.close()


@pytest.mark.parametrize("words", ["", "🦊 in snow", "雪の中の狐", "ثعلب", "x" * 2000])
def test_any_words_are_taken(words: str, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_is_painted(monkeypatch)
    pixels, _ = called(small, words)
    assert pixels.shape == (80, 120, 3)


def test_upscale_takes_the_key_with_the_models_own_settings(small: Path) -> None:
    *_, (file, details) = upscale.upscale(small, "painted", "x4")
    assert file is not None and details is not None
    assert f"with {Settings()}" in details["notes"]
