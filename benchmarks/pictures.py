"""Speed and memory of writing a 4096 × 4096 picture, each format against Pillow's own writer in one run. Linux only.

python -m benchmarks.pictures
"""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.measuring import medians, peak_megabytes, write_section
from pipelines.images import Format, Picture, Pixels, encode, to_uint8

SIDE = 4096
PILLOW: dict[Format, dict[str, Any]] = {
    "png": {},
    "webp": {"lossless": True, "exact": True},
    "jpeg": {"quality": 95, "subsampling": 0},
}


def pictures() -> dict[str, Pixels]:
    """An enlarged scene of soft shapes, the same with sensor noise, and pure noise: (SIDE, SIDE, 3) in [0, 1]."""
    random = np.random.default_rng(1)
    scene = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        scene += np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / (255 * 4)
    noisy = scene + random.normal(0, 4 / 255, scene.shape).astype(np.float32)
    return {"scene": scene, "noisy": noisy, "noise": random.random(scene.shape, np.float32)}


def row(name: str, pixels: Pixels, format_: Format) -> list[str]:
    """One line of the table: a format on a picture."""
    rounded, picture = to_uint8(pixels), Picture(pixels)
    extra = peak_megabytes(lambda: encode(picture, format_))
    ours, pillow = medians([lambda: encode(picture, format_), lambda: _pillow(rounded, format_)], repeats=1)
    data = encode(picture, format_)
    exact = np.array_equal(np.asarray(Image.open(BytesIO(data))), rounded)
    sizes = (len(data) / 1e6, len(_pillow(rounded, format_)) / 1e6)
    return [
        format_,
        name,
        f"{ours:.2f}",
        f"{pillow:.2f}",
        f"{ours / pillow:.2f}",
        *(f"{size:.1f}" for size in sizes),
        f"{extra:.0f}",
        "yes" if exact else "no",
    ]


def _pillow(rounded: npt.NDArray[np.uint8], format_: Format) -> bytes:
    stream = BytesIO()
    Image.fromarray(rounded).save(stream, format_.upper(), **PILLOW[format_])
    return stream.getvalue()


def main() -> None:
    """Measure everything and write it to RESULTS.md."""
    header = [
        "format",
        "picture",
        "ours, s",
        "Pillow, s",
        "ours / Pillow",
        "ours, MB",
        "Pillow, MB",
        "peak, MB",
        "exact",
    ]
    rows = [row(name, pixels, format_) for format_ in PILLOW for name, pixels in pictures().items()]
    about = "From float32 (Pillow: from 8 bits); one timed run after a warm-up; peak memory above what was held before."
    write_section(f"Writing a picture of {SIDE} x {SIDE}", about, header, rows)


if __name__ == "__main__":
    main()
