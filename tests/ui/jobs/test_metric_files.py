"""The files of metrics that the server fetches while the page opens."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Url, Weights
from pipelines.measuring.run import find_missing_files
from tests.support.hub import LoopbackHub, use
from ui.jobs import gpu, metric_files

CONTENT = b"what a metric reads" * 100


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A web server with the file of a metric."""
    with LoopbackHub() as hub:
        use(hub.url, tmp_path / "home", monkeypatch)
        file = File("metric.pth", len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
        needed = {"network": Weights((file,), (Url(f"{hub.url}/raw"),))}
        monkeypatch.setitem(catalog.METRIC_FILES, "made", needed)
        yield hub


def test_what_is_named_is_downloaded_and_is_no_model(server: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.serve("/raw/metric.pth", CONTENT)
    monkeypatch.setenv("UPSCALE_PRELOAD", "espcn:2, made")
    assert find_missing_files("made")
    gpu.preload()
    thread = metric_files.start_fetching()
    assert thread is not None and thread.daemon, "it does not keep the page from ending"
    thread.join(30)
    assert find_missing_files("made") == []


def test_what_cannot_be_downloaded_is_logged(
    server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", "made")
    thread = metric_files.start_fetching()
    assert thread is not None
    thread.join(30)
    assert "made is not preloaded: metric.pth" in caplog.text and find_missing_files("made")


def test_niqe_comes_unasked_and_fails_quietly(
    server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("UPSCALE_PRELOAD", raising=False)
    monkeypatch.setitem(catalog.METRIC_FILES, metric_files.USUAL, catalog.METRIC_FILES["made"])
    thread = metric_files.start_fetching()
    assert thread is not None
    thread.join(30)
    assert metric_files.USUAL == "niqe" and server.gets("/raw/metric.pth") and caplog.text == ""
    lacking = metric_files.load_judges().lacking
    assert lacking["niqe"] == "The server could not download NIQE (2 kB)."
    assert lacking["lpips"] == "LPIPS is not installed here (244 MB).", "nobody asked for it"
    server.serve("/raw/metric.pth", CONTENT)
    again = metric_files.start_fetching()
    assert again is not None
    again.join(30)
    assert "download" not in metric_files.load_judges().lacking["niqe"]


def test_without_a_metric_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRELOAD", "espcn:2")
    assert metric_files.start_fetching() is None
