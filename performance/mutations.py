"""Damaged image files through the reader: each is an image or a BadPicture, in little time and memory.

python -m performance.mutations [--count 20000] [--seed 0] [--keep FOLDER]

Files of every format are drawn here, and some of their bytes changed, cut, repeated or swapped. They are read one after
another in another process, which a crash or a hang ends: it is begun anew with the next file. Prints what breaks the
rule, and exits with 1.
"""

import argparse
import io
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from performance.measuring import table_lines, write_section
from pipelines.errors import BadPicture
from pipelines.images import door as images

ABOUT = (
    "`python -m performance.mutations`: files of seven formats with one to four things wrong with them. Wrong is a "
    "crash, a hang, another exception than ours, more than 2 s or 300 MB."
)
MOST_SECONDS, MOST_BYTES = 2.0, 300_000_000
BATCH = 500  # files that one process reads
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
    grown: int  # bytes that the process had more at a time than when the reading began

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


def read_apart(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, Outcome]]:
    """Reads the files in forks of this process, BATCH of them each, and tells how each ended."""
    left = iter(files)
    while batch := list(islice(left, BATCH)):
        done = 0
        for name, outcome in _read_batch(batch):
            done += 1
            yield name, outcome
        left = chain(batch[done:], left)


def _read_batch(batch: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, Outcome]]:
    """Reads them in one fork until one of them ends it, or hangs."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print of a damaged file
        for _, data in batch:
            os.write(sending, json.dumps(_read(data)).encode() + b"\n")
        os._exit(0)
    os.close(sending)
    try:
        with open(receiving, "rb", buffering=0) as told:
            for name, _ in batch:
                if not select.select([told], [], [], HANGS)[0]:
                    yield name, Outcome("hangs", HANGS, 0)
                    return
                if not (line := told.readline()):
                    yield name, Outcome("crashed", 0.0, 0)
                    return
                yield name, Outcome(*json.loads(line))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _read(data: bytes) -> Outcome:
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
    before, started = _held("VmRSS"), time.process_time()
    try:
        images.read(data)
        ended = "image"
    except BadPicture:
        ended = "refused"
    except BaseException as error:
        ended = f"{type(error).__name__}: {error}"[:300]
    return Outcome(ended, time.process_time() - started, max(0, _held("VmHWM") - before))


def _held(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads them all, and prints those that break the rule and how many ended how."""
    parser = argparse.ArgumentParser(prog="python -m performance.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where files that break the rule are put")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    options = parser.parse_args(arguments)
    list(
        map(images.read, draw_seeds().values())
    )  # whole, they are read; and what reads them is loaded before the forks
    outcomes = []
    broken = {}
    for name, outcome in read_apart(draw_mutations(options.count, options.seed)):
        outcomes.append(outcome)
        if not outcome.is_right:
            print(f"{name}: {outcome}", flush=True)
            broken[name] = outcome
    if options.keep and broken:
        options.keep.mkdir(parents=True, exist_ok=True)
        for name, data in draw_mutations(options.count, options.seed):
            if name in broken:
                (options.keep / name).write_bytes(data)
    wrong = sum(not each.is_right for each in outcomes)
    read, refused = (sum(each.ended == end for each in outcomes) for end in ("image", "refused"))
    slowest, largest = max(each.seconds for each in outcomes), max(each.grown for each in outcomes)
    header = ["files", "read", "refused", "wrong", "slowest, s of the processor", "most memory, MB"]
    row = [*map(str, (len(outcomes), read, refused, wrong)), f"{slowest:.2f}", f"{largest / 1e6:.0f}"]
    if options.write:
        write_section("Damaged files", ABOUT, header, [row])
    else:
        print("\n".join(table_lines(header, [row])))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
