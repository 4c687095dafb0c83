"""What the page downloads before anybody asks: quietly, and only where a network may be asked."""

import logging
from pathlib import Path

import pytest

from pipelines.catalog.rows import DAMAGED, Stage, Weights
from pipelines.errors import BadSetting, WeightsUnavailable
from pipelines.runs import Run, Step
from tests.conftest import NOWHERE
from tests.support import hub
from ui.jobs import prefetching

PHOTO = Stage(DAMAGED.model, 4).weights


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Weights]:
    """What is downloaded, on a machine with a network."""
    found: list[Weights] = []

    def fetch(weights: Weights) -> Run[tuple[()]]:
        found.append(weights)
        yield Step(0, 1, "")
        return ()

    hub.use(NOWHERE, tmp_path, monkeypatch)
    monkeypatch.setattr(prefetching, "fetch", fetch)
    monkeypatch.setattr(prefetching, "_failed", set())
    return found


def test_the_model_for_photos_is_fetched(asked: list[Weights]) -> None:
    prefetching.fetch_named()
    assert asked == [PHOTO] and PHOTO is not None and PHOTO.size == 4_885_111


def test_a_setting_names_others_or_none(asked: list[Weights], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", "")
    prefetching.fetch_named()
    assert asked == []
    monkeypatch.setenv("UPSCALE_PRELOAD", "espcn:2, lpips")
    prefetching.fetch_named()
    assert asked == [Stage("espcn", 2).weights], "metrics are not models"
    monkeypatch.setenv("UPSCALE_PRELOAD", "nonsense:2")
    with pytest.raises(BadSetting, match=r"^UPSCALE_PRELOAD: There is no model 'nonsense'"):
        prefetching.fetch_named()


@pytest.mark.usefixtures("own_networks")
def test_what_is_here_is_not_fetched(asked: list[Weights]) -> None:
    prefetching.fetch_named()
    assert asked == []


def test_offline_nothing_is_asked(asked: list[Weights], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub.use(NOWHERE, tmp_path, monkeypatch, offline=True)
    prefetching.fetch_named()
    assert asked == []


def test_a_failure_is_quiet_and_remembered(
    asked: list[Weights], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(weights: Weights) -> Run[tuple[()]]:
        yield Step(0, 1, "")
        raise WeightsUnavailable("nobody answers")

    assert PHOTO is not None and prefetching.can_be_fetched(PHOTO)
    monkeypatch.setattr(prefetching, "fetch", fail)
    prefetching.fetch_named()
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert not prefetching.can_be_fetched(PHOTO)
