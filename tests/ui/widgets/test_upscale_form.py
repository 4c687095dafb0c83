"""The Upscale tab's form: what its events change, without a browser."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import PURPOSES, Settings, Size, check_settings, find
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from tests.conftest import smooth
from ui.tabs import upscale
from ui.tabs.upscale import UpscaleTab
from ui.widgets import html
from ui.widgets.advice import CUSTOM
from ui.widgets.upscale_form import UpscaleForm
from ui.widgets.wanted import NO_SIZE, describe_plan, name_chosen, takes_a_moment, understand

pytestmark = pytest.mark.usefixtures("own_networks")


@pytest.fixture(scope="module")
def tab() -> Iterator[UpscaleTab]:
    with gr.Blocks() as page:
        yield upscale.build(page)


@pytest.fixture
def form(tab: UpscaleTab) -> UpscaleForm:
    return tab.form


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    Image.fromarray(to_uint8(smooth(60, 80))).save(tmp_path / "photo.jpg", quality=75)
    return tmp_path / "photo.jpg"


def value(change: Any) -> Any:
    return change.get("value", "unchanged") if isinstance(change, dict) else change


def test_a_model_that_was_named_stays_with_another_image(form: UpscaleForm, jpeg: Path) -> None:
    changes = form.fit(jpeg, "swift", "owner/name/net.pth", "x4", False, False)
    assert "owner/name" in changes[form.about] and changes[form.why] == "" and value(changes[form.model]) == "unchanged"


def test_each_purpose_chooses_its_model_and_shows_what_it_takes(form: UpscaleForm, small: Path) -> None:
    for purpose in PURPOSES:
        chosen = form.pick_purpose(purpose.key)
        assert chosen == {form.model: purpose.model, form.own: "", form.why: "", form.model_chosen: True}
        changes = form.fit(small, purpose.model, "", "x4", True, False)
        creative = purpose.key == "creative"
        assert changes[form.prompt]["visible"] == changes[form.creativity]["visible"] == creative
        assert changes[form.denoising]["visible"] == (purpose.key == "photo")
        assert changes[form.artifacts.part]["visible"] == (purpose.key == "faithful")
    costs = {option["value"]: option["cost"] for option in form.see_scale(small, "x4")[form.purpose]["options"]}
    assert costs["faithful"].endswith(" · included") and costs["photo"].endswith(" · ready")
    assert costs["creative"].endswith("3.5 GB download")


def test_an_image_chooses_until_the_visitor_has(form: UpscaleForm, small: Path, jpeg: Path) -> None:
    changes = form.fit(jpeg, "swift", "", "x4", False, False)
    assert value(changes[form.purpose]) == "photo" and value(changes[form.model]) == "real-esrgan-general"
    assert "This JPEG has compression marks. Photo removes them." in changes[form.why]
    changes = form.fit(small, "real-esrgan-general", "", "x4", False, False)
    assert value(changes[form.purpose]) == "faithful" and "><" in changes[form.why]
    changes = form.fit(jpeg, "swift", "", "x4", True, False)
    assert value(changes[form.purpose]) == "faithful" and value(changes[form.model]) == "unchanged"
    assert changes[form.why] == ""


def test_a_licence_that_must_be_accepted_has_a_box(
    form: UpscaleForm, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (small, "supir", "", "x4", "", None, "", "low", "none", 0.5, "auto")
    chosen = form.fit(small, "supir", "", "x4", True, True)
    assert chosen[form.accept]["visible"] and chosen[form.creativity]["visible"]
    assert not form.fit(small, "swift", "", "x4", True, True)[form.accept]["visible"]
    assert "its licence must be accepted first" in describe_plan(*asked, [])
    assert "downloads 9.6 GB first" in describe_plan(*asked, ["supir"])
    monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
    assert not form.fit(small, "supir", "", "x4", True, True)[form.accept]["visible"]


def test_a_scale_gives_way_only_where_it_does_not_fit(form: UpscaleForm, small: Path, tmp_path: Path) -> None:
    images.write(Picture(np.zeros((3000, 4000, 3), np.float32)), tmp_path / "large.png")
    changes = form.fit(tmp_path / "large.png", "swift", "", "x4", True, True)
    assert value(changes[form.scale]) == "x3"
    assert [option["never"] != "" for option in changes[form.scale]["options"]] == [False, False, True, False]
    assert value(form.fit(small, "swift", "", "x3", True, False)[form.scale]) == "x4", "it was not chosen by hand"
    assert value(form.fit(small, "swift", "", "x3", True, True)[form.scale]) == "unchanged"
    told = describe_plan(tmp_path / "large.png", "swift", "", "x3", "", None, "", None)
    assert "x4 would be 192 megapixels, the limit is 128. x3 is the largest that fits." in told


def test_a_model_of_the_list_unchooses_the_purpose(form: UpscaleForm, small: Path) -> None:
    chosen = {form.purpose: "", form.own: "", form.why: "", form.model_chosen: True}
    assert form.pick_model("bicubic") == chosen and form.pick_model("nearest") == chosen | {form.purpose: "pixel-art"}
    assert value(form.fit(small, "bicubic", "", "x3", True, True)[form.scale]) == "unchanged"
    assert value(form.fit(small, "nearest", "", "x3", True, True)[form.purpose]) == "pixel-art"
    assert value(form.fit(small, "swift", "owner/a/b.pth", "x2", True, False)[form.purpose]) == ""
    changes = form.fit(small, "swift", "../x", "x2", True, True)
    assert changes[form.about] == "" and form.scale not in changes


def test_what_the_fields_ask_for() -> None:
    asked = understand("real-esrgan-general", "", "x3", "", 0.5, "a cat", "high")
    assert (asked.row.key, asked.size, asked.settings) == ("real-esrgan-general", Size(3), Settings(denoise=0.5))
    asked = understand("sd-x4", " ", "x4", "ignored", 0.5, "a cat", "high")
    assert asked.settings == Settings(prompt="a cat", creativity="high")
    assert understand("supir", "", "x4", "", None, "", "medium").settings == Settings(creativity="medium")
    assert understand("swift", "", "x4", "", None, "", None).settings == Settings()
    for chosen in ("auto", "none"):
        asked = understand("swift", "", "x4", "", None, "", None, artifacts=chosen)
        assert asked.settings == Settings(artifacts=None if chosen == "auto" else chosen)
    asked = understand("supir", "", "x4", "", None, "", None, accepted=["supir"])
    assert asked.settings == Settings(accept_licence=True)
    assert understand("swift", "", "x4", "", None, "", None, accepted=["supir"]).settings == Settings()
    with pytest.raises(BadSetting, match='Creativity is low, medium or high, not "wild"'):
        check_settings([find("sd-x4")], understand("sd-x4", "", "x4", "", None, "", "wild").settings)


def test_a_tick_is_not_for_the_licence_of_the_next_model(
    tab: UpscaleTab, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two models whose licences must be accepted, with the one that the problem panel chooses between them."""
    takes = find("bicubic").takes | {"accept_licence"}
    other = replace(find("bicubic"), terms="other", terms_url="https://example.org/terms", takes=takes)
    monkeypatch.setattr(catalog, "MODELS", (other, *(row for row in catalog.MODELS if row.key != "bicubic")))
    accept = tab.form.accept
    for changes in (tab.form.fit(small, "bicubic", "", "x4", True, True), tab.form.choose(small, "bicubic", "x4")):
        assert changes[accept]["visible"] and "value" not in changes[accept]
        assert [terms for _, terms in changes[accept]["choices"]] == ["other"]
    asked = ("x4", "", None, "", "low", "none", 0.5, "auto")
    for key, ticked, accepted in (
        ("supir", ["supir"], True),
        ("bicubic", ["supir"], None),
        ("bicubic", ["other"], True),
    ):
        assert understand(key, "", *asked, ticked).settings.accept_licence is accepted


@pytest.mark.parametrize(
    ("size", "plan", "name"),
    [
        ("x2.5", "30 × 20 → <strong>75 × 50</strong>", "Swift x2.5"),
        ("100x", "30 × 20 → <strong>100 × 67</strong>", "Swift, 100 pixels wide"),
        ("x300", "30 × 20 → <strong>450 × 300</strong>", "Swift, 300 pixels high"),
        ("60x900", "30 × 20 → <strong>60 × 40</strong>", "Swift, 60 pixels wide and 900 pixels high"),
    ],
)
def test_a_size_of_ones_own(size: str, plan: str, name: str, small: Path) -> None:
    """What it takes is told before: a scale and how much is shrunk, or that the model runs twice."""
    told = describe_plan(small, "swift", "", CUSTOM, size, None, "", None)
    assert plan in told and name_chosen("swift", "", CUSTOM, size) == name
    assert ("bicubic" in told) == (size != "60x900") and ("runs twice" in told) == (size == "x300")


def test_a_size_that_is_lacking_or_impossible_is_one_sentence(small: Path) -> None:
    assert describe_plan(small, "swift", "", CUSTOM, " ", None, "", None) == html.aside(NO_SIZE), "no trouble yet"
    assert "There is no size" in describe_plan(small, "swift", "", CUSTOM, "huge", None, "", None)
    assert "is smaller than the image" in describe_plan(small, "swift", "", CUSTOM, "10x", None, "", None)


@pytest.mark.parametrize("sent", ["zz", "x", "x99", None, 5, 2.5, True, [], ["x2"], {"x": 2}])
def test_whatever_is_sent_is_answered(sent: Any, form: UpscaleForm, small: Path) -> None:
    """In the place of a scale it is x4, of one's own model one sentence, of any other field no traceback."""
    assert value(form.fit(small, "swift", "", sent, True, True)[form.scale]) == "x4"
    assert form.see_scale(small, sent)[form.purpose] == form.see_scale(small, "x4")[form.purpose]
    if sent is not None:
        assert form.scale not in form.fit(small, "swift", sent, "x2", True, True)
    assert form.fit(small, sent, sent, "x2", True, True)[form.about] == ""
    usual = ("swift", "", CUSTOM, "x2", None, "", None, "none", 0.5, "auto", False)
    for at in range(len(usual)):
        assert describe_plan(small, *usual[:at], sent, *usual[at + 1 :])


def test_a_model_of_ones_own_is_text(small: Path) -> None:
    told = describe_plan(small, "swift", 5, "x2", "", None, "", None)
    assert "A model of your own is text, not &#x27;5&#x27;." in told


def test_the_field_for_a_size_is_there_where_it_is_asked_for(form: UpscaleForm, small: Path) -> None:
    assert form.see_scale(small, CUSTOM)[form.size]["visible"] and not form.see_scale(small, "x2")[form.size]["visible"]
    changes = form.choose(small, "swift", CUSTOM, "500x")
    assert changes[form.size]["value"] == "500x" and changes[form.size]["visible"]
    assert value(form.fit(small, "swift", "", CUSTOM, True, True)[form.scale]) == "unchanged"


def test_without_an_image_there_is_one_quiet_sentence() -> None:
    told = describe_plan(None, "swift", "", "x4", "", None, "", None)
    assert told == '<p class="about">Choose an image first.</p>'


def test_only_what_is_here_and_quick_takes_a_moment(small: Path, tmp_path: Path) -> None:
    assert takes_a_moment(small, "swift", "x4") and not takes_a_moment(small, "sd-x4", "x4")
    assert not takes_a_moment(small, "edsr", "x4"), "it is not here"
    images.write(Picture(np.zeros((2000, 3000, 3), np.float32)), tmp_path / "large.png")
    assert not takes_a_moment(tmp_path / "large.png", "lapsrn", "x2")
    assert not takes_a_moment(tmp_path / "large.png", "swift", "x4"), "several seconds"


def test_a_run_that_is_found_again_gets_its_inputs_back(tab: UpscaleTab, small: Path, jpeg: Path) -> None:
    changes = tab.give_again(
        jpeg, "WebP", "sd-x4", "", "x4", "", 0.3, "a cat", "medium", "omdb/1x-A", 0.4, "none", ["supir"]
    )
    form = tab.form
    assert changes[tab.picture] == str(jpeg) and value(changes[form.model]) == "sd-x4" and changes[form.model_chosen]
    assert value(changes[form.prompt]) == "a cat" and value(changes[form.creativity]) == "medium"
    assert value(changes[form.purpose]) == "creative" and changes[form.why] == ""
    assert value(changes[form.accept]) == "unchanged", "whoever opens its link has accepted nothing"
    assert changes[form.artifacts.choice] == "none" and changes[tab.format] == "WebP"
    assert changes[form.cleanup.choice] == "omdb/1x-A" and value(changes[form.cleanup.strength]) == 0.4
    assert tab.choose_other(jpeg)[form.cleanup.choice] == "none", "it may be what was unavailable"


def opened(on: UpscaleTab, **query: str) -> dict[Any, Any]:
    return on.open_link(gr.Request(query_params=query))


def test_a_link_runs_only_what_is_here_and_quick(tab: UpscaleTab) -> None:
    quick = opened(tab, model="swift", scale="2", example="drawing")
    assert quick[tab.asked] and quick[tab.told] == "" and value(quick[tab.form.scale]) == "x2"
    for query in (
        {"model": "sd-x4"},
        {"purpose": "creative"},
        {"model": "owner/a/b.pth"},
        {"size": "500x"},
        {"cleanup": "omdb/1x-A"},
    ):
        heavy = opened(tab, **query)
        assert not heavy[tab.asked] and "Press Upscale to run." in heavy[tab.told], query


def test_a_link_fills_the_form_in(tab: UpscaleTab) -> None:
    form = tab.form
    changes = opened(tab, purpose="creative", prompt="a cat", creativity="high", example="page")
    assert value(changes[form.purpose]) == "creative" and value(changes[form.model]) == "sd-x4"
    assert value(changes[form.prompt]) == "a cat" and value(changes[form.creativity]) == "high"
    assert changes[tab.picture].endswith("page.png") and changes[form.model_chosen]
    changes = opened(tab, model="owner/a/b.pth", size="1000x")
    assert changes[form.own] == "owner/a/b.pth" and value(changes[form.purpose]) == ""
    assert (value(changes[form.scale]), value(changes[form.size])) == (CUSTOM, "1000x")
    assert opened(tab, cleanup="omdb/1x-A")[form.cleanup.choice] == "omdb/1x-A"


def test_what_a_link_asks_in_vain_is_named_and_nothing_runs(tab: UpscaleTab) -> None:
    changes = opened(tab, model="nope", scale="9", example="zzz", size="huge", cleanup="swift")
    assert not changes[tab.asked] and value(changes[tab.form.model]) == "swift"
    for sentence in (
        "no example “zzz”.",
        "no model “nope”.",
        "no size “huge”.",
        "no clean-up model “swift”.",
        "no scale “9”.",
        "Press Upscale to run.",
    ):
        assert sentence in changes[tab.told]
    changes = opened(tab, model="lapsrn", scale="x3")
    assert value(changes[tab.form.scale]) == "x2" and "LapSRN has no x3, so x2 is chosen." in changes[tab.told]


def test_an_address_that_asks_for_nothing_leaves_the_page_as_it_is(tab: UpscaleTab) -> None:
    """Its answer may come after a click."""
    for query in ({}, {"__theme": "dark"}, {"model": "swift", "tab": "prompt"}):
        assert opened(tab, **query) == {tab.asked: False}


def test_noise_of_an_uploaded_jpeg_is_not_read_twice(form: UpscaleForm, jpeg: Path) -> None:
    """A JPEG with marks is told by its header: one that is cut in the middle of its pixels is advised on, too."""
    cut = io.BytesIO(jpeg.read_bytes()[: jpeg.stat().st_size * 2 // 3]).getvalue()
    jpeg.write_bytes(cut)
    assert value(form.fit(jpeg, "swift", "", "x4", False, False)[form.purpose]) == "photo"
