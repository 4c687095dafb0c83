"""Many images for the page and the API: the same bytes as one at a time, limits told beforehand, cancelled and kept."""

import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file

import pipelines
from pipelines.batch.run import Archive, Recipe
from pipelines.catalog.rows import Size
from pipelines.errors import BadPicture, BadSetting, CannotWrite
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import Run, finish
from tests.conftest import smooth
from tests.pipelines.batch.test_archives import contents, pack
from tests.support import small_disk
from ui.jobs import batches, choosing
from ui.jobs.allowance import TooMuch
from ui.jobs.batches import Batch, read_name
from ui.jobs.gathering import gathered, upscale_sent
from ui.widgets.picture import BatchField

DOUBLED = Recipe(key="bicubic", size=Size(factor=2))


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(choosing, "_unpacked", {})
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


def write(path: Path) -> Path:
    images.write(Picture(smooth(40, 60)), path)
    return path


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


def test_a_full_disk_takes_nothing_of_what_is_done(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for one result of three, whose zip is whole, and nothing that nobody is given stays."""
    chosen = Batch.of([(write(uploads / f"{name}.png"), f"{name}.png") for name in "abc"])
    result = images.encode(pipelines.upscale(uploads / "a.png", model="bicubic", scale=2).picture, "png")
    progress = batches.begin(chosen, DOUBLED, "png")
    small_disk.limit(monkeypatch, progress.archive, round(1.5 * len(result)))
    with pytest.raises(CannotWrite, match=r"^b\.png cannot be added to the zip: no room is left\.$"):
        finish(batches.upscale(progress, batches.foresee(chosen, DOUBLED)))
    assert contents(progress.archive) == {"a.png": result} and progress.closed.is_set() and progress.done == 1
    told = batches.describe(progress, "The disk is full.")
    assert [each["state"] for each in told][:2] == ["done", "failed"]
    last = {"left": "The disk is full.", "failed": "c.png cannot be added to the zip: no room is left."}
    assert told[2]["error"] == last[told[2]["state"]], "it may have been made already"
    assert {path.suffix for path in progress.archive.parent.iterdir()} == {".zip", ".jsonl"}


def test_a_name_without_end_is_one_images_own_matter(uploads: Path) -> None:
    chosen = Batch.of([(write(uploads / "a.png"), "a.png"), (write(uploads / "b.png"), "b/" * 400_000 + "b.png")])
    progress = batches.begin(chosen, DOUBLED, "png")
    finish(batches.upscale(progress, batches.foresee(chosen, DOUBLED)))
    assert [*contents(progress.archive)] == ["a.png", "b/" * 7 + "b.png"]


def test_a_result_that_the_zip_refuses_leaves_the_others(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Batch.of([(write(uploads / f"{name}.png"), f"{name}.png") for name in "ab"])
    progress, take = batches.begin(chosen, DOUBLED, "png"), batches.Archive.take

    def refused(archive: Archive, path: Path, name: str) -> None:
        take(archive, path, name if name == "b.png" else "a/" * 40_000)

    monkeypatch.setattr(batches.Archive, "take", refused)
    finish(batches.upscale(progress, batches.foresee(chosen, DOUBLED)))
    assert [*contents(progress.archive)] == ["b.png"]
    told = batches.describe(progress)
    assert [each["state"] for each in told] == ["failed", "done"]
    assert told[0]["error"].endswith("is not a name that a file in a zip can have.")


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
        ("a/b/c/d/e/f/g/h/i.png", "b/c/d/e/f/g/h/i.png"),
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
    path = uploads / "other.zip"
    path.write_bytes(b"PK\x03\x04")
    before = {*uploads.iterdir()}
    assert choosing.unpack_archive({"path": str(path), "name": "mine.zip"})["problem"].startswith("mine.zip is not a")
    assert choosing.unpack_archive({"path": "/etc/passwd"}) == {"problem": choosing.GONE}
    assert {*uploads.iterdir()} == before, "nothing stays of it"


def test_the_api_gives_what_is_done_of_a_run_that_failed(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason at each image that is left; where there is nothing to give it fails."""
    sent = [(write(uploads / f"{name}.png"), f"{name}.png") for name in "abc"]
    upscale, after = batches.upscale, [1]

    def failing(progress: batches.Progress, outlook: batches.Outlook) -> Run[None]:
        running = upscale(progress, outlook)
        for step in running:
            yield step
            if progress.done == after[0]:
                running.close()
                raise TooMuch("The run was ended.")

    monkeypatch.setattr(batches, "upscale", failing)
    *_, (file, told) = upscale_sent(sent, DOUBLED, "png")
    done = [each["file"] for each in told or [] if each["state"] == "done"]
    assert done[0] == "a.png" and len(done) < 3 and [*contents(Path(str(file)))] == done
    assert {each["error"] for each in told or [] if each["state"] == "left"} == {"The run was ended."}
    after[0] = 0
    with pytest.raises(gr.Error, match=r"The run was ended\."):
        [*upscale_sent(sent, DOUBLED, "png")]


def held(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def zipped(uploads: Path, tmp_path: Path) -> Path:
    """A zip of two images."""
    data = write(tmp_path / "a.png").read_bytes()
    return pack(uploads / "mine.zip", {"a.png": data, "b.png": data})


def test_the_limits_of_a_zip_are_those_of_all_that_is_sent_together(
    uploads: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a zip is named. Nothing of it stays, whether it was refused or not."""
    before = held(uploads)
    with gathered([(zipped, "mine.zip"), (zipped, "mine.zip")]) as chosen:
        assert [str(source.relative) for source in chosen.sources] == ["a.png", "b.png"] * 2
        each = chosen.sources[0].path.stat().st_size
        assert len(held(uploads) - before) == 4
    assert held(uploads) == before
    monkeypatch.setenv("UPSCALE_MAX_UNPACKED_MEGABYTES", str(each * 5 / 1e6))
    with (
        pytest.raises(BadPicture, match=r"^The images in mine\.zip and the zips sent with it are 0 MB unpacked\. The"),
        gathered([(zipped, "mine.zip")] * 10),
    ):
        raise AssertionError("that is too much")
    monkeypatch.setenv("UPSCALE_MAX_PICTURES", "4")
    sent = [(zipped, "mine.zip"), (zipped, "mine.zip"), (write(uploads / "c.png"), "c.png")]
    before = held(uploads)
    with (
        pytest.raises(BadPicture, match=r"^mine\.zip and what was sent with it have 5 images\. The limit is 4\.$"),
        gathered(sent),
    ):
        raise AssertionError("those are too many")
    with pytest.raises(BadSetting, match=r"^5 images are too many"), gathered([sent[0]] * 5):
        raise AssertionError("those are too many")
    assert held(uploads) == before


def test_all_calls_together_unpack_only_so_much(uploads: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gathered([(zipped, "mine.zip")]) as chosen:
        whole = sum(source.path.stat().st_size for source in chosen.sources)
        monkeypatch.setenv("UPSCALE_MAX_ALL_UNPACKED_MEGABYTES", str(1.5 * whole / 1e6))
        monkeypatch.setenv("UPSCALE_MAX_UNPACKED_MEGABYTES", str(1.2 * whole / 1e6))
        before = held(uploads)
        sentence = r"^your\.zip cannot be unpacked: other calls' zips are using all the space for unpacking\. Try again"
        with pytest.raises(CannotWrite, match=sentence), gathered([(zipped, "your.zip")]):
            raise AssertionError("there is no room for both")
        assert held(uploads) == before
        monkeypatch.setenv("UPSCALE_MAX_UNPACKED_MEGABYTES", str(2.5 * whole / 1e6))
        with gathered([(zipped, "your.zip")]) as other:
            assert len(other.sources) == 2, "all calls together have at least as much as one may"
        monkeypatch.setenv("UPSCALE_MAX_UNPACKED_MEGABYTES", str(1.2 * whole / 1e6))
        told = choosing.unpack_archive({"path": str(zipped), "name": "mine.zip"})
        assert len(told["images"]) == 2, "the page is not held up by calls"
    with gathered([(zipped, "your.zip")]) as chosen:
        assert len(chosen.sources) == 2, "there is once the other call is over"


def test_a_zip_is_unpacked_once_for_the_page_and_only_where_there_is_room(
    uploads: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"path": str(zipped), "name": "mine.zip"}
    told = choosing.unpack_archive(asked)
    there = held(uploads)
    assert choosing.unpack_archive(asked) == told and held(uploads) == there, "whoever asks again gets the same"
    shutil.rmtree(Path(told["images"][0]["path"]).parents[1])
    again = choosing.unpack_archive(asked)
    assert again != told and Path(again["images"][0]["path"]).is_file(), "but for what was deleted meanwhile"

    other = shutil.copy(zipped, uploads / "other.zip")
    asked, there = {"path": str(other), "name": "other.zip"}, held(uploads)
    monkeypatch.setattr(choosing, "free_bytes", lambda folder: choosing.RESERVE + 100)
    assert choosing.unpack_archive(asked) == {"problem": "other.zip cannot be unpacked: no room is left."}
    monkeypatch.undo()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    monkeypatch.setenv("UPSCALE_MAX_HELD_MEGABYTES", "0.001")
    assert choosing.unpack_archive(asked) == {"problem": "The server has no room left. Try again later."}
    with pytest.raises(CannotWrite, match="no room left"), gathered([(Path(other), "other.zip")]):
        raise AssertionError("there is none")
    monkeypatch.setenv("UPSCALE_MAX_HELD_MEGABYTES", "1000")
    monkeypatch.setattr(choosing, "UNPACKING_SECONDS", 0.01)
    with choosing._one_unpacking():
        assert choosing.unpack_archive(asked)["problem"].startswith("Other zips are being unpacked.")
    assert held(uploads) == there
    assert len(choosing.unpack_archive(asked)["images"]) == 2


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
    for format in (5.0, ["png"], True):
        with pytest.raises(Exception, match="There is no format"):
            client.predict(images=sent, model="bicubic", scale="x2", format=format, api_name="/upscale_many")
