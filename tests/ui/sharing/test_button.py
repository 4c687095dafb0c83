"""The button that shares: one page for one result, counted as a run, and every failure one sentence."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from starlette.requests import Request

from pipelines.errors import BadSetting
from pipelines.runs import Run, Step
from tests.ui.jobs.test_allowance import PUBLIC
from ui.jobs import allowance, lanes, results
from ui.jobs.allowance import Allowances
from ui.sharing import dataset, store
from ui.sharing.button import ShareButton, place_share_button
from ui.sharing.store import Page, Place

PAGE = Page({store.INDEX: b"<head></head>"}, "", "")


@pytest.fixture(autouse=True)
def _visited(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An event of somebody elsewhere, who may begin two runs an hour."""
    monkeypatch.setenv("UPSCALE_SHARE_DIR", str(tmp_path_factory.mktemp("shared")))
    monkeypatch.setenv("UPSCALE_MAX_RUNS_PER_HOUR", "2")
    monkeypatch.setattr(allowance, "ALLOWANCES", Allowances())
    scope = {"type": "http", "scheme": "https", "path": "/gradio_api/queue/join", "query_string": b""}
    request = Request(scope | {"server": ("upscale.example", 443), "headers": [(b"host", b"upscale.example")]})
    given: Any = SimpleNamespace(request=request, client=SimpleNamespace(host=PUBLIC), headers=request.headers)
    token = LocalContext.request.set(given)
    yield
    LocalContext.request.reset(token)


def place(share: Callable[..., Run[Page]]) -> tuple[ShareButton, Callable[[str], list[dict[Any, Any]]], gr.Textbox]:
    """The button, what a press of it shows, by the page that was made before, and what it shares."""
    with gr.Blocks() as page:
        button = place_share_button("x")
        assert button is not None
        button.place_panel()
        what = gr.Textbox()
        button.connect(share, [what])
    press = next(each.fn for each in page.fns.values() if (button.share._id, "click") in each.targets)
    assert press is not None
    return button, lambda made: [*press("a result", made)], what


def test_one_result_is_one_page_and_a_share_is_a_run() -> None:
    seen: list[str] = []

    def share(place: Place, what: str) -> Run[Page]:
        yield Step(0, 1, "writing")
        seen.append(what)
        return PAGE

    button, press, _ = place(share)
    first = press("")[-1]
    assert "https://upscale.example/r/" in first[button.panel] and "works only there" not in first[button.panel]
    assert press(first[button.made])[-1] == first and len(seen) == 1, "it is shared already"
    second = press("")[-1]
    assert second[button.made] != first[button.made]
    assert "One visitor may start 2 runs per hour here" in press("")[-1][button.panel] and len(seen) == 2
    assert button.delete_page(first[button.made])[button.made] == ""
    assert "/r/" not in press(first[button.made])[-1][button.panel], "what was deleted is not shown as if it were there"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("/tmp/secret/place"), "The result is no longer kept here. Make it again, then share it."),
        (BadSetting("It is too large to share."), "It is too large to share."),
        (RuntimeError("/tmp/secret/place"), "Something unexpected went wrong. It has been logged."),
    ],
)
def test_what_fails_is_one_sentence(error: Exception, said: str) -> None:
    def share(place: Place, what: str) -> Run[Page]:
        yield Step(0, 1, "writing")
        raise error

    button, press, _ = place(share)
    shown = press("")[-1]
    assert said in shown[button.panel] and "secret" not in shown[button.panel] and button.made not in shown


def make_page(place: Place, what: str) -> Run[Page]:
    yield Step(0, 1, "drawing")
    return PAGE


def test_what_deletes_a_page_stays_with_the_browser() -> None:
    """A run's address may be handed on: who opens it is shown the link, and cannot delete the page."""
    button, press, what = place(make_page)
    run = results.begin("", "")
    run.note({what: "a result"})
    told = press("")[-1]
    known = json.loads(told[button.made])
    shown = run.since(0)
    assert shown[button.panel] == told[button.panel] and json.loads(shown[button.made]) == {"id": known["id"]}
    assert known["secret"] not in str(shown)
    assert press(shown[button.made])[-1] == {button.panel: told[button.panel], button.made: shown[button.made]}
    said = button.delete_page(shown[button.made])
    assert "Only who shared this page can delete it" in said[button.panel] and store.find(known["id"]) is not None
    assert "is deleted" in button.delete_page(told[button.made])[button.panel]
    assert run.since(0)[button.panel] == "" and store.find(known["id"]) is None


def test_nobody_waits_while_a_page_is_written_or_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """To draw the page is computing, in its turn; disk and Hub take nobody's."""
    turns: dict[str, bool] = {}
    add = store.add

    def note(what: str) -> None:
        turns[what] = lanes.LANES._running is not None

    def make(place: Place, what: str) -> Run[Page]:
        note("drawing")
        yield Step(0, 1, "drawing")
        return PAGE

    def add_noting(place: Place, page: Page) -> Run[None]:
        for step in add(place, page):
            note("writing")
            yield step

    monkeypatch.setattr(dataset, "start", lambda folder: note("asking"))
    monkeypatch.setattr(store, "add", add_noting)
    button, press, _ = place(make)
    assert "/r/" in press("")[-1][button.panel]
    assert turns == {"asking": False, "drawing": True, "writing": False}
