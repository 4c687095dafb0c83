"""The store of shared pages: unguessable, bounded in time and room, deleted by who made them alone."""

import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipelines.errors import BadSetting, CannotWrite
from pipelines.runs import finish
from ui.sharing import store
from ui.sharing.store import Page

DAY = 86_400
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UPSCALE_SHARE_DIR", str(tmp_path / "shared"))
    return tmp_path / "shared"


def put(content: bytes = b"<head></head>", now: float | None = None) -> store.Place:
    place = store.reserve(now)
    finish(store.add(place, Page({store.INDEX: content}, "A title", "What it is about")))
    return place


def test_a_page_is_found_by_its_id_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tile.webp").write_bytes(b"a tile")
    place = store.reserve()
    files = {store.INDEX: b"<p>", "0-0/0_0_0.webp": tmp_path / "tile.webp"}
    assert [(step.done, step.total) for step in store.add(place, Page(files, "A title", "About it"))] == [
        (3, 9),
        (9, 9),
    ]
    found = store.find(place.id)
    assert found is not None and [*folder.iterdir()] == [found]
    assert store.read(found, store.INDEX) == b"<p>" and store.read(found, "0-0/0_0_0.webp") == b"a tile"
    assert store.read(found, "../tile.webp") is None
    told = store.tell(found)
    assert (told["title"], told["about"]) == ("A title", "About it")
    assert place.secret not in found.read_bytes().decode("latin-1"), "who finds the file cannot delete the page"
    assert len({re.sub("^[0-9a-f]{4}-", "", store.reserve().id) for _ in range(100)}) == 100
    for key in ("", "..", "../shared", place.id[:-1], place.id + "/", place.id.upper(), f"{place.id}.zip", "x" * 27):
        assert store.find(key) is None
    assert folder.stat().st_mode & 0o077 == 0, "nobody else on this machine reads it"


def test_it_is_kept_through_its_last_day(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("UPSCALE_SHARE_DAYS", "3")
    place = put(now=NOON)
    assert place.last_day == date(2026, 12, 1) == store.last_day_of(place.id)
    last = datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC).timestamp()
    assert store.find(place.id, last) is not None and store.find(place.id, last + 1) is None
    (folder / "notes.txt").write_text("of somebody else")
    store.sweep(last)
    assert store.find(place.id, last) is not None
    store.sweep(last + 1)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setenv("UPSCALE_MAX_SHARED_MEGABYTES", "0.2")  # and a page may take a tenth
    places = []
    for number in range(12):
        places.append(put(os.urandom(19_000)))
        path = store.find(places[-1].id)
        assert path is not None
        os.utime(path, (number, number))
    kept = [store.find(place.id) is not None for place in places]
    assert kept[:2] == [False, False] and all(kept[-8:])
    with pytest.raises(BadSetting, match="too large to share: its page would take 30 kB, and at most 20 kB"):
        put(os.urandom(30_000))
    assert all(store.find(place.id) for place in places[-8:]), "nothing gives way to what is refused"


def test_only_who_made_it_deletes_it() -> None:
    place, other = put(), put()
    assert not store.delete(place.id, other.secret) and not store.delete(place.id, "")
    assert store.find(place.id) is not None
    assert store.delete(place.id, place.secret)
    assert store.find(place.id) is None and store.find(other.id) is not None
    assert store.delete(place.id, "whatever"), "what is gone is deleted"


def test_nothing_half_written_stays(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    place = store.reserve()
    with pytest.raises(FileNotFoundError):  # swept meanwhile
        finish(store.add(place, Page({store.INDEX: b"", "a.webp": tmp_path / "gone.webp"}, "", "")))
    leaving = store.add(place, Page({store.INDEX: b"<p>"}, "", ""))
    next(leaving)
    leaving.close()
    assert store.find(place.id) is None and [*folder.iterdir()] == [], "whoever leaves meanwhile has shared nothing"
    full = OSError(28, "No space left on device")

    def write(*_: object, **__: object) -> None:
        raise full

    monkeypatch.setattr("zipfile.ZipFile.writestr", write)
    with pytest.raises(CannotWrite, match="No space left on device"):
        finish(store.add(place, Page({store.INDEX: b""}, "", "")))
    assert store.find(place.id) is None and [*folder.iterdir()] == []


def test_sharing_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.sharing.button import place_share_button
    from ui.sharing.routes import make_routes

    assert make_routes()
    monkeypatch.setenv("UPSCALE_SHARE_DAYS", "0")
    assert make_routes() == [] and place_share_button("x") is None
    with pytest.raises(BadSetting, match="turned off"):
        store.reserve()


def test_whatever_is_sent_to_the_delete_button_deletes_nothing_else() -> None:
    import gradio as gr

    from ui.sharing.button import place_share_button

    with gr.Blocks():
        button = place_share_button("x")
    assert button is not None
    place, other = put(), put()
    for made in ("", "{", "[]", "null", '{"id": 1}'):
        assert "Only who shared" not in str(button.delete_page(made)[button.panel])
    for wrong in (f'"{other.secret}"', '""', "null", '"\\ud800"'):
        said = button.delete_page(f'{{"id": "{place.id}", "secret": {wrong}}}')
        assert "Only who shared this page can delete it" in said[button.panel]
    assert store.find(place.id) is not None
    said = button.delete_page(f'{{"id": "{place.id}", "secret": "{place.secret}"}}')
    assert store.find(place.id) is None and "The shared page is deleted" in said[button.panel]
