"""Calls as strangers may make them, at random: none ends by accident. `python -m performance.fuzz` makes more."""

import httpx
import pytest

from performance import fuzz
from performance.fuzz import Answer, draw_calls


def test_no_call_ends_by_accident(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 15.0)  # a hang; the machine may be busy
    answers = list(draw_calls(served, 60, seed=7))
    assert {answer.what: answer.fault for answer in answers if answer.fault} == {}
    statuses = {answer.status // 100 for answer in answers}
    assert statuses >= {2, 4}, "some are understood, others refused"
    page = httpx.get(served, timeout=5)
    assert page.status_code == 200 and page.headers["Content-Security-Policy"].startswith("frame-ancestors *;")


def test_what_counts_as_an_accident() -> None:
    good = Answer("", 200, 0.1, 'event: error\ndata: {"error": "There is no model."}')
    assert good.fault == ""
    assert good._replace(status=500).fault == "status 500" and good._replace(status=503).fault == ""
    assert good._replace(seconds=3.0).fault == "took 3.0 s"
    for said in ("root:x:0:0", "KeyError: 'x'", "Traceback (most", "<class 'int'>", "/lib/site-packages/gradio"):
        assert good._replace(said=said).fault.startswith("says")
