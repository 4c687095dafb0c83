"""A network run block by block: the features of the whole picture are kept, and each block reads them in tiles.

A network may see further than tiles could ever overlap, while each of its blocks sees a few places only. So tiles that
read just a block's reach more than they write give what the whole picture gives. So do blocks that weigh channels by
their means: these are taken of the maps that are kept, once all tiles are there. What is kept are a few maps of
features, in the precision that the trunk works in; where there is no memory for them, the caller cuts the picture.
"""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pipelines import machine
from pipelines.images.picture import Pixels
from pipelines.networks.canvas import Canvas, Job, Scratch, average, read_tiles, take, write_alone
from pipelines.networks.devices import Device
from pipelines.networks.forward import BY_TORCH, DTYPES, Batch, as_array, computing_on, place, raising_memory_error
from pipelines.networks.network import Block, Blocks, Network, Passes
from pipelines.networks.tiling import PREVIEW_SECONDS, SMALLEST_WRITTEN, Span, Tile, plan_tiles, show_done, write_tile
from pipelines.runs import Preview, Run, Step

if TYPE_CHECKING:
    from pipelines.networks.openvino_blocks import CompiledBlock

Part: TypeAlias = Callable[..., Tensor]
"""From tiles of maps, each (1, h, w, channels), and means of maps, (1, 1, 1, channels), to one."""

Check: TypeAlias = Callable[[Batch, Batch], None]
"""Is given part of a picture, (1, h, w, 3), and what it became; raises what it likes."""


@dataclass(slots=True)
class Sweep:
    """How a picture is run: tiles read at most `side` places, which is halved where memory runs short.

    Those of head and end read at most `end_side`, as much unless given: for each place they take the most memory.
    `tiles` counts those of all blocks together. `halved_to` is what they read in the end, if they had to be cut.
    """

    side: int
    end_side: int | None = None
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
        parts = [*(() if isinstance(self._blocks, Passes) else self._blocks.blocks), self._blocks.end]
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
            machine.trim_after_run()

    def run(self, pixels: Pixels, sweep: Sweep, check: Check, previews: bool = False) -> Run[Pixels]:
        """Enlarges a picture whose sides are multiples of the network's `multiple`; `check` sees the tiles of its end.

        Each tile is a step, which counts the blocks that are done, head and end among them: tiles are thousands. With
        `previews` those of the end have, now and then, what there is so far.
        Raises MemoryError where the device has too little for the maps, or for the smallest tiles.
        """
        whole = pixels.shape[0] * self._network.scale, pixels.shape[1] * self._network.scale
        pixels = self._blocks.pad(pixels) if isinstance(self._blocks, Passes) else pixels
        scale = self._network.scale * self._network.multiple
        height, width = (side // self._network.multiple for side in pixels.shape[:2])
        total = count_jobs(self._blocks)
        out = np.empty((height * scale, width * scale, 3), np.float32)
        shown, jobs = time.monotonic(), self._jobs(pixels, out, check)
        for index in range(total):
            with computing_on(self.device):
                job = next(jobs)
            side = sweep.side if sweep.end_side is None or 0 < index < total - 1 else min(sweep.side, sweep.end_side)
            if sweep.halved_to is not None:
                side = max(side, _least(job))  # a job before this one may have been halved to less than is of use here
            tiles, number = _plan(job, height, width, side), 0
            while number < len(tiles):
                try:
                    with computing_on(self.device):
                        job.work(tiles[number])
                except MemoryError:
                    sweep.side = sweep.halved_to = _halved(tiles[0], job)
                    tiles, number = _plan(job, height, width, sweep.side), 0
                    continue
                number += 1
                sweep.tiles += 1
                step = Step(index + (number == len(tiles)), total, "blocks")
                if previews and index == total - 1 and time.monotonic() - shown >= PREVIEW_SECONDS:
                    shown = time.monotonic()
                    yield Preview(step.done, step.total, step.note, show_done(out, scale, tiles[:number], 0))
                else:
                    yield step
        return out[: whole[0], : whole[1]]

    def time_block(self, sides: Iterable[int], repeats: int = 3) -> dict[int, float]:
        """Returns how many seconds a tile of the first block takes that is read from maps and written to one.

        It reads so many places a side: one for each of `sides` but those that take too much memory. The least of a few
        times, after a first one. Not for what runs in passes.
        """
        assert isinstance(self._blocks, Blocks), "passes have no blocks"
        block, part, least = self._blocks.blocks[0], self._parts[0], dict[int, float]()
        for side in sides:
            with suppress(MemoryError), computing_on(self.device):
                canvas = Canvas(side, side + 1, DTYPES[self.device.dtype], self.device.name)  # a tile is not all of it
                map_, out = (canvas.make(self._network.width).fill_(0.5) for _ in range(2))
                read, means = [map_ for _ in block.reads], [average(map_) for _ in block.means]
                tile, scratch, taken = Tile(Span(0, side, 0, side), Span(0, side, 0, side)), Scratch(), list[float]()
                for _ in range(1 + repeats):
                    begun = time.perf_counter()
                    self._run_block(part, read, means, out, scratch, tile)
                    out[0, 0, 0].item()  # a GPU is done once it can say this
                    taken.append(time.perf_counter() - begun)
                least[side] = min(taken[1:])
        return least

    def _jobs(self, pixels: Pixels, out: Pixels, check: Check) -> Generator[Job, None, None]:
        """The head, each block or pass and the end, in their order."""
        scratch, canvas = Scratch(), self._make_canvas(pixels)
        first, grid = canvas.make(self._network.width), 1
        if isinstance(self._blocks, Passes):
            grid = self._blocks.grid
        yield Job(self._blocks.head_reach, partial(self._run_head, pixels, first), grid)
        if isinstance(self._blocks, Passes):
            read = yield from self._blocks.run(canvas, first)
        else:
            read = yield from self._run_blocks(self._blocks, canvas, first, scratch)
        end = partial(self._run_end, pixels, read, out, scratch, check)
        yield Job(self._blocks.end.reach, end, grid)

    def _run_blocks(
        self, blocks: Blocks, canvas: Canvas, first: Tensor, scratch: Scratch
    ) -> Generator[Job, None, list[Tensor]]:
        """Each block; gives what the end reads. A map is used again once nothing reads it any more."""
        maps, spare = {0: first}, list[Tensor]()
        for number, (block, part) in enumerate(zip(blocks.blocks, self._parts[:-1], strict=True), 1):
            maps[number] = spare.pop() if spare else canvas.make(self._network.width)
            read = [maps[each] for each in block.reads]
            means = [average(maps[each]) for each in block.means]
            yield Job(block.reach, partial(self._run_block, part, read, means, maps[number], scratch))
            spare += [maps.pop(each) for each in tuple(maps) if _last_reader(blocks, each) <= number]
        return [maps[each] for each in blocks.end.reads]

    def _make_canvas(self, pixels: Pixels) -> Canvas:
        height, width = (side // self._network.multiple for side in pixels.shape[:2])
        return Canvas(height, width, DTYPES[self.device.dtype], self.device.name)

    def _run_head(self, pixels: Pixels, out: Tensor, tile: Tile) -> None:
        features = self._network.head(self._read_pixels(pixels, tile))
        write_tile(out, 1, tile, features[0].permute(1, 2, 0))

    def _run_block(
        self, part: Part, maps: Sequence[Tensor], means: Sequence[Tensor], out: Tensor, scratch: Scratch, tile: Tile
    ) -> None:
        tiles = [*read_tiles(maps, tile, scratch, alone=bool(self._compiled)), *means]
        if not self._compiled:
            write_tile(out, 1, tile, part(*tiles)[0])
        elif tiles[0].shape[1:] == out.shape:
            part(*tiles, into=out[None])
        else:
            write_alone(out, tile, part(*tiles, into=take(scratch, "out", tiles[0]))[0])

    def _run_end(
        self, pixels: Pixels, maps: Sequence[Tensor], out: Pixels, scratch: Scratch, check: Check, tile: Tile
    ) -> None:
        features = self._parts[-1](*read_tiles(maps, tile, scratch)).float().permute(0, 3, 1, 2)
        read = self._read_pixels(pixels, tile)
        made = as_array(self._network.tail(features, read).cpu())
        check(as_array(read.cpu()), made)
        write_tile(out, self._network.scale * self._network.multiple, tile, made[0])

    def _read_pixels(self, pixels: Pixels, tile: Tile) -> Tensor:
        rows, columns = (slice(*(self._network.multiple * place for place in span[:2])) for span in tile)
        read = np.require(pixels[None, rows, columns], requirements="W")  # as torch asks for, though nothing writes
        return torch.from_numpy(read).to(self.device.name).permute(0, 3, 1, 2)


def blocks_of(network: Network) -> Blocks | Passes:
    """The network's blocks, which it must have."""
    assert network.in_blocks is not None, "only a network with blocks is run by them"
    return network.in_blocks


def count_jobs(blocks: Blocks | Passes) -> int:
    """Returns how many times the picture is gone over, head and end among them."""
    return 2 + (blocks.count if isinstance(blocks, Passes) else len(blocks.blocks))


def count_maps(blocks: Blocks | Passes) -> int:
    """Returns how many maps of features are held at once at the most."""
    if isinstance(blocks, Passes):
        return blocks.maps
    kept = [
        sum(each == number or _last_reader(blocks, each) >= number for each in range(number + 1))
        for number in range(1, len(blocks.blocks) + 1)
    ]
    return max(kept, default=1)


def _last_reader(blocks: Blocks, map_: int) -> int:
    """The number of the last block that reads the map; the end's is one more than the last block's."""
    readers = [*blocks.blocks, blocks.end]
    return max((number for number, block in enumerate(readers, 1) if map_ in block.reads + block.means), default=0)


def _plan(job: Job, height: int, width: int, side: int) -> tuple[Tile, ...]:
    """The tiles of a job, which read at most `side` places; more where that would leave nothing to write."""
    side = max(side, 2 * _overlap(job) + job.grid)
    return plan_tiles(height // job.fold, width // job.fold, max(1, side // job.fold), job.reach, job.grid)


def _least(job: Job) -> int:
    """The least side that tiles are halved to where memory runs short."""
    return SMALLEST_WRITTEN + 2 * _overlap(job)


def _overlap(job: Job) -> int:
    """How many places more than it writes a tile reads: whole squares of its grid."""
    return -(-job.reach // job.grid) * job.grid


def _halved(tile: Tile, job: Job) -> int:
    """The side of tiles half as large as this one. Raises MemoryError where that is the least already."""
    least, side = _least(job), job.fold * max(span.stop - span.start for span in tile)
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
    blocks = blocks_of(network)
    if device.engine != "openvino" or isinstance(blocks, Passes):
        return [], ()
    from pipelines.networks.openvino import NotTranslated
    from pipelines.networks.openvino_blocks import compile_blocks

    try:
        return compile_blocks(network, [*blocks.blocks, blocks.end], device.dtype, "float32"), ()
    except NotTranslated as error:
        return [], (BY_TORCH.format(error.unknown),)
