"""The diffusion engine: latent diffusion models, with words or without, for pictures of any size.

The picture is denoised as a whole of which the network sees tiles (`denoising`), then decoded in tiles that share what
they would need to see of the whole (`decoder`), and its colours are brought back (`colour`).
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings, check
from pipelines.catalog.speeds import DECODING, ENCODING, HELD
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.images.resample import enlarge
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.tiling import Tiled
from pipelines.runs import Run, Step, changed, noted
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.diffusion.colour import fixed
from pipelines.upscalers.diffusion.options import Options, chosen
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.upscalers.diffusion.denoising import Cut
    from pipelines.upscalers.diffusion.parts import Parts

SIDE = 128  # latents a side that a tile reads: what the networks were trained with
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
    def weights_sha256(self) -> tuple[str, ...]:
        """See `Upscaler`."""
        return tuple(found.sha256 for found in self.files if found.file.learned)

    @property
    def nbytes(self) -> int:
        """See `Upscaler`."""
        return sum(parts.nbytes for parts in tuple(self.placed.values()))

    def run(self, pixels: Pixels, settings: Settings) -> Run[Upscaled]:
        """See `Upscaler.run`. Every few steps is a `Preview`."""
        from pipelines.networks.forward import in_memory

        check([self.model], settings)
        with in_memory():
            return (yield from self._run(pixels, settings))

    def _run(self, pixels: Pixels, settings: Settings) -> Run[Upscaled]:
        options = chosen(self.model, settings)
        device = _device()
        parts = self.parts(device)
        side = (settings.tile or SIDE * parts.pixels) // (GRID * parts.pixels) * GRID
        denoised = yield from self._denoised(pixels, options, parts, device, side)
        decoded = yield from _decoded(denoised, parts, device, side)
        height, width, _ = pixels.shape
        made = decoded.pixels[: height * self.scale, : width * self.scale]
        if options.colour_fix != "none":
            plain = yield from noted(enlarge(pixels, self.scale, "bicubic"), "colours, ")
            yield from fixed(made, plain, options.colour_fix)
        halved = [denoised.cut.halved_to and denoised.cut.halved_to * parts.pixels]
        halved += [decoded.halved_to and decoded.halved_to * parts.enlarges // self.scale]
        short = [f"memory ran short: tiles were cut to {min(filter(None, halved))} px"] if any(halved) else []
        return Upscaled(
            made,
            len(denoised.cut.tiles),
            device.label,
            device.dtype,
            decoded.seam,
            Tiling(side * parts.pixels, denoised.cut.overlap * parts.pixels, HELD[self.model.arch]),
            notes=(*denoised.notes, *short),
            settings=self._used(options, side * parts.pixels, denoised.scheduler),
        )

    def _used(self, options: Options, side: int, scheduler: str) -> dict[str, Any]:
        """What would make the same picture again."""
        used = {name: value for name, value in asdict(options).items() if name in self.model.takes}
        name = "DPM++ 2M" if scheduler == "DPMSolverMultistepScheduler" else scheduler
        return {**used, "tile": side, "scheduler": name}

    def parts(self, device: Device) -> "Parts":
        """The parts on that device. Where they were on another they are read anew: what was rounded stays rounded.

        Raises MemoryError where they do not fit.
        """
        from pipelines.networks.forward import DTYPES, in_memory
        from pipelines.upscalers.diffusion import ldm_x4, sd_x2, sd_x4

        readers: Mapping[str, Callable[..., Parts]] = {
            "sd-x4": sd_x4.read,
            "sd-x2": sd_x2.read,
            "ldm-x4": ldm_x4.read,
        }

        with self.lock:
            if device not in self.placed:
                self.placed.clear()
                paths = {found.file.path: found.path for found in self.files}
                read = readers[self.model.arch]
                with in_memory():
                    self.placed[device] = read(paths, device.name, DTYPES[device.dtype])
            return self.placed[device]

    def _denoised(self, pixels: Pixels, options: Options, parts: "Parts", device: Device, side: int) -> Run["Denoised"]:
        """The latents of the enlarged picture, padded to what the network takes. `side` is a tile's, in latents."""
        import torch

        from pipelines.networks.forward import computing
        from pipelines.upscalers.diffusion.denoising import Cut, Predictor, denoise
        from pipelines.upscalers.diffusion.preview import fitted

        grid = parts.grid(tiled=max(pixels.shape[:2]) > side * parts.pixels)
        padded = _padded(pixels, grid * parts.pixels, parts.least * parts.pixels)
        height, width = (length // parts.pixels for length in padded.shape[:2])
        cut = Cut(height, width, side, grid, device.batch, parts.pixels)
        around = ENCODING[self.model.arch], DECODING[self.model.arch]
        passes = options.steps * (2 if options.guided else 1)
        total = (sum(around) + passes) * len(cut.tiles)

        def counted(step: Step) -> Step:
            return replace(step, done=around[0] * len(cut.tiles) * step.done // step.total, total=total)

        generator = torch.Generator().manual_seed(options.seed)
        run = parts.task(pixels, padded, options, generator, device, max(side, SMALLEST_DECODED))
        task = yield from changed(run, counted)
        stepping = parts.stepping(self.own_scheduler)
        stepping.set_timesteps(options.steps, device=device.name)
        predict = Predictor(parts.unet, device, task.told, task.guidance)
        with computing(device):
            colours = fitted(parts, pixels)
        latents = yield from denoise(predict, task, stepping, generator, cut, colours, around)
        after = around[1] * len(cut.tiles)
        total = (around[0] + passes) * len(cut.tiles) + after  # memory may have made more tiles of them
        wordless = self.model.prompt and options.guidance > 1 and not options.guided
        notes = (*["no words, so no guidance"] * wordless, *task.notes, *predict.notes)
        return Denoised(latents, cut, after, total, type(stepping).__name__, notes)


class Denoised(NamedTuple):
    """Latents (1, C, H, W), how they were cut, the units of work to come and all there are, and how it went."""

    latents: "Tensor"
    cut: "Cut"
    after: int
    total: int
    scheduler: str
    notes: tuple[str, ...]


def build(model: Model, scale: int, files: tuple[Found, ...]) -> DiffusionUpscaler:
    """Read the parts from their files. Raises BadWeights where they are not those of such a model at that scale."""
    device = _device()  # first, because in a forked process it makes torch safe to use
    weights_bytes = sum(found.path.stat().st_size for found in files if found.file.learned)
    upscaler = DiffusionUpscaler(model, scale, files, weights_bytes)
    parts = upscaler.parts(device)
    if parts.enlarges != scale * parts.pixels:
        raise BadWeights(f"The decoder of {model.name} enlarges by {parts.enlarges}, not by {scale * parts.pixels}.")
    return upscaler


def _device() -> Device:
    """Where and how the networks run; by torch, whatever else is there."""
    return replace(devices.choose(), engine="torch", note=None)


def _decoded(denoised: Denoised, parts: "Parts", device: Device, side: int) -> Run[Tiled]:
    """The picture; steps go on counting where denoising left off."""
    from pipelines.upscalers.diffusion.decoder import decode

    def counted(step: Step) -> Step:
        left = denoised.after * (step.total - step.done) // step.total
        return Step(denoised.total - left, denoised.total, f"decoding, tile {step.done} of {step.total}")

    latents = denoised.latents / parts.scaling
    return (yield from changed(decode(parts.vae, latents, device, max(side, SMALLEST_DECODED)), counted))


def _padded(pixels: Pixels, multiple: int, least: int) -> Pixels:
    """The picture mirrored beyond its lower and right edge until both sides are multiples, and no less than `least`."""
    beyond = [max(length + -length % multiple, least) - length for length in pixels.shape[:2]]
    padded: Pixels = np.pad(pixels, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="symmetric")
    return padded
