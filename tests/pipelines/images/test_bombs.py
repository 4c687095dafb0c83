"""Small files that claim to be huge, files that are two things at once, and files that are cut: of every format."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from performance.mutations import read_apart
from pipelines.errors import BadPicture
from pipelines.images.door import read, read_size
from tests.conftest import ROOT

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "HEIC")
HUGE = 60_000
MOST_BYTES = 20_000_000  # of memory, for a file that is refused


def drawn(kind: str) -> bytes:
    """A picture of 64 by 48 pixels with some noise, so that no part of the file is idle."""
    if kind == "HEIC":
        return (ROOT / "tests" / "data" / "images" / "heic" / "plain.heic").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def grown(kind: str, width: int, height: int) -> bytes:
    """The same file, which says that it is of another size."""
    data = bytearray(drawn(kind))
    match kind:
        case "PNG":
            struct.pack_into(">II", data, 16, width, height)
            struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
        case "JPEG":
            at = data.index(b"\xff\xc0") + 5
            struct.pack_into(">HH", data, at, height, width)
        case "GIF":
            struct.pack_into("<HH", data, 6, width, height)
            struct.pack_into("<HH", data, data.index(b",\0\0\0\0@") + 5, width, height)
        case "BMP":
            struct.pack_into("<ii", data, 18, width, height)
        case "TIFF":
            for tag, side in ((256, width), (257, height), (278, height)):
                at = next(
                    at
                    for at in range(8, len(data))
                    if data[at : at + 4] in (struct.pack("<HH", tag, kind) for kind in (3, 4))
                )
                struct.pack_into("<HHII", data, at, tag, 4, 1, side)
        case "WEBP":  # at most 16384 a side: 14 bits each
            at = data.index(b"VP8L") + 9
            bits = int.from_bytes(data[at : at + 4], "little")
            bits = (bits >> 28 << 28) | min(height, 16384) - 1 << 14 | min(width, 16384) - 1
            data[at : at + 4] = bits.to_bytes(4, "little")
        case _:
            at = data.index(b"ispe") + 8
            struct.pack_into(">II", data, at, width, height)
    return bytes(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_bomb_is_refused_by_its_header(kind: str) -> None:
    """In one sentence, and for next to no memory."""
    assert read(drawn(kind)).pixels.shape == (48, 64, 3), "whole, it is read"
    side = 16384 if kind == "WEBP" else HUGE
    bomb = grown(kind, HUGE, HUGE)
    sentence = f"The image is {side} by {side} pixels, {side**2 / 1e6:.0f} megapixels: the limit is 50."
    for refuse in (read, read_size):
        with pytest.raises(BadPicture) as error:
            refuse(bomb)
        assert str(error.value) == sentence
    ((_, outcome),) = read_apart([(kind, bomb)])
    assert outcome.ended == "refused" and outcome.grown < MOST_BYTES, outcome


@pytest.mark.parametrize("kind", FORMATS)
def test_a_line_of_pixels_is_no_reason_to_hang(kind: str) -> None:
    """1 by 40 000 pixels claimed, of which next to none are there."""
    for size in ((1, 40_000), (40_000, 1)):
        if kind == "WEBP":
            size = min(size[0], 16_000), min(size[1], 16_000)
        ((_, outcome),) = read_apart([(kind, grown(kind, *size))])
        assert outcome.is_right, outcome


def test_what_is_cut_is_refused_or_whole() -> None:
    """At every tenth of a file of each format."""
    files = [
        (f"{kind} {tenth}", data[: len(data) * tenth // 10])
        for kind in FORMATS
        for data in [drawn(kind)]
        for tenth in range(10)
    ]
    outcomes = dict(read_apart(files))
    assert {name: each for name, each in outcomes.items() if not each.is_right} == {}
    assert sum(each.ended == "refused" for each in outcomes.values()) >= 8 * len(FORMATS)


TAILS = (
    b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18),
    b"<html><script>alert(1)</script></html>",
    b"#!/bin/sh\n",
)
HEADS = (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a/*<html>*/=1;", b"BM<html>", b"RIFF\0\0\0\0WEBP<html>")


def test_what_is_two_things_at_once_is_the_image_that_it_begins_as() -> None:
    """An archive, a page or a script behind it is left out, or the file is refused; before it, there is no image."""
    for kind in FORMATS[:-1]:
        whole = read(drawn(kind))
        files = [(str(number), drawn(kind) + tail) for number, tail in enumerate(TAILS)]
        for (name, outcome), (_, data) in zip(read_apart(files), files, strict=True):
            assert outcome.is_right, (kind, name, outcome)
            if outcome.ended == "image":
                np.testing.assert_array_equal(read(data).pixels, whole.pixels)
    for head in HEADS:
        with pytest.raises(BadPicture):
            read(head + drawn("PNG"))
