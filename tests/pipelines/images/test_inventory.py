"""What a file says beside its pixels is carried, converted or told: chunk by chunk, walked here a second time.

The files in tests/data/images are drawn for faults that people met; each test says what the right value is and whence.
"""

import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin

from performance.mutations import read_apart
from pipelines.errors import BadPicture
from pipelines.images import jpeg, png_reading
from pipelines.images.door import read, read_size
from pipelines.images.encode import Format, encode, list_losses
from pipelines.images.inventory import Part, describe_left_out
from pipelines.images.picture import Extras, Picture, Resolution, Text, to_uint8
from tests.support.pictures import file_of, ramp

FILES = Path(__file__).parents[2] / "data" / "images"
SRGB = ImageCms.createProfile("sRGB")


def png_chunks(data: bytes) -> list[tuple[str, bytes]]:
    """Name and contents of each whole chunk."""
    found, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if at + 12 + length > len(data):
            break
        found.append((data[at + 4 : at + 8].decode(), data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    """Code and contents of each segment before the pixels."""
    found, at = [], 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


def with_chunks(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file with more chunks behind its header."""
    made = [
        len(contents).to_bytes(4) + name + contents + zlib.crc32(name + contents).to_bytes(4)
        for name, contents in chunks
    ]
    return b"".join([data[:33], *made, data[33:]])


def with_segments(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG file with more segments behind its JFIF segment."""
    made = [bytes((0xFF, code)) + (len(contents) + 2).to_bytes(2) + contents for code, contents in segments]
    return b"".join([data[:20], *made, data[20:]])


def refusal(data: bytes | Path) -> str:
    with pytest.raises(BadPicture) as caught:
        read(data)
    return str(caught.value)


PIXELS = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"}
CARRIED = {"gAMA", "cHRM", "sRGB", "cICP", "mDCV", "cLLI", "iCCP", "eXIf", "pHYs", "bKGD", "tEXt", "zTXt", "iTXt"}
TOLD = {
    "acTL": "first of ",
    "fcTL": "first of ",
    "fdAT": "first of ",
    "sBIT": "the number of significant bits",
    "tIME": "the time of its last change",
    "hIST": "a histogram",
    "sPLT": "a suggested palette",
    "caBX": "content credentials",
}


def check_every_chunk(data: bytes) -> None:
    picture = read(data)
    written = [name for name, _ in png_chunks(encode(picture))]
    notes = " ".join(picture.notes)
    for name, contents in png_chunks(data):
        whole = zlib.crc32(name.encode() + contents).to_bytes(4) in data
        if name in PIXELS:
            continue
        if name in CARRIED and whole:
            assert name in written, name
        else:
            assert TOLD.get(name, name if whole else "which is damaged") in notes, (name, notes)


def test_every_chunk_of_the_files_is_carried_or_told() -> None:
    walked = 0
    for path in sorted(FILES.glob("*.png")):
        try:
            read(path)
        except BadPicture:
            continue
        check_every_chunk(path.read_bytes())
        walked += 1
    assert walked >= 18


def test_every_chunk_of_the_standard_is_carried_or_told() -> None:
    """And of one that is not in it."""
    chunks = {
        "cICP": bytes((9, 16, 0, 1)),
        "mDCV": bytes(24),
        "cLLI": bytes(8),
        "gAMA": struct.pack(">I", 100_000),
        "cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        "sRGB": b"\0",
        "sBIT": b"\5\6\5",
        "bKGD": struct.pack(">HHH", 1, 2, 3),
        "pHYs": struct.pack(">IIB", 11811, 11811, 1),
        "tIME": bytes(7),
        "sPLT": b"name\0\x08",
        "tEXt": b"Author\0somebody",
        "zTXt": b"Title\0\0" + zlib.compress(b"a title"),
        "iTXt": b"Copyright\0\0\0de\0Urheber\0" + "größer".encode(),
        "eXIf": b"MM\0*\0\0\0\x08\0\0\0\0\0\0",
        "caBX": b"anything",
        "abCd": b"anything",
    }
    data = with_chunks(file_of(ramp(6, 5), "PNG"), *((name.encode(), value) for name, value in chunks.items()))
    check_every_chunk(data)
    written = dict(png_chunks(encode(read(data))))
    assert {name: written[name] for name in chunks if name in written and name != "zTXt"} == {
        name: value for name, value in chunks.items() if name in CARRIED and name != "zTXt"
    }
    assert zlib.decompress(written["zTXt"][7:]) == b"a title"
    assert read(data).notes[-1].endswith("chunk abCd")


JPEG_TOLD = {0xE2: "first of", 0xEB: "segment APP11", 0xE7: "segment APP7"}


def test_every_segment_is_carried_or_told() -> None:
    extra = ((0xEB, b"JP credentials"), (0xE7, b"unknown"), (0xFE, "größer".encode()), (0xED, IPTC))
    files = [path.read_bytes() for path in sorted(FILES.glob("*.jpg"))]
    files.append(with_segments(file_of(ramp(16, 16), "JPEG"), *extra))
    walked = 0
    for data in files:
        try:
            picture = read(data)
        except BadPicture:
            continue
        written = {(code, contents[:5]) for code, contents in jpeg_segments(encode(picture, "jpeg"))}
        notes = " ".join(picture.notes)
        for code, contents in jpeg_segments(data):
            if not (0xE0 <= code < 0xF0 or code == 0xFE) or code == 0xEE:
                continue
            walked += 1
            carried = (code, contents[:5]) in written
            told = JPEG_TOLD.get(code, "nothing") in notes or (contents.startswith(b"ICC") and "CMYK was" in notes)
            assert carried or told, (hex(code), contents[:20], notes)
    assert walked >= 15


RECORD = b"\x1c\2\x74\0\x0f(c) Somebody 26"
IPTC = b"Photoshop 3.0\x008BIM\4\4\0\0" + len(RECORD).to_bytes(4) + RECORD + b"\0" * (len(RECORD) % 2)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" tiff:ImageWidth="5">mine</r></x:xmpmeta>'


def test_the_inventory_names_what_it_does_not_know() -> None:
    for take, data, place in (
        (png_reading.take_inventory, with_chunks(file_of(ramp(4, 4), "PNG"), (b"zzZz", b"")), "zzZz"),
        (jpeg.take_inventory, with_segments(file_of(ramp(4, 4), "JPEG"), (0xE9, b"?")), "APP9"),
    ):
        (part,) = [part for part in take(data).parts if part.fate == "left out"]
        assert part.place == place and place in part.what


def test_a_note_counts_and_ends() -> None:
    parts = [Part("a", "left out", "a thing")] * 3 + [Part("b", "carried", "another")]
    assert describe_left_out(parts) == ("left out: a thing (3)",)
    assert describe_left_out(parts[3:]) == ()
    many = [Part(str(number), "left out", f"thing {number}") for number in range(1000)]
    assert describe_left_out(many)[0].endswith("thing 7, 992 more")


@pytest.mark.parametrize("name", ["chrm_p3_dull.png", "cicp_p3_dull.png", "gama_linear_128.png"])
@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_colours_look_as_before(name: str, format_: Format) -> None:
    """What Chromium showed of the three files: (196, 47, 54), a dull red of Display P3, and grey 188 of a linear 128.

    WebP and JPEG have a profile instead, by which LittleCMS finds the same.
    """
    expected = (188, 188, 188) if "gama" in name else (196, 47, 54)
    picture = read(FILES / name)
    data = encode(picture, format_)
    if format_ == "png":
        before = dict(png_chunks((FILES / name).read_bytes()))
        after = dict(png_chunks(data))
        assert {key: after.get(key) for key in before if key not in PIXELS} == {
            key: before[key] for key in before if key not in PIXELS
        }
        return
    with Image.open(BytesIO(data)) as image:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        shown = ImageCms.profileToProfile(image.convert("RGB"), profile, SRGB)
        assert shown is not None
    np.testing.assert_allclose(np.asarray(shown)[8, 8], expected, atol=3)
    assert any("written as a colour profile" in loss for loss in list_losses(picture, format_))


def test_grey_has_a_profile_of_grey() -> None:
    data = with_chunks(file_of(Image.new("L", (8, 8), 128), "PNG"), (b"gAMA", struct.pack(">I", 100_000)))
    with Image.open(BytesIO(encode(read(data), "jpeg"))) as image:
        assert image.mode == "L" and image.info["icc_profile"][16:20] == b"GRAY"


def test_hdr_is_carried_or_told() -> None:
    data = with_chunks(file_of(ramp(4, 4), "PNG"), (b"cICP", bytes((9, 16, 0, 1))), (b"cLLI", bytes(8)))
    assert dict(png_chunks(encode(read(data))))["cICP"] == bytes((9, 16, 0, 1))
    assert "WebP has no place for cICP and cLLI: left out." in list_losses(read(data), "webp")


def test_avif_tells_its_colours() -> None:
    """plain.avif with the code points of Display P3 for those of sRGB."""
    data = (FILES / "plain.avif").read_bytes()
    assert read(data).extras.colour == ()
    other = data.replace(b"nclx\0\1\0\x0d", b"nclx\0\x0c\0\x0d")
    assert dict(png_chunks(encode(read(other))))["cICP"] == bytes((12, 13, 0, 1))


def test_background_and_resolution_fit_the_output() -> None:
    picture = read(FILES / "sbit_phys_bkgd.png")
    written = dict(png_chunks(encode(replace(picture, depth=16))))
    assert written["pHYs"] == struct.pack(">IIB", 11811, 11811, 1)
    assert written["bKGD"] == struct.pack(">HHH", 257, 514, 771)
    assert read(encode(picture, "jpeg")).extras.resolution == Resolution(300, 300)
    assert set(list_losses(picture, "webp")) == {
        "WebP has no place for a resolution: left out.",
        "WebP has no place for a background colour: left out.",
    }


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "BMP"])
def test_the_number_of_dots_stays(format_: str) -> None:
    picture = read(file_of(ramp(8, 8), format_, dpi=(300, 300)))
    assert picture.notes == ("300 dpi are kept, so that a print grows with the image",)
    for output in ("png", "jpeg"):
        with Image.open(BytesIO(encode(picture, output))) as image:  # type: ignore[arg-type]
            assert [round(value) for value in image.info["dpi"]] == [300, 300]
    assert read(file_of(ramp(8, 8), format_, dpi=(72, 72))).notes == ()


def test_a_resolution_turns_with_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read(file_of(ramp(8, 4), "JPEG", dpi=(300, 150), exif=exif))
    assert picture.extras.resolution == Resolution(150, 300)


def test_texts_are_carried_to_png_and_a_comment_to_jpeg() -> None:
    picture = read(with_segments(file_of(ramp(8, 8), "JPEG"), (0xFE, b"by hand"), (0xFE, "größer".encode())))
    assert [text.text for text in picture.extras.texts] == ["by hand", "größer"]
    for format_ in ("png", "jpeg"):
        assert [text.text for text in read(encode(picture, format_)).extras.texts] == ["by hand", "größer"]  # type: ignore[arg-type]
    assert encode(picture, metadata=False) == encode(Picture(picture.pixels, extras=replace(picture.extras, texts=())))
    prompt = read(FILES / "prompt.png")
    with Image.open(FILES / "prompt.png") as before, Image.open(BytesIO(encode(prompt))) as after:
        assert isinstance(before, PngImagePlugin.PngImageFile) and isinstance(after, PngImagePlugin.PngImageFile)
        assert before.text == after.text != {}
    (loss,) = list_losses(prompt, "webp")
    assert loss == f"WebP has no place for texts ({prompt.extras.texts[0].keyword}): left out."


def test_xmp_and_iptc_are_carried_between_formats() -> None:
    data = file_of(ramp(8, 5), "JPEG", exif=turned(6))
    data = with_segments(data, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), (0xED, IPTC))
    picture = read(data)
    expected = XMP.replace(b'Orientation="6"', b'Orientation="1"').replace(b'Width="5"', b'Width="8"')
    formats: tuple[Format, ...] = ("png", "webp", "jpeg")
    for format_ in formats:
        again = read(encode(picture, format_))
        assert again.extras.xmp == expected
        assert again.extras.iptc == (None if format_ == "webp" else IPTC[14:])
        assert read(encode(picture, format_, metadata=False)).extras.xmp is None
    assert "WebP has no place for IPTC: left out." in list_losses(picture, "webp")


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_our_own_record_is_kept_when_it_is_enlarged_again() -> None:
    first = Picture(ramp(4, 4).astype(np.float32) / 255, about='{"model": "first"}')
    second = replace(read(encode(first)), about='{"model": "second"}')
    texts = read(encode(second)).extras.texts
    assert [text.text for text in texts] == ['{"model": "first"}', '{"model": "second"}']


def test_texts_beyond_bounds_are_told() -> None:
    data = file_of(ramp(4, 4), "PNG")
    bomb = read(with_chunks(data, (b"zTXt", b"bomb\0\0" + zlib.compress(bytes(20_000_000)))))
    assert bomb.notes == ("left out: a text longer than 16 MB",) and bomb.extras.texts == ()
    broken = read(with_chunks(data, (b"zTXt", b"broken\0\0nonsense"), (b"iTXt", b"cut\0\0\0")))
    assert broken.notes == ("left out: a text that is broken (2)",)


def test_text_of_any_bytes_comes_back() -> None:
    for text in (Text("k", "plain", "tEXt"), Text("k", "größer 狐", "tEXt"), Text("k", "\udc80", "iTXt", "de", "狐")):
        picture = Picture(np.zeros((2, 2, 3), np.float32), extras=Extras(texts=(text,)))
        (again,) = read(encode(picture)).extras.texts
        assert (again.keyword, again.text, again.language) == (text.keyword, text.text, text.language)


@pytest.mark.parametrize(("name", "note"), [
    ("no_iend.png", "its end is missing, behind the last pixel"),
    ("badcrc_iend.png", "its end has a wrong checksum"),
    ("badcrc_phys.png", "left out: the resolution, which is damaged"),
    ("badcrc_text.png", "left out: a text, which is damaged"),
    ("cut_text_after.png", "left out: a text, which is damaged"),
    ("cut2.jpg", "its end is missing, behind the last pixel"),
    ("indexed.png", "indexed colours became full colour"),
    ("bit1_trns.png", "1 bit a pixel became 8"),
    ("cmyk_rgb_icc.jpg", "CMYK was converted to RGB by rule, because its colour profile is for other colours"),
    ("crash_jpeg_cmyk_profile_incomplete.jpg",
     "CMYK was converted to RGB by rule, because its colour profile is broken"),
])  # fmt: skip
def test_what_stands_beside_the_pixels_is_told(name: str, note: str) -> None:
    assert note in read(FILES / name).notes


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_what_stands_behind_the_end_is_told(format_: str) -> None:
    """Such as the film of a motion photo; zeros are nothing."""
    data = file_of(ramp(8, 8), format_)
    before = read(data).notes
    assert read(data + bytes(50)).notes == before
    assert read(data + b"a film").notes == (*before, "left out: data behind its end")


CONVERT = "which cannot be read: convert it to PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC."


@pytest.mark.parametrize(("name", "why"), [
    ("cut20.jpg", "is cut short or damaged: part of its pixels is missing."),
    ("unnoticed_jpeg_half_of_the_data.jpg", "is cut short or damaged: part of its pixels is missing."),
    ("wrong_png_half_of_the_rows.png", "is cut short: 12 of its 24 rows are missing."),
    ("crash_png_palette_missing.png", "is damaged: it has no palette."),
    ("heic.heic", "is damaged, cut short, or a kind of HEIF that cannot be read here."),
    ("mif1_is.heic", "is damaged, cut short, or a kind of HEIF that cannot be read here."),
    ("icon.ico", f"is an icon (ICO), {CONVERT}"),
    ("tiny.jp2", f"is a JPEG 2000 image, {CONVERT}"),
    ("tiny.psd", f"is a Photoshop document (PSD), {CONVERT}"),
])  # fmt: skip
def test_why_it_is_refused(name: str, why: str) -> None:
    assert refusal(FILES / name) == f"{name} {why}"


def test_a_chunk_before_the_header_is_refused() -> None:
    data = file_of(ramp(4, 4), "PNG")
    early = data[:8] + b"\0\0\0\0tEXt" + zlib.crc32(b"tEXt").to_bytes(4) + data[8:]
    assert refusal(early) == "The image is damaged: it does not begin with its header."


def test_a_whole_jpeg_of_another_kind_is_not_called_damaged() -> None:
    data = bytearray(file_of(ramp(8, 8), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 4] = 12
    assert "12 bits a channel" in refusal(bytes(data))
    data[at + 4], data[at + 1] = 8, 0xC3
    assert refusal(bytes(data)) == "The image is a lossless JPEG, which cannot be read here."
    for code in (0xC9, 0xCA):
        data[at + 1] = code
        assert refusal(bytes(data)) == "The image is a JPEG with arithmetic coding, which cannot be read here."


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_before_its_last_pixels_is_refused(progressive: bool) -> None:
    """Whatever its end pretends."""
    data = file_of(ramp(64, 64), "JPEG", progressive=progressive)
    for share in (0.5, 0.7, 0.9):
        cut = data[: int(len(data) * share)]
        assert "missing" in refusal(cut)
    baseline = file_of(ramp(64, 64), "JPEG")
    assert "missing" in refusal(baseline[: int(len(baseline) * 0.9)] + b"\xff\xd9")


def test_avif_by_its_brands() -> None:
    np.testing.assert_array_equal(read(FILES / "miaf.avif").pixels, read(FILES / "plain.avif").pixels)


def test_the_crop_of_an_avif_is_applied() -> None:
    """A clean aperture of 20 by 16 in the middle of 32 by 24, before the orientation."""
    data = (FILES / "plain.avif").read_bytes()
    whole = read(data)
    clap = struct.pack(">I4s8I", 40, b"clap", 20, 1, 16, 1, 0, 1, 0, 1)
    picture = read(with_property(data, clap))
    np.testing.assert_array_equal(picture.pixels, whole.pixels[4:20, 6:26])
    assert read_size(with_property(data, clap)) == (20, 16)
    odd = struct.pack(">I4s8I", 40, b"clap", 21, 1, 16, 1, 0, 1, 0, 1)
    assert read(with_property(data, odd)).notes == ("left out: its crop, which is not one of whole pixels",)


def with_property(data: bytes, box: bytes) -> bytes:
    """plain.avif with one more property of its item, number 5; what lies behind moves by as many bytes."""
    moved = len(box) + 1
    out = bytearray(data)
    for name in (b"meta", b"iprp", b"ipco"):
        at = out.index(name) - 4
        out[at : at + 4] = (int.from_bytes(out[at : at + 4]) + len(box) + (name != b"ipco")).to_bytes(4)
    at = out.index(b"iloc") + 18
    place = out.index(struct.pack(">I", data.index(b"mdat") + 4), out.index(b"iloc"))
    out[place : place + 4] = (data.index(b"mdat") + 4 + moved).to_bytes(4)
    at = out.index(b"ipma") - 4
    out[at : at + 4] = (int.from_bytes(out[at : at + 4]) + 1).to_bytes(4)
    count = at + 18
    out[count] += 1
    end = at + int.from_bytes(out[at : at + 4]) - 1
    out[end:end] = b"\x85"
    out[at:at] = box
    return bytes(out)


def test_runs_beyond_their_row_are_cut_off() -> None:
    """Each row is one run of 35 of its number times eight, in a picture 32 wide (by the file's bytes)."""
    pixels = to_uint8(read(FILES / "strict_bmp_run_longer_than_its_row.bmp").pixels)
    assert pixels.shape == (24, 32, 3) and (pixels == pixels[:, :1]).all()


def test_sizes_agree_where_exif_comes_last() -> None:
    for name in ("exif_after.png", "measure_png_exif_behind_pixels.png"):
        height, width, _ = read(FILES / name).pixels.shape
        assert read_size(FILES / name) == (width, height)


def test_every_jpeg_of_the_examples_is_whole(assets: Path) -> None:
    """The check for missing pixels finds none in what cameras and editors wrote."""
    read_ones = 0
    for path in sorted((assets / "images/odd_formats/jpg").rglob("*.jp*g")):
        picture = read(path)
        with Image.open(path) as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
        assert not any("missing" in note for note in picture.notes)
        read_ones += 1
    assert read_ones >= 4


def png_bomb() -> bytes:
    data = file_of(ramp(8, 8), "PNG")
    chunk = b"\0\0\0\0tEXt" + zlib.crc32(b"tEXt").to_bytes(4)
    return data[:33] + chunk * 2_000_000 + data[33:]


def gif_bomb(comment: bytes) -> bytes:
    data = file_of(ramp(8, 8), "GIF")
    at = data.index(b"\x2c")
    return data[:at] + comment + data[at:]


def jpeg_bomb(segments: bytes) -> bytes:
    data = file_of(ramp(8, 8), "JPEG")
    return data[:2] + segments + data[2:]


def scans(side: int, number: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = file_of(Image.new("L", (side, side)), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * number + data[end:]


def bmp_bomb(code: bytes) -> bytes:
    body = code * 4_000_000
    header = struct.pack("<IiiHHIIiiII", 40, 7000, 7000, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(body), 0, 0, 1078) + header + bytes(1024) + body


def exif_bomb(format_: str) -> bytes:
    """A thousand tags that share one value as long as the block."""
    length = 50_000 if format_ == "JPEG" else 1_000_000
    tags = b"".join(struct.pack(">HHII", 0x9000 + number, 7, length, 12_100) for number in range(1000))
    block = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1000) + tags + bytes(4)
    return file_of(ramp(16, 16), format_, exif=b"Exif\0\0" + block.ljust(12_100 + length, b"\0"))


BOMBS = {
    "PNG of two million chunks": png_bomb,
    "GIF with a comment of one-byte blocks": lambda: gif_bomb(b"!\xfe" + b"\1a" * 1_500_000 + b"\0"),
    "GIF with one million comments": lambda: gif_bomb(b"!\xfe\1a\0" * 1_000_000),
    "JPEG of three million comments": lambda: jpeg_bomb(b"\xff\xfe\0\2" * 3_000_000),
    "JPEG of twelve million restarts": lambda: jpeg_bomb(b"\xff\xd0" * 12_000_000),
    "JPEG of fill": lambda: jpeg_bomb(b"\xff" * 20_000_000 + b"\0"),
    "JPEG of a thousand passes": lambda: scans(7000, 1000),
    "BMP of empty steps": lambda: bmp_bomb(b"\0\2\0\0"),
    "BMP of short runs and empty steps": lambda: bmp_bomb(b"\1\5\0\2\0\0"),
    "JPEG with tags that share a value": lambda: exif_bomb("JPEG"),
    "AVIF with tags that share a value": lambda: exif_bomb("AVIF"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_counts_are_bounded_by_the_file(kind: str) -> None:
    """One message, or the picture, in 300 MB: in a process of its own. `performance.mutations` looks at the time."""
    assert read(file_of(ramp(16, 16), "JPEG")).pixels.size, "what reads them is loaded before"
    ((_, outcome),) = read_apart([(kind, BOMBS[kind]())])
    assert outcome.ended in ("image", "refused") and outcome.grown <= 300_000_000, outcome


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(sorted(path for path in FILES.iterdir() if path.is_file() and path.stat().st_size < 9000)),
    places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4),
    value=st.sampled_from((0, 1, 127, 128, 255)),
)
def test_a_file_with_wrong_bytes_is_a_picture_or_refused(path: Path, places: list[float], value: int) -> None:
    """And what is read can be written: what the file says is broken in all the ways that bytes allow."""
    data = bytearray(path.read_bytes())
    for place in places:
        data[int(len(data) * place)] = value
    try:
        width, height = read_size(bytes(data))
        picture = read(bytes(data))
    except BadPicture as error:
        assert str(error).startswith("The image ")
        return
    assert picture.pixels.shape == (height, width, 3)
    if max(width, height) < 1000:
        for format_ in ("png", "webp", "jpeg"):
            assert read(encode(picture, format_)).pixels.shape == picture.pixels.shape  # type: ignore[arg-type]


def test_a_progressive_jpeg_of_many_passes_is_read_where_it_is_small() -> None:
    np.testing.assert_array_equal(read(scans(64, 50)).pixels, read(scans(64, 0)).pixels)
