"""Speed and memory of writing a 4096 × 4096 picture, each format against Pillow's own writer in one run. Linux only.

python -m benchmarks.pictures
"""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.images import Format, Picture, encode, to_uint8

SIDE = 4096
PILLOW: dict[Format, dict[str, Any]] = {
    "png": {},
    "webp": {"lossless": True, "exact": True},
    "jpeg": {"quality": 95, "subsampling": 0},
}


class Row(NamedTuple):
    """One format on one picture. Seconds of encoding from float32 (Pillow: from uint8), sizes in MB of 10^6 bytes."""

    picture: str
    format: str
    seconds: float
    pillow_seconds: float
    megabytes: float
    pillow_megabytes: float
    peak_extra_megabytes: float  # of resident memory while encoding, above what was held before
    exact: bool  # what Pillow reads back equals what it was given

    @property
    def ratio(self) -> float:
        return self.pillow_seconds / self.seconds


def pictures() -> dict[str, npt.NDArray[np.float32]]:
    """An enlarged scene of soft shapes, the same with sensor noise, and pure noise: (SIDE, SIDE, 3) in [0, 1]."""
    random = np.random.default_rng(1)
    scene = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        scene += np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / (255 * 4)
    noisy = scene + random.normal(0, 4 / 255, scene.shape).astype(np.float32)
    return {"scene": scene, "noisy": noisy, "noise": random.random(scene.shape, np.float32)}


def rows() -> list[Row]:
    """Every format on every picture."""
    made = pictures()
    return [_row(name, pixels, format_) for format_ in PILLOW for name, pixels in made.items()]


def _row(name: str, pixels: npt.NDArray[np.float32], format_: Format) -> Row:
    Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory starts anew from what is held now
    before = _peak_megabytes()
    seconds, data = _timed(lambda: encode(Picture(pixels), format_))
    extra = _peak_megabytes() - before
    rounded = to_uint8(pixels)
    pillow_seconds, peer = _timed(lambda: _pillow(rounded, format_))
    exact = np.array_equal(np.asarray(Image.open(BytesIO(data))), rounded)
    return Row(name, format_, seconds, pillow_seconds, len(data) / 1e6, len(peer) / 1e6, extra, exact)


def _pillow(rounded: npt.NDArray[np.uint8], format_: Format) -> bytes:
    stream = BytesIO()
    Image.fromarray(rounded).save(stream, format_.upper(), **PILLOW[format_])
    return stream.getvalue()


def _timed(make: Callable[[], bytes]) -> tuple[float, bytes]:
    start = time.perf_counter()
    data = make()
    return time.perf_counter() - start, data


def _peak_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    print("picture  format  seconds  Pillow  times     MB  Pillow  peak MB  exact")
    for row in rows():
        print(
            f"{row.picture:8} {row.format:6} {row.seconds:8.2f} {row.pillow_seconds:7.2f} {row.ratio:6.1f} "
            f"{row.megabytes:6.1f} {row.pillow_megabytes:7.1f} {row.peak_extra_megabytes:8.0f}  {row.exact}"
        )


if __name__ == "__main__":
    main()
