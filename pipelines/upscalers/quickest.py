"""The tiles in which a network's blocks are quickest on this machine: measured at the first long run, and kept.

What blocks give does not depend on their tiles, so this changes nothing but the time. Where a processor multiplies
quickly, what counts is that a tile stays in its cache; elsewhere, that large tiles overlap less.
"""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines.errors import CannotWrite
from pipelines.networks import devices
from pipelines.networks.tiling import plan_tiles
from pipelines.upscalers import kept

if TYPE_CHECKING:
    from pipelines.networks.blocks import ByBlocks
    from pipelines.networks.devices import Device
    from pipelines.networks.network import Network

FILE = "tiles.json"
SIDES = {"cpu": (96, 128, 192, 256, 384), "cuda": (512, 768, 1024, 1536), "mps": (192, 256, 384)}
LEAST_WORK = 4e11  # multiplications: about a second on two cores, where to measure takes half of one
HELD_MAPS = 12  # that a block holds at once, about
HELD_BYTES = {"cpu": 300_000_000, "cuda": 6_000_000_000, "mps": 2_000_000_000}  # that these may take
GAIN = 0.97  # of the usual side's time, that another one has to be better than

Seconds = dict[int, float]
"""How long a tile takes that reads so many places a side."""

_measuring = threading.Lock()


def choose_quickest_side(by_blocks: "ByBlocks", network: "Network", usual: int, size: tuple[int, int]) -> int:
    """Returns how many places a side the tiles should read in a picture of that height and width in pixels.

    That is `usual` where the picture is too small to measure for, where memory is short, or while somebody else
    measures. Memory for the end of a network is no matter here: see `Sweep.end_side`.
    """
    from pipelines.networks.blocks import blocks_of
    from pipelines.networks.network import Blocks

    blocks, device = blocks_of(network), by_blocks.device
    height, width = (side // network.multiple for side in size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    sides = _list_sides(network, device, usual, max(height, width))
    if not isinstance(blocks, Blocks) or height * width * parameters < LEAST_WORK or len(sides) == 1:
        return usual
    key = f"{network.arch} of {parameters} parameters, {device.label}, {device.dtype}"
    reach, told = blocks.blocks[0].reach, dict[int, float]()
    for side, seconds in _measure(by_blocks, key, sides).items():
        told[side] = _expect(height, width, side, reach, seconds)
    quickest = min(told, key=lambda side: told[side], default=usual)
    return quickest if usual in told and told[quickest] < GAIN * told[usual] else usual


def _list_sides(network: "Network", device: "Device", usual: int, longer: int) -> set[int]:
    """The usual side and those to compare it with: up to the first that a whole picture fits into."""
    sides = SIDES[device.name]
    smaller = [side for side in sides if side < longer]
    bytes_ = HELD_MAPS * network.width * (4 if device.dtype == "float32" else 2)
    most = min(HELD_BYTES[device.name], devices.free_device_memory(device) // 8)
    return {usual, *(side for side in sides[: len(smaller) + 1] if bytes_ * side**2 <= most)}


def _expect(height: int, width: int, side: int, reach: int, seconds: float) -> float:
    """How long a block takes over all of a picture: what its tiles read, at the pace of those that were measured."""
    tiles = plan_tiles(height, width, side, reach)
    rows, columns = tiles[0]
    return len(tiles) * (rows.stop - rows.start) * (columns.stop - columns.start) * seconds / side**2


def _measure(by_blocks: "ByBlocks", key: str, sides: set[int]) -> Seconds:
    """What is known of these sides, perhaps measured just now; nothing where somebody else is measuring."""
    known = _read().get(key, {})
    missing = sorted(sides - known.keys())
    if missing and _measuring.acquire(blocking=False):
        try:
            known |= by_blocks.time_block(missing)
            with suppress(CannotWrite):  # then it is measured anew the next time
                kept.write(FILE, {"networks": _read() | {key: known}})
        finally:
            _measuring.release()
    return {side: seconds for side, seconds in known.items() if side in sides}


def _read() -> dict[str, Seconds]:
    """What is kept; nothing of a network whose numbers could be none of ours: a file may be damaged."""
    content = kept.read(FILE)
    networks = content.get("networks") if content else None
    return {key: _checked(each) for key, each in networks.items()} if isinstance(networks, dict) else {}


def _checked(measured: Any) -> Seconds:
    try:
        seconds = {int(side): float(each) for side, each in measured.items()}
    except (AttributeError, TypeError, ValueError):
        return {}
    return seconds if all(side > 0 and 0 < each < 1e6 for side, each in seconds.items()) else {}
