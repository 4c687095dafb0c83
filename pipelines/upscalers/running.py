"""How a network runs over a picture: in tiles, or block by block with the features of the whole picture kept."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings, check_tile
from pipelines.images.picture import Pixels
from pipelines.images.resample import shrink_to
from pipelines.networks.devices import Device
from pipelines.networks.tiling import UNBOUNDED, plan_tiles, run_tiled
from pipelines.runs import Run
from pipelines.upscalers.forwards import AFFORDABLE_OVERLAP, Forwards, clamp, find_broken
from pipelines.upscalers.luma import is_8_bit, with_colours
from pipelines.upscalers.quickest import Chosen, choose_quickest_side
from pipelines.upscalers.sides import (
    FLOAT_BYTES,
    choose_block_side,
    choose_part,
    choose_side,
    choose_whole,
    end_reach_of,
    kept_bytes,
    reach_of,
)

if TYPE_CHECKING:
    from pipelines.networks.blocks import ByBlocks, Sweep
    from pipelines.networks.forward import Batch, Forward
    from pipelines.networks.network import Network

# Low-resolution pixels that neighbours overlap by, and are blended over, where a network sees further: tiles, and the
# parts of a picture whose features are too much for memory.
FEATHERED_OVERLAP, PART_OVERLAP = 24, 64
SHRINKING_REACH = 2  # how much further a tile reads whose enlargement is shrunk afterwards: the reach of bicubic
SMALLEST_TILE, LARGEST_TILE = 16, 4096  # that may be asked for


class Ran(NamedTuple):
    """The enlarged picture, clamped and at the scale that was wanted, and how it came about; see `Upscaled`."""

    pixels: Pixels
    tiles: int
    seam: float | None
    tiling: Tiling
    notes: list[str]
    device: Device
    preparing: float = 0.0


def run_network(
    forwards: Forwards, model: Model, scale: int, pixels: Pixels, settings: Settings, exact: bool
) -> Run[Ran]:
    """Runs it so that the result equals that of the whole picture where it can, in float32 if `exact`.

    What fits into a tile is run as it is: blocks take longer there. The sides of `pixels` are multiples of the
    network's `multiple`. Raises BadSetting for a tile that is none.
    """
    network = forwards.network
    forward = forwards.exact() if exact else forwards.usual
    feather = network.radius > AFFORDABLE_OVERLAP
    overlap = FEATHERED_OVERLAP if feather else network.radius + SHRINKING_REACH * (network.scale != scale)
    least = max(3 * overlap, 3 * network.multiple)
    if forwards.sees_too_far:
        least = 3 * reach_of(network) * network.multiple
    check_tile(model, settings, max(SMALLEST_TILE, least), LARGEST_TILE)
    height, width, _ = pixels.shape
    side = settings.tile or choose_side(network, forward.device, overlap, feather, height * width * scale**2)
    if forwards.sees_too_far:
        if max(height, width) > side:
            return (yield from _run_by_blocks(forwards, forwards.by_blocks(exact), model, scale, pixels, settings))
        ran = yield from _run_in_tiles(forwards, forward, model, scale, pixels, (side, overlap))
        # As larger pictures are cut, of which this one tells how long they take.
        block_side = choose_block_side(network, forward.device)
        return ran._replace(tiling=_tiling_of_blocks(network, forward.device, block_side, block_side))
    if network.radius == UNBOUNDED and not settings.tile:
        side = choose_whole(network, forward.device, side, max(height, width))
    return (yield from _run_in_tiles(forwards, forward, model, scale, pixels, (side, overlap)))


def _run_in_tiles(
    forwards: Forwards, forward: "Forward", model: Model, scale: int, pixels: Pixels, sides: tuple[int, int]
) -> Run[Ran]:
    """Runs it in tiles of a side and an overlap."""
    from pipelines.networks.luma import LumaNetwork

    network, device = forwards.network, forward.device
    side, overlap = sides
    enlarge = _GuardedTiles(forward, forwards, scale, model.name)
    tiled = yield from run_tiled(
        pixels,
        scale,
        with_colours(enlarge, scale, is_8_bit(pixels)) if isinstance(network, LumaNetwork) else enlarge,
        side,
        overlap,
        batch=device.batch,
        feather=network.radius > AFFORDABLE_OVERLAP,
        grid=network.multiple,
        previews=True,
    )
    notes = []
    if network.radius == UNBOUNDED and tiled.tiles > 1:
        notes.append(f"{network.arch} works on whole images: in tiles its result differs from what it would be")
    if enlarge.again:
        failed = "1 tile was" if enlarge.again == 1 else f"{enlarge.again} tiles were"
        notes.append(f"{failed} too much for {device.dtype} and made again in float32")
    notes += _note_cut(tiled.halved_to)
    tiling = Tiling(side, overlap, FLOAT_BYTES * network.floats_per_pixel)
    return Ran(tiled.pixels, tiled.tiles, tiled.seam, tiling, [*notes, *forward.notes], device)


def _run_by_blocks(
    forwards: Forwards, by_blocks: "ByBlocks", model: Model, scale: int, pixels: Pixels, settings: Settings
) -> Run[Ran]:
    """Runs it block by block, which equals the whole picture; in parts where there is no memory for that."""
    from pipelines.networks.blocks import Sweep

    network, device = forwards.network, by_blocks.device
    height, width, _ = pixels.shape
    end_side = settings.tile // network.multiple if settings.tile else choose_block_side(network, device)
    chosen = Chosen(end_side) if settings.tile else choose_quickest_side(by_blocks, network, end_side, (height, width))
    sweep = Sweep(chosen.side, end_side)
    part = choose_part(network, device, end_side, (height, width), PART_OVERLAP, scale)
    tiling = _tiling_of_blocks(network, device, sweep.side, end_side)
    enlarge = _GuardedBlocks(by_blocks, forwards, scale, model.name, sweep)
    ran = yield from run_tiled(pixels, scale, enlarge, part, PART_OVERLAP, feather=True, grid=network.multiple)
    notes = []
    if enlarge.again:
        notes.append(f"the image was too much for {device.dtype} and made again in float32")
    if ran.tiles > 1:
        notes.append(
            f"memory ran short: the image was upscaled in {ran.tiles} parts, blended where they meet: they differ "
            f"a little from the whole"
        )
        return Ran(ran.pixels, ran.tiles, ran.seam, tiling, [*notes, *by_blocks.notes], device, chosen.spent)
    notes += _note_cut(sweep.halved_to)
    planned = plan_tiles(height, width, tiling.side, tiling.overlap, network.multiple)
    return Ran(ran.pixels, len(planned), 0.0, tiling, [*notes, *by_blocks.notes], device, chosen.spent)


def _tiling_of_blocks(network: "Network", device: Device, side: int, end_side: int) -> Tiling:
    """How blocks cut a picture, or the end of what goes over it in passes; sides are in places of features.

    What takes memory is a tile of the end: told as if it were as large as the others.
    """
    multiple, held = network.multiple, FLOAT_BYTES * network.floats_per_pixel
    held = round(held * (min(side, end_side) / side) ** 2)
    return Tiling(side * multiple, end_reach_of(network) * multiple, held, kept_bytes(network, device))


def _note_cut(side: int | None) -> list[str]:
    return [] if side is None else [f"memory ran short: tiles were cut to {side} px"]


class _GuardedTiles:
    """The network for tiles: what it gives clamped to [0, 1] and at the scale that is wanted, never a broken tile.

    `again` counts the tiles that were broken at first.
    """

    def __init__(self, forward: "Forward", forwards: Forwards, scale: int, name: str) -> None:
        self.forward, self.forwards, self.scale, self.name = forward, forwards, scale, name
        self.again = 0

    def __call__(self, batch: "Batch") -> "Batch":
        made = self.forward(batch)
        if self.forward.device.dtype != "float32":
            for number in np.flatnonzero(find_broken(batch, made)):
                self.again += 1
                made[number] = self.forwards.exact()(batch[number : number + 1])[0]
        clamp(made, self.name)
        if self.forwards.network.scale == self.scale:
            return made
        height, width = batch.shape[1] * self.scale, batch.shape[2] * self.scale
        return np.stack([shrink_to(each, height, width) for each in made])


class _Broken(Exception):
    """Part of the picture came out as find_broken says."""


class _GuardedBlocks:
    """The same for pictures run block by block; one that is broken anywhere is made again as a whole.

    `again` says whether one was.
    """

    def __init__(self, by_blocks: "ByBlocks", forwards: Forwards, scale: int, name: str, sweep: "Sweep") -> None:
        self.by_blocks, self.forwards, self.scale, self.name, self.sweep = by_blocks, forwards, scale, name, sweep
        self.again = False

    def __call__(self, batch: "Batch") -> Run["Batch"]:
        (pixels,) = batch
        try:
            made = yield from self.by_blocks.run(pixels, self.sweep, self._check, previews=True)
        except _Broken:
            self.again = True
            self.by_blocks = self.forwards.by_blocks(exact=True)
            made = yield from self.by_blocks.run(pixels, self.sweep, self._check, previews=True)
        if self.forwards.network.scale != self.scale:
            made = shrink_to(made, pixels.shape[0] * self.scale, pixels.shape[1] * self.scale)
        return made[None]

    def _check(self, batch: "Batch", made: "Batch") -> None:
        if self.by_blocks.device.dtype != "float32" and find_broken(batch, made).any():
            raise _Broken
        clamp(made, self.name)
