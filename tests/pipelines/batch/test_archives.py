"""Zips that somebody sends, harmful ones among them, and the zip of results."""

import stat
import struct
import zipfile
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from pipelines.batch import archives
from pipelines.batch.archives import Archive, Bounds, is_archive, read_result, unpack_images
from pipelines.errors import BadPicture, CannotWrite
from pipelines.images.listing import describe_passed_over
from tests.support import small_disk

WIDE = Bounds(images=5, file_bytes=1_000_000, bytes=2_000_000)


def pack(path: Path, entries: dict[str, bytes], method: int = ZIP_DEFLATED) -> Path:
    with ZipFile(path, "w", method) as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return path


def unpack(path: Path, bounds: Bounds = WIDE) -> tuple[dict[str, bytes], list[str]]:
    """The images by name, and what is said of the rest."""
    folder = path.parent / "unpacked"
    folder.mkdir(exist_ok=True)
    sources, others = unpack_images(path, "mine.zip", folder, bounds)
    assert all(source.path.parent.parent == folder and source.path.name == source.relative.name for source in sources)
    return {str(source.relative): source.path.read_bytes() for source in sources}, describe_passed_over(others)


def test_images_come_out_by_their_names_and_the_rest_is_told(tmp_path: Path) -> None:
    entries = {
        "b/2.PNG": b"two",
        "ä #1%.jpg": b"one",
        "win\\c.webp": b"three",
        "b/": b"",
        "notes.txt": b"x",
        "__MACOSX/b/._2.png": b"x",
        ".hidden.png": b"x",
        "inner.zip": b"x",
    }
    found, told = unpack(pack(tmp_path / "a.zip", entries))
    assert found == {"b/2.PNG": b"two", "win/c.webp": b"three", "ä #1%.jpg": b"one"}
    assert told == [
        "Left out, not named as images are: notes.txt.",
        "Left out, kept by a system: ._2.png.",
        "Left out, hidden: .hidden.png.",
        "Left out, archives within an archive: inner.zip.",
    ]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    link = ZipInfo("secret.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(link, "/etc/passwd")
        opened.writestr("a.png", b"one")
    assert unpack(tmp_path / "a.zip") == ({"a.png": b"one"}, ["Left out, not files: secret.png."])


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "b/../../a.png", "..\\a.png", "C:\\a.png"])
def test_a_name_that_leads_elsewhere_refuses_the_zip(name: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"fine.png": b"x", name: b"x"})
    with pytest.raises(BadPicture, match=r"^mine\.zip is refused: it has a file for a place outside its folder, "):
        unpack(path)
    assert not [*(tmp_path / "unpacked").iterdir()]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({}, "mine.zip has no images in it."),
        ({"inner.zip": b"x"}, "mine.zip has no images in it, only other archives."),
        ({f"{number}.png": b"" for number in range(6)}, "mine.zip has 6 images. The limit is 5."),
        ({"a.png": bytes(3_000_000)}, "a.png in mine.zip is 3 MB. The limit is 1 MB."),
        (
            {f"{each}.png": bytes(900_000) for each in "abc"},
            "The images in mine.zip are 3 MB unpacked. The limit is 2 MB.",
        ),
    ],
)
def test_more_than_is_taken_is_refused_in_a_sentence(entries: dict[str, bytes], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadPicture) as told:
        unpack(pack(tmp_path / "a.zip", entries))
    assert str(told.value) == sentence


def test_an_unusual_compression_and_a_password_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match=r"^mine\.zip is compressed in an unusual way"):
        unpack(pack(tmp_path / "a.zip", {"a.png": b"x"}, ZIP_BZIP2))
    path = pack(tmp_path / "b.zip", {"a.png": b"x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flags of the file itself
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the list
    path.write_bytes(data)
    with pytest.raises(BadPicture, match=r"^mine\.zip is protected by a password\. Send it without one\.$"):
        unpack(path)


def test_a_damaged_zip_leaves_no_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": b"fine", "b.png": b"damaged"}, ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"damaged", b"DAMAGED"))
    with pytest.raises(BadPicture, match=r"^mine\.zip is damaged: b\.png cannot be unpacked\.$"):
        unpack(path)
    assert not [*(tmp_path / "unpacked").iterdir()]
    for cut in (path.read_bytes()[:40], b"PK\x03\x04", b""):
        path.write_bytes(cut)
        with pytest.raises(BadPicture, match=r"^mine\.zip is not a zip that can be read"):
            unpack(path)


def test_a_file_never_gives_more_than_the_zip_said(tmp_path: Path) -> None:
    """The size in the list is a lie: what is unpacked ends there, and its checksum does not fit."""
    path = pack(tmp_path / "a.zip", {"a.png": bytes(500_000)})
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(data)
    with pytest.raises(BadPicture, match=r"^mine\.zip is damaged: a\.png cannot be unpacked\.$"):
        unpack(path)


def test_a_list_of_files_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_READ", 1000)
    with pytest.raises(BadPicture, match="or has too many files"):
        unpack(pack(tmp_path / "a.zip", {f"{number}.txt": b"" for number in range(30)}))


def test_results_move_into_the_zip_which_is_whole_each_time(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"one")
    (tmp_path / "2.png").write_bytes(b"two")
    archive = Archive(tmp_path / "results.zip")
    assert contents(tmp_path / "results.zip") == {}
    archive.take(tmp_path / "1.png", "sub/ä.png")
    assert contents(tmp_path / "results.zip") == {"sub/ä.png": b"one"}
    archive.take(tmp_path / "2.png", "b.png")
    with pytest.raises(CannotWrite, match=r"^c\.png cannot be added to the zip"):
        archive.take(tmp_path / "3.png", "c.png")
    assert [path.name for path in tmp_path.iterdir()] == ["results.zip"] and is_archive(tmp_path / "results.zip")
    assert contents(tmp_path / "results.zip") == {"sub/ä.png": b"one", "b.png": b"two"}
    assert read_result(tmp_path / "results.zip", "b.png") == b"two"
    assert read_result(tmp_path / "results.zip", "c.png") is None


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_on_a_full_disk_the_zip_keeps_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is tried, and as long as there is no room for more than the list of files."""
    small_disk.limit(monkeypatch, tmp_path / "results.zip", 20_000)
    archive = Archive(tmp_path / "results.zip")
    for name, size in (("1", 19_000), ("2", 30_000), ("3", 900)):
        (tmp_path / name).write_bytes(name.encode() * size)
    archive.take(tmp_path / "1", "a.png")
    for name in "223":
        with pytest.raises(CannotWrite, match=r"^b\.png cannot be added to the zip: no room is left\.$"):
            archive.take(tmp_path / name, "b.png")
        assert contents(tmp_path / "results.zip") == {"a.png": b"1" * 19_000}
    assert (tmp_path / "2").is_file() and (tmp_path / "3").is_file()
    (tmp_path / "4").write_bytes(b"4" * 500)
    archive.take(tmp_path / "4", "c.png")
    assert [*contents(tmp_path / "results.zip")] == ["a.png", "c.png"]


def test_a_name_that_no_zip_can_have_is_told(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"one")
    archive = Archive(tmp_path / "results.zip")
    for name in ("a/" * 40_000 + "b.png", "\ud800.png"):
        with pytest.raises(CannotWrite, match=r"is not a name that a file in a zip can have\.$"):
            archive.take(tmp_path / "1.png", name)
    assert contents(tmp_path / "results.zip") == {} and (tmp_path / "1.png").is_file()
