"""The diffusion engine: latent diffusion models, with a prompt or without, for pictures of any size.

The picture is denoised as a whole of which the network sees tiles (`denoising`), then decoded in tiles that share what
they would need to see of the whole (`decoder`), and its colours are brought back (`colour`). What a model is, its
specification says (`catalog.diffusion`), and how its parts are read and its network is called, the module named there.
"""

import importlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipelines.catalog.diffusion import find_specification, resolve_options
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings, check_tile
from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadWeights
from pipelines.images.picture import Depth, Pixels
from pipelines.images.resample import enlarge, shrink_to_size
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.tiling import Tiled
from pipelines.runs import Run, Step, T, map_steps
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.diffusion.colour import fix_colours
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.upscalers.diffusion.denoising import Cut
    from pipelines.upscalers.diffusion.parts import Parts

GRID = 8  # latents: a tile's side is a multiple
SMALLEST_DECODED = 64  # latents: the autoencoder's tiles overlap by a fixed width, smaller ones would be little else


@dataclass(frozen=True, slots=True)
class DiffusionUpscaler:
    """A latent diffusion model.

    `own_scheduler` has it stepped by the scheduler that its files name, as diffusers does, where DPM++ 2M takes its
    place otherwise. No setting asks for it: it is there to compare with diffusers' own results, number by number.
    `placed` has the parts on the device where they ran last.
    """

    model: Model
    scale: int
    files: tuple[Found, ...]
    weights_bytes: int
    own_scheduler: bool = False
    placed: "dict[Device, Parts]" = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def specification(self) -> Specification:
        """All that is known of the model as data."""
        return find_specification(self.model)

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """See `Upscaler`."""
        return tuple(found.sha256 for found in self.files if found.file.learned)

    @property
    def nbytes(self) -> int:
        """See `Upscaler`."""
        return sum(parts.nbytes for parts in tuple(self.placed.values()))

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """See `Upscaler.run`. Every few steps is a `Preview`."""
        from pipelines.networks.forward import raising_memory_error

        assert self.model.tiles is not None, "each row of this engine has a range"
        check_tile(self.model, settings, *self.model.tiles)
        with raising_memory_error():
            return (yield from self._run(pixels, settings))

    def _run(self, pixels: Pixels, settings: Settings) -> Run[Upscaled]:
        options, tiling = resolve_options(self.model, settings), self.specification.tiling_at(self.scale)
        device = _choose_device()
        parts = self.parts(device)
        unit = max(GRID, parts.block)
        apart = parts.enlarges // (self.model.shrunk_from or self.scale)  # pixels of the small picture for a latent
        side = max(1, (settings.tile or tiling.side) // (unit * apart)) * unit
        denoised = yield from self._denoise(pixels, options, parts, device, side, apart)
        decoded = yield from _decode(denoised, parts, device, side)
        seen, times = denoised.seen, parts.enlarges // parts.pixels
        made = decoded.pixels[: seen.shape[0] * times, : seen.shape[1] * times]
        if options.colour_fix != "none":
            run = enlarge(seen, times, "bicubic")
            plain = seen if parts.enlarged_first else (yield from denoised.end(run, "colours, "))
            run_fix = fix_colours(made, plain, options.colour_fix, clip=not parts.enlarged_first)
            yield from denoised.end(run_fix)
        height, width = (length * self.scale for length in pixels.shape[:2])
        if made.shape[:2] != (height, width):
            made = yield from denoised.end(shrink_to_size(made, height, width), "shrinking, ")
        np.clip(made, 0, 1, out=made)
        halved = [each and each * apart for each in (denoised.cut.halved_to, decoded.halved_to)]
        return Upscaled(
            made,
            len(denoised.cut.tiles),
            device.label,
            device.dtype,
            decoded.seam,
            tiling._replace(side=side * apart, overlap=denoised.cut.overlap * apart),
            notes=(*denoised.notes, *self._notes(settings, options, halved), *device.notes),
            settings=self._record(options, side * apart, denoised.scheduler),
        )

    def _notes(self, settings: Settings, options: Options, halved: Sequence[int | None]) -> Iterator[str]:
        """What the caller should know, but for what the network was told; `halved` has the sides of cut tiles."""
        scale, steps = self.model.shrunk_from or self.scale, settings.steps or 0
        if scale != self.scale:
            yield f"the network upscales by {scale}: shrunk to {self.scale} by antialiased bicubic"
        if steps > options.steps:
            yield f"{self.model.name} takes {options.steps} steps at the most, not {steps}: {options.steps} were taken"
        if any(halved):
            yield f"memory ran short: tiles were cut to {min(filter(None, halved))} px"

    def _record(self, options: Options, side: int, scheduler: str) -> dict[str, Any]:
        """Returns what would make the same picture again; a creativity is None where the others say all of it."""
        used = {name: value for name, value in asdict(options).items() if name in self.model.takes}
        return {**used, "tile": side, "scheduler": scheduler}

    def parts(self, device: Device) -> "Parts":
        """The parts on that device. Where they were on another they are read anew: what was rounded stays rounded.

        Raises MemoryError where they do not fit.
        """
        from pipelines.networks.forward import DTYPES, raising_memory_error

        with self.lock:
            if device not in self.placed:
                self.placed.clear()
                paths = {found.file.path: found.path for found in self.files}
                module = importlib.import_module(self.specification.module)
                with raising_memory_error():
                    self.placed[device] = module.read_parts(
                        self.specification, paths, device.name, DTYPES[device.dtype]
                    )
            return self.placed[device]

    def _denoise(
        self, pixels: Pixels, options: Options, parts: "Parts", device: Device, side: int, apart: int
    ) -> Run["Denoised"]:
        """The latents of the enlarged picture, padded to what the network takes.

        `side` is a tile's, in latents, for each of which there are `apart` pixels of the small picture a side.
        """
        import torch

        from pipelines.networks.forward import computing_on
        from pipelines.upscalers.diffusion.denoising import Cut, Predictor, denoise
        from pipelines.upscalers.diffusion.preview import fit_colours

        size = parts.size_seen(pixels.shape[0], pixels.shape[1], self.scale)
        grid = parts.grid(tiled=max(size) > side * parts.pixels)
        height, width = (length // parts.pixels for length in parts.padded_size(*size, grid))
        cut = Cut(height, width, side, grid, device.batch, apart, parts.block)
        around = self.specification.around(f"{device.label}, {device.dtype}")
        total = (sum(around) + options.passes) * len(cut.tiles)
        before = around[0] * len(cut.tiles)
        first = before // 2 if parts.enlarged_first else 0

        def counted(step: Step) -> Step:
            return replace(step, done=first + (before - first) * step.done // step.total, total=total)

        def counted_first(step: Step) -> Step:
            return replace(step, done=first * step.done // step.total, total=total)

        seen = yield from map_steps(parts.make_seen(pixels, self.scale, device), counted_first)
        generator = torch.Generator().manual_seed(options.seed)
        run = parts.make_task(seen, parts.pad(seen, grid), options, generator, device, max(side, SMALLEST_DECODED))
        task = yield from map_steps(run, counted)
        scheduler = parts.make_scheduler(options, device.name, self.own_scheduler)
        predict = Predictor(parts.unet, device, task.conditioning, task.guidance)
        with computing_on(device):
            colours = fit_colours(parts, pixels)
        latents = yield from denoise(predict, task, scheduler, generator, cut, colours, around)
        after = around[1] * len(cut.tiles)
        total = (around[0] + options.passes) * len(cut.tiles) + after  # memory may have made more tiles of them
        unprompted = self.model.prompt and options.guidance > 1 and not options.guided
        notes = (*["no words, so no guidance"] * unprompted, *task.notes, *predict.notes)
        cleaned = seen if task.cleaned is None else task.cleaned
        return Denoised(latents, cleaned, cut, after, total, scheduler.label, notes)


class Denoised(NamedTuple):
    """Latents (1, C, H, W), the picture that they were made of, how they were cut, and how it went.

    `after` and `total` are the units of work to come and all there are.
    """

    latents: "Tensor"
    seen: Pixels
    cut: "Cut"
    after: int
    total: int
    scheduler: str
    notes: tuple[str, ...]

    def end(self, run: Run[T], prefix: str = "") -> Run[T]:
        """Returns the same run of what is left when all is counted; each step's note with `prefix` in front."""
        return map_steps(run, lambda step: replace(step, done=self.total, total=self.total, note=prefix + step.note))


def build(model: Model, scale: int, files: tuple[Found, ...]) -> DiffusionUpscaler:
    """Reads the parts from their files. Raises BadWeights where they are not those of such a model at that scale."""
    device = _choose_device()  # first, because in a forked process it makes torch safe to use
    weights_bytes = sum(found.path.stat().st_size for found in files if found.file.learned)
    upscaler = DiffusionUpscaler(model, scale, files, weights_bytes)
    parts = upscaler.parts(device)
    wanted = parts.pixels if parts.enlarged_first else (model.shrunk_from or scale) * parts.pixels
    if parts.enlarges != wanted:
        raise BadWeights(f"The decoder of {model.name} upscales by {parts.enlarges}, not by {wanted}.")
    return upscaler


def _choose_device() -> Device:
    """Returns where and how the networks run; by torch, whatever else is there."""
    return replace(devices.choose_device(), engine="torch", note=None)


def _decode(denoised: Denoised, parts: "Parts", device: Device, side: int) -> Run[Tiled]:
    """The picture; steps go on counting where denoising left off."""
    from pipelines.upscalers.diffusion.decoder import decode_latents

    def counted(step: Step) -> Step:
        left = denoised.after * (step.total - step.done) // step.total
        return Step(denoised.total - left, denoised.total, f"decoding, tile {step.done} of {step.total}")

    latents = denoised.latents / parts.scaling
    run = decode_latents(parts.vae, latents, device, max(side, SMALLEST_DECODED), clamp=not parts.enlarged_first)
    return (yield from map_steps(run, counted))
