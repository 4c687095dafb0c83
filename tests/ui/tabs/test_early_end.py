"""What a tab shows of a run that ended before its end, and later: what is done stays, whatever ended it."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from pipelines.errors import CannotWrite, UpscaleError
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import Run, Step, finish
from tests.conftest import smooth
from tests.ui.jobs.test_allowance import PUBLIC, event_from
from tests.ui.jobs.test_batches import DOUBLED
from ui.jobs import allowance, batches, comparing, keeping, results, running
from ui.jobs.allowance import TooMuch
from ui.jobs.batches import Batch
from ui.jobs.keeping import Update, keep_results
from ui.jobs.loans import TakenBack
from ui.tabs import chained, compare, upscale
from ui.tabs.blind import BlindEvents

BICUBIC = ("bicubic", "", "x2", "", None, "", None, "none", None, "auto")  # what the form gives
ERRORS = (CannotWrite("No room <is> left."), TooMuch("The run was ended."), TakenBack("The GPU was taken back."))


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(results, "_kept", {})
    return tmp_path


def batch_in(folder: Path, count: int = 3) -> Batch:
    for number in range(count):
        images.write(Picture(np.roll(smooth(20, 30), number, axis=0)), folder / f"{number}.png")
    return Batch.of([(folder / f"{number}.png", f"{number}.png") for number in range(count)])


@pytest.fixture
def tab() -> upscale.UpscaleTab:
    with gr.Blocks() as page:
        return upscale.build(page)


def last_of(events: Iterator[Update]) -> Update:
    *_, last = events
    return last


def failing(run: Run[Any], after: int, error: UpscaleError, sees: Any) -> Run[Any]:
    """The run, but that it fails once `sees` has seen so many of its steps."""
    seen = 0
    try:
        for step in run:
            seen += sees(step)
            yield step
            if seen == after:
                raise error
    finally:
        run.close()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_that_fails_gives_what_is_done(
    error: UpscaleError, tab: upscale.UpscaleTab, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason above it, to download and to look at; its address shows the same."""
    run = batches.upscale
    monkeypatch.setattr(
        batches,
        "upscale",
        lambda progress, outlook: failing(run(progress, outlook), 1, error, lambda _: progress.done == 1),
    )
    key = secrets.token_hex(16)
    work = keep_results(tab.button.explain_failure(tab.run), lambda *_: {}, tab.button.run_id)
    last = last_of(work(batch_in(uploads), "PNG", *BICUBIC, key))
    assert "Ended early: 1 of 3 are done." in last[tab.button.progress] and last[tab.button.run].interactive
    told = last[tab.button.problem.text]
    assert 'class="problem above"' in told and str(error).replace("<is>", "&lt;is&gt;") in told
    download = last[tab.board.download]
    assert download.interactive and download.value["orig_name"] == "upscaled_bicubic_x2.zip"
    board = tab.board.items.postprocess(last[tab.board.items])
    assert board.ended and [each.state for each in board.items] == ["done", "waiting", "waiting"]
    again = last_of(iter([*tab.button.show_again(key)][:1]))
    assert "Ended early" in again[tab.button.progress] and again[tab.board.download].value == download.value


def test_a_batch_of_which_nothing_is_done_is_its_problem_alone(
    tab: upscale.UpscaleTab, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "upscale", lambda *_: failing(iter([Step(0, 1, "")]), 0, ERRORS[0], lambda _: 0))  # type: ignore[arg-type]
    last = last_of(tab.button.explain_failure(tab.run)(batch_in(uploads), "PNG", *BICUBIC))
    assert 'class="problem"' in last[tab.button.problem.text] and tab.board.download not in last
    assert "Ready." in last[tab.button.progress]


def test_a_batch_outlasts_its_page_but_not_a_cancel(
    tab: upscale.UpscaleTab, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is waited for in vain: once it has ended nothing goes on, and its address shows the results."""
    monkeypatch.setattr(running, "BETWEEN_SECONDS", 0)
    monkeypatch.setattr(keeping, "_find_session", lambda: "page")
    key = secrets.token_hex(16)
    work = keep_results(tab.button.explain_failure(tab.run), lambda *_: {}, tab.button.run_id)
    events = work(batch_in(uploads), "PNG", *BICUBIC, key)
    next(events)
    next(events)
    assert results.find_patience("page") == float("inf")
    last = last_of(events)
    assert "Done in" in last[tab.button.progress] and results.find_patience("page") is None
    assert results.find(key) is not None

    key = secrets.token_hex(16)
    events = work(batch_in(uploads), "PNG", *BICUBIC, key)
    next(events)
    kept = results.find(key)
    assert kept is not None
    while tab.progress not in kept.shown or not kept.shown[tab.progress][1].done:
        next(events)
    tab.button.cancelled(kept.id)
    assert [*events] == [], "it ends at its next step"
    assert "Cancelled: " in kept.shown[tab.button.progress][1] and results.find(kept.id) is kept
    assert results.find_patience("page") is None


def test_one_image_does_not_outlast_its_page(
    tab: upscale.UpscaleTab, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_find_session", lambda: "page")
    work = keep_results(tab.button.explain_failure(tab.run), lambda *_: {}, tab.button.run_id)
    events = work(batch_in(uploads, 1).sources[0].path, "PNG", *BICUBIC, secrets.token_hex(16))
    next(events)
    assert results.find_patience("page") == results.LOST_SECONDS
    events.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("tab_of", [compare, chained], ids=["compare", "chained"])
def test_a_comparison_that_fails_shows_what_is_measured(
    tab_of: Any, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = comparing.measure
    monkeypatch.setattr(
        comparing,
        "measure",
        lambda comparison: failing(measure(comparison), 1, ERRORS[1], lambda step: isinstance(step, comparing.Scored)),
    )
    images.write(Picture(smooth(64, 64)), uploads / "a.png")
    with gr.Blocks() as page:
        tab = tab_of.build(page)
    request = SimpleNamespace(headers={})
    models = ["nearest", "bicubic"]
    given: tuple[Any, ...] = ([uploads / "a.png"], "round-trip", "x2", "bicubic", models, [], False, request)
    if tab_of is chained:
        given = (uploads / "a.png", "bicubic", "bicubic", True, False)
    last = last_of(tab.button.explain_failure(tab.run)(*given))
    assert "Ended early: 1 of " in last[tab.button.progress] and " are below." in last[tab.button.progress]
    assert 'class="problem above"' in last[tab.button.problem.text]
    assert "The run was ended." in last[tab.button.problem.text]
    table = tab.results.table if tab_of is compare else tab.table
    assert table in last


def test_to_look_at_results_is_no_run_of_the_visitors(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at those of a batch nor at another image of a comparison nor at two beside each other, blind."""
    monkeypatch.setenv("UPSCALE_MAX_RUNS_PER_HOUR", "1")
    monkeypatch.setattr(allowance, "ALLOWANCES", allowance.Allowances())
    chosen = batch_in(uploads)
    progress = batches.begin(chosen, DOUBLED, "png")
    finish(batches.upscale(progress, batches.foresee(chosen, DOUBLED)))
    comparison = comparing.start([uploads / "0.png"], "round-trip", "x2", "bicubic", ["nearest", "bicubic"], [])
    finish(comparing.measure(comparison))
    with gr.Blocks() as page:
        batch_tab, compare_tab = upscale.build(page), compare.build(page)
    blind_test = BlindEvents(compare_tab.button, compare_tab.results)
    event = gr.EventData(None, {"number": 0})
    with event_from(PUBLIC):
        for _ in range(3):
            assert last_of(batch_tab.look_at(progress, event))[batch_tab.board.viewer].panes
            assert last_of(compare_tab.show_picture(comparison, event))[compare_tab.results.viewer].panes
            assert last_of(blind_test.begin(comparison, ""))[compare_tab.results.blind.window]
