"""Real-ESRGAN x4plus block by block: how far from the whole image, and how fast, against tiles and the package's way.

python -m performance.exact RealESRGAN_x4plus.pth PHOTOGRAPH [--sides 256 512 1024]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from performance.measuring import medians, write_section
from performance.real_esrgan.networks import run_as_package
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels
from pipelines.networks import devices
from pipelines.networks.blocks import ByBlocks, Sweep
from pipelines.networks.forward import Batch, Forward
from pipelines.networks.tiling import run_tiled
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.upscalers.network import NetworkUpscaler

KEY = "real-esrgan-x4plus"
TILE, OVERLAP = {"bfloat16": 160, "float32": 288}, 24  # as feathered tiles were before blocks
PACKAGE_SIDE = 256  # px: larger, the package's way takes minutes
WHOLE_SIDE = 512  # px: for a larger one the end of the network takes more memory than there may be
OTHER_TILE = 320  # px, by which a larger one is run once more: tiles of another size, to which others are seams
LONG = 6.0  # seconds: what takes longer is timed by its first run
ABOUT = (
    "The photograph, tiled to size, with the default settings; median of {repeats}, taking turns; what takes more than "
    "six seconds once. Tiles are what ran before: feathered, with an overlap of 24 px. Differences are to the whole "
    "image at once in the same precision, in levels of 255; of more than 512 px to blocks in tiles of 320 px."
)
HEADER = [
    *("side, px", "precision", "blocks, s", "tiles, s", "package, s", "tiles / blocks", "package / blocks"),
    *("blocks: largest", "RMS", "tiles: largest", "tiles: RMS", "seam told"),
]


def measure(upscaler: NetworkUpscaler, side: int, photo: Pixels, repeats: int) -> list[str]:
    """Returns the row of one size, printed as well."""
    network, device = upscaler.network, devices.choose_device()
    by_blocks, forward = ByBlocks(network, device), Forward(network, device)
    height, width, _ = photo.shape
    pixels = np.tile(photo, (-(-side // height), -(-side // width), 1))[:side, :side].copy()
    made: dict[str, Pixels] = {}
    seams: list[float | None] = []

    def in_blocks() -> None:
        done = finish(upscaler.run(pixels, Settings()))
        made["blocks"], seams[:] = done.pixels, [done.seam]

    def in_tiles() -> None:
        done = finish(run_tiled(pixels, 4, forward, TILE.get(device.dtype, 256), OVERLAP, feather=True))
        made["tiles"] = np.clip(done.pixels, 0, 1)

    ways: list[Callable[[], object]] = [in_blocks, in_tiles]
    if side <= PACKAGE_SIDE:
        ways.append(lambda: run_as_package(network, pixels))
    blocks, tiles, *package = medians(ways, repeats, LONG)
    sweep = Sweep(side if side <= WHOLE_SIDE else OTHER_TILE)
    whole = np.clip(finish(by_blocks.run(pixels, sweep, _pass)), 0, 1)
    row = [
        *(f"{side}", device.dtype, *(f"{seconds:.2f}" for seconds in (blocks, tiles, *package))),
        *([""] * (1 - len(package))),
        *(f"{tiles / blocks:.2f}", *(f"{each / blocks:.1f}" for each in package), *([""] * (1 - len(package)))),
        *_differ(made["blocks"], whole),
        *_differ(made["tiles"], whole),
        f"{seams[0]}",
    ]
    print(*row, flush=True)
    return row


def _pass(batch: Batch, made: Batch) -> None:
    """Takes whatever was made."""


def _differ(made: Pixels, whole: Pixels) -> tuple[str, str]:
    off = 255 * np.abs(made - whole)
    return f"{off.max():.3f}", f"{np.sqrt(np.square(off).mean()):.3f}"


def main() -> None:
    """Measures every size, and writes them to RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m performance.exact", description=__doc__)
    parser.add_argument("weights", type=Path, help="the network's file")
    parser.add_argument("image", type=Path, help="a photograph")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    photo = np.asarray(Image.open(options.image).convert("RGB"), np.float32) / np.float32(255)
    upscaler = load(KEY, 4, options.weights)
    assert isinstance(upscaler, NetworkUpscaler)
    rows = [measure(upscaler, side, photo, options.repeats) for side in options.sides]
    write_section("Real-ESRGAN x4plus block by block", ABOUT.format(repeats=options.repeats), HEADER, rows)


if __name__ == "__main__":
    main()
