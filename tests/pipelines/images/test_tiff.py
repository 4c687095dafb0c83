"""Every kind of TIFF is read right, or refused with what it is: by what tifffile reads, and by plain arithmetic."""

import itertools
import struct
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from pipelines.errors import BadPicture
from pipelines.images.door import read, read_size
from tests.support.pictures import file_of, ramp
from tests.support.tiffs import grey, tiff

KINDS: dict[str, tuple[int, str, tuple[str, ...]]] = {  # channels, photometric, further samples
    "grey": (1, "minisblack", ()),
    "white is zero": (1, "miniswhite", ()),
    "grey and alpha": (2, "minisblack", ("unassalpha",)),
    "RGB": (3, "rgb", ()),
    "RGBA": (4, "rgb", ("unassalpha",)),
    "premultiplied": (4, "rgb", ("assocalpha",)),
    "RGB and one more": (4, "rgb", ("unspecified",)),
    "RGB, one more, alpha": (5, "rgb", ("unspecified", "unassalpha")),
}


def written(values: npt.NDArray[Any], **options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, values, metadata=None, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "planar"),
    [(kind, planar) for kind in KINDS for planar in ("contig", "separate") if planar == "contig" or KINDS[kind][0] > 1],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_agrees_with_tifffile(kind: str, planar: str, dtype: type[np.unsignedinteger[Any]]) -> None:
    """Byte order, BigTIFF, strips and tiles, compression and predictor in all combinations."""
    channels, photometric, extra = KINDS[kind]
    white = np.iinfo(dtype).max
    values = np.random.default_rng(0).integers(0, white, (37, 45, channels), dtype, endpoint=True)
    if kind == "premultiplied":
        values[..., :3] = np.minimum(values[..., :3], values[..., 3:])
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    choices = itertools.product(
        "<>", (False, True), ({}, {"rowsperstrip": 8}, {"tile": (16, 32)}), (None, "zlib", "lzma")
    )
    for order, big, pieces, compression in choices:
        for predictor in (False, True) if compression == "zlib" else (False,):
            options = {"byteorder": order, "bigtiff": big, "compression": compression, "predictor": predictor, **pieces}
            if channels > 1:
                options |= {"planarconfig": planar, "extrasamples": extra}
            data = written(stored if channels > 1 else values[..., 0], photometric=photometric, **options)
            told = tifffile.imread(BytesIO(data)).reshape(stored.shape)
            np.testing.assert_array_equal(told, stored, err_msg=str(options))
            check(read(data), values, kind, white, str(options))


def check(picture: Any, values: npt.NDArray[Any], kind: str, white: int, message: str) -> None:
    """The picture's pixels and alpha against the values that tifffile tells."""
    scaled = values / white
    colour = scaled[..., :3] if values.shape[2] > 2 else scaled[..., :1]
    if kind == "white is zero":
        colour = 1 - colour
    alpha = scaled[..., -1] if kind.lower().endswith("alpha") or kind in ("RGBA", "premultiplied") else None
    room = 1e-6
    if kind == "premultiplied":
        colour = np.where(scaled[..., 3:] > 0, colour / np.maximum(scaled[..., 3:], 1e-9), 0)
        room = 0.501 / white
    np.testing.assert_allclose(
        picture.pixels, np.broadcast_to(colour, picture.pixels.shape), atol=room, err_msg=message
    )
    assert picture.depth == (16 if white > 255 else 8), message
    assert picture.grey == (values.shape[2] < 3), message
    if alpha is None:
        assert picture.alpha is None, message
    else:
        np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6, err_msg=message)
    told = ("1 further channel was left out",) if "one more" in kind else ()
    assert picture.notes == told, message


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint32", "uint64", "float16", "float32", "float64", "complex64"]
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_numbers_that_are_no_picture_are_named(dtype: str, compression: str | None) -> None:
    values = np.ones((8, 8), dtype)
    with pytest.raises(BadPicture, match="keeps signed, floating-point or more than 16-bit numbers"):
        read(written(values, photometric="minisblack", compression=compression))


def packed(values: npt.NDArray[np.uint16], bits: int) -> bytes:
    """Rows (H, N) of bit fields, the highest bit first, each row filled up to a byte."""
    fields = values[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint16) & 1
    return np.packbits(fields.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_depth(bits: int, channels: int) -> None:
    """1 to 16 bits a sample; those of another size than a byte or two are bit fields (TIFF 6.0, "BitsPerSample")."""
    values = np.random.default_rng(bits).integers(0, 2**bits, (7, 11 * channels), np.uint16)
    row = values.astype("<u2").tobytes() if bits == 16 else packed(values, bits)
    for compression, strip in ((1, row), (8, zlib.compress(row))):
        tags = grey(11, 7, t258=[bits] * channels, t259=compression, t262=1 if channels == 1 else 2, t277=channels)
        picture = read(tiff(tags, [strip]))
        expected = (values / (2**bits - 1)).reshape(7, 11, channels)
        np.testing.assert_allclose(picture.pixels, np.broadcast_to(expected, (7, 11, 3)), atol=1e-6)
        assert picture.depth == (16 if bits > 8 else 8)


def test_channels_of_different_depths_are_named() -> None:
    with pytest.raises(BadPicture, match=r"^The image keeps its channels in different numbers of bits\.$"):
        read(tiff(grey(4, 4, t258=[5, 6, 5], t262=2, t277=3), [bytes(32)]))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_eight_and_of_sixteen_bits(bits: int) -> None:
    """The specification's palette has 16 bits; some writers fill it from 8 by 256 or 257, and some do not fill it."""
    random = np.random.default_rng(0)
    indices = random.integers(0, 2**bits, (6, 16), np.uint16)
    eight = random.integers(0, 256, (3, 2**bits))
    eight[0, 0] = 255
    sixteen = random.integers(0, 65536, (3, 2**bits))
    for table, white, depth in (
        (eight, 255, 8),
        (eight * 257, 65535, 8),
        (eight * 256, 65280, 8),
        (sixteen, 65535, 16),
    ):
        picture = read(tiff(grey(16, 6, t258=bits, t262=3, t320=table.ravel().tolist()), [packed(indices, bits)]))
        np.testing.assert_allclose(picture.pixels, (table / white).T[indices], atol=1e-6)
        assert (picture.depth, picture.grey) == (depth, False)
    with pytest.raises(BadPicture, match="its palette is missing or too short"):
        read(tiff(grey(16, 6, t258=bits, t262=3), [packed(indices, bits)]))


@pytest.mark.parametrize("across,down", [(1, 1), (2, 1), (2, 2), (4, 2), (1, 2)])
def test_ycbcr_agrees_with_libtiff(across: int, down: int) -> None:
    """OpenCV has libtiff convert it. Stored in units: the lumas of a block, Cb, Cr (TIFF 6.0 section 21)."""
    width, height = 19, 13
    units = np.random.default_rng(0).integers(
        0, 256, (-(-height // down), -(-width // across), across * down + 2), np.uint8
    )
    tags = grey(width, height, t258=[8, 8, 8], t262=6, t277=3, t530=[across, down])
    tags[529] = [299, 1000, 587, 1000, 114, 1000]
    tags[532] = [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1]
    data = bytearray(tiff(tags, [units.tobytes()]))
    for tag in (529, 532):  # of half as many fractions
        at = data.index(tag.to_bytes(2, "little") + b"\4\0")
        count = int.from_bytes(data[at + 4 : at + 8], "little") // 2
        data[at + 2 : at + 8] = b"\5\0" + count.to_bytes(4, "little")
    told = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)
    assert told is not None
    ours = np.rint(read(bytes(data)).pixels * 255)
    assert np.abs(ours - told[..., ::-1]).max() <= 1


@pytest.mark.parametrize("compression,number", [("tiff_lzw", 5), ("packbits", 32773), ("zstd", 50000), ("lzma", 34925)])
@pytest.mark.parametrize("rows", [8, 64])
def test_what_libtiff_compressed(compression: str, number: int, rows: int) -> None:
    values = ramp(61, 47)
    data = file_of(values, "TIFF", compression=compression, strip_size=47 * 3 * rows)
    with tifffile.TiffFile(BytesIO(data)) as file:
        assert file.pages[0].compression == number
        assert len(file.pages[0].dataoffsets) == -(-61 // rows)
    np.testing.assert_array_equal(np.rint(read(data).pixels * 255), values)


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_in_strips(mode: str, subsampling: int) -> None:
    """Against the same JPEG streams read as files of their own; of RGB, as YCbCr with and without subsampling."""
    image = Image.fromarray(ramp(48, 64)).convert(mode)
    data = file_of(image, "TIFF", compression="jpeg", quality=90, strip_size=64 * len(image.getbands()) * 16)
    picture = read(data)
    told = np.asarray(image.convert("RGB")) / 255
    assert np.abs(picture.pixels - told).mean() < 0.03
    parts = [
        file_of(image.crop((0, top, 64, top + 16)), "JPEG", quality=90, subsampling=subsampling) for top in (0, 16, 32)
    ]
    tags = grey(64, 48, t259=7, t262={"L": 1, "RGB": 6, "CMYK": 5}[mode], t278=16)
    tags |= {258: [8] * len(image.getbands()), 277: len(image.getbands())}
    picture = read(tiff(tags, parts))
    told = np.concatenate([read(part).pixels for part in parts])
    if mode != "CMYK":  # Pillow writes CMYK inverted, as Photoshop does in files of its own, and not within TIFF.
        np.testing.assert_array_equal(picture.pixels, told)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_in_tiles(mode: str) -> None:
    image = Image.fromarray(np.dstack((ramp(32, 48), ramp(32, 48)[..., :1] + 100))).convert(mode)
    tiles = [
        file_of(image.crop((x, y, x + 16, y + 16)), "WEBP", lossless=True, exact=True)
        for y in (0, 16)
        for x in (0, 16, 32)
    ]
    channels = len(mode)
    tags = grey(48, 32, t258=[8] * channels, t259=50001, t262=2, t277=channels, t322=16, t323=16)
    picture = read(tiff(tags, tiles, tiled=True))
    np.testing.assert_array_equal(np.rint(picture.pixels * 255), np.asarray(image)[..., :3])
    assert (picture.alpha is not None) == (mode == "RGBA")


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
@pytest.mark.parametrize("rows", [8, 64])
def test_faxes(compression: str, rows: int) -> None:
    bits = np.random.default_rng(0).random((61, 83)) < 0.3
    for options in ({}, {"tiffinfo": {292: 1}}) if compression == "group3" else ({},):  # in two dimensions as well
        data = file_of(Image.fromarray(bits), "TIFF", compression=compression, strip_size=11 * rows, **options)
        with tifffile.TiffFile(BytesIO(data)) as file:
            assert file.pages[0].tags.valueof(292, 0) == (1 if options else 0)
        np.testing.assert_array_equal(read(data).pixels[..., 0], bits)


def test_bits_may_be_stored_from_the_lowest() -> None:
    row = bytes((0b10110000, 0b00000001))
    data = tiff(grey(16, 1, t258=1, t266=2), [row])
    np.testing.assert_array_equal(read(data).pixels[0, :, 0], [0, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0])


def test_cielab_of_sixteen_bits_and_as_icc_has_it() -> None:
    """Red: L 53.2, a 80.1, b 67.2 (D65; with the D50 of profiles a little less)."""
    eight = np.array([[[136, 80, 67]]], np.uint8)
    sixteen = np.array([[[136 << 8, 80 << 8, 67 << 8]]], "<u2")
    icc = np.array([[[136, 80 + 128, 67 + 128]]], np.uint8)
    for values, bits, photometric in ((eight, 8, 8), (sixteen, 16, 8), (icc, 8, 9)):
        picture = read(tiff(grey(1, 1, t258=[bits] * 3, t262=photometric, t277=3), [values.tobytes()]))
        np.testing.assert_allclose(picture.pixels[0, 0], [1, 0, 0], atol=0.05)
        assert "CIELAB was converted to sRGB" in picture.notes


@pytest.mark.parametrize(("tags", "told"), [
    ({259: 6}, "compressed by a method that cannot be read here: old JPEG"),
    ({259: 34712}, "compressed by a method that cannot be read here: JPEG 2000"),
    ({259: 12345}, "compressed by a method that cannot be read here: number 12345"),
    ({262: 32845}, "keeps its colours in a way that cannot be read here: logarithmic colours"),
    ({262: 5, 277: 4, 258: [8] * 4, 332: 2}, "keeps inks other than cyan, magenta, yellow and black"),
    ({262: 6, 277: 3, 258: [8] * 3, 284: 2}, "keeps YCbCr one channel after another"),
    ({277: 9, 258: [8] * 9}, "has 9 channels, and at most 8 can be read"),
    ({317: 3, 259: 8}, "keeps differences of a kind that cannot be read here: predictor 3 of 8 bits"),
    ({262: 2}, "it has 1 channels, and its colours need 3"),
])  # fmt: skip
def test_what_is_not_read_is_named(tags: dict[int, Any], told: str) -> None:
    with pytest.raises(BadPicture, match=rf"^The image (is damaged: |is )?{told}"):
        read(tiff(grey(4, 4) | tags, [bytes(1000)]))


def thumbnail_first(subfile: dict[str, Any], whole: npt.NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(np.zeros((6, 8, 3), np.uint8), photometric="rgb", metadata=None, **subfile)
        writer.write(whole, photometric="rgb", metadata=None)
    return stream.getvalue()


@pytest.mark.parametrize("where", ["chain", "below", "as old files say it"])
def test_a_thumbnail_before_the_picture_is_passed_over(where: str) -> None:
    """Tags 254 and 255, and directories below the first (330)."""
    whole = ramp(24, 32)
    data = thumbnail_first({"subfiletype": 1} | ({"subifds": 1} if where == "below" else {}), whole)
    if where == "as old files say it":
        at = data.index((254).to_bytes(2, "little") + b"\4\0")
        data = data[:at] + b"\xff\0\3\0\1\0\0\0\2\0\0\0" + data[at + 12 :]
    picture = read(data)
    np.testing.assert_array_equal(np.rint(picture.pixels * 255), whole)
    assert picture.notes == ("its thumbnail was passed over",)
    assert read_size(data) == (32, 24)


def test_smaller_versions_behind_the_picture_are_no_pages() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(ramp(24, 32), photometric="rgb", metadata=None, subifds=1)
        writer.write(ramp(12, 16), photometric="rgb", metadata=None, subfiletype=1)
        writer.write(ramp(6, 8), photometric="rgb", metadata=None, subfiletype=1)
    picture = read(stream.getvalue())
    assert (picture.pixels.shape, picture.notes) == ((24, 32, 3), ())


@pytest.mark.parametrize("photometric", [32803, 34892])
def test_a_cameras_raw_is_named(photometric: int) -> None:
    """What it holds whole are numbers of the sensor; what it holds in colour is a thumbnail."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(np.zeros((6, 8, 3), np.uint8), photometric="rgb", metadata=None, subfiletype=1, subifds=1)
        shape = (24, 32) if photometric == 32803 else (24, 32, 3)
        writer.write(np.zeros(shape, np.uint16), photometric=photometric, metadata=None)
    for function in (read, read_size):
        with pytest.raises(BadPicture, match=r"is a camera's raw file, which has to be developed"):
            function(stream.getvalue())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_every_orientation(orientation: int, planar: str) -> None:
    values = ramp(9, 5)
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    tag = (274, "H", 1, orientation, True)
    data = written(stored, photometric="rgb", planarconfig=planar, extratags=[tag])
    steps = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
             7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
    image = Image.fromarray(values)
    upright = image if orientation == 1 else image.transpose(Image.Transpose[steps[orientation]])
    np.testing.assert_array_equal(np.rint(read(data).pixels * 255), np.asarray(upright))
    assert read_size(data) == upright.size


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_and_place_are_kept_from_either_byte_order(order: str) -> None:
    """The EXIF and GPS directories lie behind four pixels, at bytes 12 and 38."""
    exposure = struct.pack(order + "HHHIIIII", 1, 0x829A, 5, 1, 12 + 18, 0, 1, 250)
    north = struct.pack(order + "HHHI", 1, 1, 2, 2) + b"N\0\0\0" + bytes(4)
    tags = grey(2, 2, t271=b"Maker of long names\0", t273=8, t279=4, t34665=12, t34853=38)
    picture = read(tiff(tags, [bytes(4), exposure, north], order))
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[271] == b"Maker of long names\0"
    assert (kept.get_ifd(0x8769)[0x829A], kept.get_ifd(0x8825)[1]) == (1 / 250, "N")


@pytest.mark.parametrize("broken", [{34665: 9999}, {271: b"", 34665: 8}])
def test_broken_exif_is_no_reason_to_refuse(broken: dict[int, Any]) -> None:
    np.testing.assert_array_equal(read(tiff(grey(2, 2) | broken, [bytes(4)])).pixels, np.zeros((2, 2, 3)))


def test_what_tags_say_is_carried_or_told() -> None:
    """A tag that the table does not know is told by its number."""
    said = {269: b"name\0", 285: b"page\0", 316: b"host\0", 700: b"<x/>", 33723: b"iptc", 50000: b"x", 270: b"kept\0"}
    picture = read(tiff(grey(2, 2) | said, [bytes(4)]))
    assert picture.notes == ("left out: the document's name, the page's name, the host computer, tag 50000",)
    assert picture.extras.xmp == b"<x/>"
    assert picture.extras.iptc == b"8BIM\4\4\0\0\0\0\0\4iptc"
    assert picture.exif is not None and b"kept" in picture.exif
    assert read(tiff(grey(2, 2) | {tag: 1 for tag in (256, 257, 278)}, [bytes(4)])).notes == ()
    many = read(tiff(grey(2, 2) | {60000 + tag: 1 for tag in range(20)}, [bytes(4)]))
    assert many.notes[0].endswith("tag 60007, 12 more")


def test_what_few_bits_became_is_told() -> None:
    for tags, note in ((grey(8, 1, t258=1), "1 bit a pixel became 8"), (grey(4, 1, t258=4), "4 bits a pixel became 8"),
                       (grey(1, 1, t262=3, t320=[0] * 768), "indexed colours became full colour")):  # fmt: skip
        assert read(tiff(tags, [bytes(4)])).notes == (note,)
