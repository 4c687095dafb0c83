"""The box for a licence that must be accepted: by the row alone, and on each tab that runs such a model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from pipelines.catalog.rows import Model, find
from ui import api
from ui.tabs import chained, compare
from ui.widgets import chain_choice, comparison_form
from ui.widgets.licence import offer_licence

URL = "https://github.com/Fanghua-Yu/SUPIR/blob/master/LICENSE"
SAID = "SUPIR is not for commercial use, and its licence must be accepted first"


@pytest.fixture(autouse=True)
def _nobody_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPSCALE_ACCEPT", raising=False)


def offered(*rows: Model) -> dict[str, Any]:
    return {name: value for name, value in offer_licence(*rows).items() if not name.startswith("__")}


def test_it_says_whose_and_where_it_is() -> None:
    free = replace(find("bicubic"), terms="bicubic", terms_url="https://example.org/terms")
    assert offered(find("swift"), find("supir")) == {
        "visible": True,
        "label": "I accept the licence of SUPIR: no commercial use",
        "info": f"Read it at [{URL}]({URL}). Nothing is downloaded before you accept it.",
    }
    assert offered(free)["label"] == "I accept the licence of Bicubic"
    both = offered(find("supir"), find("supir-f"), free)
    assert both["label"] == "I accept the licence of SUPIR and SUPIR F and Bicubic: no commercial use"
    assert both["info"].count("](") == 2, "a licence is named once"


def test_it_is_hidden_where_nothing_is_to_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not offered(find("diffbir"))["visible"] and not offered()["visible"]
    monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
    assert not offered(find("supir"))["visible"]


def test_compare_asks_before_it_runs(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with a tick says what is downloaded; what is compared is told either way."""
    with gr.Blocks() as page:
        tab = compare.build(page)
    chosen = ([small], "round-trip", "x4", "bicubic", ["bicubic", "supir"], [])
    seen = tab.form.see_choice(*chosen, False)
    assert SAID in seen[tab.form.plan] and seen[tab.form.accept]["visible"]
    assert seen[tab.form.fold].label == "What to compare: 1 image, 2 models, x4"
    assert "downloads 9.6 GB first" in tab.form.see_choice(*chosen, True)[tab.form.plan]
    assert not tab.form.see_choice(*chosen[:4], ["bicubic"], [], False)[tab.form.accept]["visible"]
    chains = ([small], "chained-8x", "x4", "bicubic", [], ["supir:4,bicubic:2"])
    seen = tab.form.see_choice(*chains, False)
    assert SAID in seen[tab.form.plan] and seen[tab.form.accept]["visible"]
    assert SAID not in comparison_form.describe_plan(*chains, True)
    with pytest.raises(gr.Error, match=SAID):
        [*api.benchmark(small, models=["supir"], scale="x4", accept_licence=False)]


@pytest.mark.parametrize("scored", [False, True])
def test_a_chain_asks_before_it_runs(scored: bool, small: Path) -> None:
    with gr.Blocks() as page:
        tab = chained.build(page)
    assert tab.see_models("bicubic", "supir")[tab.accept]["visible"]
    assert not tab.see_models("bicubic", "swift")[tab.accept]["visible"]
    assert SAID in chain_choice.describe_plan(small, "supir", "bicubic", scored, False)
    assert "downloads 9.6 GB first" in chain_choice.describe_plan(small, "supir", "bicubic", scored, True)
    *_, last = tab.button.explain_failure(tab.run)(small, "supir", "bicubic", scored, False)
    assert SAID in last[tab.button.problem.text]
    *_, last = tab.button.explain_failure(tab.run)(small, "supir", "bicubic", scored, True)
    assert SAID not in str(last)


def test_the_api_takes_the_same(small: Path) -> None:
    """What is accepted goes on to the download, which no test may make."""
    for accepts, said in ((None, SAID), (True, "is unavailable")):
        with pytest.raises(gr.Error, match=said):
            [*api.chain(small, "supir", "bicubic", accepts)]
    with pytest.raises(gr.Error, match="cannot use the setting accept licence"):
        [*api.chain(small, "bicubic", "bicubic", True)]
    *_, report = api.benchmark(small, models=["supir"], scale="x4", accept_licence=True)
    assert report is not None and "is unavailable" in report["rows"][0]["error"]
