"""Speed and memory of writing a 4096 × 4096 picture, each format against Pillow's own writer in one run. Linux only.

python -m performance.pictures
"""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from performance.measuring import medians, peak_megabytes, write_section
from pipelines.images.encode import Format, encode
from pipelines.images.picture import Picture, Pixels, Pixels8, to_uint8

PICTURE_SIDE = 4096
PILLOW_OPTIONS: dict[Format, dict[str, Any]] = {
    "png": {},
    "webp": {"lossless": True, "exact": True},
    "jpeg": {"quality": 95, "subsampling": 0},
}


def make_pictures(side: int = PICTURE_SIDE) -> dict[str, Pixels]:
    """Made pictures of what people enlarge, (side, side, 3) in [0, 1].

    An enlarged scene of soft shapes, the same with sensor noise, and pure noise; a page of text, and pixel art of 16
    colours with each pixel four times as wide and high.
    """
    random = np.random.default_rng(1)
    scene = np.zeros((side, side, 3), np.float32)
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        scene += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32) / (255 * 4)
    noisy = scene + random.normal(0, 4 / 255, scene.shape).astype(np.float32)
    return {
        "scene": scene,
        "noisy": noisy,
        "noise": random.random(scene.shape, np.float32),
        "text": _draw_text(random, side),
        "pixels": _draw_tiles(random, side),
    }


def _draw_text(random: np.random.Generator, side: int) -> Pixels:
    """Lines of random words, black on white, in letters 20 pixels high."""
    page = Image.new("L", (side, side), 255)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(20)
    words = [
        "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), length)) for length in random.integers(2, 10, 500)
    ]
    for y in range(0, side, 28):
        draw.text((20, y), " ".join(random.choice(words, side // 40)), fill=0, font=font)
    return np.repeat(np.asarray(page, np.float32)[..., None] / np.float32(255), 3, axis=2)


def _draw_tiles(random: np.random.Generator, side: int) -> Pixels:
    """A map of 64 tiles of 16 x 16 pixels, enlarged by nearest neighbour."""
    palette = random.integers(0, 256, (16, 3), np.uint8).astype(np.float32) / np.float32(255)
    tiles = random.integers(0, 16, (64, 16, 16))
    places = random.integers(0, 64, (side // 64, side // 64))
    indices = tiles[places].transpose(0, 2, 1, 3).reshape(side // 4, side // 4)
    return palette[indices.repeat(4, axis=0).repeat(4, axis=1)]


def measure_row(name: str, pixels: Pixels, format_: Format) -> list[str]:
    """One line of the table: a format on a picture."""
    rounded, picture = to_uint8(pixels), Picture(pixels)
    extra = peak_megabytes(lambda: encode(picture, format_))
    ours, pillow = medians([lambda: encode(picture, format_), lambda: _encode_by_pillow(rounded, format_)], repeats=1)
    data = encode(picture, format_)
    exact = np.array_equal(np.asarray(Image.open(BytesIO(data))), rounded)
    sizes = (len(data) / 1e6, len(_encode_by_pillow(rounded, format_)) / 1e6)
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


def _encode_by_pillow(rounded: Pixels8, format_: Format) -> bytes:
    stream = BytesIO()
    Image.fromarray(rounded).save(stream, format_.upper(), **PILLOW_OPTIONS[format_])
    return stream.getvalue()


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
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
    rows = [
        measure_row(name, pixels, format_) for format_ in PILLOW_OPTIONS for name, pixels in make_pictures().items()
    ]
    about = "From float32 (Pillow: from 8 bits); one timed run after a warm-up; peak memory above what was held before."
    write_section(f"Writing a picture of {PICTURE_SIDE} x {PICTURE_SIDE}", about, header, rows)


if __name__ == "__main__":
    main()
