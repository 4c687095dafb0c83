"""The addresses of shared pages: whether a secret deletes one is told to who has it, and to nobody else."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipelines.runs import finish
from ui.sharing import store
from ui.sharing.routes import GONE, NOT_YOURS, SECRET_HEADER, make_routes


def test_a_browser_asks_whether_a_secret_is_worth_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_SHARE_DIR", str(tmp_path))
    place = store.reserve()
    finish(store.add(place, store.Page({store.INDEX: b"<head></head>"}, "A title", "About it")))
    with TestClient(Starlette(routes=make_routes())) as client:
        for secret, told in ((place.secret, "valid"), ("x", None), ("", None)):
            answer = client.head(f"/r/{place.id}", headers={SECRET_HEADER: secret})
            assert (answer.status_code, answer.headers.get(SECRET_HEADER)) == (200, told)
        assert SECRET_HEADER not in client.get(f"/r/{place.id}").headers
        refused = client.delete(f"/r/{place.id}", headers={SECRET_HEADER: "x"})
        assert (refused.status_code, refused.text) == (403, NOT_YOURS)
        assert client.delete(f"/r/{place.id}", headers={SECRET_HEADER: place.secret}).status_code == 200
        gone = client.get(f"/r/{place.id}")
        assert gone.status_code == 404 and GONE in gone.text
