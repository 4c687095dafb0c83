"""Denoising a whole picture in tiles: one noise and one step for all of it, and only the network sees tiles.

At each step the network looks at overlapping tiles, and where several looked the mean of what they predict counts,
each weighted by a Gaussian about its middle (Bar-Tal et al. 2023, MultiDiffusion, arXiv:2302.08113; the weights as in
Wang et al. 2023, StableSR, arXiv:2305.07015). So no tile is a picture of its own. Memory is that of one batch of tiles
and a few arrays as large as the latents. A step is yielded after each batch: closing the run ends it there. What a
prediction is of, and what noise there is at which time, the scheduler alone knows.
"""

import copy
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipelines.catalog.settings import SMALLEST_LATENT_TILE
from pipelines.errors import BadWeights, OutOfMemory
from pipelines.networks.devices import Device
from pipelines.networks.forward import DTYPES, computing_on, raising_memory_error
from pipelines.networks.tiling import Span, Tile, plan_tiles
from pipelines.runs import Preview, Run, Step
from pipelines.upscalers.diffusion.preview import ColourMap
from pipelines.upscalers.diffusion.scheduler import ChurningScheduler, Scheduler
from pipelines.upscalers.diffusion.task import Task, cast_conditioning

SPREAD = 0.15  # the Gaussian's deviation, as a share of a tile's side: at its border a tile counts next to nothing
OVERLAP_DIVISOR = 8  # of a tile's side: what it reads beyond what it writes, so neighbours share 32 of 128
PREVIEWS = 8  # in a run, about


class Predictor:
    """The network with everything that stays the same during a run: its conditioning, and the guidance.

    Returns (N, C, h, w) float32, guided. What is no number in the device's precision is computed once more in float32,
    and so is all that follows. Raises BadWeights for what is none there either.
    """

    def __init__(self, unet: Any, device: Device, conditioning: Mapping[str, Tensor], guidance: float) -> None:
        self.device, self.unet, self.guidance = device, unet, guidance
        self.conditioning = {name: each.to(device.name) for name, each in conditioning.items()}
        self.exact = device.dtype == "float32"

    @property
    def passes(self) -> int:
        """Returns how often the network runs for a tile: twice with guidance."""
        return max((len(each) for each in self.conditioning.values()), default=1)

    @property
    def notes(self) -> tuple[str, ...]:
        """Returns what the caller should know of how it went."""
        again = self.exact and self.device.dtype != "float32"
        return (f"a tile was too much for {self.device.dtype}: float32 from there on",) if again else ()

    def __call__(self, tiles: Tensor, time: Tensor) -> Tensor:
        predicted = self._predicted(tiles, time)
        if not bool(torch.isfinite(predicted).all()) and not self.exact:
            self.unet, self.exact = self._in_float32(), True
            predicted = self._predicted(tiles, time)
        if not bool(torch.isfinite(predicted).all()):
            raise BadWeights("The network gives no finite numbers for this image.")
        return predicted

    def _in_float32(self) -> Any:
        """Returns it with the precision's parameters, not the file's: they are what made the steps before."""
        try:
            with raising_memory_error():
                return copy.deepcopy(self.unet).float()
        except MemoryError as error:  # smaller tiles would not help
            raise OutOfMemory(
                f"A tile was too much for {self.device.dtype}, and memory is too short for the network in float32."
            ) from error

    def _predicted(self, tiles: Tensor, time: Tensor) -> Tensor:
        number = len(tiles)
        dtype = torch.float32 if self.exact else DTYPES[self.device.dtype]
        with computing_on(self.device):
            conditioning = {
                name: cast_conditioning(each, each.device, dtype).repeat_interleave(number, 0)
                for name, each in self.conditioning.items()
            }
            repeated = tiles.to(dtype).repeat(self.passes, 1, 1, 1)
            output: Tensor = self.unet(repeated, time, **conditioning, return_dict=False)[0]
            output = output.float()
            if self.passes == 1:
                return output
            away, along = output.chunk(2)
            return away + self.guidance * (along - away)


class Cut:
    """A picture of so many latents cut into tiles of one shape that overlap, of which some are looked at together.

    `grid` divides both sides, and tiles begin and end at its lines. `block` divides the sides of picture and tiles.
    `halved_to` is the side of the tiles if memory made them smaller. `pixels` is how many of the small picture a side
    each latent stands for.
    """

    def __init__(
        self, height: int, width: int, side: int, grid: int, batch: int, pixels: int = 1, block: int = 1
    ) -> None:
        self.size, self.grid, self.batch, self.pixels = (height, width), grid, batch, pixels
        self.block = max(grid, block)
        self.halved_to: int | None = None
        self._plan(side)

    def _plan(self, side: int) -> None:
        self.overlap = side // OVERLAP_DIVISOR
        planned = plan_tiles(*self.size, side, self.overlap, self.grid)
        self.tiles = tuple(
            Tile(*(_grow(span, self.block, self.grid, length) for span, length in zip(tile, self.size, strict=True)))
            for tile in planned
        )

    def shrink(self) -> None:
        """Looks at fewer tiles together, or at tiles half as large. Raises OutOfMemory where they are small already."""
        if self.batch > 1 and len(self.tiles) > 1:
            self.batch //= 2
            return
        rows, columns = self.tiles[0]
        side = max(rows.stop - rows.start, columns.stop - columns.start) // 2 // self.block * self.block
        least = max(SMALLEST_LATENT_TILE, self.block)
        if side < least:
            raise OutOfMemory(f"Not enough memory even for a tile of {least * self.pixels} pixels a side.")
        self.halved_to = side
        self._plan(side)

    def groups(self) -> list[tuple[Tile, ...]]:
        """The tiles by what is looked at together: as few groups as the batch allows, about equal in size."""
        count = -(-len(self.tiles) // self.batch)
        size = -(-len(self.tiles) // count)
        return [self.tiles[first : first + size] for first in range(0, len(self.tiles), size)]

    def weights(self) -> dict[Tile, Tensor]:
        """Returns how much each tile counts at each latent that it reads, (h, w): all together 1 everywhere."""
        rows, columns = (_shares({tile[axis] for tile in self.tiles}) for axis in (0, 1))
        return {tile: rows[tile.rows][:, None] * columns[tile.columns] for tile in self.tiles}


@dataclass(frozen=True, slots=True)
class Progress:
    """Which of how many steps is being made; units of work are passes of the network for a tile.

    `around` is what comes before the first and after the last step, in such units for each tile.
    """

    step: int
    steps: int
    passes: int
    around: tuple[int, int]

    def at(self, tile: int, tiles: int) -> Step:
        """Returns the step with so many of its's tiles done."""
        before, after = self.around
        done = before * tiles + self.passes * (self.step * tiles + tile)
        note = f"step {self.step + 1} of {self.steps}, tile {max(1, tile)} of {tiles}"
        return Step(done, (before + self.passes * self.steps + after) * tiles, note)


def denoise(
    predict: Predictor,
    task: Task,
    scheduler: Scheduler,
    generator: torch.Generator,
    cut: Cut,
    colours: ColourMap,
    around: tuple[int, int],
) -> Run[Tensor]:
    """Turns noise into the latents (1, C, H, W) of the picture that the task is about, enlarged.

    Every few steps there is a `Preview`. `around` is as in `Progress`. Raises BadWeights for latents that are no finite
    numbers, OutOfMemory where not even a small tile fits.
    """
    times, device = scheduler.timesteps, predict.device
    every = max(1, round(len(times) / PREVIEWS))
    beside = task.beside.to(device.name)
    latents = scheduler.start(task).to(device.name)
    for number, time in enumerate(times):
        progress = Progress(number, len(times), predict.passes, around)
        with computing_on(device):
            if isinstance(scheduler, ChurningScheduler):
                latents = scheduler.churn(latents, time, generator)
                predict.guidance = scheduler.guidance(time, task.guidance)
            seen = torch.cat([scheduler.scale(latents, time), beside], dim=1)
            network_time = scheduler.network_time(time)
        predicted = yield from _predict_whole(predict, seen, network_time, cut, progress)
        with computing_on(device):
            picture = colours.paint(scheduler.to_clean(predicted, time, latents)) if number % every == 0 else None
            latents = scheduler.step(predicted, time, latents, generator)
        if picture is not None:
            step = progress.at(len(cut.tiles), len(cut.tiles))
            yield Preview(step.done, step.total, step.note, picture)
    if not bool(torch.isfinite(latents).all()):
        raise BadWeights("Denoising comes to no finite numbers for this image.")
    return latents


def _predict_whole(predict: Predictor, seen: Tensor, time: Tensor, cut: Cut, progress: Progress) -> Run[Tensor]:
    """Predicts for the whole picture; where memory is short, once more in smaller pieces."""
    while True:
        try:
            with raising_memory_error():
                return (yield from _predict_tiles(predict, seen, time, cut, progress))
        except MemoryError:
            cut.shrink()


def _predict_tiles(predict: Predictor, seen: Tensor, time: Tensor, cut: Cut, progress: Progress) -> Run[Tensor]:
    weights, groups, done = cut.weights(), cut.groups(), 0
    whole = torch.zeros(0)
    yield progress.at(0, len(cut.tiles))
    for group in groups:
        # The last group may be smaller: it is filled up, because a device has to prepare for each new shape.
        filled = [*group, *group[-1:] * (len(groups[0]) - len(group))]
        predicted = predict(torch.cat([_cut_out(seen, tile) for tile in filled]), time)
        if not done:
            whole = predicted.new_zeros((1, predicted.shape[1], *cut.size))
        for tile, values in zip(group, predicted, strict=False):
            _cut_out(whole, tile).add_(values * weights[tile].to(values.device))
        done += len(group)
        yield progress.at(done, len(cut.tiles))
    return whole


def _grow(span: Span, block: int, grid: int, length: int) -> Span:
    """The span with a side that is a multiple of the block, as far as possible to both sides; `length` is one."""
    more = -(span.stop - span.start) % block
    start = min(max(0, span.start - more // 2 // grid * grid), length - (span.stop - span.start) - more)
    return span._replace(start=start, stop=start + span.stop - span.start + more)


def _cut_out(picture: Tensor, tile: Tile) -> Tensor:
    rows, columns = tile
    return picture[:, :, rows.start : rows.stop, columns.start : columns.stop]


def _shares(spans: Set[Span]) -> dict[Span, Tensor]:
    """Returns how much each tile counts at each place along one axis: its Gaussian's share of all of them there."""
    length = max(span.stop for span in spans)
    heights = {}
    for span in spans:
        middle, deviation = (span.start + span.stop - 1) / 2, SPREAD * (span.stop - span.start)
        heights[span] = torch.exp(-((torch.arange(span.start, span.stop) - middle) ** 2) / (2 * deviation**2))
    together = torch.zeros(length)
    for span, height in heights.items():
        together[span.start : span.stop] += height
    return {span: height / together[span.start : span.stop] for span, height in heights.items()}
