"""What visitors named is kept while there is room for it; the Hub is on loopback."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.torch import save

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import Weights
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.runs import finish
from pipelines.upscalers.loading import StageFiles, holding, load
from pipelines.weights import visitors
from pipelines.weights.fetch import fetch
from pipelines.weights.local import find
from tests.support.hub import LoopbackHub, use
from tests.support.networks import tiny_rrdb

MEGA = environment.MEGA


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        yield server


def named(hub: LoopbackHub, repo: str, content: bytes, path: str = "x.safetensors") -> Weights:
    hub.serve(f"/{repo}/resolve/main/{path}", content)
    weights = catalog.find(f"{repo}/{path}").scales[4]
    assert weights is not None
    return weights


def bytes_kept() -> int:
    return sum(path.stat().st_size for path in visitors.folder().glob("*/blobs/*"))


def test_those_used_least_lately_make_room(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "2.5")
    first, second, third = (named(hub, f"o/{number}", bytes([number]) * MEGA) for number in range(3))
    for row, seconds in ((first, 1), (second, 2)):
        (had,) = finish(fetch(row))
        os.utime(had.path, (seconds, seconds))
    assert find(first) is not None  # which is a use
    (had,) = finish(fetch(third))
    assert had.path.read_bytes() == b"\2" * MEGA
    assert find(first) is not None and find(second) is None and find(third) is not None
    assert bytes_kept() == 2 * MEGA
    assert not list(visitors.folder().glob("models--o--1")), "nothing of it is left"
    finish(fetch(second))
    assert bytes_kept() == 2 * MEGA


def test_what_a_run_uses_makes_no_room(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it was used least lately; where all are in use the new one is refused, and nothing goes."""
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "2.5")
    first, second, third = (named(hub, f"o/{number}", bytes([number]) * MEGA) for number in range(3))
    held = []
    for row, seconds in ((first, 1), (second, 2)):
        (had,) = finish(fetch(row))
        os.utime(had.path, (seconds, seconds))
        held.append(StageFiles(Stage("swift", 4), (had,)))
    with holding(held[:1]):
        with holding(held), pytest.raises(WeightsUnavailable, match="no room while other models are in use"):
            finish(fetch(third))
        assert find(second) is not None
        os.utime(held[1].files[0].path, (2, 2))
        finish(fetch(third))
        assert [find(row) is not None for row in (first, second, third)] == [True, False, True]
    os.utime(held[0].files[0].path, (1, 1))
    finish(fetch(second))
    assert find(first) is None, "nobody uses it any more"


def test_of_a_repository_only_the_file_goes(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "2.5")
    rows = [named(hub, "o/n", bytes([number]) * MEGA, f"{number}.pth") for number in range(3)]
    for row in rows:
        finish(fetch(row))
    assert [find(row) is not None for row in rows] == [False, True, True]
    links = sorted(path.name for path in visitors.folder().rglob("*.pth") if path.is_symlink())
    assert links == ["1.pth", "2.pth"]


def test_a_download_that_was_left_is_in_the_way_as_well(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "1.2")
    left = named(hub, "o/left", b"1" * MEGA)
    hub.behaviour[hub.at_main("/o/left/resolve/main/x.safetensors")] = "cut"
    with pytest.raises(WeightsUnavailable, match="broke off"):
        finish(fetch(left))
    assert 0 < bytes_kept() < MEGA
    finish(fetch(named(hub, "o/new", b"2" * MEGA)))
    assert bytes_kept() == MEGA


def test_what_has_no_room_is_refused_and_nothing_goes(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "1.5")
    kept = named(hub, "o/kept", b"1" * MEGA)
    finish(fetch(kept))
    with pytest.raises(
        WeightsUnavailable, match=r"Hub o/large has a file of 2\.0 MB, and at most 1\.5 MB are kept here"
    ):
        finish(fetch(named(hub, "o/large", b"2" * 2 * MEGA)))

    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, visitors.DISK_RESERVE - 1))
    with pytest.raises(WeightsUnavailable, match=r"has a file of 1\.2 MB, for which there is no room on the disk here"):
        finish(fetch(named(hub, "o/new", b"3" * 1_200_000)))
    assert find(kept) is not None


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "symlink", refuse)


def test_without_links_the_limit_holds_and_nothing_is_kept_twice(
    hub: LoopbackHub, no_links: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "2.5")
    rows = [named(hub, f"o/{number}", bytes([number]) * MEGA) for number in range(4)]
    for row in rows:
        (had,) = finish(fetch(row))
        assert not had.path.is_symlink() and had.path.stat().st_size == MEGA
    assert [find(row) is not None for row in rows] == [False, False, True, True]
    kept = [path for path in visitors.folder().rglob("*") if path.is_file() and path.stat().st_size >= MEGA]
    assert sum(path.stat().st_size for path in kept) == 2 * MEGA


def test_copies_that_others_left_below_snapshots_count(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As huggingface_hub leaves them where there are no links: a blob, and the same once more."""
    monkeypatch.setenv("UPSCALE_MAX_MODELS_MEGABYTES", "2.5")
    old = named(hub, "o/old", b"1" * MEGA)
    (had,) = finish(fetch(old))
    content = had.path.read_bytes()
    had.path.unlink()
    had.path.write_bytes(content)
    os.utime(had.path, (1, 1))
    finish(fetch(named(hub, "o/new", b"2" * MEGA)))
    assert find(old) is None


def test_without_links_a_file_that_is_no_network_does_not_stay(hub: LoopbackHub, no_links: None) -> None:
    row = named(hub, "o/n", b"no network")
    with pytest.raises(BadWeights):
        load("o/n/x.safetensors", 4)
    assert find(row) is None and not list(visitors.folder().glob("models--o--n"))


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ESTALE])
def test_without_locks_it_is_downloaded_all_the_same(
    code: int, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    (had,) = finish(fetch(named(hub, "o/n", b"1" * MEGA)))
    assert had.path.read_bytes() == b"1" * MEGA
    assert not list(visitors.folder().rglob("*.incomplete"))


def test_a_file_that_is_no_network_does_not_stay(hub: LoopbackHub) -> None:
    row = named(hub, "o/n", b"no network")
    with pytest.raises(BadWeights):
        load("o/n/x.safetensors", 4)
    assert find(row) is None and bytes_kept() == 0


def test_a_network_of_another_scale_stays(hub: LoopbackHub) -> None:
    row = named(hub, "o/n", save(tiny_rrdb()))
    with pytest.raises(BadWeights, match="upscales by 4, not by 2"):
        load("o/n/x.safetensors", 2)
    assert find(row) is not None


def test_an_address_is_loaded_as_what_it_names(hub: LoopbackHub) -> None:
    named(hub, "o/n", save(tiny_rrdb()))
    key, address = "o/n/x.safetensors", "https://huggingface.co/o/n/blob/main/x.safetensors"
    assert load(key, 4) is load(address, 4)
