"""The one door for pictures: what is read, what is refused, what is written."""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BadPicture, BadSetting, CannotWrite
from pipelines.images.door import check_output, format_of, read, read_size, write
from pipelines.images.encode import encode
from pipelines.images.picture import Picture, to_uint8
from tests.support.pictures import file_of, ramp

ROOT = Path(__file__).parents[3]


def refusal(source: Path | bytes, scale: int = 1) -> str:
    """The sentence that a picture is refused with, checked to be one plain sentence without a path."""
    with pytest.raises(BadPicture) as caught:
        read(source, scale)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and "/" not in text and "Error" not in text
    return text


def test_reads_path_and_bytes_alike(tmp_path: Path) -> None:
    path = tmp_path / "ramp.png"
    path.write_bytes(file_of(ramp(5, 7), "PNG"))
    picture = read(path)
    np.testing.assert_array_equal(picture.pixels, read(path.read_bytes()).pixels)
    np.testing.assert_array_equal(picture.pixels, ramp(5, 7).astype(np.float32) / np.float32(255))
    assert picture.pixels.dtype == np.float32 and picture.pixels.flags.c_contiguous
    assert (picture.alpha, picture.grey, picture.depth, picture.notes) == (None, False, 8, ())


def test_refuses_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "code.png").write_text("print('hello')\n")
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "empty.png").touch()
    readable = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC."
    assert refusal(tmp_path / "code.png") == f"code.png is not an image in a format that can be read: {readable}"
    expected = f"drawing.svg is an SVG drawing, which cannot be read: convert it to {readable}"
    assert refusal(tmp_path / "drawing.svg") == expected
    assert refusal(tmp_path / "empty.png") == "empty.png is empty."
    assert refusal(tmp_path / "missing.png") == "missing.png does not exist."
    assert refusal(tmp_path) == f"{tmp_path.name} is a folder: name one image in it."
    assert refusal(b"") == "The image is empty."
    assert refusal(file_of(ramp(16, 16), "ICO")).startswith("The image is an icon (ICO), which cannot be read")
    assert refusal(Path("bad\0name.png")) == "bad?name.png cannot be read."


def test_a_device_is_not_read() -> None:
    assert refusal(Path("/dev/zero")) == "zero is not a file."


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read anything")
def test_refuses_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(file_of(ramp(4, 4), "PNG"))
    path.chmod(0)
    assert refusal(path) == "secret.png may not be read."


def test_limits_are_checked_by_the_header_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels are missing from this file: a sentence about its size shows that nobody looked for them."""
    header = file_of(ramp(200, 100), "PNG")[:50]
    monkeypatch.setenv("UPSCALE_MAX_INPUT_MEGAPIXELS", "0.01")
    assert refusal(header) == "The image is 100 by 200 pixels, 0.02 megapixels: the limit is 0.01."
    monkeypatch.setenv("UPSCALE_MAX_INPUT_MEGAPIXELS", "0.02")
    assert "cut short" in refusal(header)
    monkeypatch.setenv("UPSCALE_MAX_OUTPUT_MEGAPIXELS", "0.08")
    assert "cut short" in refusal(header, scale=2)
    expected = "The image at x3 would be 300 by 600 pixels, 0.2 megapixels: the limit is 0.08."
    assert refusal(header, scale=3) == expected
    monkeypatch.setenv("UPSCALE_MAX_UPLOAD_MEGABYTES", "0.000049")
    assert refusal(header) == "The image is larger than 4.9e-05 MB, the most that can be read."


def test_a_bomb_is_refused_and_pillows_limit_stays() -> None:
    before = Image.MAX_IMAGE_PIXELS
    bomb = bytearray(file_of(ramp(1, 1), "BMP"))
    bomb[18:26] = (30000).to_bytes(4, "little") * 2
    assert refusal(bytes(bomb)) == "The image is 30000 by 30000 pixels, 900 megapixels: the limit is 50."
    assert before == Image.MAX_IMAGE_PIXELS


def test_pillows_limit_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who raises the limits is not stopped, nor warned, by the one that Pillow has of its own."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(file_of(ramp(20, 20), "PNG")).pixels.shape == (20, 20, 3)


def test_threads_read_the_same() -> None:
    data = file_of(ramp(64, 48), "JPEG")
    expected = read(data).pixels
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(np.array_equal(read(data).pixels, expected))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_the_suffix_decides_the_format(tmp_path: Path) -> None:
    names = {"a.png": "PNG", "b.webp": "WEBP", "c.jpg": "JPEG", "d.JPEG": "JPEG"}
    for name, format_ in names.items():
        write(read(file_of(ramp(6, 5), "PNG")), tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.size) == (format_, (5, 6))
    for name in ("x.gif", "x", "x.tiff"):
        with pytest.raises(BadSetting, match=r"must end in \.png, \.webp, \.jpg or \.jpeg\.$"):
            format_of(tmp_path / name)


def test_writing_leaves_one_ordinary_file(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    (tmp_path / "plain").touch()
    write(Picture(np.zeros((2, 2, 3), np.float32)), path)
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "plain"]
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert read(path).pixels.shape == (2, 2, 3)


def test_says_why_it_cannot_write(tmp_path: Path) -> None:
    picture = Picture(np.zeros((2, 2, 3), np.float32))
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "none/out.png": "out.png cannot be written: the folder does not exist.",
        "file/out.png": "out.png cannot be written: the folder does not exist.",
        "folder.png": "folder.png cannot be written: a folder has this name.",
        "loop.png": "loop.png cannot be written: the link leads nowhere.",
        "a\0b.png": "a?b.png cannot be written: the name is not one that a file can have.",
        "c\0d/out.png": "out.png cannot be written: the name is not one that a file can have.",
        "x" * 296 + ".png": f"{'x' * 40}…{'x' * 35}.png cannot be written: the name is too long.",
        "x" * 300 + "/out.png": "out.png cannot be written: the name is too long.",
    }
    (tmp_path / "loop.png").symlink_to("loop.png")
    for place, reason in reasons.items():
        for job in (lambda path: write(picture, path), check_output):
            with pytest.raises(CannotWrite) as caught:
                job(tmp_path / place)
            assert str(caught.value) == reason
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png", "loop.png"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Also one to a file that is yet to be; a missing folder behind it is told before there is anything to write."""
    picture = Picture(np.zeros((2, 2, 3), np.float32))
    (tmp_path / "far").mkdir()
    (tmp_path / "far/there.png").touch()
    for name in ("there.png", "new.png"):
        link = tmp_path / f"link-to-{name}"
        link.symlink_to(tmp_path / "far" / name)
        assert check_output(link) == "png"
        write(picture, link)
        assert link.is_symlink() and read(tmp_path / "far" / name).pixels.shape == (2, 2, 3)
    (tmp_path / "lost.png").symlink_to(tmp_path / "none/out.png")
    with pytest.raises(CannotWrite, match=r"^lost\.png cannot be written: the folder does not exist\.$"):
        check_output(tmp_path / "lost.png")


def test_a_file_that_is_replaced_hands_on_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.touch()
    path.chmod(0o640)
    write(Picture(np.zeros((2, 2, 3), np.float32)), path)
    assert path.stat().st_mode & 0o7777 == 0o640


def test_a_long_name_is_shortened(tmp_path: Path) -> None:
    name = "begin" + "x" * 200 + "end.png"
    assert refusal(tmp_path / name) == f"begin{'x' * 35}…{'x' * 32}end.png does not exist."


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the kernel refuses the bytes beyond it all the same."""
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    noise = np.random.default_rng(0).random((64, 64, 3), np.float32)
    # Python ignores the signal that comes with it.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CannotWrite) as caught:
            write(Picture(noise), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == "out.png cannot be written: the file would be too large."
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(Picture(np.zeros((2, 2, 3), np.float32)), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_rounds_and_clips() -> None:
    values = np.array([[-1, 0, 0.4999 / 255, 0.5001 / 255, 254.4999 / 255, 254.5001 / 255, 1, 2]], np.float32)
    np.testing.assert_array_equal(to_uint8(values), [[0, 0, 0, 1, 254, 255, 255, 255]])
    pixels = np.repeat(values[..., None], 3, axis=2)
    np.testing.assert_array_equal(to_uint8(read(encode(Picture(pixels))).pixels), to_uint8(pixels))


def test_the_door_opens_without_heavy_libraries() -> None:
    code = (
        "import sys, pipelines.images.door; "
        "sys.exit(bool({'cv2', 'torch', 'gradio', 'scipy', 'skimage'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_measure_agrees_with_read(tmp_path: Path) -> None:
    """By the header alone: also of a picture that lies on its side."""
    image = Image.fromarray(np.zeros((6, 4, 3), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=turned)
    for name in ("plain.png", "plain.webp", "plain.gif", "plain.tif"):
        image.save(tmp_path / name)
    for path in tmp_path.iterdir():
        height, width, _ = read(path).pixels.shape
        assert read_size(path) == (width, height)
    assert read_size(tmp_path / "turned.jpg") == (6, 4)


def test_measure_refuses_by_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((6, 4, 3), np.uint8)).save(tmp_path / "small.png")
    monkeypatch.setenv("UPSCALE_MAX_OUTPUT_MEGAPIXELS", "0.0001")
    with pytest.raises(BadPicture, match="at x8 would be 32 by 48 pixels"):
        read_size(tmp_path / "small.png", 8)
