"""What is told before a run: at once, and better after one."""

import pytest

from pipelines import estimates
from pipelines.catalog import MODELS
from pipelines.estimates import estimate, learn, seconds_of


@pytest.fixture(autouse=True)
def _unlearned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_seconds", dict(estimates._seconds))


def test_every_measured_model_has_a_time() -> None:
    for model in MODELS:
        for scale in model.scales:
            assert (estimate(model.key, scale, 100, 100).seconds is None) == (model.key == "edsr")


def test_time_and_memory_grow_with_the_picture() -> None:
    small, large = estimate("espcn", 2, 500, 500), estimate("espcn", 2, 1000, 1000)
    assert small.seconds is not None and large.seconds == pytest.approx(4 * small.seconds)
    assert large.megabytes == pytest.approx(1000 * 1000 * 5 * 12 / 1e6)


def test_a_run_teaches() -> None:
    learn("edsr", 2, 1000, 500, 40.0)
    assert estimate("edsr", 2, 500, 500).seconds == pytest.approx(20)


def test_a_tiny_picture_teaches_nothing() -> None:
    before = estimate("espcn", 2, 500, 500)
    learn("espcn", 2, 9, 9, 5.0)
    assert estimate("espcn", 2, 500, 500) == before


def test_a_chain_takes_as_long_as_its_stages() -> None:
    first, second = estimate("espcn", 4, 100, 50), estimate("fsrcnn", 2, 400, 200)
    assert first.seconds is not None and second.seconds is not None
    assert seconds_of([("espcn", 4), ("fsrcnn", 2)], 100, 50) == pytest.approx(first.seconds + second.seconds)


def test_a_chain_with_a_model_that_was_never_measured_has_no_time() -> None:
    assert seconds_of([("edsr", 4), ("bicubic", 2)], 100, 50) is None
