"""What one visitor may have in an hour, who a visitor is, and that this machine's own is none."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from gradio.context import LocalContext

from pipelines import environment
from pipelines.runs import Run, Step, finish
from ui.jobs import allowance
from ui.jobs.allowance import Allowances, TooMuch, check_seconds, find_visitor
from ui.jobs.lanes import CUT_OFF, LOOK, MOMENT, Expected, Lanes, TooBusy, Visit, visiting

PUBLIC = "93.184.216.34"


@contextmanager
def event_from(host: str, *noted: str) -> Iterator[None]:
    """As in an event that was sent from that address, through proxies that noted these: as uvicorn hands it on."""
    headers = [(b"x-forwarded-for", line.encode()) for line in noted]
    scope: dict[str, Any] = {"type": "http", "headers": headers, "client": (host, 1234)}

    async def serve(given: Any, receive: Any, send: Any) -> None:
        scope.update(given)

    config = uvicorn.Config(serve, log_config=None)
    config.load()
    with suppress(StopIteration):  # it waits for nothing, and the browser of other tests keeps the loop
        config.loaded_app(scope, None, None).send(None)  # type: ignore
    token = LocalContext.request.set(SimpleNamespace(client=SimpleNamespace(host=scope["client"][0])))  # type: ignore[arg-type]
    try:
        yield
    finally:
        LocalContext.request.reset(token)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "ALLOWANCES", Allowances())


LAN, PROXY, SPACE = "192.168.1.7", "10.16.3.80", {"SPACE_ID": "somebody/space"}
NAMED = {"FORWARDED_ALLOW_IPS": PROXY}


@pytest.mark.parametrize(
    ("host", "noted", "visitor", "settings"),
    [
        ("127.0.0.1", [], None, {}),
        ("::1", [], None, {}),
        ("::ffff:127.0.0.1", [], None, {}),
        (PUBLIC, [], PUBLIC, {}),
        (PUBLIC, ["8.8.8.8"], PUBLIC, {}),  # it is no proxy of ours
        ("127.0.0.1", [PUBLIC], PUBLIC, {}),
        ("127.0.0.1", [f"8.8.8.8, {LAN}"], LAN, {}),  # as nginx on this machine adds to what somebody wrote
        ("127.0.0.1", ["nonsense"], "unknown", {}),
        (LAN, [], LAN, {}),
        (LAN, ["8.8.8.8"], LAN, {}),
        (LAN, ["127.0.0.1"], LAN, {}),
        (PROXY, [PUBLIC], PROXY, {}),  # nobody said that it is a proxy
        (PROXY, [PUBLIC], PUBLIC, NAMED),
        (PROXY, [f"8.8.8.8, {LAN}"], LAN, NAMED),
        (LAN, ["8.8.8.8"], LAN, NAMED),
        ("127.0.0.1", [PUBLIC], PUBLIC, NAMED),  # so a call by the Model Context Protocol comes
        (PROXY, [PUBLIC], PUBLIC, {"FORWARDED_ALLOW_IPS": "10.16.0.0/16"}),
        (PROXY, [f"127.0.0.1, 8.8.8.8, {PUBLIC}, 10.0.0.1"], PUBLIC, SPACE),
        (PROXY, ["8.8.8.8", PUBLIC], PUBLIC, SPACE),
        (PROXY, [], PROXY, SPACE),
        (PUBLIC, ["8.8.8.8"], PUBLIC, SPACE),
        ("2606:50c0:8000:1:2:3:4:5", [], "2606:50c0:8000:1::/64", {}),
    ],
)
def test_who_a_visitor_is(
    host: str, noted: list[str], visitor: str | None, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes into a header what proxies note gains nothing by it."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    environment.trust_proxies()
    with event_from(host, *noted):
        assert find_visitor() == visitor
    assert find_visitor() is None, "without an event"


def test_an_hour_of_runs() -> None:
    now = [0.0]
    line = Allowances(lambda: now[0])
    for minutes in (0, 10, 20):
        now[0] = 60.0 * minutes
        line.take("a", "runs", 3)
    now[0] = 60.0 * 25
    with pytest.raises(TooMuch, match=r"^One visitor may start 3 runs per hour here: try again in 35 min\.$"):
        line.take("a", "runs", 3)
    for visitor, most in (("b", 3), ("a", None), (None, 3), ("a", 4)):
        line.take(visitor, "runs", most)
    now[0] = 60.0 * 60
    line.take("a", "runs", 4)
    with pytest.raises(
        TooMuch, match=r"^One visitor may have 3 models downloaded per hour here, and this run needs 4: choose fewer\.$"
    ):
        line.take("a", "downloads", 3, 4)
    line.take("a", "downloads", 3, 3)


def test_when_there_is_room_for_all_that_is_asked_for() -> None:
    """Not when there is for one of them."""
    now = [0.0]
    line = Allowances(lambda: now[0])
    for minutes in (0, 10, 20):
        now[0] = 60.0 * minutes
        line.take("a", "downloads", 4)
    now[0] = 60.0 * 30
    for count, again in ((2, "30 min"), (3, "40 min"), (4, "50 min")):
        with pytest.raises(TooMuch, match=rf"try again in {again}\.$"):
            line.take("a", "downloads", 4, count)
    now[0] = 60.0 * 70
    line.take("a", "downloads", 4, 3)


def test_no_more_visitors_are_known_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MOST_VISITORS", 5)
    line = Allowances()
    for number in range(20):
        line.take(str(number), "runs", 1)
    assert [*line._had] == [(str(number), "runs") for number in range(15, 20)]


def test_limits_of_a_visitor_are_for_spaces_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that is too many is refused with what can be done at once; of this machine's own none is."""
    with event_from(PUBLIC):
        allowance.take_downloads(50)
        monkeypatch.setenv("SPACE_ID", "somebody/space")
        allowance.take_downloads(10)
        with pytest.raises(
            TooMuch,
            match=r"^One visitor may have 10 models downloaded per hour here: choose a model that needs no",
        ):
            allowance.take_downloads(1)
        allowance.take_downloads(0)
        monkeypatch.setenv("UPSCALE_MAX_DOWNLOADS_PER_HOUR", "0")
        allowance.take_downloads(50)
        monkeypatch.delenv("SPACE_ID")
        monkeypatch.setenv("UPSCALE_MAX_RUNS_PER_HOUR", "1")
        allowance.take_run()
        with pytest.raises(TooMuch, match=r"^One visitor may start 1 run per hour here"):
            allowance.take_run()
    with event_from("127.0.0.1"):
        allowance.take_run()


def test_how_long_a_visitors_run_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_RUN_SECONDS", "600")
    check_seconds(601)
    with event_from(PUBLIC):
        check_seconds(600)
        check_seconds(None)
        with pytest.raises(
            TooMuch, match=r"^That would take about 3\.0 h, and one run may compute for 10 min here: choose"
        ):
            check_seconds(10_800)


def steps(total: int) -> Run[str]:
    for done in range(total):
        yield Step(done, total, "step")
    return "done"


def test_a_visit_counts_once_and_a_refused_one_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_RUNS_PER_HOUR", "1")
    line = Lanes(free_memory=lambda: 10_000)
    with event_from(PUBLIC), visiting(Visit()):
        assert finish(line.take_turns(steps(2))) == finish(line.take_turns(steps(2))) == "done"
    with event_from(PUBLIC), visiting(Visit()), pytest.raises(TooMuch, match="1 run per hour"):
        finish(line.take_turns(steps(2)))
    with event_from("127.0.0.1"):
        assert finish(line.take_turns(steps(2))) == "done"
    assert line._line == []


def test_to_look_at_a_result_counts_as_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at sixty results of a batch may upscale afterwards, and looks though the queue is full."""
    monkeypatch.setenv("UPSCALE_MAX_RUNS_PER_HOUR", "1")
    monkeypatch.setenv("UPSCALE_MAX_QUEUE", "1")
    line = Lanes(free_memory=lambda: 10**12)
    with event_from(PUBLIC):
        for _ in range(60):
            assert finish(line.take_turns(steps(2), LOOK)) == "done"
        runs = [line.take_turns(steps(3), Expected(60.0)) for _ in range(3)]
        next(runs[0])
    with event_from("8.8.8.8"):
        next(runs[1])
    with event_from("1.1.1.1"), pytest.raises(TooBusy):
        next(runs[2])
    with event_from(PUBLIC):
        look = line.take_turns(steps(2), LOOK)
        assert next(look).note.startswith("In line: 1st"), "it waits as all do"
        for run in runs:
            run.close()
        assert finish(look) == "done"
        with pytest.raises(TooMuch, match="1 run per hour"):
            finish(line.take_turns(steps(2), MOMENT))


def test_a_run_that_takes_much_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it computed, not by how long it waited; nobody waits for it afterwards."""
    monkeypatch.setenv("UPSCALE_MAX_RUN_SECONDS", "0.02")
    line, closed = Lanes(free_memory=lambda: 10_000), []

    def endless() -> Run[None]:
        try:
            while True:
                allowance.time.sleep(0.01)
                yield Step(0, 1, "endless")
        finally:
            closed.append(True)

    with event_from(PUBLIC):
        run = line.take_turns(endless(), Expected(0.01))
        with pytest.raises(
            TooMuch, match=r"^The run was ended after 0\.0\d s: one run may compute for 0\.02 s here\. Choose"
        ):
            finish(run)
        with pytest.raises(TooMuch, match=r"^That would take about 1\.0 s"):
            finish(line.take_turns(steps(1), Expected(1.0)))
    assert closed == [True] and line._line == [] and CUT_OFF > 1
