"""Every kind of picture, against what other libraries and plain arithmetic make of it."""

import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipelines.errors import BadPicture
from pipelines.images.door import read
from pipelines.images.encode import encode
from pipelines.images.picture import Picture, to_uint8
from tests.support.pictures import file_of, ramp

ROOT = Path(__file__).parents[3]
UNLIKE_OPENCV = {
    # OpenCV leaves the colour multiplied by alpha.
    "hpredict.tiff",
    "hpredict_packbits.tiff",
    # OpenCV skips the default image of an APNG that is not part of its animation.
    "fcTL-dispose-in-region-previous.png",
    # OpenCV ignores that OS/2 palettes have three bytes an entry; all pal8* show one picture, which is tested below.
    "Core_4_Bit.bmp",
    "Core_8_Bit.bmp",
    "pal8os2-hs.bmp",
    "pal8os2-sz.bmp",
    "pal8os2sp.bmp",
    # OpenCV fills the low bits of 5-bit samples with zeros, so that white is grey.
    "Info_X1_R5_G5_B5.bmp",
    "Info_X1_R5_G5_B5_Top_Down.bmp",
    "rgb16.bmp",
    "rgb16-565.bmp",
    # By its own EXIF block this one lies on its side, and OpenCV is told to leave that.
    "portrait_2.jpg",
}


@pytest.mark.parametrize("folder", ["pngsuite", "odd_formats", "alpha_and_grey"])
def test_agrees_with_opencv(assets: Path, folder: str) -> None:
    """OpenCV has its own decoders for all formats but JPEG, TIFF and WebP, and its own unpacking of every sample."""
    compared = 0
    for path in sorted((assets / "images" / folder).rglob("*.*")):
        if path.name in UNLIKE_OPENCV or not path.is_file():
            continue
        try:
            picture = read(path)
            other = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        except (BadPicture, cv2.error):
            continue
        if other is None:
            continue
        compared += 1
        white = np.iinfo(other.dtype).max
        samples = np.atleast_3d(other / white)
        alpha = np.ones(samples.shape[:2]) if picture.alpha is None else picture.alpha
        if samples.shape[2] == 4:
            np.testing.assert_allclose(alpha, samples[..., 3], atol=1e-6, err_msg=path.name)
        colour = np.broadcast_to(samples[..., 2::-1] if samples.shape[2] > 1 else samples, picture.pixels.shape)
        # What hides under full transparency is nobody's promise; CMYK rounds differently by one.
        close = np.abs(picture.pixels - colour).max(axis=2) <= (1.01 / 255 if "cmyk" in path.name else 1e-6)
        assert (close | (alpha == 0)).all(), path.name
        assert picture.depth == (16 if white > 255 else 8), path.name
    assert compared > {"pngsuite": 150, "odd_formats": 60, "alpha_and_grey": 3}[folder]


def test_every_file_is_read_or_refused_in_silence(assets: Path) -> None:
    """In 2 s of processor time and 300 MB each, with warnings as errors, and nothing on stderr from the C libraries."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from performance.measuring import peak_megabytes\n"
        "from pipelines.errors import BadPicture\n"
        "from pipelines.images.door import read\n"
        "def attempt(path):\n"
        "    try: read(path)\n"
        "    except BadPicture: pass\n"
        "for path in (path for folder in sys.argv[1:] for path in Path(folder).rglob('*') if path.is_file()):\n"
        "    start = time.process_time()\n"
        "    peak = peak_megabytes(lambda: attempt(path))\n"
        "    seconds = time.process_time() - start\n"
        "    assert peak < 300 and seconds < 2, (path.name, peak, seconds)\n"
    )
    folders = [assets / "images" / name for name in ("odd_formats", "pngsuite", "alpha_and_grey", "exif_orientation")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_too_little_memory_is_not_the_files_fault() -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from pipelines.images.door import read\n"
        "data = sys.stdin.buffer.read()\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "most = pages * resource.getpagesize() + 40_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "try: read(data)\n"
        "except MemoryError: print('too little memory')\n"
    )
    large = file_of(Image.new("RGB", (6000, 6000)), "PNG")
    done = subprocess.run([sys.executable, "-c", code], input=large, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"too little memory\n"


def test_corrupt_pngsuite_files_are_refused(assets: Path) -> None:
    corrupt = sorted((assets / "images/pngsuite").glob("x*.png"))
    assert len(corrupt) == 14
    for path in corrupt:
        with pytest.raises(BadPicture, match=rf"^{path.name} is "):
            read(path)


def test_pngsuite_names_tell_depth_and_kind(assets: Path) -> None:
    """Colour type and depth are the last four letters of each name: "g16" after an interlace flag and a code."""
    for path in (assets / "images/pngsuite").glob("[a-w]*.png"):
        code, bits = path.stem[-3], path.stem[-2:]
        picture = read(path)
        assert picture.grey == (path.stem[-4] in "04"), path.name
        assert picture.depth == (16 if bits == "16" else 8), path.name
        assert code in "gcpa"


def test_one_picture_in_many_bmps(assets: Path) -> None:
    folder = assets / "images/odd_formats" / "bmp" / "images"
    expected = read(folder / "pal8v4.bmp").pixels
    for name in ("pal8v5", "pal8rle", "pal8os2-hs", "pal8os2-sz", "pal8os2sp", "lenient/rletopdown"):
        np.testing.assert_array_equal(read(folder / f"{name}.bmp").pixels, expected, err_msg=name)
    for name in ("rgb16", "rgb16-565"):
        # Half a step of five bits, and what stretching them to eight rounds.
        np.testing.assert_allclose(read(folder / f"{name}.bmp").pixels, read(folder / "rgb24.bmp").pixels, atol=0.0202)
    for name in ("lenient/badrle", "lenient/rle_overflow", "rgb24rle24"):
        with pytest.raises(BadPicture):
            read(folder / f"{name}.bmp")


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_nine_orientations_are_one_upright_picture(assets: Path, kind: str) -> None:
    folder = assets / "images/exif_orientation"
    pictures = [read(folder / f"{kind}_{number}.jpg") for number in range(9)]
    height, width = (1200, 1800) if kind == "Landscape" else (1800, 1200)
    for picture in pictures:
        assert picture.pixels.shape == (height, width, 3)
        # Each was compressed on its own, so that they agree but for compression noise.
        assert np.abs(picture.pixels - pictures[0].pixels).mean() < 0.02
        again = read(encode(picture))
        np.testing.assert_array_equal(again.pixels, picture.pixels)
        assert again.exif == picture.exif is not None


@pytest.mark.parametrize("orientation", range(10))
def test_orientation_is_applied_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    picture = read(file_of(ramp(9, 5), "PNG", exif=exif))
    transpose = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    upright = Image.fromarray(ramp(9, 5))
    if orientation in transpose:
        upright = upright.transpose(transpose[orientation])
    np.testing.assert_array_equal(to_uint8(picture.pixels), np.asarray(upright))
    kept = Image.Exif()
    kept.load(picture.exif)
    assert (kept[0x0112], kept[0x010F]) == (1, "Maker")


def test_tiff_orientation_is_applied_once() -> None:
    data = file_of(ramp(9, 5), "TIFF", tiffinfo={0x0112: 6, 0x0131: "Software"})
    picture = read(data)
    np.testing.assert_array_equal(to_uint8(picture.pixels), np.rot90(ramp(9, 5), -1))
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == {0x0131: "Software"}


def test_a_broken_exif_block_is_left_out() -> None:
    broken = b"MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x0f\0\x02\0\0\xff\xff\0\0\0\x26\0\0\0\0"
    for block in (b"nonsense", b"", broken, broken[:20]):
        picture = read(file_of(ramp(9, 5), "JPEG", exif=b"Exif\0\0" + block))
        assert (picture.exif, picture.notes) == (None, ("its EXIF block is broken and was left out",))
        # The orientation of the third can be read, although the maker's name lies outside the block.
        assert picture.pixels.shape == ((5, 9, 3) if block == broken else (9, 5, 3))


GREY = ramp(8, 9)[..., 2]
ALPHA = ramp(8, 9)[..., 0] * 31


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP", "JPEG", "BMP", "GIF", "AVIF"])
def test_every_format_is_read(format_: str) -> None:
    lossless = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "JPEG": {"quality": 100, "subsampling": 0}}
    picture = read(file_of(ramp(16, 24), format_, **lossless.get(format_, {})))
    difference = np.abs(to_uint8(picture.pixels).astype(int) - ramp(16, 24))
    # 384 colours do not fit into a GIF's 256.
    assert difference.max() <= {"JPEG": 3, "AVIF": 5, "GIF": 40}.get(format_, 0)


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_modes_of_eight_bits(format_: str) -> None:
    both = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(ALPHA)))
    picture = read(file_of(both, format_))
    assert picture.grey and picture.alpha is not None
    np.testing.assert_array_equal(to_uint8(picture.pixels)[..., 1], GREY)
    np.testing.assert_array_equal(to_uint8(picture.alpha), ALPHA)
    palette = Image.fromarray(GREY).convert("P")
    assert not read(file_of(palette, format_)).grey
    bits = read(file_of(Image.fromarray(GREY > 7), format_))
    assert bits.grey
    np.testing.assert_array_equal(bits.pixels[..., 0], GREY > 7)


def test_grey_of_sixteen_bits_in_either_byte_order() -> None:
    grey = ((ramp(6, 5)[..., 2].astype(np.uint16) << 8) + 77).astype(np.uint16)
    swapped = Image.frombytes("I;16B", (5, 6), grey.astype(">u2").tobytes())
    for image, format_ in ((Image.fromarray(grey), "PNG"), (Image.fromarray(grey), "TIFF"), (swapped, "TIFF")):
        picture = read(file_of(image, format_))
        assert (picture.grey, picture.depth) == (True, 16)
        np.testing.assert_array_equal(np.rint(picture.pixels[..., 0] * 65535), grey)


@pytest.mark.parametrize("compression", [1, 5, 32946])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_of_sixteen_bits(compression: int, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (11, 7, channels), np.uint16)
    done, data = cv2.imencode(".tiff", samples, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert done
    picture = read(data.tobytes())
    assert picture.depth == 16
    np.testing.assert_array_equal(np.rint(picture.pixels * 65535), samples[..., 2::-1])
    if channels == 4:
        assert picture.alpha is not None
        np.testing.assert_array_equal(np.rint(picture.alpha * 65535), samples[..., 3])


def test_colour_key_of_sixteen_bits_matches_exactly() -> None:
    pixels = np.full((1, 2, 3), 1000 / 65535, np.float32)
    pixels[0, 1, 2] = 1001 / 65535
    data = encode(Picture(pixels, depth=16))
    key = b"tRNS" + (1000).to_bytes(2) * 3
    picture = read(data[:33] + (6).to_bytes(4) + key + zlib.crc32(key).to_bytes(4) + data[33:])
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, [[0, 1]])


def test_cmyk_and_lab_become_srgb() -> None:
    cmyk = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    for format_ in ("JPEG", "TIFF"):
        picture = read(file_of(cmyk, format_))
        np.testing.assert_allclose(picture.pixels[0, 0], [1, 0, 0], atol=0.02)
        assert picture.notes == ("CMYK was converted to RGB by rule, because it has no colour profile",)
    lab = Image.new("LAB", (2, 2), (255 * 53 // 100, 128 + 80, 128 + 67))
    picture = read(file_of(lab, "TIFF"))
    np.testing.assert_allclose(picture.pixels[0, 0], [1, 0, 0], atol=0.05)
    assert picture.icc is None


def test_a_profile_stays_where_it_fits() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(file_of(ramp(4, 4), "PNG", icc_profile=srgb)).icc == srgb
    for data in (file_of(GREY, "PNG", icc_profile=srgb), file_of(ramp(4, 4), "PNG", icc_profile=b"nonsense")):
        picture = read(data)
        assert (picture.icc, picture.notes) == (None, ("its colour profile does not fit it and was left out",))


def with_chunk(data: bytes, name: bytes, contents: bytes) -> bytes:
    """A PNG file with one more chunk, behind its header."""
    chunk = len(contents).to_bytes(4) + name + contents + zlib.crc32(name + contents).to_bytes(4)
    return data[:33] + chunk + data[33:]


def test_a_profile_too_long_or_broken_is_left_out() -> None:
    data = file_of(ramp(4, 4), "PNG")
    bomb = read(with_chunk(data, b"iCCP", b"bomb\0\0" + zlib.compress(bytes(17_000_000))))
    assert (bomb.icc, bomb.notes) == (None, ("its colour profile is longer than 16 MB and was left out",))
    for broken in (b"", b"name", b"name\0", b"name\0\0nonsense"):
        picture = read(with_chunk(data, b"iCCP", broken))
        assert (picture.icc, picture.notes) == (None, ("its colour profile does not fit it and was left out",))


def test_a_text_is_no_part_of_the_picture() -> None:
    """However long it is, and even if its name is one of those under which Pillow keeps what a picture is like."""
    data = file_of(ramp(4, 4), "PNG")
    long = with_chunk(data, b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3_000_000)))
    for other in (long, with_chunk(data, b"tEXt", b"transparency\0nonsense")):
        picture = read(other)
        np.testing.assert_array_equal(picture.pixels, read(data).pixels)
        assert (picture.alpha, picture.notes) == (None, ())


def test_an_exif_block_may_be_a_text() -> None:
    block = b"II*\0\x08\0\0\0\x01\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    text = b"\nexif\n      %d\n" % len(block) + block.hex().encode()
    for name, contents in ((b"tEXt", b"\0" + text), (b"zTXt", b"\0\0" + zlib.compress(text))):
        picture = read(with_chunk(file_of(ramp(9, 5), "PNG"), name, b"Raw profile type exif" + contents))
        assert picture.pixels.shape == (5, 9, 3) and picture.exif is not None


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_a_note_tells_of_depth_that_is_lost_in_avif(depth: int) -> None:
    samples = np.full((8, 8, 3), 2**depth // 2, np.uint8 if depth == 8 else np.uint16)
    done, data = cv2.imencode(".avif", samples, [cv2.IMWRITE_AVIF_DEPTH, depth])
    assert done
    picture = read(data.tobytes())
    np.testing.assert_allclose(picture.pixels, 0.5, atol=0.01)
    assert picture.notes == (() if depth == 8 else (f"{depth} bits a channel were read as 8",))


def test_a_note_tells_of_depth_that_is_lost_in_cmyk() -> None:
    """Pillow writes none of 16 bits: one of 8 bits is told to be of half the width and twice the depth."""
    data = bytearray(file_of(Image.frombytes("CMYK", (16, 1), bytes((0, 0, 255, 255, 255, 255, 0, 0) * 8)), "TIFF"))
    data[18] = 8
    depths = data.index(b"\x08\0" * 4)
    data[depths : depths + 8] = b"\x10\0" * 4
    picture = read(bytes(data))
    np.testing.assert_allclose(picture.pixels, np.broadcast_to(np.float32([1, 0, 0]), (1, 8, 3)), atol=0.02)
    assert picture.notes[1:] == ("16 bits a channel were read as 8",)


@pytest.mark.parametrize(("format_", "what"), [("GIF", "frames"), ("PNG", "frames"), ("WEBP", "frames"),
                                              ("AVIF", "frames"), ("TIFF", "pages"), ("MPO", "pictures")])  # fmt: skip
def test_the_first_of_many(format_: str, what: str) -> None:
    images = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    picture = read(file_of(images[0], format_, save_all=True, append_images=images[1:]))
    indexed = ("indexed colours became full colour",) if format_ == "GIF" else ()
    assert picture.notes == (f"first of 3 {what}", *indexed)
    np.testing.assert_allclose(picture.pixels[0, 0], [1, 0, 0], atol=0.02)


def test_around_a_small_first_frame_is_nothing() -> None:
    data = bytearray(file_of(Image.new("P", (4, 4), 1), "GIF"))
    data[6:10] = bytes((6, 0, 5, 0))
    picture = read(bytes(data))
    assert picture.alpha is not None and picture.alpha.shape == (5, 6)
    assert picture.alpha.sum() == 16 and picture.alpha[:4, :4].all()


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_that_are_no_picture_are_refused(mode: str) -> None:
    with pytest.raises(BadPicture, match="floating-point or more than 16-bit numbers"):
        read(file_of(Image.new(mode, (4, 4)), "TIFF"))


def test_zero_size_is_refused() -> None:
    data = bytearray(file_of(ramp(2, 2), "BMP"))
    data[18:22] = bytes(4)
    with pytest.raises(BadPicture):
        read(bytes(data))


FUZZED = [
    file_of(ramp(24, 20), "PNG"),
    encode(Picture(ramp(24, 20).astype(np.float32) / 255, depth=16)),
    file_of(ramp(24, 20), "JPEG", exif=Image.Exif()),
    file_of(ramp(24, 20), "JPEG", progressive=True),
    file_of(ramp(24, 20), "WEBP", lossless=True),
    file_of(ramp(24, 20), "WEBP"),
    file_of(ramp(24, 20), "TIFF"),
    file_of(ramp(24, 20), "TIFF", compression="tiff_lzw"),
    file_of(Image.fromarray(GREY > 7), "TIFF", compression="group4"),
    file_of(ramp(24, 20), "BMP"),
    file_of(Image.fromarray(GREY).convert("P"), "GIF"),
    file_of(ramp(24, 20), "AVIF"),
]


def test_a_damaged_fax_is_refused_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff prints that it met a bad code, and Pillow would show what followed as noise."""
    bits = Image.fromarray(np.random.default_rng(0).random((64, 64)) < 0.5)
    data = file_of(bits, "TIFF", compression="group4")
    assert read(data).grey
    damaged = data[:300] + b"\xff" * 30 + data[330:]
    with pytest.raises(BadPicture):
        read(damaged)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.sampled_from(FUZZED), cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_or_whole(data: bytes, cut: float) -> None:
    """What is missing may be beyond the last pixel. Then the picture is the same; it is never half grey."""
    try:
        picture = read(data[: int(len(data) * cut)])
    except BadPicture:
        return
    np.testing.assert_array_equal(picture.pixels, read(data).pixels)


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.sampled_from(FUZZED), at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_a_picture_or_refused(data: bytes, at: float, bit: int) -> None:
    flipped = bytearray(data)
    flipped[int(len(data) * at)] ^= 1 << bit
    try:
        picture = read(bytes(flipped))
    except BadPicture as error:
        assert str(error).endswith(".")
    else:
        assert picture.pixels.min() >= 0 and picture.pixels.max() <= 1
