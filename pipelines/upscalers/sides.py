"""How large the tiles of a network are: by what it is, where it runs, and the memory that is left."""

import math
from typing import TYPE_CHECKING

from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.tiling import SMALLEST_WRITTEN

if TYPE_CHECKING:
    from pipelines.networks.network import Network

# Side of what a feathered tile reads. On a CPU bfloat16 gains most from what stays in the cache; float32 computes so
# much that only the overlap counts, which is smaller in larger tiles.
FEATHERED_SIDES = {
    ("cpu", "bfloat16"): 160,
    ("cpu", "float32"): 288,
    ("cuda", "float16"): 512,
    ("cuda", "float32"): 384,
}
USUAL_FEATHERED_SIDE = 256
# Side of what a tile of a block reads, in places of features: measured, as it overlaps by so little.
BLOCK_SIDES = {("cpu", "bfloat16"): 192, ("cpu", "float32"): 192, ("cuda", "float16"): 1024, ("cuda", "float32"): 768}
USUAL_BLOCK_SIDE, LEAST_BLOCK_SIDE = 256, 64
PART_SIDE = 448  # px at most, of the parts that a picture is cut into whose features are too much for memory
CUT_SIDE = 640  # of a tile that is cut: a wide overlap for little work, so the larger the better
TILE_BYTES = 1_200_000_000  # bytes that a tile may take on a CPU
# A tile that takes more bytes takes longer for each pixel, for the system clears memory before it gives it. So it is
# only as large as that, or as it has to be to read so many times what it writes: SRCNN x4 takes 0.58 of the time so.
QUICK_BYTES, READ_SHARE = 470_000_000, 1.1
SIDE_STEP = 16  # sides that are chosen are multiples of it, so that they are the same from run to run
FLOAT_BYTES = 4
RESULT_BYTES = 3 * FLOAT_BYTES + 4  # of a pixel of the result, and of it encoded


def choose_side(network: "Network", device: Device, overlap: int, feather: bool, result: int = 0) -> int:
    """The side of a tile: the usual one, or less where that takes too much memory, or half of what is left.

    `result` is how many pixels the whole result will have: in the same memory it is gathered, and encoded afterwards.
    Feathered, what a network gives depends on it: a little more or less memory should not change that.
    """
    usual = FEATHERED_SIDES.get((device.name, device.dtype), USUAL_FEATHERED_SIDE)
    if not feather:
        usual = min(CUT_SIDE, _quick_side(network, overlap)) if device.name == "cpu" else CUT_SIDE
    left = devices.free_device_memory(device)
    if device.name == "cpu":
        left = min(max(0, left - result * RESULT_BYTES), 2 * TILE_BYTES)
    fits = _fitting(network, device, left)
    least = max(SMALLEST_WRITTEN + 2 * overlap, 3 * network.multiple)  # squares of that many pixels stay whole
    return max(min(usual, fits) // SIDE_STEP * SIDE_STEP, least)


def choose_whole(network: "Network", device: Device, side: int, longer: int) -> int:
    """The side of a tile of a network that works on the whole picture: all of its `longer` side where that fits.

    Else `side`, which does not depend on a little more or less memory.
    """
    return longer if longer <= _fitting(network, device, devices.free_device_memory(device)) else side


def choose_block_side(network: "Network", device: Device) -> int:
    """The side of a tile that a block reads, in places of features: less where the end of it takes too much memory."""
    usual = BLOCK_SIDES.get((device.name, device.dtype), USUAL_BLOCK_SIDE)
    if device.name != "cpu":
        return usual
    most = min(TILE_BYTES, devices.free_device_memory(device) // 4)
    fits = math.isqrt(most // (FLOAT_BYTES * network.floats_per_pixel)) // network.multiple
    return min(usual, max(LEAST_BLOCK_SIDE, fits // SIDE_STEP * SIDE_STEP))


def reach_of(network: "Network") -> int:
    """Returns how many places of features a tile of any of its blocks reads more than it writes, at most."""
    from pipelines.networks.blocks import blocks_of
    from pipelines.networks.network import Passes

    blocks = blocks_of(network)
    if isinstance(blocks, Passes):
        return blocks.reach
    return max(block.reach for block in (*blocks.blocks, blocks.end))


def end_reach_of(network: "Network") -> int:
    """Does as `reach_of`, but of what goes over its maps by itself for the tiles of its end alone."""
    from pipelines.networks.blocks import blocks_of
    from pipelines.networks.network import Passes

    blocks = blocks_of(network)
    return blocks.end.reach if isinstance(blocks, Passes) else reach_of(network)


def kept_bytes(network: "Network", device: Device) -> int:
    """Bytes for each pixel of the picture that is run block by block: of the features that are kept, about."""
    from pipelines.networks.blocks import blocks_of, count_maps

    size = FLOAT_BYTES if device.dtype == "float32" else FLOAT_BYTES // 2
    return count_maps(blocks_of(network)) * network.width * size // network.multiple**2


def choose_part(network: "Network", device: Device, side: int, size: tuple[int, int], overlap: int, scale: int) -> int:
    """The side of the parts that a picture of that height and width is run block by block in: all of it where it fits.

    Tiles read `side` places of features, and the picture becomes `scale` times as large.
    """
    left, pixels = devices.free_device_memory(device), size[0] * size[1]
    if device.name == "cpu":
        left -= pixels * scale**2 * RESULT_BYTES
    read = [min(side * network.multiple, length) for length in size]
    left -= FLOAT_BYTES * network.floats_per_pixel * math.prod(read)
    # On a GPU the result is gathered elsewhere. A quarter is left for what nobody has counted.
    fits = max(0, left * 3 // 4) // kept_bytes(network, device)
    if pixels <= fits:
        return max(size)
    least = max(SMALLEST_WRITTEN + 2 * overlap, 3 * network.multiple)
    return max(min(PART_SIDE, math.isqrt(fits) // SIDE_STEP * SIDE_STEP), least)


def _quick_side(network: "Network", overlap: int) -> int:
    """The side up to which larger tiles are quicker on a CPU: while they take little memory, or overlap by much."""
    little_overlap = math.ceil(2 * overlap / (1 - 1 / math.sqrt(READ_SHARE)))
    return max(math.isqrt(QUICK_BYTES // (FLOAT_BYTES * network.floats_per_pixel)), little_overlap)


def _fitting(network: "Network", device: Device, left: int) -> int:
    """The side of tiles, a batch of them, for which half of that memory is enough."""
    return math.isqrt(left // 2 // (FLOAT_BYTES * network.floats_per_pixel * device.batch))
