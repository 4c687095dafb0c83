"""Damaged image files through the reader: each is an image or a BadPicture, in little time and memory.

python -m performance.mutations [--count 3000] [--seed 0] [--keep FOLDER]

Files of every format are drawn here, and some of their bytes changed, cut, repeated or swapped. Each is read in a
process of its own, so that a crash, a hang or gigabytes are that file's. Prints what breaks the rule, and exits with 1.
"""

import argparse
import io
import os
import random
import resource
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipelines.errors import BadPicture
from pipelines.images import door as images

MOST_SECONDS, MOST_BYTES = 2.0, 300_000_000
HANGS = 20.0  # seconds after which a file is given up
SIZES = ((7, 5), (40, 24))
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # format, mode, and how it is saved
    *(("PNG", mode, {}) for mode in ("L", "LA", "P", "RGB", "RGBA", "1", "I;16")),
    *(("JPEG", mode, options) for mode in ("L", "RGB", "CMYK") for options in ({}, {"progressive": True})),
    *(
        ("TIFF", mode, {"compression": by})
        for mode in ("L", "RGB", "RGBA")
        for by in (None, "tiff_lzw", "tiff_deflate")
    ),
    *(("BMP", mode, {}) for mode in ("1", "L", "RGB")),
    *(("GIF", mode, {}) for mode in ("L", "P")),
    *(("WEBP", mode, {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (True, False)),
    *(("AVIF", mode, {}) for mode in ("RGB", "RGBA")),
)


class Outcome(NamedTuple):
    """How reading one file ended: "image", "refused", or what should not be."""

    ended: str
    seconds: float  # of the processor, since other programs may have a part of it
    grown: int  # bytes beyond the process's own

    @property
    def is_right(self) -> bool:
        """Returns whether it ended as it may, in time and in memory."""
        return self.ended in ("image", "refused") and self.seconds <= MOST_SECONDS and self.grown <= MOST_BYTES


def draw_seeds() -> dict[str, bytes]:
    """Whole files of every kind, by names that say what they are."""
    made: dict[str, bytes] = {}
    for kind, mode, options in KINDS:
        for width, height in SIZES:
            rows, columns = np.mgrid[:height, :width]
            picture = Image.fromarray(((rows * 31 + columns * 57) % 256).astype(np.uint8))
            picture = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert("RGB").convert(mode)
            file = io.BytesIO()
            picture.save(file, kind, **options)
            made[f"{kind.lower()}-{mode}-{width}x{height}-{len(made)}"] = file.getvalue()
    return made


def mutate(data: bytes, draw: random.Random) -> bytes:
    """The file with one to four things wrong with it; more often near its beginning, where headers are."""
    broken = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        reach = max(1, len(broken) if draw.random() < 0.5 else min(len(broken), 128))
        place, length = draw.randrange(reach), draw.choice((1, 1, 2, 4, 16))
        match draw.choice(("value", "value", "edge", "cut", "drop", "repeat", "swap")):
            case "value":
                broken[place : place + 1] = bytes([draw.randrange(256)])
            case "edge":
                broken[place : place + length] = draw.choice((b"\0", b"\xff", b"\x7f")) * length
            case "cut":
                del broken[max(1, draw.randrange(len(broken))) :]
            case "drop":
                del broken[place : place + length]
            case "repeat":
                broken[place:place] = broken[place : place + length] * draw.choice((1, 2, 64))
            case "swap":
                other = draw.randrange(len(broken))
                broken[place : place + length], broken[other : other + length] = (
                    broken[other : other + length],
                    broken[place : place + length],
                )
        broken = broken or bytearray(b"\0")
    return bytes(broken)


def draw_mutations(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """So many damaged files, the same for the same seed, from all kinds in turn."""
    draw, seeds = random.Random(seed), list(draw_seeds().items())
    for number in range(count):
        name, data = seeds[number % len(seeds)]
        yield f"{number:05}-{name}", mutate(data, draw)


def read_apart(data: bytes) -> Outcome:
    """Reads a file in a fork of this process."""
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        os.write(sending, _read(data).encode()[:400])
        os._exit(0)
    os.close(sending)
    is_done, _, _ = select.select([receiving], [], [], HANGS)
    if not is_done:
        os.kill(child, signal.SIGKILL)
    said = os.read(receiving, 400).decode(errors="replace")
    os.close(receiving)
    _, status, used = os.wait4(child, 0)
    ended = "hangs" if not is_done else said or f"crashed with {status}"
    return Outcome(ended, used.ru_utime + used.ru_stime, max(0, 1024 * used.ru_maxrss - before))


def _read(data: bytes) -> str:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print of a damaged file
    try:
        images.read(data)
    except BadPicture:
        return "refused"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "image"


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads them all, and prints those that break the rule and how many ended how."""
    parser = argparse.ArgumentParser(prog="python -m performance.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where files that break the rule are put")
    options = parser.parse_args(arguments)
    list(
        map(images.read, draw_seeds().values())
    )  # whole, they are read; and what reads them is loaded before the forks
    outcomes = []
    for name, data in draw_mutations(options.count, options.seed):
        outcomes.append(read_apart(data))
        if not outcomes[-1].is_right:
            print(f"{name}: {outcomes[-1]}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / name).write_bytes(data)
    wrong = sum(not each.is_right for each in outcomes)
    read, refused = (sum(each.ended == end for each in outcomes) for end in ("image", "refused"))
    slowest, largest = max(each.seconds for each in outcomes), max(each.grown for each in outcomes)
    most = f"at most {slowest:.2f} s and {largest / 1e6:.0f} MB"
    print(f"{len(outcomes)} files: {read} read, {refused} refused, {wrong} wrong; {most}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
