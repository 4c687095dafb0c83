"""A network run block by block: the features of the whole picture are kept, and each block reads them in tiles.

A network may see further than tiles could ever overlap, while each of its blocks sees a few places only. So tiles that
read just a block's reach more than they write give what the whole picture gives. So do blocks that weigh channels by
their means: these are taken of the maps that are kept, once all tiles are there. What is kept are a few maps of
features, in the precision that the trunk works in; where there is no memory for them, the caller cuts the picture.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pipelines import machine
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.networks.forward import BY_TORCH, DTYPES, Batch, as_array, computing_on, place, raising_memory_error
from pipelines.networks.network import Block, Blocks, Network
from pipelines.networks.tiling import PREVIEW_SECONDS, SMALLEST_WRITTEN, Tile, plan_tiles, show_done, write_tile
from pipelines.runs import Preview, Run, Step

if TYPE_CHECKING:
    from pipelines.networks.openvino_blocks import CompiledBlock

ROWS_AT_ONCE = 64  # of a map, whose copy in float32 is held while they are summed

Part: TypeAlias = Callable[..., Tensor]
"""From tiles of maps, each (1, h, w, channels), and means of maps, (1, 1, 1, channels), to one."""

Check: TypeAlias = Callable[[Batch, Batch], None]
"""Is given part of a picture, (1, h, w, 3), and what it became; raises what it likes."""

Scratch: TypeAlias = dict[tuple[int | str, tuple[int, ...]], Tensor]
"""Memory that one tile after another is read into, by what for and its shape."""

Job: TypeAlias = tuple[int, Callable[[Tile], None]]
"""What is done to one tile after another, and how many places more than it writes each reads."""


@dataclass(slots=True)
class Sweep:
    """How a picture is run: tiles read at most `side` places, which is halved where memory runs short.

    `tiles` counts those of all blocks together. `halved_to` is what they read in the end, if they had to be cut.
    """

    side: int
    tiles: int = 0
    halved_to: int | None = None


class ByBlocks:
    """The network as a function of whole pictures: (H, W, 3) float32 in [0, 1] to (s*H, s*W, 3), not clamped.

    The network is given in float32 on the CPU, has blocks, and must not change afterwards. Several threads may run it.
    `device` is where it runs in fact, and `notes` say what torch ran in OpenVINO's place: see `Forward`.
    """

    def __init__(self, network: Network, device: Device) -> None:
        with raising_memory_error():
            self._compiled, self.notes = _compile(network, device)
            self.device = device if self._compiled else replace(device, engine="torch")
            self._network = place(network, self.device)
        self._copied = self._network is not network
        self._blocks = blocks_of(self._network)
        parts = [*self._blocks.blocks, self._blocks.end]
        self._parts: Sequence[Part] = self._compiled or [_by_torch(each) for each in parts]

    @property
    def nbytes(self) -> int:
        """Memory of its own that it holds between calls, in bytes, about: see `Forward.nbytes`."""
        if self._compiled:
            from pipelines.networks.openvino import SIZES_BYTES

            return sum(each.nbytes for each in self._compiled) + SIZES_BYTES
        return sum(parameter.nbytes for parameter in self._network.parameters()) if self._copied else 0

    def release(self) -> None:
        """Gives back memory that is kept from one call to the next; a GPU's is left to torch."""
        for part in self._compiled:
            part.release()
        if self.device.name == "cpu":
            machine.trim_heap()

    def run(self, pixels: Pixels, sweep: Sweep, check: Check, previews: bool = False) -> Run[Pixels]:
        """Enlarges a picture whose sides are multiples of the network's `multiple`; `check` sees the tiles of its end.

        Each tile is a step, which counts the blocks that are done, head and end among them: tiles are thousands. With
        `previews` those of the end have, now and then, what there is so far.
        Raises MemoryError where the device has too little for the maps, or for the smallest tiles.
        """
        scale = self._network.scale * self._network.multiple
        height, width = (side // self._network.multiple for side in pixels.shape[:2])
        total = len(self._blocks.blocks) + 2
        out = np.empty((height * scale, width * scale, 3), np.float32)
        shown = time.monotonic()
        for index, (reach, work) in enumerate(self._jobs(pixels, out, check)):
            tiles, number = plan_tiles(height, width, sweep.side, reach), 0
            while number < len(tiles):
                try:
                    with computing_on(self.device):
                        work(tiles[number])
                except MemoryError:
                    sweep.side = sweep.halved_to = _halved(tiles[0], reach)
                    tiles, number = plan_tiles(height, width, sweep.side, reach), 0
                    continue
                number += 1
                sweep.tiles += 1
                step = Step(index + (number == len(tiles)), total, "blocks")
                if previews and index == total - 1 and time.monotonic() - shown >= PREVIEW_SECONDS:
                    shown = time.monotonic()
                    yield Preview(step.done, step.total, step.note, show_done(out, scale, tiles[:number], 0))
                else:
                    yield step
        return out

    def _jobs(self, pixels: Pixels, out: Pixels, check: Check) -> Iterator[Job]:
        """The head, each block and the end, in their order. A map is used again once nothing reads it any more."""
        blocks, scratch = self._blocks, Scratch()
        maps, spare = {0: self._make_map(pixels)}, list[Tensor]()
        yield blocks.head_reach, partial(self._run_head, pixels, maps[0])
        for number, (block, part) in enumerate(zip(blocks.blocks, self._parts[:-1], strict=True), 1):
            maps[number] = spare.pop() if spare else self._make_map(pixels)
            read = [maps[each] for each in block.reads]
            with computing_on(self.device):
                means = [_average(maps[each]) for each in block.means]
            yield block.reach, partial(self._run_block, part, read, means, maps[number], scratch)
            spare += [maps.pop(each) for each in tuple(maps) if _last_reader(blocks, each) <= number]
        read = [maps[each] for each in blocks.end.reads]
        yield blocks.end.reach, partial(self._run_end, pixels, read, out, scratch, check)

    def _make_map(self, pixels: Pixels) -> Tensor:
        height, width = (side // self._network.multiple for side in pixels.shape[:2])
        with raising_memory_error():
            shape = (height, width, self._network.width)
            return torch.empty(shape, dtype=DTYPES[self.device.dtype], device=self.device.name)

    def _run_head(self, pixels: Pixels, out: Tensor, tile: Tile) -> None:
        features = self._network.head(self._read_pixels(pixels, tile))
        write_tile(out, 1, tile, features[0].permute(1, 2, 0))

    def _run_block(
        self, part: Part, maps: Sequence[Tensor], means: Sequence[Tensor], out: Tensor, scratch: Scratch, tile: Tile
    ) -> None:
        tiles = [*_read(maps, tile, scratch), *means]
        if not self._compiled:
            write_tile(out, 1, tile, part(*tiles)[0])
        elif tiles[0].shape[1:] == out.shape:
            part(*tiles, into=out[None])
        else:
            write_tile(out, 1, tile, part(*tiles, into=_take(scratch, "out", tiles[0]))[0])

    def _run_end(
        self, pixels: Pixels, maps: Sequence[Tensor], out: Pixels, scratch: Scratch, check: Check, tile: Tile
    ) -> None:
        features = self._parts[-1](*_read(maps, tile, scratch)).float().permute(0, 3, 1, 2)
        read = self._read_pixels(pixels, tile)
        made = as_array(self._network.tail(features, read).cpu())
        check(as_array(read.cpu()), made)
        write_tile(out, self._network.scale * self._network.multiple, tile, made[0])

    def _read_pixels(self, pixels: Pixels, tile: Tile) -> Tensor:
        rows, columns = (slice(*(self._network.multiple * place for place in span[:2])) for span in tile)
        read = np.require(pixels[None, rows, columns], requirements="W")  # as torch asks for, though nothing writes
        return torch.from_numpy(read).to(self.device.name).permute(0, 3, 1, 2)


def blocks_of(network: Network) -> Blocks:
    """The network's blocks, which it must have."""
    assert network.in_blocks is not None, "only a network with blocks is run by them"
    return network.in_blocks


def count_maps(blocks: Blocks) -> int:
    """Returns how many maps of features are held at once at the most."""
    kept = [
        sum(each == number or _last_reader(blocks, each) >= number for each in range(number + 1))
        for number in range(1, len(blocks.blocks) + 1)
    ]
    return max(kept, default=1)


def _last_reader(blocks: Blocks, map_: int) -> int:
    """The number of the last block that reads the map; the end's is one more than the last block's."""
    readers = [*blocks.blocks, blocks.end]
    return max((number for number, block in enumerate(readers, 1) if map_ in block.reads + block.means), default=0)


def _average(map_: Tensor) -> Tensor:
    """Each channel's mean over the whole picture, (1, 1, 1, channels): summed in float32, of which a few rows are."""
    height, width, _ = map_.shape
    sums = [some.sum((0, 1), dtype=torch.float32) for some in torch.split(map_, ROWS_AT_ONCE)]
    return (torch.stack(sums).sum(0) / (height * width)).to(map_.dtype)[None, None, None]


def _read(maps: Sequence[Tensor], tile: Tile, scratch: Scratch) -> list[Tensor]:
    """The tile of each map, (1, h, w, channels), in one piece; the map itself where it is all of it."""
    rows, columns = (slice(*span[:2]) for span in tile)
    read = [each[None, rows, columns] for each in maps]
    return [
        each if each.is_contiguous() else _take(scratch, number, each).copy_(each) for number, each in enumerate(read)
    ]


def _take(scratch: Scratch, name: int | str, like: Tensor) -> Tensor:
    """Memory like that of a tile, the same each time: new memory for each would have to be cleared first."""
    key = name, tuple(like.shape)
    if key not in scratch:
        scratch[key] = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    return scratch[key]


def _halved(tile: Tile, reach: int) -> int:
    """The side of tiles half as large as this one. Raises MemoryError where that is the least already."""
    least, side = SMALLEST_WRITTEN + 2 * reach, max(span.stop - span.start for span in tile)
    if side <= least:
        raise MemoryError
    return max(least, (side + 1) // 2)


def _by_torch(block: Block) -> Part:
    def part(*tiles: Tensor) -> Tensor:
        made: Tensor = block.run(*(tile.permute(0, 3, 1, 2) for tile in tiles))
        return made.permute(0, 2, 3, 1)

    return part


def _compile(network: Network, device: Device) -> tuple[list["CompiledBlock"], tuple[str, ...]]:
    """Returns the blocks and the end as OpenVINO runs them, none where torch does, and a note of why."""
    if device.engine != "openvino":
        return [], ()
    from pipelines.networks.openvino import NotTranslated
    from pipelines.networks.openvino_blocks import compile_blocks

    blocks = blocks_of(network)
    try:
        return compile_blocks(network, [*blocks.blocks, blocks.end], device.dtype, "float32"), ()
    except NotTranslated as error:
        return [], (BY_TORCH.format(error.unknown),)
