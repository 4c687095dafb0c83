"""What OpenModelDB's list says: read as it is, searched offline, and nothing taken from what is said otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalog import openmodeldb as database
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import NAMED_SCALES, Direct, OpenModelDb
from pipelines.errors import BadSetting

SHA = "ab" * 32


def told(**changes: Any) -> dict[str, Any]:
    """A model as the list has it."""
    resource = {
        "platform": "pytorch",
        "type": "pth",
        "size": 1_000,
        "sha256": SHA,
        "urls": ["https://github.com/o/n/releases/download/v1/x.pth"],
    }
    model: dict[str, Any] = {
        "author": ["ann", "bob"],
        "license": "CC-BY-4.0",
        "tags": ["anime", "sharpen"],
        "description": "Makes edges crisp.",
        "scale": 4,
        "architecture": "esrgan",
        "resources": [resource | changes.pop("resource", {})],
    }
    return model | changes


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The list as it is once it is here; what is changed of it before it is first read counts."""
    path = tmp_path / "models.json"
    models = {
        "4x-UltraSharp": told(),
        "4x-Restricted": told(license="CC-BY-NC-SA-4.0", tags=["photo"]),
        "1x-DeJPG": told(scale=1, architecture="omnisr", license=None),
    }
    path.write_text(json.dumps(models))
    monkeypatch.setattr(database, "list_path", lambda: path)
    return models


def test_a_row_says_what_the_list_says(listed: dict[str, Any]) -> None:
    row = catalog.find("omdb/4x-UltraSharp")
    assert (row.key, row.name, tuple(row.scales), row.licence) == (
        "omdb/4x-UltraSharp",
        "4x-UltraSharp",
        (4,),
        "CC-BY-4.0",
    )
    assert row.commercial and not catalog.find("omdb/4x-Restricted").commercial
    assert not catalog.find("omdb/1x-DeJPG").commercial, "nobody named a licence"
    weights = row.scales[4]
    assert weights is not None and weights.sources == (OpenModelDb("4x-UltraSharp"),) and not weights.anywhere
    assert (weights.files[0].name, weights.files[0].size, weights.files[0].sha256) == ("4x-UltraSharp.pth", 1_000, SHA)


def test_a_stage_may_clean_up_first(listed: dict[str, Any]) -> None:
    stages = catalog.parse_stages("omdb/1x-DeJPG:1,swift:4")
    assert [str(stage) for stage in stages] == ["omdb/1x-DeJPG:1", "swift:4"]
    with pytest.raises(BadSetting, match=r"1x-DeJPG has no scale x2; it has x1\."):
        _ = catalog.parse_stages("omdb/1x-DeJPG:2")[0].weights


def test_without_a_list_any_scale_may_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "list_path", lambda: tmp_path / "none.json")
    row = catalog.find("omdb/4x-Anything")
    assert tuple(row.scales) == NAMED_SCALES and row.licence == "see its page on OpenModelDB" and not row.commercial
    assert database.search("sharp") == []


def test_a_name_that_is_not_there_is_told_with_those_near_it(listed: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match=r"no model '4x-UltraSharpe' .*; near ones are 4x-UltraSharp"):
        catalog.find("omdb/4x-UltraSharpe")
    for name in ("omdb/", "omdb/../x", "omdb/a/b", "omdb/a b"):
        with pytest.raises(BadSetting):
            catalog.find(name)


def test_a_search_looks_into_all_that_is_said(listed: dict[str, Any]) -> None:
    """Names first; every word has to be there."""
    assert [entry.name for entry in database.search("sharp")] == ["4x-UltraSharp", "1x-DeJPG"]
    assert [entry.name for entry in database.search("PHOTO ann")] == ["4x-Restricted"]
    assert [entry.name for entry in database.search("omnisr")] == ["1x-DeJPG"]
    assert database.search("") == [] and database.search("nothing like it") == []


def test_the_best_file_is_taken() -> None:
    """One that a program can have, else safetensors; of onnx none."""
    drive = {
        "platform": "pytorch",
        "type": "safetensors",
        "size": 5,
        "sha256": SHA,
        "urls": ["https://drive.google.com/x"],
    }
    model = told() | {"resources": [{**drive, "platform": "onnx", "type": "onnx"}, drive, *told()["resources"]]}
    (entry,) = database.parse_list(json.dumps({"a": model}).encode()).values()
    assert entry.suffix == "pth" and entry.loadable(()) == entry.urls
    (entry,) = database.parse_list(json.dumps({"a": told() | {"resources": [drive]}}).encode()).values()
    assert entry.suffix == "safetensors" and entry.loadable(()) == () and entry.loadable(["*"]) == entry.urls


def test_the_address_of_a_page_becomes_that_of_its_file() -> None:
    urls = [
        "https://huggingface.co/o/n/blob/main/x.pth",
        "https://github.com/o/n/blob/main/x.pth",
        "http://github.com/x",
    ]
    (entry,) = database.parse_list(json.dumps({"a": told(resource={"urls": urls})}).encode()).values()
    assert entry.urls == ("https://huggingface.co/o/n/resolve/main/x.pth", "https://github.com/o/n/raw/main/x.pth")


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": {"sha256": None}},
        {"resource": {"sha256": "abc"}},
        {"resource": {"urls": None}},
        {"resource": {"type": "onnx"}},
        {"scale": "four"},
        {"resources": []},
        {"resources": 5},
    ],
    ids=str,
)
def test_what_is_said_otherwise_is_left_out(changes: dict[str, Any]) -> None:
    content = json.dumps({"odd": told(**changes), "good": told(), "odd name/../": told(), "no table": 5}).encode()
    assert [*database.parse_list(content)] == ["good"]


@pytest.mark.parametrize("content", [b"", b"[]", b"<html>", b"[" * 100_000], ids=["none", "row", "page", "deep"])
def test_what_is_no_list_is_told(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError):
        database.parse_list(content)
    (tmp_path / "models.json").write_bytes(content)
    monkeypatch.setattr(database, "list_path", lambda: tmp_path / "models.json")
    assert database.read_list() == {}


ADDRESS = "github.com/o/n/releases/download/v1.0/4x_a.pth"


def test_a_file_by_its_address() -> None:
    row = catalog.find(f"https://{ADDRESS}?download=true")
    assert (row.key, row.name, tuple(row.scales)) == (ADDRESS, "4x_a.pth", NAMED_SCALES)
    weights = row.scales[4]
    assert weights is not None and weights.sources == (Direct(f"https://{ADDRESS}"),)
    assert catalog.find(ADDRESS) == row, "the key names it as well"
    assert catalog.parse_stages(f"https://{ADDRESS}:4,swift:2")[0].key == ADDRESS
    assert catalog.find("https://huggingface.co/o/n/resolve/main/x.pth").key == "o/n/x.pth", "the Hub's are the Hub's"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://github.com/o/n/x.pth", "downloaded only over https"),
        (
            "https://example.com/o/n/x.pth",
            "not downloaded from example.com here, only from github.com, .*UPSCALE_MODEL_HOSTS",
        ),
        ("https://github.com.example.com/x.pth", "not downloaded from github.com.example.com"),
        ("https://github.com@example.com/x.pth", "is not the address of a file"),
        ("https://user:pass@github.com/x.pth", "is not the address of a file"),
        ("https://github.com:8080/x.pth", "is not the address of a file"),
        ("https://github.com/../x.pth", "is not the address of a file"),
        ("https://[::1]/x.pth", "is not the address of a file"),
        ("https://127.0.0.1/x.pth", "not downloaded from 127.0.0.1"),
        ("https://github.com/o/n/x.onnx", "is not a file of weights: its name must end in"),
        ("https://github.com/o,n/x.pth", "is not the address of a file"),
    ],
)
def test_other_addresses_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        catalog.find(text)


@pytest.mark.parametrize("hosts", ["example.com", "*", ".com", "other.org, example.com"])
def test_a_setting_allows_other_hosts(hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MODEL_HOSTS", hosts)
    assert catalog.find("https://example.com/x.pth").key == "example.com/x.pth"
