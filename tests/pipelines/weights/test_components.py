"""Rows of many files, as diffusion models have them: all from one place, at one commit, below one root."""

import hashlib
import json
import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import File, Hub, Model, Url, Weights
from pipelines.errors import UpscaleError, WeightsUnavailable
from pipelines.runs import finish
from pipelines.upscalers import loading as upscalers
from pipelines.weights import fetch as weights
from pipelines.weights.fetch import fetch, verify
from pipelines.weights.local import find, from_user, is_here
from tests.support.hub import REVISION, Behaviour, LoopbackHub, use

CLASS = "StableDiffusionUpscalePipeline"
CONTENTS = {
    "model_index.json": json.dumps({"_class_name": CLASS}).encode(),
    "unet/config.json": b'{"of": "unet"}',
    "unet/model.safetensors": b"unet" * 50_000,
    "vae/config.json": b'{"of": "vae"}',
    "vae/model.safetensors": b"vae" * 50_000,
}
SIZE = sum(map(len, CONTENTS.values()))
ORIGINAL, MIRROR = Hub("owner/tiny-x4", REVISION), Hub("mirror/tiny-x4", None)
ROW = Weights(tuple(File(path, len(content)) for path, content in CONTENTS.items()), (ORIGINAL, MIRROR), pipeline=CLASS)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub, and a catalog in which a diffusion model needs the row."""
    model = Model("tiny", "Tiny Diffusion", "diffusion", "diffusion", {4: ROW}, "", True, "")
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, model))
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        yield server


def publish(hub: LoopbackHub, repo: str, behaviour: Behaviour = "ok", revision: str = REVISION) -> dict[str, str]:
    """All files in a repository: path in it -> path on the server."""
    return {p: hub.serve(f"/{repo}/resolve/{revision}/{p}", c, behaviour) for p, c in CONTENTS.items()}


def put(folder: Path, contents: dict[str, bytes]) -> Path:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def root(found: tuple[weights.Found, ...]) -> Path:
    """The folder below which each of a row's files lies at its path in the repository."""
    first = found[0]
    return first.path.parents[first.file.path.count("/")]


def below(found: tuple[weights.Found, ...]) -> dict[str, bytes]:
    """What each file is found to be, by its path below the root."""
    return {each.path.relative_to(root(found)).as_posix(): each.path.read_bytes() for each in found}


def said_by(row: Weights) -> str:
    with pytest.raises(WeightsUnavailable) as caught:
        finish(fetch(row))
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")
    return str(caught.value)


# --- one place ----------------------------------------------------------------------------------------------------


def test_all_files_lie_below_one_root_wherever_they_come_from(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, "owner/tiny-x4")
    for path, content in CONTENTS.items():
        hub.serve(f"/raw/{path}", content)
    url = replace(ROW, sources=(Url(f"{hub.url}/raw"),))
    for row, origin in ((ROW, "Hub owner/tiny-x4"), (url, url.sources[0].base.removeprefix("http://"))):
        fetched = finish(fetch(row))
        assert below(fetched) == CONTENTS and {each.origin for each in fetched} == {origin}
        again = find(row)
        assert again is not None and below(again) == CONTENTS and root(again) == root(fetched)
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(put(tmp_path / "own", CONTENTS)))
    own = find(ROW)
    assert own is not None and below(own) == CONTENTS and root(own) == tmp_path / "own"
    assert {each.origin for each in own} == {"your folder"}


def test_a_source_that_lacks_one_file_gives_none(hub: LoopbackHub) -> None:
    """What was cached of it before does not count either: a mirror's other files need not fit."""
    there = publish(hub, "owner/tiny-x4")
    publish(hub, "mirror/tiny-x4", revision="main")
    first = finish(fetch(Weights(ROW.files[:3], ROW.sources)))
    assert {each.origin for each in first} == {"Hub owner/tiny-x4"}
    hub.behaviour[there["vae/model.safetensors"]] = "missing"
    hub.asked.clear()
    found = finish(fetch(ROW))
    assert {each.origin for each in found} == {"Hub mirror/tiny-x4"} and below(found) == CONTENTS
    assert not [asked for asked in hub.asked if asked.method == "GET" and "/owner/" in asked.path]


def test_a_source_that_breaks_in_the_middle_gives_none(hub: LoopbackHub) -> None:
    there = publish(hub, "owner/tiny-x4")
    publish(hub, "mirror/tiny-x4", revision="main")
    hub.behaviour[there["vae/model.safetensors"]] = "cut"
    assert {each.origin for each in finish(fetch(ROW))} == {"Hub mirror/tiny-x4"}


def test_all_is_of_one_commit_of_a_repository_that_moves(hub: LoopbackHub) -> None:
    """Main moves as soon as the first file was asked for; what had come is gone on with."""
    row = replace(ROW, sources=(MIRROR,))
    there = publish(hub, "mirror/tiny-x4", revision="main")
    hub.moves[there["model_index.json"]] = "beef" * 10, b"{}"
    hub.behaviour[hub.at_main(there["vae/model.safetensors"])] = "cut"
    assert "broke off" in said_by(row)
    for path in CONTENTS:
        hub.behaviour[f"/mirror/tiny-x4/resolve/{REVISION}/{path}"] = "ok"
        hub.serve(f"/mirror/tiny-x4/resolve/main/{path}", b"newer")
    found = finish(fetch(row))
    assert below(found) == CONTENTS and root(found).name == REVISION
    again = find(row)
    assert again is not None and below(again) == CONTENTS


def test_verify_tells_of_each_file(hub: LoopbackHub) -> None:
    there = publish(hub, "owner/tiny-x4")
    hub.behaviour[there["vae/model.safetensors"]] = "cut"
    *good, bad = finish(verify(ROW))
    assert all(isinstance(each, weights.Found) for each in good)
    assert isinstance(bad, UpscaleError) and "owner/tiny-x4 broke off" in str(bad) and "mirror" in str(bad)


# --- before and while it comes ------------------------------------------------------------------------------------


def test_one_progress_over_all_files(hub: LoopbackHub) -> None:
    """Its total is what the Hub tells, where nobody had said it; nothing is downloaded before all was asked for."""
    publish(hub, "owner/tiny-x4", "slow")
    row = replace(ROW, files=tuple(replace(file, size=0) for file in ROW.files))
    steps = list(fetch(row))
    loading = [step for step in steps if step.note.startswith("downloading")]
    assert {step.total for step in loading} == {SIZE}
    assert [step.done for step in loading] == sorted(step.done for step in loading)
    methods = [asked.method for asked in hub.asked]
    assert methods[: len(CONTENTS)] == ["HEAD"] * len(CONTENTS) and methods.count("GET") == len(CONTENTS)


def test_each_file_is_continued(hub: LoopbackHub) -> None:
    there = publish(hub, "owner/tiny-x4")
    last = there["vae/model.safetensors"]
    hub.behaviour[last] = "cut"
    said = said_by(ROW)
    assert said.startswith("Tiny Diffusion (0.4 MB) is unavailable: Hub owner/tiny-x4 broke off after 75 kB of 0.1 MB")
    hub.behaviour[last] = "ok"
    hub.asked.clear()
    assert below(finish(fetch(ROW))) == CONTENTS
    (get,) = (asked for asked in hub.asked if asked.method == "GET")
    assert get.path == last and get.range is not None


def test_a_damaged_file_beside_one_that_lacks_comes_again(hub: LoopbackHub, tmp_path: Path) -> None:
    there = publish(hub, "owner/tiny-x4")
    hub.behaviour[there["vae/model.safetensors"]] = "cut"
    pinned = {file.path: hashlib.sha256(CONTENTS[file.path]).hexdigest() for file in ROW.files}
    row = replace(ROW, files=tuple(replace(file, sha256=pinned[file.path]) for file in ROW.files))
    with pytest.raises(WeightsUnavailable):
        finish(fetch(row))
    (unet,) = (tmp_path / "home").rglob("unet/model.safetensors")
    unet.write_bytes(b"damaged")
    hub.behaviour[there["vae/model.safetensors"]] = "ok"
    assert below(finish(fetch(row))) == CONTENTS


def test_the_disk_is_looked_at_before_the_first_byte(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    there = publish(hub, "owner/tiny-x4")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 0, 300_000))
    assert said_by(ROW).startswith(
        "Tiny Diffusion (0.4 MB) is unavailable: 0.4 MB of disk are needed and 0.3 MB are free (HF_HOME names another "
        "place); these need no download: Swift"
    )
    assert {asked.method for asked in hub.asked} == {"HEAD"}
    hub.behaviour[there["vae/model.safetensors"]] = "missing"
    assert "has no vae/model.safetensors" in said_by(ROW), "a source that has not all of them needs no room"


def test_what_is_here_needs_no_room(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a download that broke off only the rest is to come."""
    there = publish(hub, "owner/tiny-x4")
    hub.behaviour[there["vae/model.safetensors"]] = "cut"
    said_by(ROW)
    hub.behaviour[there["vae/model.safetensors"]] = "ok"
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 0, 100_000))
    assert below(finish(fetch(ROW))) == CONTENTS


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("missing", "Hub owner/tiny-x4 has no model_index.json; Hub mirror/tiny-x4 has no model_index.json"),
        ("gone", "Hub owner/tiny-x4 does not exist, or is private and needs HF_TOKEN; "),
        ("gated", "Hub owner/tiny-x4 is gated: it needs HF_TOKEN and its terms accepted"),
        ("error", "Hub owner/tiny-x4 has a server error (500)"),
        ("cut", "Hub owner/tiny-x4 broke off after"),
    ],
)
def test_each_failure_has_its_sentence_and_a_way_out(hub: LoopbackHub, behaviour: Behaviour, words: str) -> None:
    publish(hub, "owner/tiny-x4", behaviour)
    said = said_by(ROW)
    assert said.startswith(f"Tiny Diffusion (0.4 MB) is unavailable: {words}")
    assert "; these need no download: Swift, " in said


def test_offline_is_said(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub.url, tmp_path / "home", monkeypatch, offline=True)
    assert said_by(ROW).startswith(
        "Tiny Diffusion (0.4 MB) is unavailable: HF_HUB_OFFLINE is set, so nothing was asked"
    )


def test_who_only_wants_an_image_upscaled_is_told_what_does_it(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one short sentence, by a model that is here; which hosts were asked is said apart."""
    monkeypatch.setattr(catalog, "find_owner", lambda weights: (catalog.find("sd-x4"), 4))
    publish(hub, "owner/tiny-x4", "gated")
    with pytest.raises(WeightsUnavailable) as refused:
        finish(fetch(ROW))
    error = refused.value
    assert error.brief.startswith("Stable Diffusion x4 could not be downloaded (0.4 MB): Hub owner/tiny-x4 is gated")
    assert "mirror" not in error.brief and "mirror/tiny-x4" in error.tried and error.instead == "swift"
    use("http://127.0.0.1:9", tmp_path / "home", monkeypatch)
    with pytest.raises(WeightsUnavailable) as refused:
        finish(fetch(ROW))
    assert refused.value.brief == (
        "Stable Diffusion x4 could not be downloaded (0.4 MB): 127.0.0.1:9 cannot be reached."
    )


def test_what_nobody_publishes_needs_a_folder(hub: LoopbackHub) -> None:
    needed = catalog.find("ldm-x4").scales[4]
    assert needed is not None
    assert "is unavailable: nobody offers them as safetensors; give a folder" in said_by(replace(needed, sources=()))


# --- a folder of one's own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "tiny", "tiny-x4"])
def test_a_folder_or_one_in_it_that_is_named_like_the_model(hub: LoopbackHub, name: str, tmp_path: Path) -> None:
    put(tmp_path / "own" / name, CONTENTS)
    found = from_user(ROW, tmp_path / "own")
    assert root(found) == tmp_path / "own" / name and below(found) == CONTENTS


def test_what_a_folder_lacks_is_said_by_its_path(hub: LoopbackHub, tmp_path: Path) -> None:
    folder = put(tmp_path / "own", {path: b"{}" for path in CONTENTS if "vae" not in path and "index" not in path})
    with pytest.raises(WeightsUnavailable) as caught:
        from_user(ROW, folder)
    lacking = "model_index.json, vae/config.json, vae/model.safetensors"
    assert str(caught.value) == f"{folder} does not hold the whole model: it has no {lacking}."
    shutil.rmtree(folder / "unet")
    with pytest.raises(
        WeightsUnavailable, match=r"it has no model_index\.json, .*, unet/model\.safetensors and 2 more"
    ):
        from_user(ROW, folder)


def test_a_folder_that_lacks_a_file_is_not_filled_up_from_elsewhere(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, "owner/tiny-x4")
    folder = put(tmp_path / "own", CONTENTS)
    (folder / "vae" / "config.json").unlink()
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    assert {each.origin for each in finish(fetch(ROW))} == {"Hub owner/tiny-x4"}


@pytest.mark.parametrize(
    "index",
    [b'{"_class_name": "StableDiffusionPipeline"}', b"[]", b"no json", b"[" * 200_000],
    ids=["class", "list", "text", "deep"],
)
def test_another_pipelines_folder_is_not_taken(
    hub: LoopbackHub, index: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files have the same names."""
    folder = put(tmp_path / "own", CONTENTS | {"model_index.json": index})
    with pytest.raises(WeightsUnavailable, match=f"holds another pipeline than diffusers' {CLASS}"):
        from_user(ROW, folder)
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    assert find(ROW) is None


def test_a_tokenizer_in_one_file_is_taken_for_one_in_three(tmp_path: Path) -> None:
    """As transformers 5 saves it, where the repositories have what transformers 4 saved."""
    needed = catalog.find("sd-x4").scales[4]
    assert needed is not None
    three = {"tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/special_tokens_map.json"}
    contents = {file.path: b"{}" for file in needed.files if file.path not in three} | {"tokenizer/tokenizer.json": b""}
    contents["model_index.json"] = CONTENTS["model_index.json"]
    found = from_user(needed, put(tmp_path, contents))
    assert root(found) == tmp_path
    assert {each.path.relative_to(tmp_path).as_posix() for each in found if each.file.path in three} == {
        "tokenizer/tokenizer.json"
    }


def test_whether_it_is_here_is_told_without_reading(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page asks at each click, and gigabytes take seconds to hash."""
    publish(hub, "owner/tiny-x4")
    assert not is_here(ROW) and upscalers.find_lacking([Stage("tiny", 4)]) == [ROW]
    finish(fetch(ROW))
    for path in (tmp_path / "home").rglob("*.safetensors"):
        os.truncate(path, 0)
    assert is_here(ROW) and upscalers.find_lacking([Stage("tiny", 4)]) == []
