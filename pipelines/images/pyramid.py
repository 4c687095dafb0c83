"""A picture as tiles at every half size, so that a browser can show any part of it at any zoom; and error as heat.

Level 0 is the picture itself, each further level the means of 2 × 2 pixels of the one before; the last one is a single
tile. Tiles are lossless WebP of the least effort: for 4096 × 4096 it takes as long as OpenCV's quickest PNG (0.1 to
0.5 s on two cores), and text and heat come out three times smaller.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.images.picture import Pixels8, strip_height
from pipelines.runs import Run, Step

PYRAMID_TILE = 512
ERROR_LEVELS = 32  # where the scale of |result - original| ends, in levels of 255
CONSISTENCY_LEVELS = 8  # where the scale of the consistency error ends: it is far smaller

# "Inferno" of matplotlib (van der Walt and Smith, 2015), at equal steps from no error to the scale's end.
HEAT = (
    "#000004", "#0b0724", "#210c4a", "#3d0965", "#57106e", "#71196e", "#8a226a", "#a32c61", "#bc3754",
    "#d24644", "#e45a31", "#f1731d", "#f98e09", "#fcac11", "#f9cb35", "#f2ea69", "#fcffa4",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pyramid:
    """A picture's tiles in a folder: which there are, and what each one's file is called."""

    folder: Path
    width: int
    height: int
    tile: int = PYRAMID_TILE
    clear: bool = False  # some of it is transparent

    @property
    def levels(self) -> int:
        """Returns how many sizes there are: the last one fits into a tile."""
        longest = max(self.width, self.height)
        return max(0, (longest - 1).bit_length() - (self.tile - 1).bit_length()) + 1

    def grid(self, level: int) -> tuple[int, int]:
        """Returns how many rows and columns of tiles the level has."""
        side = self.tile << level
        return -(-self.height // side), -(-self.width // side)

    def file(self, level: int, row: int, column: int) -> Path:
        """Returns the path of a tile."""
        return self.folder / f"{level}_{row}_{column}.webp"

    @property
    def top(self) -> Path:
        """The one tile that shows all of the picture."""
        return self.file(self.levels - 1, 0, 0)

    def places(self, level: int) -> Iterator[tuple[int, int]]:
        """Yields row and column of each of the level's tiles."""
        rows, columns = self.grid(level)
        return ((row, column) for row in range(rows) for column in range(columns))

    def files(self) -> Iterator[Path]:
        """Yields every tile of every level."""
        return (self.file(level, *place) for level in range(self.levels) for place in self.places(level))


def write_pyramid(pixels: Pixels8, folder: Path, icc: bytes | None = None) -> Run[Pyramid]:
    """Writes the tiles of a picture, uint8 (H, W, 3), or (H, W, 4) with opacity, or of heat, uint8 (H, W), painted in
    the colours of HEAT.

    `icc` is the picture's profile, which each tile gets: without it a browser shows other colours.
    The folder is made if it is not there. Heat is painted once it is shrunk: the mean of two colours is not the colour
    of the mean.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pyramid = Pyramid(folder, pixels.shape[1], pixels.shape[0], clear=pixels.shape[2:] == (4,))
    total, done = sum(1 for _ in pyramid.files()), 0
    image = Image.fromarray(pixels)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for level in range(pyramid.levels):
            tiles = [pool.submit(_write, image, pyramid, icc, level, *place) for place in pyramid.places(level)]
            image = image.reduce(2)
            for tile in tiles:
                tile.result()
                done += 1
                yield Step(done, total, "tiles to look at")
    finally:
        pool.shutdown(cancel_futures=True)
    return pyramid


def compute_heat(result: Pixels8, original: Pixels8, most: int) -> Pixels8:
    """Returns |result - original| of pictures uint8 (H, W, 3) as uint8 (H, W): the largest of the three channels'.

    0 is no difference, 255 one of `most` levels or more: a scale that does not depend on the pictures, so that maps
    compare. Raises ValueError where the sizes differ.
    """
    if result.shape != original.shape:
        raise ValueError(f"{result.shape} is compared with {original.shape}")
    scale = np.rint(np.minimum(np.arange(256) * 255 / most, 255)).astype(np.uint8)
    out = np.empty(result.shape[:2], np.uint8)
    rows = strip_height(*result.shape[1:])
    for top in range(0, len(out), rows):
        ours, theirs = result[top : top + rows], original[top : top + rows]
        difference = np.maximum(ours, theirs) - np.minimum(ours, theirs)
        out[top : top + rows] = scale[
            np.maximum(np.maximum(difference[..., 0], difference[..., 1]), difference[..., 2])
        ]
    return out


def heat_palette() -> Pixels8:
    """Returns the colour of each value of heat: (256, 3)."""
    points = np.array([list(bytes.fromhex(colour[1:])) for colour in HEAT])
    at = np.linspace(0, 255, len(points))
    channels = [np.interp(np.arange(256), at, points[:, channel]) for channel in range(3)]
    colours: Pixels8 = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return colours


def _write(image: Image.Image, pyramid: Pyramid, icc: bytes | None, level: int, row: int, column: int) -> None:
    left, top = column * pyramid.tile, row * pyramid.tile
    box = (left, top, min(left + pyramid.tile, image.width), min(top + pyramid.tile, image.height))
    tile = image.crop(box)
    if tile.mode == "L":
        tile.putpalette(heat_palette().tobytes())
    options = {"lossless": True, "method": 0, "quality": 0, "icc_profile": icc}
    tile.convert("RGBA" if pyramid.clear else "RGB").save(pyramid.file(level, row, column), "WEBP", **options)
