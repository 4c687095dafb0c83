"""EXIF blocks after turning and enlarging: every number by hand."""

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.images.door import read
from pipelines.images.encode import encode
from pipelines.images.exif import read_resolution, resize_exif, turn_exif_upright
from pipelines.images.picture import Picture, Resolution
from tests.support.pictures import file_of, ramp

FILES = Path(__file__).parents[2] / "data" / "images"


def block(order: str, orientation: int) -> bytes:
    """Sizes 40 by 30, a subject around (10, 5) of 4 by 2, a sensor of 3000 by 2000 pixels to an inch, maker's bytes."""
    entries = [
        (0x0100, 3, 1, struct.pack(order + "HH", 40, 0)),
        (0x0101, 3, 1, struct.pack(order + "HH", 30, 0)),
        (0x0112, 3, 1, struct.pack(order + "HH", orientation, 0)),
        (0x8769, 4, 1, struct.pack(order + "I", 8 + 2 + 4 * 12 + 4)),
    ]
    inner = 8 + 2 + 4 * 12 + 4
    values = inner + 2 + 6 * 12 + 4
    more = [
        (0x9214, 3, 4, struct.pack(order + "I", values)),
        (0x927C, 7, 8, struct.pack(order + "I", values + 24)),
        (0xA002, 4, 1, struct.pack(order + "I", 40)),
        (0xA003, 4, 1, struct.pack(order + "I", 30)),
        (0xA20E, 5, 1, struct.pack(order + "I", values + 8)),
        (0xA20F, 5, 1, struct.pack(order + "I", values + 16)),
    ]
    data = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    for table in (entries, more):
        data += struct.pack(order + "H", len(table))
        data += b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in table) + bytes(4)
    data += struct.pack(order + "4H", 10, 5, 4, 2) + struct.pack(order + "4I", 3000, 1, 2000, 1)
    return data + b"maker's!"


def values(data: bytes) -> dict[str, object]:
    """What Pillow reads of a block."""
    exif = Image.Exif()
    exif.load(data)
    inner = exif.get_ifd(0x8769)
    return {
        "sizes": (exif[0x0100], exif[0x0101], inner[0xA002], inner[0xA003]),
        "orientation": exif[0x0112],
        "subject": tuple(inner[0x9214]),
        "sensor": (float(inner[0xA20E]), float(inner[0xA20F])),
        "maker": inner[0x927C],
    }


# Where (10, 5) of a picture of 40 by 30 lies once turned: by EXIF's own drawing of its eight orientations.
SUBJECTS = {1: (10, 5), 2: (29, 5), 3: (29, 24), 4: (10, 24), 5: (5, 10), 6: (24, 10), 7: (24, 29), 8: (5, 29)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_lies_as_the_pixels_is_turned_and_enlarged_with_them(order: str, orientation: int) -> None:
    upright = turn_exif_upright(block(order, orientation), (40, 30))
    assert upright.block is not None and upright.orientation == orientation
    size = (40, 30) if orientation < 5 else (30, 40)
    span = (4, 2) if orientation < 5 else (2, 4)
    sensor = (3000.0, 2000.0) if orientation < 5 else (2000.0, 3000.0)
    expected = {"sizes": size * 2, "orientation": 1, "subject": SUBJECTS[orientation] + span, "sensor": sensor}
    assert values(upright.block) == expected | {"maker": b"maker's!"}
    found = values(resize_exif(upright.block, size, (size[0] * 4, size[1] * 4)))
    assert found == {
        "sizes": tuple(4 * side for side in size * 2),
        "orientation": 1,
        "subject": tuple(4 * each for each in SUBJECTS[orientation] + span),
        "sensor": tuple(4 * each for each in sensor),
        "maker": b"maker's!",
    }


def test_a_point_turns_as_its_pixel_does() -> None:
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[5, 10] = 255
    for orientation, (x, y) in SUBJECTS.items():
        picture = read(file_of(pixels, "PNG", exif=block(">", orientation)))
        assert picture.pixels[y, x].min() == 1 and picture.pixels.sum() == 3


def test_a_size_grows_out_of_sixteen_bits() -> None:
    grown = values(resize_exif(block("<", 1), (40, 30), (80_000, 60_000)))
    assert grown["sizes"] == (80_000, 60_000, 80_000, 60_000)


def test_a_thumbnail_that_lies_on_its_side_is_left_out() -> None:
    before = (FILES / "exif_thumbnail_o6.jpg").read_bytes()
    picture = read(before)
    assert picture.notes == ("left out: EXIF's thumbnail, which lies on its side",)
    with Image.open(BytesIO(encode(picture, "jpeg"))) as image:
        assert image.getexif().get_ifd(1) == {}
        assert picture.exif is not None and b"\xff\xd8\xff" not in picture.exif
    assert before.count(b"\xff\xd8\xff") == 2


def test_sizes_in_the_file_are_those_of_the_picture() -> None:
    picture = read(FILES / "exif_size.jpg")
    height, width, _ = picture.pixels.shape
    with Image.open(BytesIO(encode(Picture(np.zeros((77, 99, 3), np.float32), exif=picture.exif)))) as image:
        exif = image.getexif()
        inner = exif.get_ifd(0x8769)
        sizes = {exif.get(0x0100), exif.get(0x0101), inner.get(0xA002), inner.get(0xA003)} - {None}
        assert sizes <= {99, 77} and sizes and (width, height) != (99, 77)


def test_resolution_of_a_block() -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 118.0, 59.0, 3
    found = read_resolution(exif.tobytes().removeprefix(b"Exif\0\0"))
    assert found == Resolution(float(118 * Fraction("2.54")), float(59 * Fraction("2.54")))
    assert read_resolution(b"nonsense") is None
    assert read(file_of(ramp(4, 4), "PNG", exif=exif)).extras.resolution == found
