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
WHOLE_SIDE = 512  # px: the features of a larger one take more memory than time is worth
ABOUT = (
    "The photograph, tiled to size, with the default settings; median of {repeats}, taking turns. Tiles are what ran "
    "before: feathered, with an overlap of 24 px. Differences are to the whole image at once in the same precision, in "
    "levels of 255."
)
HEADER = [
    *("side, px", "precision", "blocks, s", "tiles, s", "package, s", "blocks / tiles", "package / blocks"),
    *("blocks: largest", "RMS", "tiles: largest", "tiles: RMS"),
]


def measure(side: int, weights: Path, photo: Pixels, repeats: int) -> list[str]:
    """Returns the row of one size."""
    upscaler = load(KEY, 4, weights)
    assert isinstance(upscaler, NetworkUpscaler)
    network, device = upscaler.network, devices.choose_device()
    by_blocks, forward = ByBlocks(network, device), Forward(network, device)
    height, width, _ = photo.shape
    pixels = np.tile(photo, (-(-side // height), -(-side // width), 1))[:side, :side].copy()

    def in_blocks() -> Pixels:
        return finish(upscaler.run(pixels, Settings())).pixels

    def in_tiles() -> Pixels:
        made = run_tiled(pixels, 4, forward, TILE.get(device.dtype, 256), OVERLAP, feather=True)
        return np.clip(finish(made).pixels, 0, 1)

    ways: list[Callable[[], object]] = [in_blocks, in_tiles]
    if side <= PACKAGE_SIDE:
        ways.append(lambda: run_as_package(network, pixels))
    blocks, tiles, *package = medians(ways, repeats=repeats)
    differences = ["", "", "", ""]
    if side <= WHOLE_SIDE:
        whole = np.clip(finish(by_blocks.run(pixels, Sweep(side), _pass)), 0, 1)
        differences = [each for made in (in_blocks(), in_tiles()) for each in _differ(made, whole)]
    times = [f"{seconds:.2f}" for seconds in (blocks, tiles, *package)] + [""] * (1 - len(package))
    ratios = [f"{blocks / tiles:.2f}", *(f"{each / blocks:.1f}" for each in package)] + [""] * (1 - len(package))
    return [f"{side}", device.dtype, *times, *ratios, *differences]


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
    rows = [measure(side, options.weights, photo, options.repeats) for side in options.sides]
    write_section("Real-ESRGAN x4plus block by block", ABOUT.format(repeats=options.repeats), HEADER, rows)


if __name__ == "__main__":
    main()
