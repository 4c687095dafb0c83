"""Shared pages in a dataset of the Hub: sent, fetched when this disk has lost them, and deleted there too."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipelines.errors import BadSetting, CannotWrite
from pipelines.runs import finish
from tests.support.hub import MAY_WRITE, LoopbackHub, use
from ui.sharing import dataset, store
from ui.sharing.dataset import Unanswered
from ui.sharing.routes import make_routes

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
        for name in ("_apis", "_schedulers", "_listings", "_deleting", "_swept"):
            monkeypatch.setattr(dataset, name, {})
        yield server
        for api in dataset._apis.values():
            api.run_as_future(int).result(20)  # what it was to do meanwhile is done
        for scheduler in dataset._schedulers.values():
            scheduler.stop()


def put() -> store.Place:
    place = store.reserve()
    finish(store.add(place, store.Page({store.INDEX: b"<head></head>\0"}, "A title", "About it")))
    return place


def send() -> None:
    for scheduler in dataset._schedulers.values():
        scheduler.trigger().result(20)


def lose(place: store.Place) -> Path:
    """As when a Space was restarted; returns where the page was."""
    path = store.folder() / f"{place.id}.zip"
    path.unlink()
    dataset._listings.clear()
    return path


def test_a_page_outlasts_the_disk_until_it_is_deleted(hub: LoopbackHub) -> None:
    place = put()
    send()
    name = f"pages/{place.id}.zip"
    assert hub.created[REPO]["visibility"] == "private" and name in hub.datasets[REPO]
    assert store.folder().stat().st_mode & 0o077 == 0, "nobody else on this machine reads it"
    lose(place)
    found = store.find(place.id)
    assert found is not None and store.read(found, store.INDEX) == b"<head></head>\0"
    assert [path.name for path in store.folder().iterdir()] == [found.name], "nothing else is left of the fetching"
    assert not store.delete(place.id, "wrong") and name in hub.datasets[REPO]
    assert store.delete(place.id, place.secret)
    assert name not in hub.datasets[REPO] and hub.squashed == [REPO] and store.find(place.id) is None


def test_nobody_brings_a_page_back_that_is_being_deleted(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither who looks at it before it has left the dataset, nor who began to open it before that."""
    first, second = put(), put()
    send()
    seen, delete, download = [], dataset._delete, huggingface_hub.hf_hub_download

    def delete_watched(repo: str, names: Sequence[str]) -> None:
        seen.append(store.find(first.id))
        delete(repo, names)
        seen.append(store.find(first.id))

    def download_slowly(*given: Any, **more: Any) -> str:
        found: str = download(*given, **more)
        dataset.delete(store.folder() / f"{second.id}.zip")
        return found

    with monkeypatch.context() as patches:
        patches.setattr(dataset, "_delete", delete_watched)
        assert store.delete(first.id, first.secret)
    lose(second)
    with monkeypatch.context() as patches:
        patches.setattr(huggingface_hub, "hf_hub_download", download_slowly)
        assert store.find(second.id) is None
    assert seen == [None, None]
    send()
    assert {*hub.datasets[REPO]} == {".gitattributes"} and not [*store.folder().glob("*.zip")]
    assert store.find(first.id) is None and store.find(second.id) is None


@pytest.mark.parametrize("what", ["the list", "the page"])
def test_what_nobody_can_tell_is_not_said(
    what: str, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that only the Hub has, which does not answer, is neither gone nor deleted: to nobody, with any secret."""
    place = put()
    send()
    lose(place)

    def fail(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("The Hub cannot be reached, and the file is not here.")

    with monkeypatch.context() as patches:
        if what == "the list":
            patches.setenv("HF_TOKEN", "hf_other")
        else:
            patches.setattr(huggingface_hub, "hf_hub_download", fail)
        for secret in (place.secret, "wrong"):
            with pytest.raises(Unanswered, match="does not answer at the moment"), caplog.at_level(logging.ERROR):
                store.delete(place.id, secret)
        with TestClient(Starlette(routes=make_routes())) as client, caplog.at_level(logging.ERROR):
            asked = [
                client.get(f"/r/{place.id}"),
                client.get(f"/r/{place.id}/page.css"),
                client.delete(f"/r/{place.id}"),
            ]
        assert [answer.status_code for answer in asked] == [503] * 3 and asked[0].headers["retry-after"] == "60"
        assert all("does not answer at the moment" in answer.text for answer in asked)
    monkeypatch.setattr(dataset, "FAILED_SECONDS", 0.0)
    assert not store.delete(place.id, "wrong") and store.delete(place.id, place.secret)
    assert {*hub.datasets[REPO]} == {".gitattributes"} and store.delete(place.id, "whatever"), "what is gone is deleted"


def test_made_up_pages_cost_the_hub_nothing(hub: LoopbackHub) -> None:
    put()
    send()
    unknown = [store.reserve().id for _ in range(20)]
    before = len(hub.asked)
    assert [store.find(each) for each in unknown] == [None] * 20
    assert not [each for each in hub.asked[before:] if "/resolve/" in each.path] and len(dataset._listings) == 1
    listed = dataset._listings[REPO]
    assert store.find("../../etc/passwd") is None and dataset._listings[REPO] is listed


def test_few_wait_for_a_hub_that_hangs(monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub) -> None:
    """Each that waits has a thread, of which all answers share some; the others are told at once."""
    ids, hang = [store.reserve().id for _ in range(12)], threading.Event()
    send()

    def hang_on(*_: Any, **__: Any) -> list[Any]:
        hang.wait(20)
        return []

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_tree", hang_on)
    client = TestClient(Starlette(routes=make_routes()))
    with ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(client.get, f"/r/{key}") for key in ids]
        told = [each.result().status_code for each in islice(as_completed(asked, timeout=10), 8)]
        assert told == [503] * 8 and sum(each.done() for each in asked) == 8
        hang.set()
        assert sorted(each.result().status_code for each in asked) == [404] * 4 + [503] * 8
    place = put()
    with monkeypatch.context() as patches:
        patches.setattr(dataset, "_line", threading.BoundedSemaphore(1))
        with dataset._waiting(), pytest.raises(Unanswered, match="Too many others"):
            store.delete(place.id, place.secret)
    assert store.find(place.id) is not None and store.delete(place.id, place.secret)


def test_what_was_deleted_leaves_the_history_later_if_not_at_once(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = put()
    send()

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("cut off")

    with monkeypatch.context() as patches, caplog.at_level(logging.ERROR):
        patches.setattr(huggingface_hub.HfApi, "super_squash_history", fail)
        with pytest.raises(CannotWrite):
            store.delete(place.id, place.secret)
    assert hub.squashed == [] and store.find(place.id) is not None, "nobody was told that it is deleted"
    assert store.delete(place.id, place.secret) and hub.squashed == [REPO]


def test_pages_whose_time_is_over_go_there_too(hub: LoopbackHub) -> None:
    old, new = put(), put()
    send()
    path = store.folder() / f"{old.id}.zip"
    gone = f"{(old.last_day - store.EPOCH - timedelta(days=99)).days:04x}{old.id[4:]}.zip"
    hub.datasets[REPO][f"pages/{gone}"] = path.read_bytes()
    sweep()
    assert {*hub.datasets[REPO]} == {".gitattributes", f"pages/{old.id}.zip", f"pages/{new.id}.zip"}


def sweep() -> None:
    dataset._swept.clear()
    store.sweep()
    dataset._apis[REPO].run_as_future(int).result(20)


def test_there_is_room_for_so_much_there_too(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be deleted next by its day goes first."""
    place = put()
    send()
    content = (store.folder() / f"{place.id}.zip").read_bytes()
    names = [f"pages/{(place.last_day - store.EPOCH).days + day:04x}{place.id[4:]}.zip" for day in range(4)]
    hub.datasets[REPO] |= dict.fromkeys(names, content)
    monkeypatch.setenv("UPSCALE_MAX_SHARED_MEGABYTES", str(2.5 * len(content) / 1e6))
    sweep()
    assert {*hub.datasets[REPO]} == {".gitattributes", *names[2:]}


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
    assert store.find(place.id) is not None, "it is still there, here too"
    monkeypatch.setattr(dataset, "_schedulers", {})
    with pytest.raises(CannotWrite, match="its storage does not answer"):
        put()
    monkeypatch.setenv("UPSCALE_SHARE_REPO", "no/such/thing")
    with pytest.raises(BadSetting, match="must be a dataset on the Hub such as owner/name"):
        put()
