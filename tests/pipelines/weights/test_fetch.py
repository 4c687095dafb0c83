"""Weights from a user's folder, the caches, a Hub and a web server, all on loopback and all able to misbehave."""

import errno
import hashlib
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Hub, Model, SourceData, Url, Weights
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.runs import POLL_SECONDS, finish
from pipelines.weights import download as downloads
from pipelines.weights import fetch as weights
from pipelines.weights import local, sources
from pipelines.weights.fetch import fetch, verify
from pipelines.weights.hashes import cached_git_blob, cached_sha256
from pipelines.weights.local import find, from_user
from tests.support.hub import REVISION, Behaviour, LoopbackHub, use

CONTENT = random.Random(0).randbytes(600_000)
FILE = File("nets/tiny.pth", len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
OTHER_CONTENT = CONTENT[::-1]
OTHER = File("nets/other.pth", len(CONTENT), sha256=hashlib.sha256(OTHER_CONTENT).hexdigest())
HUB = Hub("owner/tiny", REVISION)
KINDS = ("hub", "url")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        monkeypatch.setattr(local, "BUNDLED", tmp_path / "bundled")
        yield server


def put(
    hub: LoopbackHub, kind: str, behaviour: Behaviour = "ok", file: File = FILE, content: bytes = CONTENT
) -> tuple[Weights, str]:
    """A file on the server, as a source of the kind: the row, and the file's path on the server."""
    if kind == "hub":
        return Weights((file,), (HUB,)), hub.publish("owner/tiny", file.path, content, behaviour)
    return Weights((file,), (Url(f"{hub.url}/raw/c0ffee"),)), hub.serve(f"/raw/c0ffee/{file.path}", content, behaviour)


def whole_files(home: Path) -> list[Path]:
    """What a cache holds that could be taken for a file of weights."""
    return [p for p in home.rglob("*") if p.is_file() and p.suffix not in (".incomplete", ".lock", ".TAG")]


def in_process(row: Weights) -> "subprocess.Popen[str]":
    """Fetch the row in a process of its own, which prints what it found."""
    imports = "from pipelines.catalog.schema import *\n"
    imports += "from pipelines.runs import finish\nfrom pipelines.weights.fetch import fetch"
    code = f"{imports}\nprint(finish(fetch({row!r}))[0].path)"
    return subprocess.Popen([sys.executable, "-W", "error", "-c", code], stdout=-1, stderr=-1, text=True)


@pytest.mark.parametrize("kind", KINDS)
def test_fetched_once_then_found(hub: LoopbackHub, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    row, path = put(hub, kind)
    assert find(row) is None
    (fetched,) = finish(fetch(row))
    assert fetched.path.read_bytes() == CONTENT
    assert (fetched.sha256, fetched.proof) == (FILE.sha256, "sha256")
    assert fetched.origin == ("Hub owner/tiny" if kind == "hub" else f"127.0.0.1:{hub.server.server_port}/raw/c0ffee")
    assert finish(fetch(row))[0].path == fetched.path
    assert len(hub.gets(path)) == 1
    assert {asked.path for asked in hub.asked} == {path}, "nothing else is asked or told"
    assert capfd.readouterr() == ("", "")


def test_hub_file_is_in_the_hubs_own_cache(hub: LoopbackHub, tmp_path: Path) -> None:
    """What we bring must be there for diffusers and others, by the library's own account."""
    from huggingface_hub import hf_hub_download, scan_cache_dir

    row, _ = put(hub, "hub")
    (fetched,) = finish(fetch(row))
    assert find(row) == (replace(fetched, origin="Hub cache"),)
    assert hf_hub_download("owner/tiny", FILE.path, revision=REVISION, local_files_only=True) == str(fetched.path)
    cache = scan_cache_dir(tmp_path / "home" / "hub")
    assert [repo.repo_id for repo in cache.repos] == ["owner/tiny"]
    assert not cache.warnings


def test_hub_without_a_pinned_revision(hub: LoopbackHub) -> None:
    row = Weights((FILE,), (Hub("owner/tiny", None),))
    hub.serve(f"/owner/tiny/resolve/main/{FILE.path}", CONTENT)
    (fetched,) = finish(fetch(row))
    assert find(row) == (replace(fetched, origin="Hub cache"),)


def unknown(hub: LoopbackHub, content: bytes, behaviour: Behaviour = "ok") -> tuple[Weights, str]:
    """A row of which nothing but the name is known, and the file's path on the server."""
    path = hub.serve("/owner/tiny/resolve/main/nets/tiny.pth", content, behaviour)
    return Weights((File("nets/tiny.pth", 0),), (Hub("owner/tiny", None, public=True),), anywhere=False), path


def test_a_size_that_nobody_knew_is_the_one_that_the_hub_tells(hub: LoopbackHub) -> None:
    row, _ = unknown(hub, CONTENT, "slow")
    steps = list(fetch(row))
    loading = [step for step in steps if step.note == "downloading tiny.pth"]
    assert {step.total for step in loading} == {len(CONTENT)}
    assert any(0 < step.done < len(CONTENT) for step in loading)
    assert find(row) is not None


@pytest.mark.parametrize(
    ("content", "behaviour", "said"),
    [
        (CONTENT, "ok", "has a file of 0.6 MB, and the limit here is 0.5 MB"),
        (b"", "ok", "has an empty file"),
        (CONTENT, "endless", "does not say how large the file is"),
        (CONTENT, "missing", "has no such file"),
        (CONTENT, "gone", "does not exist, or is private;"),
        (CONTENT, "gated", "is gated, and only public files are downloaded by name"),
    ],
)
def test_a_file_that_somebody_named_is_refused_before_it_is_asked_for(
    hub: LoopbackHub, content: bytes, behaviour: Behaviour, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_MAX_MODEL_MEGABYTES", "0.5")
    row, _ = unknown(hub, content, behaviour)
    with pytest.raises(WeightsUnavailable) as error:
        finish(fetch(row))
    assert str(error.value).startswith(f"tiny.pth is unavailable: Hub owner/tiny {said}")
    assert {asked.method for asked in hub.asked} == {"HEAD"}


@pytest.mark.parametrize("public", [True, False])
def test_all_is_of_the_first_answers_commit(
    hub: LoopbackHub, public: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Main moves to a file beyond the limit between the question and the download."""
    monkeypatch.setenv("UPSCALE_MAX_MODEL_MEGABYTES", "0.7")
    row, path = unknown(hub, CONTENT)
    row = replace(row, sources=(Hub("owner/tiny", None, public=public),))
    hub.moves[path] = "beef" * 10, bytes(2_000_000)
    (fetched,) = finish(fetch(row))
    assert fetched.path.read_bytes() == CONTENT and REVISION in str(fetched.path)
    assert find(row) == (replace(fetched, origin="Hub cache"),)
    files = [each for each in (tmp_path / "home").rglob("*") if each.is_file()]
    assert max(each.stat().st_size for each in files) == len(CONTENT)
    assert [asked.path for asked in hub.asked if asked.method == "GET"] == [path.replace("main", REVISION)]


@pytest.mark.parametrize("behaviour", ["huge", "endless"])
def test_no_more_is_written_than_was_announced(hub: LoopbackHub, behaviour: Behaviour) -> None:
    row, path = unknown(hub, CONTENT)
    at_commit = hub.at_main(path)
    hub.serve(at_commit, CONTENT * 2)  # as a server may that does not keep its word
    with pytest.raises(WeightsUnavailable, match=r"sends more than the 0\.6 MB that were expected"):
        finish(fetch(row))
    hub.behaviour[at_commit] = behaviour
    with pytest.raises(WeightsUnavailable, match=r"sends more than the 0\.6 MB that were expected"):
        finish(fetch(row))
    assert incompletes() == []


def test_what_the_owners_token_brought_is_not_for_visitors(hub: LoopbackHub) -> None:
    """A private file that the owner of the machine has in the cache, which a visitor names."""
    mine, _ = put(hub, "hub")
    hub.serve(f"/owner/tiny/resolve/main/{FILE.path}", CONTENT)
    finish(fetch(mine))
    finish(fetch(replace(mine, sources=(Hub("owner/tiny", None),))))
    for revision in (REVISION, None):
        hub.serve(f"/owner/tiny/resolve/{revision or 'main'}/{FILE.path}", CONTENT, "gone")
        theirs = Weights((File(FILE.path, 0),), (Hub("owner/tiny", revision, public=True),), anywhere=False)
        assert find(theirs) is None
        with pytest.raises(WeightsUnavailable, match="does not exist, or is private"):
            finish(fetch(theirs))
    assert find(mine) is not None


def test_no_token_is_sent_for_what_somebody_named(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    row, _ = unknown(hub, CONTENT, "elsewhere")
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    assert {asked.token for asked in hub.asked} == {None}


def test_a_file_that_somebody_named_is_not_looked_for_in_folders(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of that name there is another one."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / "tiny.pth").write_bytes(b"another")
    row, _ = unknown(hub, CONTENT)
    assert find(row) is None
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT


def test_the_token_stays_on_the_hub(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub sends large files from other hosts, which have no business with it."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    row, path = put(hub, "hub", "elsewhere")
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    assert [asked.token for asked in hub.gets(path)] == ["Bearer hf_secret"]
    assert [asked.token for asked in hub.gets(f"/elsewhere{path}")] == [None]
    assert {asked.path for asked in hub.asked} == {path, f"/elsewhere{path}"}


@pytest.mark.parametrize("behaviour", ["ok", "gated", "error", "elsewhere"])
def test_the_token_is_in_no_log_and_no_message(
    behaviour: Behaviour, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However much is logged, of ours and of the libraries'."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    row, path = put(hub, "hub", behaviour)
    said = ""
    with caplog.at_level(logging.DEBUG):
        try:
            finish(fetch(row))
        except WeightsUnavailable as error:
            said = f"{error} {error.brief} {error.tried}"
    assert any(asked.token == "Bearer hf_secret" for asked in hub.asked if asked.path == path), "it was sent"
    assert caplog.records and "hf_secret" not in caplog.text + said


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_cache_that_may_not_be_written_is_said(code: int, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only, or somebody else's."""

    def refuse(path: Path, *given: object, **options: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    row, _ = put(hub, "url")
    monkeypatch.setattr(Path, "mkdir", refuse)
    told = rf"^tiny\.pth \(0\.6 MB\) is unavailable: the cache cannot be written \({os.strerror(code)}\)"
    with pytest.raises(WeightsUnavailable, match=told):
        finish(fetch(row))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_count_the_bytes_of_all_files(hub: LoopbackHub, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the Hub takes its time to answer for a file that is there already."""
    import huggingface_hub

    def slowly(*given: Any, **options: Any) -> str:
        time.sleep(3 * POLL_SECONDS)
        return download(*given, **options)

    download = huggingface_hub.hf_hub_download
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", slowly)
    first, _ = put(hub, kind, "slow")
    second, _ = put(hub, kind, "slow", OTHER, OTHER_CONTENT)
    row = Weights(first.files + second.files, first.sources)
    steps = list(fetch(row))
    assert all(0 <= step.done <= step.total == 2 * len(CONTENT) for step in steps)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert any(0 < step.done < len(CONTENT) for step in steps)
    assert any(step.done > len(CONTENT) for step in steps)
    assert "downloading other.pth" in {step.note for step in steps}


@pytest.mark.parametrize(
    ("known", "proof"),
    [
        ({"git_blob": hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()}, "git blob"),
        ({"sha256_prefix": str(FILE.sha256)[:8]}, "sha256 prefix"),
        ({}, "unpinned"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_hash(hub: LoopbackHub, kind: str, known: dict[str, str], proof: str) -> None:
    row, _ = put(hub, kind, file=File("config.json", len(CONTENT), **known))
    (fetched,) = finish(fetch(row))
    assert (fetched.proof, fetched.sha256) == (proof, FILE.sha256)


def test_git_blob_is_gits_own(tmp_path: Path) -> None:
    """Set against `git hash-object` of the same bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"what is up, doc?")
    assert cached_git_blob(path) == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_hashed_once_however_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that changes behind an unchanged name, size and time goes unseen: that is how we see that it is kept."""
    path = tmp_path / "file"
    path.write_bytes(b"first")
    stat = path.stat()
    before = cached_sha256(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cached_sha256(path.rename(tmp_path / "moved")) == before
    os.utime(tmp_path / "moved", ns=(0, 0))
    assert cached_sha256(tmp_path / "moved") == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("missing", "has no such file"),
        ("gated", {"hub": "is gated: it needs HF_TOKEN and its terms accepted", "url": "refuses access (403)"}),
        ("error", "has a server error (500)"),
        ("cut", "broke off after 0.3 MB of 0.6 MB"),
        ("stall", "stopped sending after 0.3 MB of 0.6 MB"),
        ("hang", "is unreachable"),
        ("garbled", {"hub": "does not answer like a Hub", "url": "announces a length that is no number;"}),
        ("huge", "sends more than 4 times the 0.6 MB that were expected"),
        ("endless", "sends more than 4 times the 0.6 MB that were expected"),
        ("wrong", f"gave wrong bytes (tiny.pth is not the published file: its sha256 is "
         f"{hashlib.sha256(bytes(255 - b for b in CONTENT)).hexdigest()[:8]}…, not {str(FILE.sha256)[:8]}…)"),
    ],
)  # fmt: skip
def test_each_failure_has_its_sentence_and_leaves_the_cache_clean(
    hub: LoopbackHub,
    kind: str,
    behaviour: Behaviour,
    words: str | dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(downloads, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(sources, "UNREACHABLE_SECONDS", 0)
    row, path = put(hub, kind, behaviour)
    with pytest.raises(WeightsUnavailable) as caught:
        finish(fetch(row))
    expected = words if isinstance(words, str) else words[kind]
    assert str(caught.value).startswith("tiny.pth (0.6 MB) is unavailable: ")
    assert expected in str(caught.value)
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")
    assert whole_files(tmp_path / "home") == []
    assert find(row) is None

    hub.behaviour[path] = "ok"
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT


def test_the_next_source_is_asked(hub: LoopbackHub) -> None:
    row, _ = put(hub, "hub", "gated")
    url, _ = put(hub, "url", "wrong")
    hub.publish("mirror/tiny", FILE.path, CONTENT)
    all_sources: tuple[SourceData, ...] = (*row.sources, *url.sources, Hub("mirror/tiny", REVISION))
    assert finish(fetch(Weights((FILE,), all_sources)))[0].origin == "Hub mirror/tiny"


def test_every_source_is_named_when_none_gives_it(hub: LoopbackHub) -> None:
    row, _ = put(hub, "hub", "gated")
    url, _ = put(hub, "url", "error")
    with pytest.raises(WeightsUnavailable, match=r"Hub owner/tiny is gated.*; 127.0.0.1:\d+/raw/c0ffee has a server"):
        finish(fetch(Weights((FILE,), row.sources + url.sources)))


def test_models_that_work_without_a_download_are_named(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    row, _ = put(hub, "hub", "missing")
    there, _ = put(hub, "url", file=replace(FILE, path="there.pth"))
    finish(fetch(there))
    rows = [
        Model(key, key, "classical", "classical", {2: needs}, "", True, "")
        for key, needs in {"bicubic": None, "tiny": row, "there": there}.items()
    ]
    monkeypatch.setattr(catalog, "MODELS", tuple(rows))
    with pytest.raises(WeightsUnavailable, match=r"; these need no download: bicubic, there\.$"):
        finish(fetch(row))


@pytest.mark.parametrize("kind", KINDS)
def test_continues_where_it_broke_off(hub: LoopbackHub, kind: str) -> None:
    row, path = put(hub, kind, "cut")
    with pytest.raises(WeightsUnavailable):
        finish(fetch(row))
    hub.behaviour[path] = "ok"
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    first, second = hub.gets(path)
    assert first.range is None
    assert second.range == f"bytes={len(CONTENT) // 2}-"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behaviour", ["ok", "no range"])
def test_a_first_part_of_another_file_is_not_kept(hub: LoopbackHub, kind: str, behaviour: Behaviour) -> None:
    """The seam is caught by the hash and the file fetched whole; a server without Range sends it whole by itself."""
    row, path = put(hub, kind, "cut")
    with pytest.raises(WeightsUnavailable):
        finish(fetch(row))
    (incomplete,) = incompletes()
    incomplete.write_bytes(b"x" * incomplete.stat().st_size)
    hub.behaviour[path] = behaviour
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    assert [asked.range is None for asked in hub.gets(path)] == [True, False] + [True] * (behaviour == "ok")


@pytest.mark.parametrize("kind", KINDS)
def test_a_last_byte_that_came_before_the_kill(hub: LoopbackHub, kind: str) -> None:
    row, path = put(hub, kind, "cut")
    with pytest.raises(WeightsUnavailable):
        finish(fetch(row))
    (incomplete,) = incompletes()
    incomplete.write_bytes(CONTENT)
    hub.behaviour[path] = "ok"
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    assert [asked.range for asked in hub.gets(path)] == [None, f"bytes={len(CONTENT)}-"]


def test_without_a_hash_nothing_is_continued(hub: LoopbackHub) -> None:
    row, path = put(hub, "url", "cut", File("tiny.pth", len(CONTENT)))
    with pytest.raises(WeightsUnavailable):
        finish(fetch(row))
    hub.behaviour[path] = "ok"
    finish(fetch(row))
    assert [asked.range for asked in hub.gets(path)] == [None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_closing_cancels_at_once(hub: LoopbackHub, kind: str, tmp_path: Path) -> None:
    row, path = put(hub, kind, "stall")
    run = fetch(row)
    while next(run).done == 0:
        pass
    start = time.monotonic()
    run.close()
    assert time.monotonic() - start < 1
    assert whole_files(tmp_path / "home") == []

    hub.behaviour[path] = "ok"
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    assert hub.gets(path)[-1].range is not None


def test_closing_before_the_answer_hangs_up(hub: LoopbackHub) -> None:
    """Else the thread that waits for the answer would stay until its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        run = fetch(Weights((FILE,), (Url(f"http://127.0.0.1:{server.getsockname()[1]}"),)))
        while next(run).note != "downloading tiny.pth":
            pass
        connection, _ = server.accept()
        with connection:
            connection.settimeout(2)
            assert connection.recv(1 << 16).startswith(b"GET /nets/tiny.pth ")
            run.close()
            assert connection.recv(1) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_the_middle(hub: LoopbackHub, kind: str, tmp_path: Path) -> None:
    row, path = put(hub, kind, "stall")
    with in_process(row) as process:
        while not any(incomplete.stat().st_size for incomplete in incompletes()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert whole_files(tmp_path / "home") == []
    assert find(row) is None
    hub.behaviour[path] = "ok"
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT
    assert hub.gets(path)[-1].range is not None


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_at_once(hub: LoopbackHub, kind: str) -> None:
    """Whoever comes second waits and takes what the first has brought. Nothing is printed, no warning raised."""
    row, path = put(hub, kind, "slow")
    with in_process(row) as one, in_process(row) as other:
        (said, complaints), (other_said, other_complaints) = one.communicate(), other.communicate()
    assert (complaints, other_complaints) == ("", "")
    assert said == other_said
    assert Path(said.strip()).read_bytes() == CONTENT
    assert len(hub.gets(path)) == 1


def test_waiting_for_another_download_can_be_closed(hub: LoopbackHub) -> None:
    row, path = put(hub, "url", "stall")
    first, second = fetch(row), fetch(row)
    while next(first).done == 0:
        pass
    assert "waiting for another download of tiny.pth" in {next(second).note for _ in range(3)}
    second.close()
    first.close()
    assert len(hub.gets(path)) == 1


def test_offline_asks_nothing(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    row, _ = put(hub, "hub")
    url, _ = put(hub, "url")
    finish(fetch(row))
    hub.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with in_process(row) as there, in_process(url) as lacking:
        assert there.communicate()[0].strip().endswith(FILE.path)
        assert "HF_HUB_OFFLINE is set, so nothing was asked" in lacking.communicate()[1]
    assert hub.asked == []


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def full() -> Iterator[str]:
    """The address of a server whose queue is full, so that further connections get no answer at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        clients = [socket.socket() for _ in range(2)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for client in clients:
            client.close()


@pytest.fixture
def refusing() -> str:
    """An address where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(("endpoint", "mirror"), [("full", "silent"), ("refusing", None)])
def test_an_unreachable_world_is_told_within_6_seconds(
    endpoint: str, mirror: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Two files and four sources on two hosts, of which none answers."""
    hub_url = request.getfixturevalue(endpoint)
    mirror_url = request.getfixturevalue(mirror) if mirror else "http://no-such-host.invalid"
    use(hub_url, tmp_path / "home", monkeypatch)
    four = (HUB, Hub("mirror/tiny", None), Url(f"{mirror_url}/a"), Url(f"{hub_url}/b"))
    start = time.monotonic()
    with pytest.raises(WeightsUnavailable) as caught:
        finish(fetch(Weights((FILE, OTHER), four)))
    assert time.monotonic() - start < 6
    assert str(caught.value).count("is unreachable") == 4
    assert whole_files(tmp_path / "home") + incompletes() == []


def test_rows_share_what_is_unreachable(
    full: str, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command goes through all rows, and a visitor clicks again: each host is waited for once, then after a while."""
    monkeypatch.setattr(weights, "PATIENCE_SECONDS", 1)
    use(full, tmp_path / "home", monkeypatch)
    row = Weights((FILE, OTHER), (HUB, Url(f"{full}/a"), Url(f"{silent}/b")))
    start = time.monotonic()
    results = [each for _ in range(8) for each in finish(verify(row))]
    assert time.monotonic() - start < 2
    assert len(results) == 16 and all(str(each).count("is unreachable") == 3 for each in results)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unreachable_host_is_asked_again_after_a_while(
    hub: LoopbackHub, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PATIENCE_SECONDS", 0.5)
    row, path = put(hub, kind, "hang")
    for _ in range(2):
        with pytest.raises(WeightsUnavailable, match="is unreachable"):
            finish(fetch(row))
    assert len(hub.asked) == 1
    hub.behaviour[path] = "ok"
    later = time.monotonic() + sources.UNREACHABLE_SECONDS
    monkeypatch.setattr(sources.time, "monotonic", lambda: later)
    assert finish(fetch(row))[0].path.read_bytes() == CONTENT


def test_a_damaged_file_leaves_the_cache(hub: LoopbackHub, tmp_path: Path) -> None:
    for kind in KINDS:
        row, path = put(hub, kind)
        (fetched,) = finish(fetch(row))
        fetched.path.write_bytes(CONTENT[:-1])
        assert find(row) is None
        assert whole_files(tmp_path / "home") == []
        assert finish(fetch(row))[0].path.read_bytes() == CONTENT
        assert len(hub.gets(path)) == 2
        finish(fetch(row))[0].path.resolve().unlink()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_that_cannot_be_removed_is_said(
    hub: LoopbackHub, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a cache that is read-only."""
    row, _ = put(hub, kind)
    finish(fetch(row))[0].path.write_bytes(CONTENT[:-1])

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(
        WeightsUnavailable,
        match=r"^tiny\.pth in the cache is damaged and cannot be removed \(Read-only file system\)\.$",
    ):
        find(row)


def test_a_file_that_goes_meanwhile_is_said(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between being found and being hashed, which is when another program may clear the cache."""
    row, _ = put(hub, "url")
    gone = tmp_path / "gone" / "tiny.pth"
    monkeypatch.setattr(sources.UrlSource, "cached", lambda source, file: gone)
    for look in (find, lambda row: finish(fetch(row))):
        with pytest.raises(WeightsUnavailable, match=r"^tiny\.pth cannot be read \(No such file or directory\)\.$"):
            look(row)


def test_a_place_that_cannot_be_searched_is_said(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of 300 characters, which the disk refuses as it does a folder without permission."""
    said = r"^Weights cannot be looked for in .* \(File name too long\)\.$"
    row = Weights((FILE,), (HUB,))
    with pytest.raises(WeightsUnavailable, match=said):
        from_user(row, tmp_path / ("x" * 300))
    with pytest.raises(WeightsUnavailable, match=said):
        from_user(Weights((File("x" * 300, 1),), ()), tmp_path)
    row, _ = put(hub, "url")
    finish(fetch(row))
    monkeypatch.setattr(local, "_in_folder", lambda *_: [])
    with pytest.raises(WeightsUnavailable, match=r"^Weights cannot be looked for in the cache \(File name too long\)"):
        find(Weights((File("nets/" + "x" * 300, 1),), row.sources))


def test_full_disk_is_said(hub: LoopbackHub) -> None:
    """/dev/full answers every write as a full disk does."""
    row, path = put(hub, "url", "cut")
    with pytest.raises(WeightsUnavailable):
        finish(fetch(row))
    (incomplete,) = incompletes()
    incomplete.unlink()
    incomplete.symlink_to("/dev/full")
    hub.behaviour[path] = "ok"
    with pytest.raises(WeightsUnavailable, match=r"^tiny\.pth \(0\.6 MB\) is unavailable: the disk is full;"):
        finish(fetch(row))
    assert not incomplete.is_symlink()


def test_own_folder_comes_first_and_is_never_refused(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = put(hub, "hub")
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path / "own"))
    with pytest.raises(BadSetting, match="UPSCALE_WEIGHTS_DIR must be a folder"):
        find(row)
    (tmp_path / "own" / "nets").mkdir(parents=True)
    (tmp_path / "own" / "nets" / "tiny.pth").write_bytes(CONTENT)
    (by_path,) = finish(fetch(row))
    assert (by_path.origin, by_path.proof) == ("your folder", "sha256")
    (tmp_path / "own" / "tiny.pth").write_bytes(b"trained at home")
    (by_name,) = finish(fetch(row))
    assert (by_name.path, by_name.proof) == (tmp_path / "own" / "tiny.pth", "differs")
    assert by_name.sha256 == hashlib.sha256(b"trained at home").hexdigest()
    assert hub.asked == []


def test_files_of_one_name_are_told_apart_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Weights((File("unet/model.safetensors", 1), File("vae/model.safetensors", 1)), ())
    for file in row.files:
        (tmp_path / file.path).parent.mkdir()
        (tmp_path / file.path).write_bytes(file.path.encode())
    (tmp_path / "model.safetensors").write_bytes(b"of neither")
    assert [found.path.read_bytes().decode() for found in from_user(row, tmp_path)] == [f.path for f in row.files]
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    for reported in (find(row), finish(fetch(row)), finish(verify(row))):
        assert reported == from_user(row, tmp_path)


def test_own_file_or_what_is_wrong_with_it(tmp_path: Path) -> None:
    row = Weights((FILE,), (HUB,))
    with pytest.raises(WeightsUnavailable, match="There is no file or folder"):
        from_user(row, tmp_path / "lacking")
    with pytest.raises(WeightsUnavailable, match=r"has no tiny\.pth, nor nets/tiny\.pth"):
        from_user(row, tmp_path)
    with pytest.raises(WeightsUnavailable, match=r"mem cannot be read \(Input/output error\)"):
        from_user(row, Path("/proc/self/mem"))
    own = tmp_path / "any name.pth"
    own.write_bytes(b"trained at home")
    (found,) = from_user(row, own)
    assert (found.path, found.origin, found.proof) == (own, "your file", "differs")
    with pytest.raises(WeightsUnavailable, match="several files"):
        from_user(Weights((FILE, OTHER), ()), own)


def test_bundled_files_must_be_what_they_are(hub: LoopbackHub, tmp_path: Path) -> None:
    row = Weights((FILE,), ())
    with pytest.raises(WeightsUnavailable, match="it should be included with the program"):
        finish(fetch(row))
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "tiny.pth").write_bytes(CONTENT)
    assert [(f.origin, f.proof) for f in find(row) or ()] == [("bundled", "sha256")]
    (tmp_path / "bundled" / "tiny.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(BadWeights, match=r"tiny\.pth is not the published file"):
        find(row)


def test_verify_reports_every_file(hub: LoopbackHub) -> None:
    row, _ = put(hub, "hub")
    _, path = put(hub, "hub", "wrong", OTHER, OTHER_CONTENT)
    put(hub, "hub", file=File("new.json", len(CONTENT)))
    files = (FILE, OTHER, File("new.json", len(CONTENT)))
    good, bad, new = finish(verify(Weights(files, row.sources)))
    assert isinstance(good, weights.Found) and good.proof == "sha256"
    assert isinstance(bad, WeightsUnavailable) and "wrong bytes" in str(bad)
    assert isinstance(new, weights.Found) and (new.proof, new.sha256) == ("unpinned", FILE.sha256)
    assert len(hub.gets(path)) == 1


def test_a_test_asks_no_real_host(strays: list[str]) -> None:
    """Whoever imported huggingface_hub before, and whatever a test catches: no real cache, nothing beyond loopback."""
    from huggingface_hub import constants, hf_hub_url

    assert constants.is_offline_mode() and os.environ["HF_HUB_OFFLINE"] == "1"
    assert hf_hub_url("owner/tiny", FILE.path).startswith("http://127.0.0.1:")
    for folder in (constants.HF_HUB_CACHE, constants.HF_ASSETS_CACHE, constants.HF_TOKEN_PATH):
        assert Path(folder).is_relative_to(os.environ["HF_HOME"])
    for host in ("192.0.2.1", "example.com"):  # both are for documentation (RFC 5737, 2606)
        with pytest.raises(OSError, match="no network"):
            socket.create_connection((host, 443), timeout=1)
    with socket.socket() as direct, pytest.raises(OSError, match="no network"):
        direct.connect_ex(("192.0.2.1", 443))
    assert strays == ["192.0.2.1", "example.com", "192.0.2.1"]
    strays.clear()


def test_importing_loads_no_downloader() -> None:
    libraries = "{'httpx2', 'filelock', 'huggingface_hub'}"
    code = f"import sys, pipelines.weights.fetch; print({libraries} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def incompletes() -> list[Path]:
    return list(Path(os.environ["HF_HOME"]).rglob("*.incomplete"))
