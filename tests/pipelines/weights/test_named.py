"""Files that somebody names by an address or by OpenModelDB's name: real HTTP with a server on loopback."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pipelines.catalog import openmodeldb as database
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Direct, File, OpenModelDb, Weights
from pipelines.errors import WeightsUnavailable
from pipelines.runs import finish
from pipelines.weights import openmodeldb, public, visitors
from pipelines.weights.fetch import fetch, find
from pipelines.weights.refusals import Refused
from tests.support.hub import Behaviour, LoopbackHub, use
from tests.support.networks import as_pth, tiny_compact

CONTENT = as_pth({"params": tiny_compact()})
LIST = "/api/v1/models.json"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A server that counts as one of the public internet, and that gives OpenModelDB's list and its files."""
    check = public.check_request
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("UPSCALE_OPENMODELDB", server.url)
        monkeypatch.setenv("UPSCALE_MODEL_HOSTS", "127.0.0.1")
        monkeypatch.setattr(database, "SCHEME", "http")
        monkeypatch.setattr(public, "check_peer", lambda connected: None)
        monkeypatch.setattr(public, "check_request", lambda each: check(each) if each.url.host != "127.0.0.1" else None)
        monkeypatch.setattr(database, "list_path", lambda: tmp_path / "openmodeldb" / "models.json")
        yield server


def publish(hub: LoopbackHub, behaviour: Behaviour = "ok", **resource: Any) -> str:
    """A list with one model in it, and its file; returns the file's path on the server."""
    told = {
        "platform": "pytorch",
        "type": "pth",
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "urls": [f"{hub.url}/files/4x-Tiny.pth"],
    }
    model = {"scale": 4, "architecture": "compact", "author": "ann", "license": "MIT", "resources": [told | resource]}
    hub.serve(LIST, json.dumps({"4x-Tiny": model}).encode())
    return hub.serve("/files/4x-Tiny.pth", CONTENT, behaviour)


def row(name: str = "4x-Tiny") -> Weights:
    weights = catalog.weights_for(catalog.find(f"omdb/{name}"), 4)
    assert weights is not None
    return weights


def message(weights: Weights) -> str:
    with pytest.raises(WeightsUnavailable) as caught:
        finish(fetch(weights))
    return str(caught.value)


def test_a_name_is_enough(hub: LoopbackHub) -> None:
    """The list is brought once, then the file, which is proven, and found without a question from then on."""
    path = publish(hub)
    (found,) = finish(fetch(row()))
    assert found.path.read_bytes() == CONTENT
    assert [asked.path for asked in hub.asked] == [LIST, path]
    again = finish(fetch(row()))[0]
    assert (again.path, again.proof, again.origin) == (found.path, "sha256", "OpenModelDB 4x-Tiny")
    assert len(hub.asked) == 2 and find(row()) is not None
    assert found.path.is_relative_to(visitors.folder())


def test_a_wrong_hash_is_refused_and_nothing_stays(hub: LoopbackHub) -> None:
    publish(hub, "wrong")
    assert "OpenModelDB 4x-Tiny (127.0.0.1" in message(row()) and not list(visitors.folder().rglob("*.pth*"))
    publish(hub, sha256="ab" * 32)
    database.list_path().unlink()
    assert "gave wrong bytes (4x-Tiny.pth is not the published file" in message(row())


def test_a_download_that_stops_is_continued(hub: LoopbackHub) -> None:
    path = publish(hub, "cut")
    assert "broke off after" in message(row()) and find(row()) is None
    hub.behaviour[path] = "ok"
    assert finish(fetch(row()))[0].path.read_bytes() == CONTENT
    assert hub.gets(path)[-1].range is not None


def test_a_name_that_is_not_in_the_list(hub: LoopbackHub) -> None:
    publish(hub)
    assert "is not in its list, or has no file that can be read; near ones are 4x-Tiny" in message(row("4x-Tinny"))


def test_a_file_that_needs_a_browser_is_said_to(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SCHEME", "https://")
    publish(hub, urls=["https://drive.google.com/file/d/1", "https://mega.nz/file/2"])
    assert (
        "has its file on drive.google.com, mega.nz, which needs a browser: download https://drive.google.com/file/d/1 "
        "and give it with --weights" in message(row())
    )


def test_a_file_that_is_too_large_is_refused(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODEL_MEGABYTES", "0.001")
    path = publish(hub)
    assert "the limit here is 1 kB" in message(row())
    assert not hub.gets(path)


def test_a_list_that_is_none(hub: LoopbackHub) -> None:
    hub.serve(LIST, b"<html>")
    assert "gives no list of models" in message(row())
    assert not database.list_path().exists()


def test_an_old_list_does_where_no_new_one_can_be_had(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a new one is asked for only when the old one is a day old."""
    with pytest.raises(WeightsUnavailable, match="OpenModelDB's list is unavailable: http"):
        finish(openmodeldb.refresh_list())
    publish(hub)
    finish(openmodeldb.refresh_list())
    finish(openmodeldb.refresh_list())
    assert len(hub.gets(LIST)) == 2
    os.utime(database.list_path(), (1, 1))
    hub.behaviour[LIST] = "error"
    finish(openmodeldb.refresh_list())
    assert len(hub.gets(LIST)) == 3 and [*database.read_list()] == ["4x-Tiny"]
    monkeypatch.setattr("pipelines.weights.openmodeldb.is_offline", lambda: True)
    finish(openmodeldb.refresh_list())
    database.list_path().unlink()
    with pytest.raises(WeightsUnavailable, match="is not here, and HF_HUB_OFFLINE is set"):
        finish(openmodeldb.refresh_list())


def direct(hub: LoopbackHub, behaviour: Behaviour = "ok", content: bytes = CONTENT) -> Weights:
    hub.serve("/o/n/x.pth", content, behaviour)
    return Weights((File("x.pth", 0),), (Direct(f"{hub.url}/o/n/x.pth"),), anywhere=False)


def test_a_file_by_its_address(hub: LoopbackHub) -> None:
    weights = direct(hub)
    assert find(weights) is None
    (found,) = finish(fetch(weights))
    assert found.path.read_bytes() == CONTENT and find(weights) is not None
    assert [asked.method for asked in hub.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("missing", "has no such file"),
        ("error", "has a server error"),
        ("cut", "broke off after"),
        ("elsewhere", "leads to an address without https, which is not followed"),
    ],
)
def test_what_a_server_may_do_is_one_sentence(hub: LoopbackHub, behaviour: Behaviour, said: str) -> None:
    told = message(direct(hub, behaviour))
    assert said in told and "\n" not in told


def test_a_redirect_to_a_private_address_is_not_followed(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "SCHEMES", ("http", "https"))
    weights = direct(hub, "elsewhere")
    assert "leads to a private address, which is not followed" in message(weights)
    assert not hub.gets("/elsewhere/o/n/x.pth")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(Refused, match="leads to a private address"):
        public.check_address(address)


@pytest.mark.parametrize("address", ["140.82.121.4", "2606:50c0:8000::153", "::ffff:140.82.121.4"])
def test_addresses_that_are_public(address: str) -> None:
    public.check_address(address)


def test_requests_by_https_to_public_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="without https"):
        public.check_request(httpx2.Request("GET", "http://github.com/x.pth"))
    with pytest.raises(Refused, match="private address"):
        public.check_request(httpx2.Request("GET", "https://localhost/x.pth"))
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("140.82.121.4", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [place])
    public.check_request(httpx2.Request("GET", "https://github.com/x.pth"))


def test_who_is_connected_to_is_looked_at_again() -> None:
    """Whatever a name led to when it was looked up."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connected,
        pytest.raises(Refused, match="private address"),
    ):
        public.check_peer(connected)


def test_a_kind_is_plain_data() -> None:
    assert OpenModelDb("a") == OpenModelDb("a") and hash(Direct("b")) == hash(Direct("b"))
