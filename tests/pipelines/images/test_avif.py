"""AVIF files that say what they are in unusual ways: opacity without a size, and sequences with a crop."""

import io
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BadPicture
from pipelines.images.boxes import Box, list_boxes
from pipelines.images.door import read, read_size

BEFORE_BOXES = {"meta": 4, "stsd": 8, "av01": 78}


def drawn(height: int, width: int, channels: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8))


def file_of(pictures: Sequence[Image.Image]) -> bytes:
    file = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:], "duration": 100} if len(pictures) > 1 else {}
    pictures[0].save(file, "AVIF", quality=95, **more)  # type: ignore[arg-type]
    return file.getvalue()


def boxed(name: str, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + name.encode() + content


def find(data: bytes, path: Sequence[str]) -> Box:
    start, end = 0, len(data)
    for name in path:
        box = next(each for each in list_boxes(data, start, end) if each.name == name)
        start, end = box.start + BEFORE_BOXES.get(name, 0), box.end
    return box


def rewritten(data: bytes, path: Sequence[str], content: bytes) -> bytes:
    """The file with a box's content replaced, moved behind the end so that all places in the file stay."""
    made = boxed(path[-1], content)
    for depth in range(len(path) - 1, 0, -1):
        around, old = find(data, path[:depth]), find(data, path[: depth + 1])
        made = boxed(path[depth - 1], data[around.start : old.start - 8] + made + data[old.end : around.end])
    first = find(data, path[:1])
    return data[: first.start - 4] + b"skip" + data[first.start :] + made


def without_alphas_size(data: bytes, kept: bytes) -> bytes:
    """The file with only these numbers as the properties of its second item, which is the opacity."""
    path = ("meta", "iprp", "ipma")
    box = find(data, path)
    block = data[box.start : box.end]
    assert block[15:] == b"\0\2\4\1\5\x86\7", "size, depth, codec and kind of the opacity"
    return rewritten(data, path, block[:17] + bytes([len(kept)]) + kept)


@pytest.mark.parametrize("kept", [b"\5\x86\7", b"\x86\7"], ids=["with its depth", "bare"])
@pytest.mark.parametrize("size", [(5, 7), (24, 32)])
def test_opacity_without_a_size_has_the_images(size: tuple[int, int], kept: bytes) -> None:
    """As encoders of old left it out; browsers show such files."""
    data = file_of([drawn(*size, 4)])
    whole, bare = read(data), read(without_alphas_size(data, kept))
    assert whole.alpha is not None and bare.alpha is not None and np.ptp(bare.alpha) > 0.5
    np.testing.assert_array_equal(bare.alpha, whole.alpha)
    np.testing.assert_array_equal(bare.pixels, whole.pixels)
    assert bare.notes == whole.notes and read_size(without_alphas_size(data, kept)) == size[::-1]


def test_a_last_box_that_goes_to_the_end_still_ends_there() -> None:
    data = file_of([drawn(24, 32, 4)])
    at = data.index(b"mdat") - 4
    endless = data[:at] + bytes(4) + data[at + 4 :]
    np.testing.assert_array_equal(read(endless).pixels, read(data).pixels)
    meta = find(data, ("meta",))
    box = find(data, ("meta", "iprp", "ipma"))
    lacking = bytearray(endless)  # the opacity's size is its colour instead, which changes no place
    lacking[box.end - 4] = 4
    assert meta.end <= at and data[box.end - 4] == 1
    np.testing.assert_array_equal(read(bytes(lacking)).pixels, read(data).pixels)


def test_the_crop_of_a_sequence_is_applied() -> None:
    """It stands in the track, whose first frame is read; what the item beside it says is of the item."""
    data = file_of([drawn(20, 24, 3, seed) for seed in range(3)])
    path = ("moov", "trak", "mdia", "minf", "stbl", "stsd", "av01")
    entry, whole = find(data, path), read(data)
    assert whole.pixels.shape == (20, 24, 3)
    for width, offset, inside in ((12, 0, np.s_[5:15, 6:18]), (10, 2, np.s_[5:15, 9:19])):
        clap = boxed("clap", struct.pack(">IIIIiIiI", width, 1, 10, 1, offset, 1, 0, 1))
        cropped = rewritten(data, path, data[entry.start : entry.end] + clap)
        np.testing.assert_array_equal(read(cropped).pixels, whole.pixels[inside])
        assert read_size(cropped) == (width, 10) and read(cropped).notes == ("first of 3 frames",)
    item = data.replace(b"ftypavis", b"ftypavif").replace(b"colrnclx\0\1\0\r", b"colrnclx\0\x0c\0\r", 1)
    assert read(item).extras.colour and not read(item.replace(b"ftypavif", b"ftypavis")).extras.colour


def test_boxes_without_number_are_passed_over() -> None:
    """A hostile file of millions of empty boxes is refused at once."""
    data = file_of([drawn(5, 7, 4)])
    many = data[: find(data, ("ftyp",)).end] + b"\0\0\0\x08free" * 1_000_000
    assert sum(1 for _ in list_boxes(many, 0, len(many))) == 10_000
    with pytest.raises(BadPicture):
        read(many)
