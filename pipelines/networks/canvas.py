"""Maps of features that are kept whole, and what is done to one tile of them after another."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.networks.tiling import Tile, write_tile

ROWS_AT_ONCE = 64  # of a map, whose copy in float32 is held while they are summed

Scratch: TypeAlias = dict[tuple[int | str, tuple[int, ...]], Tensor]
"""Memory that one tile after another is read into, by what for and its shape."""


class Job(NamedTuple):
    """What is done to one tile after another, each of which reads `reach` places more than it writes.

    Tiles begin and end at multiples of `grid`. Where `fold` is more than 1, what is cut into tiles are not the places
    of the maps but as many fewer: each stands for `fold` places a side, which lie wherever the work knows.
    """

    reach: int
    work: Callable[[Tile], None]
    grid: int = 1
    fold: int = 1


class Canvas:
    """Where maps (height, width, channels) are kept, of that precision and device."""

    def __init__(self, height: int, width: int, dtype: torch.dtype, device: str) -> None:
        self.height, self.width, self.dtype, self.device = height, width, dtype, device

    def make(self, channels: int) -> Tensor:
        """Memory for a map, which is not cleared."""
        return torch.empty((self.height, self.width, channels), dtype=self.dtype, device=self.device)

    def run(
        self, part: Callable[..., Tensor], maps: Sequence[Tensor], out: Tensor, reach: int = 0, grid: int = 1
    ) -> Job:
        """The job that runs a part, from tiles (1, channels, h, w) of maps to one, and writes it to `out`."""
        scratch = Scratch()

        def work(tile: Tile) -> None:
            made = part(*(each.permute(0, 3, 1, 2) for each in read_tiles(maps, tile, scratch)))
            write_tile(out, 1, tile, made[0].permute(1, 2, 0))

        return Job(reach, work, grid)


def average(map_: Tensor) -> Tensor:
    """Each channel's mean over the whole picture, (1, 1, 1, channels): summed in float32, of which a few rows are."""
    height, width, _ = map_.shape
    sums = [some.sum((0, 1), dtype=torch.float32) for some in torch.split(map_, ROWS_AT_ONCE)]
    return (torch.stack(sums).sum(0) / (height * width)).to(map_.dtype)[None, None, None]


def read_tiles(maps: Sequence[Tensor], tile: Tile, scratch: Scratch, alone: bool = False) -> list[Tensor]:
    """The tile of each map, (1, h, w, channels), in one piece; the map itself where it is all of it.

    Copied by this thread `alone`, or by those of torch: see `write_alone`.
    """
    rows, columns = (slice(*span[:2]) for span in tile)
    read = list[Tensor]()
    for number, map_ in enumerate(maps):
        there = map_[None, rows, columns]
        if there.is_contiguous():
            read.append(there)
        elif alone:
            read.append(take(scratch, number, there))
            np.copyto(_as_numbers(read[-1]), _as_numbers(there))
        else:
            read.append(take(scratch, number, there).copy_(there))
    return read


def write_alone(map_: Tensor, tile: Tile, made: Tensor) -> None:
    """Writes to a map what a tile writes of (h, w, channels), of its precision and on the CPU, by this thread alone.

    torch's threads, which would share the work, may keep their core busy for milliseconds after it, waiting for more
    (OMP_WAIT_POLICY): OpenVINO's threads, which run the next block, would lose a quarter of their time to them.
    """
    write_tile(_as_numbers(map_), 1, tile, _as_numbers(made))


def _as_numbers(planes: Tensor) -> npt.NDArray[np.generic]:
    """The same memory. NumPy has no bfloat16 but its bits."""
    numbers: npt.NDArray[np.generic] = (planes.view(torch.int16) if planes.dtype == torch.bfloat16 else planes).numpy()
    return numbers


def take(scratch: Scratch, name: int | str, like: Tensor) -> Tensor:
    """Memory like that of a tile, the same each time: new memory for each would have to be cleared first."""
    key = name, tuple(like.shape)
    if key not in scratch:
        scratch[key] = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    return scratch[key]
