"""The Prompt tab and `/prompt`: what their events do, with a painter in the place of a diffusion model."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Model, Weights
from pipelines.catalog.settings import Settings, check_settings
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth
from tests.support import painter
from ui import api, page
from ui.jobs import loans
from ui.tabs import prompt, upscale
from ui.tabs.prompt import PromptTab
from ui.widgets.steering import STEERING_SETTINGS

STEERING = ("a cat", "blurred", 4, 9, 20, 7, "wavelet", *[None] * 5)
SKIP = gr.skip()


@pytest.fixture(autouse=True)
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    painter.use(monkeypatch)


@pytest.fixture
def tab() -> PromptTab:
    with gr.Blocks() as page:
        return prompt.build(page)


def run(tab: PromptTab, *values: Any) -> Iterator[dict[str, Any]]:
    """A run of the tab: what each of its events changes, by the names of its components."""
    names = {
        **{tab.button.progress: "progress", tab.button.run: "run", tab.button.cancel: "cancel"},
        **{tab.button.problem.text: "problem", tab.button.problem.instead: "instead", tab.steering.seed: "seed"},
        **{tab.result.viewer: "viewer"},
        **{tab.result.download: "download", tab.result.facts: "facts", tab.settings: "settings"},
    }
    names |= {each: "beside" for each in tab.result.components if each not in names}
    for event in tab.button.explain_failure(tab.run)(*values):
        yield {names[component]: value for component, value in event.items() if value != SKIP}


def text(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", markup))


# --- running ------------------------------------------------------------------------------------------------------


def test_steps_previews_and_the_result_are_shown(tab: PromptTab, small: Path) -> None:
    events, shown = [], []
    for event in run(tab, small, "painted", *STEERING, True):
        if (view := event.get("viewer")) and (so_far := view.panes[0].over):
            shown.append(images.read(so_far.path).pixels)
        events.append(event)
    first, *between, last = events
    assert "Starting" in first["progress"] and not first["download"].interactive
    assert first["viewer"].state == "running" and first["viewer"].panes[0].over is None
    assert any(">step 1 of 4, tile 1 of 2<" in each.get("progress", "") for each in between)
    assert [preview.shape for preview in shown] == [(20, 30, 3)] * 2
    assert [round(float(preview.max()), 2) for preview in shown] == [0.5, 1.0]
    before, after = last["viewer"].panes
    tile = images.read(after.picture.file(0, 0, 0)).pixels
    np.testing.assert_array_equal(tile, smooth(20, 30).repeat(4, 0).repeat(4, 1))
    assert (before.label, before.smooth, before.picture.width) == ("Before: Bicubic", True, 30)
    assert "Done in" in last["progress"] and last["run"].interactive and not last["cancel"].interactive
    assert after.label.startswith("After: ") and last["download"].interactive


def test_the_settings_can_be_copied_and_reach_the_model(tab: PromptTab, small: Path) -> None:
    *_, last = run(tab, small, "painted", *STEERING, True)
    names = dict(zip(STEERING_SETTINGS, STEERING, strict=True))
    told = json.loads(last["settings"].value)
    assert (told["model"], told["scale"]) == ("painted", 4)
    assert told["settings"] == {name: value for name, value in names.items() if value is not None}
    assert f"with {Settings(**names)}" in text(last["facts"]).replace("&#x27;", "'")


def test_a_locked_seed_is_kept_and_another_one_is_drawn_without(tab: PromptTab, small: Path) -> None:
    def seed(given: int | None, locked: bool) -> int:
        steering = [*STEERING[:5], given, *STEERING[6:]]
        first, *_, last = run(tab, small, "painted", *steering, locked)
        used: int = json.loads(last["settings"].value)["settings"]["seed"]
        assert used == first["seed"]
        return used

    assert seed(7, True) == 7 and seed(0, True) == 0
    drawn = {seed(7, False), seed(7, False), seed(None, True)}
    assert len(drawn) == 3 and 7 not in drawn and all(0 <= each < 2**32 for each in drawn)


def test_closing_ends_the_run(tab: PromptTab, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As gradio does when the visitor cancels or leaves."""
    ended: list[str] = []

    def endless(self: painter.Painter, pixels: Any, settings: Settings, depth: int = 8) -> Any:
        try:
            while True:
                yield painter.Preview(0, 1, "painting", np.zeros((2, 2, 3), np.uint8))
        finally:
            ended.append("ended")

    monkeypatch.setattr(painter.Painter, "run", endless)
    events = run(tab, small, "painted", *STEERING, True)
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
        ("guidance", "much", 'Guidance is a number from 1 to 30, not "much".'),
        ("seed", -1, "The seed is a whole number from 0 to 4294967295, not -1."),
        ("prompt", ["a"], "The prompt is text, not ['a']."),
        ("prompt", "x" * 10_000, "The prompt has at most 2000 characters, not 10000."),
        ("colour_fix", "sepia", 'The colour fix is wavelet, adain or none, not "sepia".'),
        ("tile", 8, "A tile for Painted x4 has 32 to 512 pixels a side, not 8."),
        ("tile", "abc", 'A tile for Painted x4 has 32 to 512 pixels a side, not "abc".'),
    ],
)
def test_nonsense_is_one_sentence_before_and_in_a_run(
    tab: PromptTab, name: str, value: Any, sentence: str, small: Path
) -> None:
    steering = [value if each == name else usual for each, usual in zip(STEERING_SETTINGS, STEERING, strict=True)]
    assert sentence in unescape(prompt.describe_plan(small, "painted", *steering))
    *_, last = run(tab, small, "painted", *steering, True)
    assert sentence in unescape(last["problem"])


def test_no_picture_is_our_sentence(tab: PromptTab) -> None:
    assert "Choose an image first." in prompt.describe_plan(None, "painted", *STEERING)
    *_, last = run(tab, None, "painted", *STEERING, True)
    assert "Choose an image first." in last["problem"] and last["run"].interactive and not last["instead"].visible


# --- what cannot be had -------------------------------------------------------------------------------------------


def test_where_weights_cannot_be_had_another_model_is_offered(
    tab: PromptTab, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = Weights((File("unet/model.safetensors", 1_900_000_000),), ())
    painter.use(monkeypatch, replace(painter.PAINTED, key="far", scales={4: needed}))
    assert "downloads 1.9 GB first" in prompt.describe_plan(small, "far", *STEERING)
    first, *_, last = run(tab, small, "far", *STEERING, True)
    assert not first["instead"].visible and last["instead"].visible and last["instead"].value == "Use Swift"
    assert "could not be downloaded (1.9 GB)" in last["problem"] and "model.safetensors" in last["problem"]
    first, *_ = run(tab, small, "painted", *STEERING, True)
    assert not first["instead"].visible, "the next run takes the offer back"


def test_the_other_model_is_swift_with_the_same_picture(small: Path) -> None:
    with gr.Blocks() as page:
        tab = upscale.build(page)
    changes = tab.choose_other(small)
    assert changes.keys() <= set(tab.choice)
    path, own, key, scale = (
        changes[tab.picture],
        changes[tab.form.own],
        changes[tab.form.model],
        changes[tab.form.scale],
    )
    assert (path, own, key["value"], scale["value"]) == (str(small), "", "swift", "x4")
    assert "Apache-2.0" in changes[tab.form.about] and not changes[tab.form.denoising]["visible"]
    assert tab.choose_other(None)[tab.picture] is None


# --- the plan -----------------------------------------------------------------------------------------------------


def test_the_plan_tells_size_time_memory_and_that_guidance_is_off(tmp_path: Path) -> None:
    images.write(Picture(smooth(100, 100)), tmp_path / "hundred.png")
    told = text(prompt.describe_plan(tmp_path / "hundred.png", "painted", *STEERING))
    assert re.search(r"100 × 100 → 400 × 400 · about 11 s without a GPU", told)
    assert "guidance off" not in told
    told = text(prompt.describe_plan(tmp_path / "hundred.png", "painted", " ", "", *STEERING[2:]))
    assert "about 7.1 s without a GPU" in told and "without a prompt, twice as fast" in told


def test_what_no_gpu_is_lent_for_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    images.write(Picture(smooth(300, 300)), tmp_path / "large.png")
    told = prompt.describe_plan(tmp_path / "large.png", "painted", "a cat", "", 200, *STEERING[3:])
    assert "a GPU is lent for at most 4 min" in told


# --- models and fields --------------------------------------------------------------------------------------------


def test_the_model_that_enlarges_by_four_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = replace(painter.PAINTED, key="twice", scales={2: None}, takes=frozenset({"prompt", "steps", "seed"}))
    painter.use(monkeypatch, twice, painter.PAINTED)
    made = [row.key for row in prompt.list_models() if row.engine == "painter"]
    assert made == ["painted", "twice"] and prompt.list_models()[-1].key == "twice"


def test_only_what_a_model_takes_is_asked_for(tab: PromptTab, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = replace(painter.PAINTED, key="twice", scales={2: None}, takes=frozenset({"prompt", "steps", "seed"}))
    painter.use(monkeypatch, twice, painter.PAINTED)
    fields = tab.choose_model("twice")
    assert [each for each in tab.steering.usable if fields[each]["visible"]] == [tab.steering.steps]
    fields = tab.choose_model("painted")
    hidden = [each for each in tab.steering.usable if not fields[each]["visible"]]
    assert hidden == [tab.steering.strength, tab.steering.start]
    *_, last = run(tab, small, "twice", *STEERING, True)
    assert STEERING[1] not in last["facts"]
    told = json.loads(last["settings"].value)
    assert told["scale"] == 2 and told["settings"] == {"seed": 7, "prompt": "a cat", "steps": 4}


def test_the_defaults_are_those_that_the_fields_begin_with(tab: PromptTab) -> None:
    built = page.build()
    values = {each.label: each.value for each in built.blocks.values() if isinstance(each, gr.components.Component)}
    fields = tab.reset_fields("sd-x4")
    creative, negative, steps, guidance, noise, fix, tile, strength, start = (
        fields[each]["value"] for each in tab.steering.usable
    )
    lock = fields[tab.steering.lock]
    assert (steps, guidance, noise, fix) == (20, 9.0, 20, "wavelet")
    assert values["Steps"] is None or values["Steps"] == steps  # the API's field has none
    names = {"Keep this seed": lock, "Colours": fix, "Start from": start}
    assert (strength, start) == (tab.steering.strength.value, "noise") == (1.0, "noise")
    assert tile == tab.steering.tile.value == ""
    assert creative == tab.steering.creativity.value == "low"
    assert {name: values[name] for name in names} == names and (negative or None) == values["Negative prompt"]


def test_choosing_a_model_leaves_the_words_alone_and_reset_the_first_ones(tab: PromptTab) -> None:
    assert "value" not in tab.choose_model("sd-x2")[tab.steering.negative]
    assert tab.reset_fields("sd-x2")[tab.steering.negative]["value"] == ""


def test_a_model_without_words_is_refused_in_a_sentence(tab: PromptTab, small: Path) -> None:
    assert "espcn does not take a prompt" in text(prompt.describe_plan(small, "espcn", *STEERING))
    for event in (tab.choose_model, tab.reset_fields):
        with pytest.raises(gr.Error, match=r"^'espcn does not take a prompt; the models that do are sd-x4, "):
            event("espcn")


@pytest.mark.parametrize("row", prompt.list_models(), ids=lambda row: row.key)
def test_each_model_has_its_own_defaults_and_takes_every_tile_that_is_offered(tab: PromptTab, row: Model) -> None:
    fields, steering = tab.choose_model(row.key), tab.steering
    assert (fields[steering.steps]["value"], fields[steering.guidance]["value"]) == {
        "sd-x4": (20, 9.0),
        "sd-x2": (20, 1.0),
        "diffbir": (10, 8.0),
        "diffbir-v2": (50, 4.0),
        "supir": (50, 4.0),
        "supir-f": (50, 4.0),
    }[row.key]
    shown = fields[steering.strength]["visible"], fields[steering.start]["visible"]
    assert shown == {"diffbir": (True, False), "sd-x4": (False, False), "sd-x2": (False, False)}.get(
        row.key, (True, True)
    )
    assert (fields[steering.strength]["value"], fields[steering.start]["value"]) == (1.0, "noise")
    for _, side in fields[steering.tile]["choices"][1:]:
        check_settings([row], Settings(tile=side, accept_licence=True if row.terms else None))


def test_strength_and_start_are_handed_on_to_who_takes_them(small: Path) -> None:
    """Of DiffBIR, whose last time leaves no signal, the start makes no difference: the page does not ask for it."""
    given = (*STEERING[:8], None, 0.7, "image", "low")
    row, settings = prompt.understand("diffbir-v2", *given)
    assert row.key == "diffbir-v2" and (settings.strength, settings.start_point) == (0.7, "image")
    assert prompt.understand("sd-x4", *given)[1].given().isdisjoint({"strength", "start_point"})
    with pytest.raises(gr.Error, match=r"The strength is a number from 0 to 2, not 3\."):
        called(small, model="diffbir", strength=3)
    with pytest.raises(gr.Error, match="The start point is noise or image, not"):
        called(small, model="diffbir", start_point="end")


def test_creativity_is_each_models_own(tab: PromptTab, small: Path) -> None:
    """A level sets the fields that it stands for; where more belongs to it than they say, the run is told the level."""
    fields = tab.steering

    def opened(**query: str) -> dict[str, Any]:
        changes = tab.open_link(gr.Request(query_params={"tab": "prompt", **query}))
        names = {fields.creativity: "creativity", fields.noise: "noise", fields.guidance: "guidance"}
        names |= {fields.strength: "strength"}
        return {name: changes[field]["value"] for field, name in names.items() if "value" in changes.get(field, {})}

    assert opened(creativity="high") == {"creativity": "high", "noise": 200}
    asked = opened(model="supir", creativity="high")
    assert asked == {"creativity": "high", "noise": 0, "guidance": 6.0, "strength": 0.93}
    assert opened(model="diffbir", creativity="low")["noise"] == 0
    assert opened(model="supir", creativity="wild")["guidance"] == 4.0
    for row in prompt.list_models():
        changes = tab.choose_model(row.key)
        assert changes[fields.creativity]["visible"] == (row.key != "sd-x2")
        assert changes[fields.creativity]["value"] == "low"
    steering = [*STEERING[:3], 6.0, None, *STEERING[5:8], None, 0.93, "noise", "high"]
    _, settings = prompt.understand("supir", *steering)
    assert (settings.creativity, settings.guidance, settings.strength) == ("high", 6.0, 0.93)
    given = {"model": "diffbir", "creativity": "high"}
    chosen = dict(zip(STEERING_SETTINGS, STEERING, strict=True)) | {"noise_level": opened(**given)["noise"]}
    row, on_page = prompt.understand("diffbir", *(chosen | {"creativity": "high"}).values())
    by_command = Settings(**(chosen | {"noise_level": None, "creativity": "high"})).only(row.takes)
    assert catalog.resolve_options(row, on_page) == catalog.resolve_options(row, by_command), "and so are recorded"
    with pytest.raises(gr.Error, match='Creativity is low, medium or high, not "wild"'):
        called(small, model="supir", creativity="wild", accept_licence=True)


def test_an_address_says_no_creativity_that_is_no_longer_chosen() -> None:
    """Another model puts it back to low, and so does *Reset to defaults*."""
    with gr.Blocks() as page:
        tab = prompt.build(page)
    scripts = [(target, str(each.js)) for each in page.fns.values() for target in each.targets if each.js]
    for target, name in (((tab.model._id, "input"), "model"), ((tab.steering.reset._id, "click"), "creativity")):
        [script] = [text for at, text in scripts if at == target and "links.set" in text]
        assert f'links.set("prompt", "{name}", ' in script
        assert '["creativity"]' in script if name == "model" else "'', []" in script


def test_a_licence_is_accepted_by_a_tick_or_by_the_owner(
    tab: PromptTab, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "SUPIR is not for commercial use, and its licence must be accepted first"
    words = ("a cat", "", 1, 4, None, 7, "wavelet", None)
    assert tab.choose_model("supir")[tab.steering.accept]["visible"]
    assert not tab.choose_model("diffbir")[tab.steering.accept]["visible"]
    assert said in prompt.describe_plan(small, "supir", *words, [], 1, "noise", "low")
    *_, last = run(tab, small, "supir", *words, [], 1, "noise", "low", True)
    assert said in unescape(last["problem"]) and not last["instead"].visible
    with pytest.raises(gr.Error, match=said):
        called(small, model="supir")
    assert "downloads 9.6 GB first" in prompt.describe_plan(small, "supir", *words, ["supir"], 1, "noise", "low")
    monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
    assert not tab.choose_model("supir")[tab.steering.accept]["visible"]
    assert "downloads 9.6 GB first" in prompt.describe_plan(small, "supir", *words, [], 1, "noise", "low")


# --- the API ------------------------------------------------------------------------------------------------------


def called(*arguments: Any, **named: Any) -> tuple[np.ndarray, dict[str, Any]]:
    last: tuple[np.ndarray, dict[str, Any]] | None = None
    for file, details in api.prompt(*arguments, **named):
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
        ({"seed": "abc"}, 'not "abc".'),
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
        ({"image": handle_file(small)}, "is unavailable: HF_HUB_OFFLINE is set"),
        ({"image": handle_file(small), "seed": "abc"}, 'The seed is a whole number from 0 to 4294967295, not "abc".'),
        ({"image": None}, "Choose an image first."),
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
    *_, (file, details) = api.upscale(small, "painted", "x4")
    assert file is not None and details is not None
    assert f"with {Settings()}" in details["notes"]
