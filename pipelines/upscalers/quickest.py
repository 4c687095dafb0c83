"""The tiles in which a network's blocks are quickest on this machine: measured at the first long run, and kept.

What blocks give does not depend on their tiles (tests/pipelines/upscalers/test_quickest.py), so this changes nothing
but the time. Where a processor multiplies quickly, what counts is that a tile stays in its cache; elsewhere, that large
tiles overlap less.
"""

import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
LEAST_WORK = 1e12  # multiplications: about two seconds on two cores, where to measure takes one, once
HELD_MAPS = 12  # that a block holds at once, about
HELD_BYTES = {"cpu": 300_000_000, "cuda": 6_000_000_000, "mps": 2_000_000_000}  # that these may take
GAIN = 0.97  # of the usual side's time, that another one has to be better than
CHANNELS = 16  # of which a network has a multiple: of others the sums are formed in another order in other tiles

Seconds: TypeAlias = dict[int, float]
"""How long a tile takes that reads so many places a side; for ever where there was no memory for it."""

_measuring = threading.Lock()
_measured: dict[str, Seconds] = {}  # in this process: what could not be kept is not measured again either


class Chosen(NamedTuple):
    """How many places a side the tiles should read, and the seconds that were spent on finding out."""

    side: int
    spent: float = 0.0


def choose_quickest_side(by_blocks: "ByBlocks", network: "Network", usual: int, size: tuple[int, int]) -> Chosen:
    """Returns the side for a picture of that height and width in pixels.

    It is `usual` where the picture is too small to measure for, where memory is short, or where others compute in this
    process: who shares the processor would measure them as well. Memory for the end of a network is no matter here: see
    `Sweep.end_side`.
    """
    from pipelines.networks.blocks import blocks_of
    from pipelines.networks.network import Blocks

    blocks, device = blocks_of(network), by_blocks.device
    height, width = (side // network.multiple for side in size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    sides = _list_sides(network, device, usual)
    small = height * width * parameters < LEAST_WORK or max(height, width) <= min(sides)
    if small or len(sides) == 1 or network.width % CHANNELS or not isinstance(blocks, Blocks):
        return Chosen(usual)
    key = f"{network.arch} of {parameters} parameters, {device.label}, {device.dtype}"
    begun = time.perf_counter()
    seconds = _find(by_blocks, key, sides)
    spent, reach = time.perf_counter() - begun, blocks.blocks[0].reach
    told = {side: _expect(height, width, side, reach, each) for side, each in seconds.items()}
    quickest = min(told, key=lambda side: told[side], default=usual)
    return Chosen(quickest if usual in told and told[quickest] < GAIN * told[usual] else usual, spent)


def _list_sides(network: "Network", device: "Device", usual: int) -> set[int]:
    """The usual side, and those that a block has memory for."""
    bytes_ = HELD_MAPS * network.width * (4 if device.dtype == "float32" else 2)
    most = min(HELD_BYTES[device.name], devices.free_device_memory(device) // 8)
    return {usual, *(side for side in SIDES[device.name] if bytes_ * side**2 <= most)}


def _expect(height: int, width: int, side: int, reach: int, seconds: float) -> float:
    """How long a block takes over all of a picture: what its tiles read, at the pace of those that were measured."""
    tiles = plan_tiles(height, width, side, reach)
    rows, columns = tiles[0]
    return len(tiles) * (rows.stop - rows.start) * (columns.stop - columns.start) * seconds / side**2


def _find(by_blocks: "ByBlocks", key: str, sides: set[int]) -> Seconds:
    """How long tiles of these sides take; nothing while somebody else measures or shares the processor.

    All are measured at a time: those of another time may have been slowed by something else.
    """
    known = _measured.get(key) or _read().get(key, {})
    if sides <= known.keys():
        return {side: known[side] for side in sides}
    if devices.count_sharing() > 1 or not _measuring.acquire(blocking=False):
        return {}
    try:
        _measured[key] = dict.fromkeys(sides, math.inf) | by_blocks.time_block(sorted(sides))
        finite = {side: each for side, each in _measured[key].items() if each < math.inf}
        with suppress(CannotWrite):  # then it is measured anew at the next start
            kept.write(FILE, {"networks": _read() | {key: finite}})
        return _measured[key]
    finally:
        _measuring.release()


def _read() -> dict[str, Seconds]:
    """What is kept; nothing of a network whose numbers could be none of ours: a file may be damaged."""
    content = kept.read(FILE)
    networks = content.get("networks") if content else None
    return {key: _checked(each) for key, each in networks.items()} if isinstance(networks, dict) else {}


def _checked(measured: Any) -> Seconds:
    try:
        seconds = {int(side): float(each) for side, each in measured.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        return {}
    return seconds if all(side > 0 and 0 < each < math.inf for side, each in seconds.items()) else {}
