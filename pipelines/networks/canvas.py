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
            write_to_map(out, tile, made[0].permute(1, 2, 0))

        return Job(reach, work, grid)


def average(map_: Tensor) -> Tensor:
    """Each channel's mean over the whole picture, (1, 1, 1, channels): summed in float32, of which a few rows are."""
    height, width, _ = map_.shape
    sums = [some.sum((0, 1), dtype=torch.float32) for some in torch.split(map_, ROWS_AT_ONCE)]
    return (torch.stack(sums).sum(0) / (height * width)).to(map_.dtype)[None, None, None]


def read_tiles(maps: Sequence[Tensor], tile: Tile, scratch: Scratch) -> list[Tensor]:
    """The tile of each map, (1, h, w, channels), in one piece; the map itself where it is all of it."""
    rows, columns = (slice(*span[:2]) for span in tile)
    read = [each[None, rows, columns] for each in maps]
    return [
        each if each.is_contiguous() else _copy(each, take(scratch, number, each)) for number, each in enumerate(read)
    ]


def write_to_map(map_: Tensor, tile: Tile, made: Tensor) -> None:
    """Writes to a map what a tile writes of (h, w, channels)."""
    if _is_for_numpy(made, map_):
        write_tile(_as_numbers(map_), 1, tile, _as_numbers(made))
    else:
        write_tile(map_, 1, tile, made)


def _copy(planes: Tensor, to: Tensor) -> Tensor:
    if _is_for_numpy(planes, to):
        np.copyto(_as_numbers(to), _as_numbers(planes))
        return to
    return to.copy_(planes)


def _is_for_numpy(planes: Tensor, to: Tensor) -> bool:
    """Returns whether NumPy copies the one to the other, which it does in this thread alone.

    On a CPU torch would share the work with other threads, which keep their core busy for some milliseconds after it,
    waiting for more: OpenVINO's threads, which run the next block, lose a quarter of their time to them.
    """
    return to.device.type == "cpu" and to.dtype == planes.dtype


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
