"""What is written is what was meant: read back by our own door, by OpenCV and by Pillow."""

import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin

from performance.pictures import make_pictures
from pipelines.errors import BadSetting
from pipelines.images.door import read
from pipelines.images.encode import Format, encode, list_losses
from pipelines.images.picture import STRIP_VALUES, Picture, to_uint8
from pipelines.images.png import ABOUT_KEYWORD
from tests.support.pictures import file_of, ramp

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
KEPT = ["00017_gray.png", "children-alpha.png", "tree_alpha_16bit.png", "wolf_gray.jpg"]


def random_picture(
    height: int, width: int, depth: Literal[8, 16], grey: bool, with_alpha: bool, seed: int = 0
) -> Picture:
    """Values that a file of this depth holds exactly, neither all clear nor all opaque."""
    random = np.random.default_rng(seed)
    white = np.float32(255 if depth == 8 else 65535)
    samples = random.integers(0, int(white) + 1, (height, width, 1 if grey else 3)).astype(np.float32) / white
    alpha = random.integers(0, int(white), (height, width)).astype(np.float32) / white
    return Picture(np.repeat(samples, 3, axis=2) if grey else samples, alpha if with_alpha else None, grey, depth)


def assert_same(one: Picture, other: Picture) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None and other.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)
    assert (one.grey, one.depth, one.icc, one.exif) == (other.grey, other.depth, other.icc, other.exif)


@settings(max_examples=200)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    depth=st.sampled_from([8, 16]),
    grey=st.booleans(),
    with_alpha=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_png_gives_every_kind_back(
    height: int, width: int, depth: Literal[8, 16], grey: bool, with_alpha: bool, seed: int
) -> None:
    picture = random_picture(height, width, depth, grey, with_alpha, seed)
    assert_same(read(encode(picture)), picture)


@settings(max_examples=100)
@given(height=st.integers(1, 20), width=st.integers(1, 20), with_alpha=st.booleans(), seed=st.integers(0, 1000))
def test_webp_gives_eight_bits_back(height: int, width: int, with_alpha: bool, seed: int) -> None:
    """Colour under full transparency too: a random alpha has zeros."""
    picture = random_picture(height, width, 8, False, with_alpha, seed)
    assert_same(read(encode(picture, "webp")), picture)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opencv_reads_our_png(depth: Literal[8, 16], channels: int) -> None:
    picture = random_picture(13, 17, depth, channels == 1, channels == 4)
    other = cv2.imdecode(np.frombuffer(encode(picture), np.uint8), cv2.IMREAD_UNCHANGED)
    white = 255 if depth == 8 else 65535
    np.testing.assert_array_equal(
        other[..., 2::-1] if channels > 1 else other[..., None],
        np.rint(picture.pixels * white)[..., -min(channels, 3) :],
    )
    if picture.alpha is not None:
        np.testing.assert_array_equal(other[..., 3], np.rint(picture.alpha * white))


@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_pillow_reads_our_png(grey: bool, with_alpha: bool) -> None:
    """Pillow checks no more than it must: verify() looks at each checksum, load() at the one over all pixels."""
    picture = random_picture(13, 17, 8, grey, with_alpha)
    data = encode(picture)
    with Image.open(BytesIO(data)) as image:
        image.verify()
    with Image.open(BytesIO(data)) as image:
        assert (
            image.mode
            == {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}[grey, with_alpha]
        )
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), to_uint8(picture.pixels))


def test_strips_join_without_a_seam() -> None:
    """Wide enough for a strip of few rows, with a last strip that is not full, and noise below a smooth part."""
    width = STRIP_VALUES // 12
    smooth = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32)[:, None], (9, width, 3))
    noise = np.random.default_rng(0).random((8, width, 3), np.float32)
    pixels = np.concatenate([smooth, noise])
    data = encode(Picture(pixels))
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(other[..., ::-1], to_uint8(pixels))
    with Image.open(BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), to_uint8(pixels))


@pytest.mark.parametrize("grey", [False, True])
def test_png_is_about_as_small_as_pillows(grey: bool) -> None:
    """Of what people enlarge, and of what is all one colour but for a few lines of text."""
    made = make_pictures(1024)
    made["sign"] = np.ones_like(made["text"])
    made["sign"][400:500] = made["text"][400:500]
    for name, pixels in made.items():
        kept = np.repeat(pixels[..., :1], 3, axis=2) if grey else pixels
        values = to_uint8(kept[..., 0] if grey else kept)
        assert len(encode(Picture(kept, grey=grey))) < 1.5 * len(file_of(values, "PNG")), name


def test_png_takes_a_fraction_of_pillows_time() -> None:
    """Processor time, of all threads together: half is far more than is measured, so that a busy machine may pass."""
    made = make_pictures(2048)
    for name in ("scene", "noisy", "noise"):
        picture, values = Picture(made[name]), to_uint8(made[name])
        start = time.process_time()
        encode(picture)
        middle = time.process_time()
        file_of(values, "PNG")
        assert middle - start <= (time.process_time() - middle) / 2, name


@pytest.mark.parametrize("name", KEPT)
def test_real_pictures_come_back_in_kind(assets: Path, name: str) -> None:
    picture = read(assets / "images/alpha_and_grey" / name)
    assert picture.grey == ("gray" in name)
    assert (picture.alpha is not None) == ("alpha" in name)
    assert picture.depth == (16 if "16bit" in name else 8)
    assert_same(read(encode(picture)), picture)


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_profile_and_exif_are_kept_and_exif_can_be_left_out(format_: Format) -> None:
    picture = Picture(ramp(8, 8).astype(np.float32) / 255, icc=SRGB, exif=EXIF)
    kept = read(encode(picture, format_))
    assert (kept.icc, kept.exif) == (SRGB, EXIF)
    without = read(encode(picture, format_, metadata=False))
    assert (without.icc, without.exif) == (SRGB, None)


@pytest.mark.parametrize("about", ["{}", "ein größerer Fuchs", "🦊 狐 ثعلب", "x" * 100_000, "\ud83d alone"])
def test_how_it_was_made_is_a_text_apart_from_exif(about: str) -> None:
    """Pillow, OpenCV and our own door read the file as before; who keeps no metadata keeps none of it."""
    picture = Picture(ramp(8, 8).astype(np.float32) / 255, icc=SRGB, exif=EXIF, about=about)
    data = encode(picture)
    with Image.open(BytesIO(data)) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        image.load()
        assert image.text == {ABOUT_KEYWORD: about.replace("\ud83d", "?")}
    assert_same(read(data), picture)
    assert read(data).about is None and cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is not None
    for bare in (encode(picture, metadata=False), encode(replace(picture, about=None))):
        with Image.open(BytesIO(bare)) as image:
            assert isinstance(image, PngImagePlugin.PngImageFile) and image.text == {}


def test_a_long_profile_is_kept() -> None:
    """Noise, so that it is long in the file too; Pillow refuses a PNG with more than 1 MB of it."""
    long = bytearray(SRGB[:128] + np.random.default_rng(0).bytes(3_000_000))
    long[:4] = len(long).to_bytes(4)
    assert read(encode(Picture(np.zeros((2, 2, 3), np.float32), icc=bytes(long)))).icc == long


def test_jpeg_is_close_and_keeps_every_chroma_sample() -> None:
    """At quality 95 each step of the standard's example tables (ITU-T T.81, K.1 and K.2) is divided by ten."""
    pixels = ramp(32, 32).astype(np.float32) / 255
    data = encode(Picture(pixels), "jpeg")
    with Image.open(BytesIO(data)) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
        luma, chroma = image.quantization.values()
        assert list(luma[:8]) == [2, 1, 1, 2, 2, 4, 5, 6] and luma[63] == 10
        assert list(chroma[:8]) == [2, 2, 2, 5, 10, 10, 10, 10] and chroma[63] == 10
    assert np.abs(read(data).pixels - pixels).mean() < 0.02
    grey = read(encode(Picture(np.repeat(pixels[..., :1], 3, axis=2), grey=True), "jpeg"))
    assert grey.grey


def test_jpeg_lays_transparency_over_white() -> None:
    for grey in (False, True):
        picture = Picture(np.zeros((16, 16, 3), np.float32), np.full((16, 16), 0.25, np.float32), grey)
        np.testing.assert_allclose(read(encode(picture, "jpeg")).pixels, 0.75, atol=0.01)


def test_losses_are_told() -> None:
    plain = Picture(np.zeros((2, 2, 3), np.float32))
    deep = random_picture(2, 2, 16, True, True)
    full = Picture(deep.pixels, deep.alpha, True, 16, icc=SRGB, exif=bytes(70_000))
    assert list_losses(plain, "png") == list_losses(full, "png") == list_losses(plain, "webp") == ()
    assert list_losses(plain, "jpeg") == ("JPEG is lossy: written at quality 95.",)
    assert list_losses(full, "webp") == (
        "WebP holds 8 bits a channel: 16 were rounded.",
        "WebP has no greyscale: written as colour with equal channels.",
        "A greyscale profile does not fit a colour file: left out.",
    )
    assert list_losses(full, "jpeg") == (
        "JPEG holds 8 bits a channel: 16 were rounded.",
        "JPEG is lossy: written at quality 95.",
        "JPEG has no transparency: laid over white.",
        "JPEG holds 64 kB of EXIF: a larger block was left out.",
    )
    for format_ in ("webp", "jpeg"):
        read(encode(full, format_))


@pytest.mark.parametrize("format_", ["jpeg", "webp"])
def test_quality_is_the_encoders(format_: Format) -> None:
    """A lower one is smaller; of JPEG the tables of ITU-T T.81, K.1 say which, and under 90 colour is halved."""
    picture = Picture(random_picture(48, 48, 8, False, False).pixels)
    sizes = [len(encode(picture, format_, quality=quality)) for quality in (1, 50, 89, 90, 100)]
    assert sizes == sorted(set(sizes))
    if format_ == "webp":
        assert np.abs(read(encode(picture, "webp", quality=50)).pixels - picture.pixels).max() > 0.05
        np.testing.assert_allclose(read(encode(picture, "webp")).pixels, picture.pixels, atol=0.5 / 255)
        return
    for quality, first, sampled in ((50, 16, (2, 2)), (75, 8, (2, 2)), (90, 3, (1, 1)), (None, 2, (1, 1))):
        with Image.open(BytesIO(encode(picture, "jpeg", quality=quality))) as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            assert (image.quantization[0][0], image.layer[0][1:3]) == (first, sampled)


@pytest.mark.parametrize("quality", [0, 101, 50.0, True, "80", -1])
def test_a_quality_out_of_range_is_refused(quality: Any) -> None:
    for format_ in ("jpeg", "webp"):
        with pytest.raises(BadSetting, match=r"^The quality is a whole number from 1 to 100, not "):
            encode(Picture(np.zeros((2, 2, 3), np.float32)), format_, quality=quality)


def test_png_has_no_quality() -> None:
    with pytest.raises(BadSetting, match=r"^PNG is lossless and has no quality: choose JPEG or WebP\.$"):
        encode(Picture(np.zeros((2, 2, 3), np.float32)), "png", quality=80)


def test_a_quality_is_told_as_a_loss() -> None:
    plain = Picture(np.zeros((2, 2, 3), np.float32))
    assert list_losses(plain, "jpeg", quality=60) == ("JPEG is lossy: written at quality 60.",)
    assert list_losses(plain, "webp", quality=60) == ("WebP is lossy here: written at quality 60.",)


def test_a_side_too_long_is_refused() -> None:
    wide = Picture(np.zeros((1, 16384, 3), np.float32))
    with pytest.raises(BadSetting, match="WebP holds at most 16383 pixels a side, and this image is 16384 by 1"):
        encode(wide, "webp")
    assert read(encode(wide)).pixels.shape == wide.pixels.shape
