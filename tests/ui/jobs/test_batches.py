"""Many images for the page and the API: the same bytes as one at a time, limits told beforehand, cancelled and kept."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file

import pipelines
from pipelines.batch.run import Recipe
from pipelines.catalog.rows import Size
from pipelines.errors import BadPicture, BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish
from tests.conftest import smooth
from tests.pipelines.batch.test_archives import pack
from ui.jobs import batches, choosing
from ui.jobs.batches import Batch, read_name
from ui.widgets.picture import BatchField

DOUBLED = Recipe(key="bicubic", size=Size(factor=2))


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    (tmp_path / "gradio").mkdir()
    return tmp_path / "gradio"


@pytest.fixture
def sent(uploads: Path) -> list[tuple[Path, str]]:
    """Two images that would get one name, one that is damaged, and one in a folder."""
    found = []
    for number, name in enumerate(("a.png", "a.jpg", "broken.png", "../sub/ä.png")):
        path = uploads / f"{number}{Path(name).suffix}"
        images.write(Picture(smooth(20 + number, 30)), path)
        found.append((path, name))
    (uploads / "2.png").write_bytes((uploads / "2.png").read_bytes()[:-60])
    return found


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_each_result_is_what_one_image_alone_gives(sent: list[tuple[Path, str]], tmp_path: Path) -> None:
    chosen = Batch.of(sent)
    progress = batches.begin(chosen, DOUBLED, "png")
    finish(batches.upscale(progress, batches.foresee(chosen, DOUBLED)))
    alone = {}
    for (path, _), name in zip(sent, ("a_png.png", "a_jpg.png", "", "sub/ä.png"), strict=True):
        if name:
            pipelines.write(pipelines.upscale(path, model="bicubic", scale=2).picture, tmp_path / "alone.png")
            alone[name] = (tmp_path / "alone.png").read_bytes()
    assert progress.closed.is_set() and contents(progress.archive) == alone
    left = {path.name for path in progress.archive.parent.iterdir()}
    assert left == {"upscaled_bicubic_x2.zip", ".upscale-bench.jsonl"}, "no result is on the disk twice"
    source, data = batches.read_one(progress, 3) or (chosen.sources[0], b"")
    assert (source, data) == (chosen.sources[3], alone["sub/ä.png"])
    assert [batches.read_one(progress, number) for number in (2, 4, -1, "1", None)] == [None] * 5
    told = batches.describe(progress)
    assert [each["image"] for each in told] == ["a.png", "a.jpg", "broken.png", "sub/ä.png"]
    assert [each["file"] for each in told] == ["a_png.png", "a_jpg.png", None, "sub/ä.png"]
    assert [each["state"] for each in told] == ["done", "done", "failed", "done"]
    assert told[0]["details"]["size"] == [60, 40] and told[2]["error"].startswith("2.png is")


def test_what_is_done_when_it_is_ended_is_kept(sent: list[tuple[Path, str]]) -> None:
    chosen = Batch.of(sent)
    progress = batches.begin(chosen, DOUBLED, "png")
    run = batches.upscale(progress, batches.foresee(chosen, DOUBLED))
    while not progress.outcomes:
        next(run)
    run.close()
    states = [each["state"] for each in batches.describe(progress)]
    assert progress.closed.is_set() and states[0] == "done" and states[-1] == "left"
    assert [*contents(progress.archive)] == [each["file"] for each in batches.describe(progress) if each["file"]]
    assert {path.suffix for path in progress.archive.parent.iterdir()} == {".zip", ".jsonl"}


def test_the_outlook_adds_all_images_up_and_limits_are_told_before(
    sent: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Batch.of(sent)
    outlook = batches.foresee(chosen, DOUBLED)
    # Of the damaged one nobody knows.
    assert (outlook.images, outlook.made) == (4, 4 * 30 * (20 + 21 + 23)) and outlook.missing == ()
    monkeypatch.setenv("UPSCALE_MAX_BATCH_MEGAPIXELS", "0.001")
    with pytest.raises(
        BadSetting, match=r"^All results together would have 0\.0077 megapixels\. The limit is 0\.001 megap"
    ):
        batches.foresee(chosen, DOUBLED)
    monkeypatch.setenv("UPSCALE_MAX_PICTURES", "3")
    with pytest.raises(BadSetting, match=r"^4 images are too many\. The limit is 3 at once\.$"):
        batches.foresee(chosen, DOUBLED)
    with pytest.raises(BadPicture, match="no longer on the server"):
        batches.foresee(Batch.of([(Path("/gone.png"), "gone.png")]), DOUBLED)
    with pytest.raises(BadSetting, match="There is no format 'gif'"):
        batches.begin(chosen, DOUBLED, "gif")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/a.png", "etc/a.png"),
        ("/a.png", "a.png"),
        ("b\\c\0.png", "b/c.png"),
        ("", "image"),
        ("..", "image"),
        ("ä\ud800.png", "ä?.png"),
        ("x" * 300 + ".jpeg", "x" * 200 + ".jpeg"),
    ],
)
def test_a_name_that_somebody_sent_stays_below(name: str, path: str) -> None:
    assert str(read_name(name)) == path


def test_a_field_gives_one_image_or_a_batch_and_takes_both_back(sent: list[tuple[Path, str]]) -> None:
    field = BatchField()
    many = field.postprocess(Batch.of(sent))
    assert [each.file.orig_name for each in many.root] == ["a.png", "a.jpg", "broken.png", "sub/ä.png"]
    assert field.preprocess(many) == Batch.of(sent)
    one = field.postprocess(sent[0][0])
    assert field.preprocess(one) == sent[0][0] and field.preprocess(None) is None


def test_a_zip_that_is_chosen_becomes_its_images(uploads: Path, tmp_path: Path) -> None:
    images.write(Picture(smooth(20, 30)), tmp_path / "a.png")
    path = pack(
        uploads / "mine.zip", {"b/a.png": (tmp_path / "a.png").read_bytes(), "bad.png": b"x", "notes.txt": b"x"}
    )
    told = choosing.unpack_archive({"path": str(path), "name": "mine.zip"})
    [image] = told["images"]
    assert (image["name"], image["about"]) == ("b/a.png", "30 × 20")
    assert Path(image["path"]).is_relative_to(uploads)
    assert told["note"].startswith("Left out, not named as images are: notes.txt. bad.png is left out. ")
    path.write_bytes(b"PK\x03\x04")
    before = {*uploads.iterdir()}
    assert choosing.unpack_archive({"path": str(path), "name": "mine.zip"})["problem"].startswith("mine.zip is not a")
    assert choosing.unpack_archive({"path": "/etc/passwd"}) == {"problem": choosing.GONE}
    assert {*uploads.iterdir()} == before, "nothing stays of it"


def test_the_api_gives_a_zip_and_what_became_of_each_image(client: Client, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        images.write(Picture(smooth(20, 30)), tmp_path / name)
    inside = {"sub/three.png": (tmp_path / "one.png").read_bytes(), "bad.png": b"no image"}
    pack(tmp_path / "more.zip", inside)
    sent: list[Any] = [handle_file(tmp_path / name) for name in ("one.png", "two.png", "more.zip")]
    given = {"images": sent, "model": "bicubic", "scale": "x2", "format": "jpg", "quality": 90}
    file, told = client.predict(**given, api_name="/upscale_many")
    found = contents(Path(file))
    assert [*found] == ["one.jpg", "two.jpg", "sub/three.jpg"] and Path(file).name == "upscaled_bicubic_x2.zip"
    assert found["one.jpg"] == found["sub/three.jpg"]
    assert [(each["image"], each["state"]) for each in told] == [
        ("one.png", "done"),
        ("two.png", "done"),
        ("bad.png", "failed"),
        ("sub/three.png", "done"),
    ]
    with pytest.raises(Exception, match="Choose an image first"):
        client.predict(images=[], model="bicubic", scale="x2", api_name="/upscale_many")
    with pytest.raises(Exception, match="PNG is lossless and has no quality"):
        client.predict(images=sent, model="bicubic", scale="x2", quality=3, api_name="/upscale_many")
