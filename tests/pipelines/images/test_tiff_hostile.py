"""TIFF files that are made to show what lay in memory, or to take gigabytes and hours."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from pipelines.errors import BadPicture
from pipelines.images.door import read, read_size
from tests.support.pictures import file_of, ramp
from tests.support.tiffs import Values, grey, tiff

ROOT = Path(__file__).parents[3]
NOISE = np.random.default_rng(0).integers(0, 256, 4000, np.uint8).tobytes()


def fax(compression: int) -> bytes:
    """32 rows of 64 pixels of noise, as one strip."""
    bits = Image.fromarray(np.random.default_rng(1).random((32, 64)) < 0.5)
    kind = {2: "tiff_ccitt", 3: "group3", 4: "group4"}[compression]
    data = file_of(bits, "TIFF", compression=kind)
    with TiffImagePlugin.TiffImageFile(BytesIO(data)) as image:
        (at,), (size,) = image.tag_v2[273], image.tag_v2[279]
    return data[at : at + size]


def ends_early() -> Iterator[tuple[str, bytes]]:
    """Files whose strips or tiles hold less than they must, in each compression."""
    one_bit: dict[str, Values] = {"t258": 1, "t262": 0}
    for compression in (2, 3, 4, 32771):
        code = fax(2 if compression == 32771 else compression)
        for name, piece in (("half", code[: len(code) // 2]), ("nothing", b"\0"), ("its end mark", b"\0\x10\1"),
                            ("one row", b"\x80\0\x10\1"), ("noise", NOISE[:40])):  # fmt: skip
            yield f"fax {compression}, {name}", tiff(grey(64, 33, t259=compression, **one_bit), [piece])
            yield f"wide fax {compression}, {name}", tiff(grey(6400, 900, t259=compression, **one_bit), [piece])
    small = file_of(ramp(8, 8), "JPEG")
    rgb: dict[str, Values] = {"t258": [8, 8, 8], "t277": 3}
    for photometric in (2, 6):
        yield f"a small JPEG, {photometric}", tiff(grey(64, 64, t259=7, t262=photometric, **rgb), [small])
    cut = file_of(ramp(64, 64), "JPEG")[:700]
    yield "a cut JPEG", tiff(grey(64, 64, t259=7, t262=6, **rgb), [cut])
    yield "a small WebP", tiff(grey(64, 64, t259=50001, t262=2, **rgb), [file_of(ramp(8, 8), "WEBP")])
    for compression, piece in (
        (1, bytes(100)),
        (8, zlib.compress(bytes(100))),
        (5, b"\x80\x40\x40"),
        (32773, b"\xf0\0"),
    ):
        yield f"compression {compression}", tiff(grey(64, 64, t259=compression), [piece])
        yield (
            f"a tile of compression {compression}",
            tiff(grey(64, 64, t259=compression, t322=64, t323=64), [piece], tiled=True),
        )
    whole = [bytes(64 * 16)] * 4
    yield "too few strips", tiff(grey(64, 64, t278=16), whole[:3])
    yield "a strip of nothing", tiff(grey(64, 64, t278=16), [*whole[:3], b""])
    yield "a strip at the start of the file", tiff(grey(64, 64, t278=64, t273=0, t279=4096), whole)
    yield "a strip beyond the end", tiff(grey(64, 64, t278=64, t273=4000, t279=4096), whole[:1])
    yield "no strips", tiff(grey(64, 64))
    yield "too few planes", tiff(grey(64, 64, t262=2, t284=2, **rgb), [bytes(4096)] * 2)


@pytest.mark.parametrize(("name", "data"), [pytest.param(*each, id=each[0]) for each in ends_early()])
def test_what_ends_early_is_refused(name: str, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadPicture, match="is damaged"):
        read(data)
    assert capfd.readouterr() == ("", "")


def test_no_file_shows_what_lay_in_memory() -> None:
    """Each of these, and of a hundred with noise in them, gives the same whatever fresh memory is filled with."""
    code = (
        "import hashlib, random\n"
        "from pipelines.errors import BadPicture\n"
        "from pipelines.images.door import read\n"
        "from tests.pipelines.images.test_tiff_hostile import seeds\n"
        "chance = random.Random(0)\n"
        "for data in seeds():\n"
        "    for _ in range(25):\n"
        "        other = bytearray(data)\n"
        "        for _ in range(chance.randrange(4)):\n"
        "            other[chance.randrange(len(other))] = chance.randrange(256)\n"
        "        try: print(hashlib.sha256(read(bytes(other)).pixels).hexdigest())\n"
        "        except BadPicture as error: print(error)\n"
    )
    told = []
    for fill in ("1", "170"):
        environment = os.environ | {"MALLOC_PERTURB_": fill}  # glibc fills what it hands out
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        told.append(done.stdout)
    assert told[0] == told[1]
    assert len(set(told[0].split("\n"))) > 20


def seeds() -> Iterator[bytes]:
    bits: dict[str, Values] = {"t258": 1, "t262": 0}
    yield from (tiff(grey(64, 32, t259=number, **bits), [fax(number)]) for number in (2, 3, 4))
    yield from (
        file_of(ramp(40, 30), "TIFF", compression=each) for each in ("raw", "tiff_lzw", "packbits", "zstd", "jpeg")
    )
    yield tiff(grey(32, 32, t259=8, t322=16, t323=16), [zlib.compress(NOISE[:256])] * 4, tiled=True)


def test_faxes_that_are_whole_are_read() -> None:
    """So that the refusals above are for what is missing."""
    for number in (2, 3, 4):
        picture = read(tiff(grey(64, 32, t258=1, t262=0, t259=number), [fax(number)]))
        np.testing.assert_array_equal(1 - picture.pixels[..., 0], np.random.default_rng(1).random((32, 64)) < 0.5)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_damaged_faxes_are_refused(number: int) -> None:
    """Not each wrong bit can be seen, but no row may be of the wrong length, and no code unknown."""
    code, refused = fax(number), 0
    whole = read(tiff(grey(64, 32, t258=1, t262=0, t259=number), [code]))
    for at in range(10, len(code) - 20, 10):
        damaged = code[:at] + bytes(byte ^ 0xFF for byte in code[at : at + 8]) + code[at + 8 :]
        try:
            picture = read(tiff(grey(64, 32, t258=1, t262=0, t259=number), [damaged]))
        except BadPicture:
            refused += 1
        else:
            assert (picture.pixels != whole.pixels).any(axis=(1, 2)).sum() < 32
    assert refused > 0.8 * len(range(10, len(code) - 20, 10))


def many_tags_share(megabytes: int) -> bytes:
    """1000 tags that all name the same bytes as theirs, and the picture's own tags of these bytes too."""
    shared = bytes(megabytes << 20)
    data = tiff(grey(4, 4, t273=8, t279=16, **{f"t{tag}": 0 for tag in range(40000, 41000)}), [shared])
    for tag in [270, 271, 305, *range(40000, 41000)]:
        at = data.find(struct.pack("<HHI", tag, 4, 1))
        if at >= 0:
            data = data[:at] + struct.pack("<HHII", tag, 7, len(shared), 8) + data[at + 12 :]
    return data


def exif_shares(megabytes: int) -> bytes:
    """An EXIF directory of a thousand such tags."""
    shared = bytes(megabytes << 20)
    entries = b"".join(struct.pack("<HHII", 40000 + tag, 7, len(shared), 8) for tag in range(1000))
    directory = struct.pack("<H", 1000) + entries + bytes(4)
    return tiff(grey(4, 4, t273=8, t279=16, t34665=8 + len(shared)), [shared, directory])


def directories_share(count: int) -> bytes:
    """Directories that overlap, each as long as can be, one after another."""
    body = bytearray(bytes(8 + 12 * 70000))
    body[:8] = b"II*\0" + struct.pack("<I", 8)
    for number in range(count):
        at = 8 + 2 * number
        body[at : at + 2] = struct.pack("<H", 4000)
    return bytes(body)


def subdirectories_repeat() -> bytes:
    """100 000 directories below the first, all of them at the same few places."""
    return tiff(grey(4, 4, t330=[8 + number % 4000 for number in range(100_000)]), [bytes(5000)])


def a_jpeg(height: int, width: int, **options: bool) -> bytes:
    return file_of(ramp(height, width)[..., 0], "JPEG", **options)


TRAPS = {
    "tags that share a megabyte": lambda: many_tags_share(1),
    "EXIF tags that share a megabyte": lambda: exif_shares(1),
    "directories that overlap": lambda: directories_share(1000),
    "a hundred thousand directories": subdirectories_repeat,
    "tiles of 20 000 pixels": lambda: tiff(grey(10, 10, t322=20_000, t323=20_000, t259=5), [bytes(10_000)], tiled=True),
    "tiles of 20 000 pixels, deflated": lambda: tiff(
        grey(10, 10, t322=20_000, t323=20_000, t259=8), [zlib.compress(bytes(10_000_000))], tiled=True
    ),
    "a million strips": lambda: tiff(grey(1, 1_000_000, t278=1, t273=[8] * 1_000_000, t279=[1] * 1_000_000), [b"x"]),
    "a million strips of one byte": lambda: tiff(grey(1, 1_000_000, t278=1), [b"x"] * 1_000_000),
    "ten thousand JPEG streams": lambda: tiff(grey(16, 160_000, t259=7, t278=8), [a_jpeg(8, 16)] * 20_000),
    "JPEG of a thousand scans": lambda: tiff(
        grey(64, 64, t259=7), [a_jpeg(64, 64, progressive=True)[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 1000]
    ),
    "a hundred channels": lambda: tiff(grey(7000, 7000, t277=100, t258=[16] * 100, t259=8), [bytes(1000)]),
    "a thousand pages": lambda: file_of(
        Image.new("L", (1, 1)), "TIFF", save_all=True, append_images=[Image.new("L", (1, 1))] * 1100
    ),
    "a fax of a million rows": lambda: tiff(grey(8, 1_000_000, t258=1, t259=4), [b"\xff" * 125_000]),
    "a wide picture of nothing": lambda: tiff(grey(1 << 30, 1 << 30), [b"x"]),
}


@pytest.mark.parametrize("name", TRAPS)
def test_no_small_file_takes_long_or_much(name: str, tmp_path: Path) -> None:
    """2 s of processor time and 300 MB at the most, for a picture or one sentence."""
    path = tmp_path / "trap.tif"
    path.write_bytes(TRAPS[name]())
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from performance.measuring import peak_megabytes\n"
        "from pipelines.errors import BadPicture\n"
        "from pipelines.images.door import read, read_size\n"
        "def attempt():\n"
        "    for function in (read, read_size):\n"
        "        try: print(function(Path(sys.argv[1])))\n"
        "        except BadPicture as error: print(error)\n"
        "start = time.process_time()\n"
        "peak = peak_megabytes(attempt)\n"
        "seconds = time.process_time() - start\n"
        "print('measured', peak, seconds)\n"
        "assert peak < 300 and seconds < 2, (peak, seconds)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, path], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-500:]
    print(name, len(path.read_bytes()), done.stdout[-300:])


def test_the_number_of_strips_is_told() -> None:
    with pytest.raises(BadPicture, match=r"is kept in 1000000 strips or tiles, and at most 100000 can be read\.$"):
        read_size(TRAPS["a million strips"]())


def test_odd_tags_are_no_reason_to_crash() -> None:
    """A profile that is a number, a size that is a text, a value of an unknown type."""
    assert read(tiff(grey(4, 4, t34675=7), [bytes(16)])).icc is None
    for tag in (256, 257, 258, 262, 273, 277, 278, 279):
        data = tiff(grey(4, 4), [bytes(16)])
        at = data.index(struct.pack("<HHI", tag, 4, 1))
        for kind in (0, 2, 5, 11, 99):
            try:
                read(data[: at + 2] + struct.pack("<H", kind) + data[at + 4 :])
            except BadPicture as error:
                assert str(error).startswith("The image is damaged")
