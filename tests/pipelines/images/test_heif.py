"""HEIC, as phones write it: upright once, at its depth, with what it says beside; damage and lies are refused.

The files of tests/data/images/heic were written by pillow-heif 1.8.1 (libheif 1.23, x265) at quality 90 and more, all
but odd.heic of the picture of `drawn`.
"""

import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from pipelines.errors import BadPicture
from pipelines.images.door import read, read_size
from pipelines.images.picture import Pixels, Pixels8, to_uint8
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "data" / "images" / "heic"


def drawn() -> Pixels8:
    """Two ramps, and a mark in the upper left corner: no turn or mirror image of it is itself."""
    rows, columns = np.mgrid[:48, :64]
    blue = np.full_like(rows, 128)
    blue[:12, :16] = 230
    return np.stack([columns * 4, rows * 5, blue], axis=2).astype(np.uint8)


def difference(pixels: Pixels, expected: Pixels8) -> float:
    assert pixels.shape == expected.shape
    return float(np.abs(to_uint8(pixels).astype(int) - expected.astype(int)).mean())


def file(name: str) -> bytes:
    return (FOLDER / f"{name}.heic").read_bytes()


def test_pixels_are_those_that_were_written() -> None:
    picture = read(file("plain"))
    assert difference(picture.pixels, drawn()) < 1
    assert (picture.depth, picture.grey, picture.alpha, picture.icc, picture.notes) == (8, False, None, None, ())


@pytest.mark.parametrize(("name", "orientation"), [("o2", 2), ("o3", 3), ("o5", 5), ("turned", 6), ("o8", 8)])
def test_a_turned_picture_is_turned_once(name: str, orientation: int) -> None:
    """By the boxes; its EXIF block says the same, and says afterwards that nothing is to be turned."""
    written = Image.fromarray(drawn())
    written.getexif()[ExifTags.Base.Orientation] = orientation
    expected = np.asarray(ImageOps.exif_transpose(written))
    picture = read(file(name))
    assert difference(picture.pixels, expected) < 1.5
    assert read_size(file(name)) == (expected.shape[1], expected.shape[0])
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[ExifTags.Base.Orientation] == 1


def test_an_exif_block_alone_turns_nothing() -> None:
    """By the standard it only informs. The property that turns is made one that nobody knows."""
    data = file("turned").replace(b"irot", b"free")
    assert difference(read(data).pixels, drawn()) < 1.5


def test_what_it_says_beside_is_kept() -> None:
    picture = read(file("turned"))
    assert picture.icc is not None and len(picture.icc) == 588 and picture.icc[36:40] == b"acsp"
    assert picture.extras.xmp is not None and b'tiff:Orientation="1"' in picture.extras.xmp
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[ExifTags.Base.Make] == "Maker"
    assert read(file("p3")).extras.colour == (("cICP", bytes((12, 13, 0, 1))),)
    assert picture.extras.size == (48, 64)


def test_alpha_and_grey() -> None:
    picture = read(file("alpha"))
    assert picture.alpha is not None and difference(picture.pixels, drawn()) < 1
    columns = np.arange(64)
    expected = np.broadcast_to(np.where(columns < 32, 255, columns), (48, 64)) / 255
    assert np.abs(picture.alpha - expected).mean() < 0.01
    grey = read(file("grey"))
    assert grey.grey and difference(grey.pixels, np.repeat(drawn()[..., :1], 3, axis=2)) < 1


def test_ten_bits_are_read_as_sixteen() -> None:
    """White is 1023, not the nearest multiple of 64 below 65535."""
    picture = read(file("ten"))
    rows, columns = np.mgrid[:48, :64]
    expected = np.stack([columns * 1000, rows * 1300, np.full_like(rows, 40000)], axis=2) / 65535
    assert picture.depth == 16
    assert np.abs(picture.pixels - expected).mean() < 0.004
    assert len(np.unique(np.round(picture.pixels * 1023))) > 400


def test_sizes_that_no_block_divides() -> None:
    assert read_size(file("odd")) == (33, 21)
    assert difference(read(file("odd")).pixels, drawn()[:21, :33]) < 1.5


def test_the_main_one_of_several_is_read() -> None:
    picture = read(file("burst_second"))
    assert difference(picture.pixels, drawn()[:, ::-1]) < 1
    assert picture.notes == ("the main one of 3 images",)


def test_what_is_left_out_is_said() -> None:
    """A depth map lies beside as transparency does: only its name differs."""
    picture = read(file("alpha").replace(b"auxid:1", b"auxid:2"))
    assert picture.alpha is None and picture.notes == ("left out: a depth map",)


@pytest.mark.parametrize("kept", [-1, -200, 600, 300, 60, 30])
def test_what_is_cut_is_refused(kept: int) -> None:
    with pytest.raises(BadPicture, match=r"^The image is (damaged|cut short|not an image)[^.]*\.$"):
        read(file("plain")[:kept])


def with_sizes(data: bytes, width: int, height: int) -> bytes:
    """The file with another size in each of its boxes of sizes."""
    at = data.index(b"ispe") + 8
    return data.replace(data[at : at + 8], struct.pack(">II", width, height))


def test_a_size_beyond_the_limit_is_refused_by_its_header() -> None:
    for read_it in (read, read_size):
        with pytest.raises(BadPicture, match="The image is 20000 by 10000 pixels, 200 megapixels: the limit is 50"):
            read_it(with_sizes(file("plain"), 20_000, 10_000))


@pytest.mark.parametrize("size", [(16, 16), (640, 480)])
def test_a_size_that_is_not_that_of_the_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(BadPicture, match="is damaged"):
        read(with_sizes(file("plain"), *size))


@pytest.mark.parametrize(
    "data",
    [
        file("o8").replace(b"Exif", b"E\xa4if", 1),  # pi-heif 1.4 ends the program at a type that is no text
        file("grey")[:194] + b"\xeb" + file("grey")[195:197] + b"\x2d" + file("grey")[198:357] + b"\xfe"
        + file("grey")[358:371] + b"\xcd" + file("grey")[372:],  # libheif 1.23 writes where it must not
    ],
    ids=["no text", "overflow"],
)  # fmt: skip
def test_what_ends_the_decoder_does_not_end_the_program(data: bytes) -> None:
    with pytest.raises(BadPicture, match=r"is damaged"):
        read(data)
    assert read(file("plain")).depth == 8


def test_the_decoder_has_no_more_memory_than_the_picture_needs() -> None:
    code = "import sys, resource; from pipelines.images import heif_child; heif_child.limit_memory(50_000_000)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(resource.getrlimit(resource.RLIMIT_AS)[0])"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert int(done.stdout) == 1_500_000_000 + 24 * 50_000_000


def test_without_its_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadPicture, match="is a HEIC image, which cannot be read here: install the package pi-heif"):
        read(file("plain"))


def test_a_file_on_disk_is_upscaled_in_kind(tmp_path: Path) -> None:
    """The name counts for nothing, as ever; a photo of a phone that was renamed is still one."""
    import pipelines

    (tmp_path / "photo.jpg").write_bytes(file("turned"))
    done = pipelines.upscale(tmp_path / "photo.jpg", "nearest", 2, output=tmp_path / "out.png")
    assert done.details.size == (96, 128)
    with Image.open(BytesIO((tmp_path / "out.png").read_bytes())) as image:
        assert image.size == (96, 128) and len(image.info["icc_profile"]) == 588
