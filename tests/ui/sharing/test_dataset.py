"""Shared pages in a dataset of the Hub: sent, fetched when this disk has lost them, and deleted there too."""

import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipelines.errors import BadSetting, CannotWrite
from tests.support.hub import MAY_WRITE, LoopbackHub, use
from ui.sharing import dataset, store

REPO = "owner/shared"

# huggingface_hub 2.4 hands large files to httpx2 in a way that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", MAY_WRITE)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("UPSCALE_SHARE_DIR", str(tmp_path / "shared"))
        monkeypatch.setenv("UPSCALE_SHARE_REPO", REPO)
        for name in ("_schedulers", "_unknown", "_swept"):
            monkeypatch.setattr(dataset, name, {})
        yield server
        for scheduler in dataset._schedulers.values():
            scheduler.api.run_as_future(int).result(20)  # what it was to do meanwhile is done
            scheduler.stop()


def put() -> store.Place:
    place = store.reserve()
    store.add(place, {store.INDEX: b"<head></head>\0"}, "A title", "About it")
    return place


def send() -> None:
    for scheduler in dataset._schedulers.values():
        scheduler.trigger().result(20)


def test_a_page_outlasts_the_disk_until_it_is_deleted(hub: LoopbackHub) -> None:
    place = put()
    send()
    name = f"pages/{place.id}.zip"
    assert hub.created[REPO]["visibility"] == "private" and name in hub.datasets[REPO]
    os.unlink(store.folder() / f"{place.id}.zip")  # the Space was restarted
    found = store.find(place.id)
    assert found is not None and store.read(found, store.INDEX) == b"<head></head>\0"
    assert [path.name for path in store.folder().iterdir()] == [found.name], "nothing else is left of the fetching"
    assert not store.delete(place.id, "wrong") and name in hub.datasets[REPO]
    assert store.delete(place.id, place.secret)
    assert name not in hub.datasets[REPO] and hub.squashed == [REPO] and store.find(place.id) is None


def test_what_is_not_there_is_asked_for_once(hub: LoopbackHub) -> None:
    put()
    send()
    unknown = store.reserve().id
    assert store.find(unknown) is None and store.find(unknown) is None
    assert len([each for each in hub.asked if unknown in each.path]) == 1
    before = len(hub.asked)
    assert store.find("../../etc/passwd") is None and store.find(unknown.replace(unknown[:4], "0000")) is None
    assert len(hub.asked) == before, "only what could be there is asked for"


def test_pages_whose_time_is_over_go_there_too(hub: LoopbackHub) -> None:
    old, new = put(), put()
    send()
    path = store.folder() / f"{old.id}.zip"
    gone = f"{(old.last_day - store.EPOCH - timedelta(days=99)).days:04x}{old.id[4:]}.zip"
    hub.datasets[REPO][f"pages/{gone}"] = path.read_bytes()
    dataset._swept.clear()
    store.sweep()
    dataset._schedulers[REPO, store.folder()].api.run_as_future(int).result(20)
    assert {*hub.datasets[REPO]} == {".gitattributes", f"pages/{old.id}.zip", f"pages/{new.id}.zip"}


def test_a_public_dataset_is_refused(hub: LoopbackHub) -> None:
    hub.datasets[REPO] = {}
    hub.public.add(REPO)
    with pytest.raises(BadSetting, match="is public, and would list every page"):
        put()
    assert not [*store.folder().glob("*.zip")]


def test_a_hub_that_does_not_answer_is_one_sentence(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = put()
    send()
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(CannotWrite, match="could not be deleted from its storage"), caplog.at_level(logging.ERROR):
        store.delete(place.id, place.secret)
    monkeypatch.setattr(dataset, "_schedulers", {})
    with pytest.raises(CannotWrite, match="its storage does not answer"):
        put()
    monkeypatch.setenv("UPSCALE_SHARE_REPO", "no/such/thing")
    with pytest.raises(BadSetting, match="must be a dataset on the Hub such as owner/name"):
        put()
