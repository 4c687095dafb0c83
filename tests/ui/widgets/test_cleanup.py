"""The control "Clean up first" and the search in OpenModelDB, without a browser."""

import json
from pathlib import Path

import gradio as gr
import pytest

from pipelines.catalog import openmodeldb as database
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Cleanup, Stage
from pipelines.errors import BadSetting, WeightsUnavailable
from pipelines.runs import Run, Step
from tests.pipelines.catalog.test_cleanup import PLAIN
from tests.pipelines.catalog.test_openmodeldb import told
from ui.jobs import model_list
from ui.widgets.cleanup import STRENGTH, CleanupField, offer_cleanups, place_cleanup, refresh_cleanups
from ui.widgets.model_search import MOST_SHOWN, ModelSearch, place_model_search
from ui.widgets.wanted import SEARCHING, describe_plan, name_chosen, understand

FORM = ("swift", "", "x4", "", None, "", None)


@pytest.fixture
def search() -> ModelSearch:
    with gr.Blocks():
        return place_model_search()


@pytest.fixture
def control() -> CleanupField:
    with gr.Blocks():
        return place_cleanup()


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    models = {f"4x-Sharp{number}": told() for number in range(MOST_SHOWN - 1)}
    models["1x-DeJPG"] = told(scale=1, license=None, resource={"size": 5_000_000})
    mega = {"urls": ["https://mega.nz/x"]}
    models |= {"1x-OnMega": told(scale=1, resource=mega), "4x-AOnMega": told(resource=mega)}
    path = tmp_path / "models.json"
    path.write_text(json.dumps(models))
    monkeypatch.setattr(database, "list_path", lambda: path)
    return path


def test_what_there_is_to_clean_up_with(listed: Path, control: CleanupField, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of OpenModelDB only what a program can have; a strength only where a model takes one."""
    found = ("1x-DeJPG · esrgan · 5.0 MB download", "omdb/1x-DeJPG")
    assert offer_cleanups()[-1] == found
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, PLAIN))
    assert offer_cleanups() == [
        ("None", "none"),
        ("Cleaner, automatic", "auto"),
        ("Cleaner, by strength", STRENGTH),
        ("Plain · ready", "plain"),
        found,
    ]
    assert refresh_cleanups()["choices"] == offer_cleanups() and "value" not in refresh_cleanups()
    assert [control.set(choice)[control.strength]["visible"] for choice in ("none", "auto", STRENGTH)] == [
        False,
        False,
        True,
    ]


def test_the_fields_become_a_stage_and_a_strength(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, PLAIN))
    stage = Stage("cleaner", 1)
    by_hand = understand(*FORM, STRENGTH, 0.3)
    assert by_hand.first == Cleanup((stage,), 0.3) and by_hand.settings.cleanup == 0.3
    assert understand(*FORM, "auto", 0.3).settings.cleanup is None
    assert understand(*FORM, "none", 0.3).first == understand(*FORM).first == Cleanup()
    assert "Cleaned up first by Cleaner." in describe_plan(small, *FORM, "auto", 0.3)
    assert "The strength of the clean-up is a number from 0 to 1, not 7." in describe_plan(small, *FORM, STRENGTH, 7)
    assert "did you mean cleaner?" in describe_plan(small, *FORM, "cleaned", None)
    assert name_chosen("swift", "", "x4", "", "plain") == "Swift x4 with Plain"


def test_words_are_looked_for_and_names_are_not(listed: Path, search: ModelSearch, small: Path) -> None:
    found = search.look_for("DEJPG ann")[search.found]
    assert found["visible"] and [option["value"] for option in found["options"]] == ["omdb/1x-DeJPG"]
    (option,) = found["options"]
    assert (option["title"], option["cost"]) == ("1x-DeJPG", "under Clean up first")
    assert option["use"] == "x1, no licence named, no commercial use"
    assert option["never"] == "It does not upscale. Choose it under Clean up first."
    told_of = describe_plan(small, "swift", "omdb/1x-DeJPG", "x1", *FORM[3:])
    assert "1x-DeJPG does not upscale. Choose it under Clean up first." in told_of
    first, *_, last = search.look_for("omdb/4x")[search.found]["options"]
    assert (first["value"], first["cost"], first["never"]) == ("omdb/4x-Sharp0", "1 kB", "")
    assert (last["cost"], last["never"]) == (
        "download in a browser",
        "Download it at https://openmodeldb.info/models/4x-AOnMega.",
    )
    many = search.look_for("crisp")
    assert len(many[search.found]["options"]) == MOST_SHOWN and "More words find fewer" in many[search.told]
    assert "has no model that matches these words" in search.look_for("zebra")[search.told]
    for text in ("", " ", "x", "omdb/", "owner/name/x.pth", "https://github.com/x", None):
        assert search.look_for(text) == {search.found: search.look_for("")[search.found], search.told: ""}  # type: ignore[arg-type]
    assert SEARCHING in describe_plan(small, "swift", "sharp", *FORM[2:])
    with pytest.raises(BadSetting, match="Choose a model from the search results"):
        understand("swift", "sharp", *FORM[2:])


def test_searches_typed_fast_read_the_list_once(
    listed: Path, search: ModelSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    parse = database.parse_list
    monkeypatch.setattr(database, "parse_list", lambda content: read.append(1) or parse(content))  # type: ignore[func-returns-value]
    for number in range(671):
        assert search.look_for(f"sharp{number % 7}")[search.found]["visible"]
    assert len(read) <= 1


def test_a_list_that_cannot_be_had_is_asked_for_once_a_minute(
    tmp_path: Path, search: ModelSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one search at a time brings it, while others are told to wait."""
    asked: list[int] = []

    def refuse() -> Run[None]:
        asked.append(1)
        assert model_list.bring() == model_list.WAITING, "it is being brought"
        yield Step(0, 1, "asking")
        raise WeightsUnavailable("no")

    monkeypatch.setattr(database, "list_path", lambda: tmp_path / "none.json")
    monkeypatch.setattr(model_list, "refresh_list", refuse)
    monkeypatch.setattr(model_list, "_next_try", 0.0)
    for _ in range(2):
        assert "is not available here, so it cannot be searched" in search.look_for("sharp")[search.told]
    assert asked == [1]
    assert [value for _, value in offer_cleanups()] == ["none", "auto", STRENGTH]
