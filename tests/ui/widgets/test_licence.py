"""The box for a licence that must be accepted: by the row alone, and on each tab that runs such a model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from pipelines.catalog.rows import Model, find
from pipelines.errors import BadSetting
from ui import api
from ui.tabs import chained, compare
from ui.widgets import chain_choice, comparison_form
from ui.widgets.licence import accepts, check_ticked, offer_licence

URL = "https://github.com/Fanghua-Yu/SUPIR/blob/master/LICENSE"
OTHER = replace(find("bicubic"), terms="other", terms_url="https://example.org/terms")
SAID = "SUPIR is not for commercial use, and its licence must be accepted first"


@pytest.fixture(autouse=True)
def _nobody_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPSCALE_ACCEPT", raising=False)


def offered(*rows: Model) -> dict[str, Any]:
    return {name: value for name, value in offer_licence(*rows).items() if not name.startswith("__")}


def test_it_says_whose_and_where_it_is() -> None:
    assert offered(find("swift"), find("supir")) == {
        "visible": True,
        "choices": [("I accept the licence of SUPIR: no commercial use", "supir")],
        "info": f"Read it at [{URL}]({URL}). Nothing is downloaded before you accept it.",
    }
    assert offered(OTHER)["choices"] == [("I accept the licence of Bicubic", "other")]
    both = offered(find("supir"), find("supir-f"), OTHER)
    assert both["choices"] == [
        ("I accept the licence of SUPIR and SUPIR F: no commercial use", "supir"),
        ("I accept the licence of Bicubic", "other"),
    ]
    assert both["info"].count("](") == 2, "a licence is named once"


def test_a_tick_is_for_the_licence_that_was_read() -> None:
    """And for each model that has that licence; whatever strangers send is no tick."""
    assert accepts(["supir"], find("supir")) and accepts(["supir"], find("supir-f"), find("swift"))
    assert accepts(["other", "supir"], find("supir"), OTHER)
    for ticked in ([], ["other"], ["supir-f"], None, True, "supir", {"supir": True}):
        assert not accepts(ticked, find("supir"))
    assert not accepts(["supir"], find("supir"), OTHER)
    assert not accepts(["supir"], find("swift")), "it asks for none"
    with pytest.raises(BadSetting, match="The licence of Bicubic must be accepted first"):
        check_ticked(["supir"], find("supir"), OTHER)


def test_no_answer_changes_what_is_ticked() -> None:
    """So one that comes late undoes no tick, and a model that is chosen again has its own."""
    assert "value" not in offered(find("supir")) and "value" not in offered(OTHER) and "value" not in offered()


def test_it_is_hidden_where_nothing_is_to_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not offered(find("diffbir"))["visible"] and not offered()["visible"]
    monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
    assert not offered(find("supir"))["visible"]


def test_compare_asks_before_it_runs(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with a tick says what is downloaded; what is compared is told either way."""
    with gr.Blocks() as page:
        tab = compare.build(page)
    chosen = ([small], "round-trip", "x4", "bicubic", ["bicubic", "supir"], [])
    seen = tab.form.see_choice(*chosen, [])
    assert SAID in seen[tab.form.plan] and seen[tab.form.accept]["visible"]
    assert seen[tab.form.fold].label == "What to compare: 1 image, 2 models, x4"
    assert "downloads 9.6 GB first" in tab.form.see_choice(*chosen, ["supir"])[tab.form.plan]
    assert not tab.form.see_choice(*chosen[:4], ["bicubic"], [], [])[tab.form.accept]["visible"]
    chains = ([small], "chained-8x", "x4", "bicubic", [], ["supir:4,bicubic:2"])
    seen = tab.form.see_choice(*chains, [])
    assert SAID in seen[tab.form.plan] and seen[tab.form.accept]["visible"]
    assert SAID not in comparison_form.describe_plan(*chains, ["supir"])
    for ticked, asks in (([], True), (["other"], True), (["supir"], False)):
        *_, last = tab.button.explain_failure(tab.run)(*chosen, ticked, gr.Request(headers={}))
        assert (SAID in str(last)) == asks
    with pytest.raises(gr.Error, match=SAID):
        [*api.benchmark(small, models=["supir"], scale="x4", accept_licence=False)]


@pytest.mark.parametrize("scored", [False, True])
def test_a_chain_asks_before_it_runs(scored: bool, small: Path) -> None:
    with gr.Blocks() as page:
        tab = chained.build(page)
    assert tab.see_models("bicubic", "supir")[tab.accept]["visible"]
    assert not tab.see_models("bicubic", "swift")[tab.accept]["visible"]
    assert SAID in chain_choice.describe_plan(small, "supir", "bicubic", scored, [])
    assert "downloads 9.6 GB first" in chain_choice.describe_plan(small, "supir", "bicubic", scored, ["supir"])
    *_, last = tab.button.explain_failure(tab.run)(small, "supir", "bicubic", scored, [])
    assert SAID in last[tab.button.problem.text]
    *_, last = tab.button.explain_failure(tab.run)(small, "supir", "bicubic", scored, ["supir"])
    assert SAID not in str(last)


def test_the_api_takes_the_same(small: Path) -> None:
    """What is accepted goes on to the download, which no test may make."""
    for given, said in ((None, SAID), (True, "is unavailable")):
        with pytest.raises(gr.Error, match=said):
            [*api.chain(small, "supir", "bicubic", given)]
    with pytest.raises(gr.Error, match="cannot use the setting accept licence"):
        [*api.chain(small, "bicubic", "bicubic", True)]
    *_, report = api.benchmark(small, models=["supir"], scale="x4", accept_licence=True)
    assert report is not None and "is unavailable" in report["rows"][0]["error"]
