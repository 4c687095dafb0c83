"""The diffusion engine: Stable Diffusion x4, with words or without, for pictures of any size.

The picture is denoised as a whole of which the network sees tiles (`denoising`), then decoded in tiles that share what
they would need to see of the whole (`decoder`), and its colours are brought back (`colour`).
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipelines import devices
from pipelines.catalog import Model
from pipelines.devices import Device
from pipelines.diffusion.colour import fixed
from pipelines.diffusion.options import HELD, Options, chosen
from pipelines.errors import BadWeights
from pipelines.picture import Pixels
from pipelines.resample import enlarge
from pipelines.runs import Run, Step, changed, noted
from pipelines.tiling import Tiled, plan
from pipelines.upscalers.base import Settings, Tiling, Upscaled, check, tile_between
from pipelines.weights import Found

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipelines.diffusion.denoising import Cut
    from pipelines.diffusion.parts import Parts

SIDE = 128  # low-resolution pixels, and so latents, that a tile reads: what the network was trained with
SMALLEST_SIDE, LARGEST_SIDE = 32, 512
SMALLEST_DECODED = 64  # the decoder's tiles overlap by a fixed width: smaller ones would be little else
DECODING = 3  # passes of the network that take as long as decoding a tile of the same size, about


@dataclass(frozen=True, slots=True)
class DiffusionUpscaler:
    """A latent diffusion model. `own_scheduler` has it stepped by the scheduler of its files instead of DPM++ 2M.

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
        return tuple(file.sha256 for file in self.files)

    @property
    def nbytes(self) -> int:
        """See `Upscaler`."""
        return sum(parts.nbytes for parts in self.placed.values())

    def run(self, pixels: Pixels, settings: Settings) -> Run[Upscaled]:
        """See `Upscaler.run`. Every few steps is a `Preview`. The notes tell what would make the same picture again."""
        check([self.model], settings)
        options = chosen(settings)
        side = tile_between(self.model, settings, SIDE, SMALLEST_SIDE, LARGEST_SIDE) // 8 * 8
        device = _device()
        parts = self.parts(device)
        denoised = yield from self._denoised(pixels, options, parts, device, side)
        decoded = yield from _decoded(denoised, parts, device, side)
        height, width, _ = pixels.shape
        made = decoded.pixels[: height * self.scale, : width * self.scale]
        if options.colour_fix != "none":
            plain = yield from noted(enlarge(pixels, self.scale, "bicubic"), "colours, ")
            yield from fixed(made, plain, options.colour_fix)
        halved = [each for each in (denoised.cut.halved_to, decoded.halved_to) if each is not None]
        short = [f"memory ran short: tiles were cut to {min(halved)} px"] if halved else []
        return Upscaled(
            made,
            len(denoised.cut.tiles),
            device.label,
            device.dtype,
            decoded.seam,
            Tiling(side, denoised.cut.overlap, HELD.get(self.model.arch, 0)),
            notes=(*_told(options, denoised.scheduler), *denoised.notes, *short),
        )

    def parts(self, device: Device) -> "Parts":
        """The parts on that device. Where they were on another they are read anew: what was rounded stays rounded."""
        from pipelines.diffusion.parts import read
        from pipelines.forward import DTYPES

        with self.lock:
            if device not in self.placed:
                self.placed.clear()
                paths = {found.file.path: found.path for found in self.files}
                self.placed[device] = read(paths, device.name, DTYPES[device.dtype])
            return self.placed[device]

    def _denoised(self, pixels: Pixels, options: Options, parts: "Parts", device: Device, side: int) -> Run["Denoised"]:
        """The latents of the enlarged picture, padded to what the network takes."""
        import torch

        from pipelines.diffusion.denoising import Cut, Predictor, denoise
        from pipelines.diffusion.parts import low_res_scheduler, scheduler
        from pipelines.diffusion.preview import fitted
        from pipelines.diffusion.words import embed
        from pipelines.forward import computing

        yield Step(0, 1, "reading the words")
        words = embed(parts, options)
        # One tile is padded as diffusers does. Several lie on the lines of the network's deepest level, which folds
        # squares of latents: so all of them see the same squares.
        grid = self.scale if max(pixels.shape[:2]) <= side else max(self.scale, parts.folds)
        padded = _padded(pixels, grid)
        height, width, _ = padded.shape
        generator = torch.Generator().manual_seed(options.seed)
        channels = (3, parts.vae.config.latent_channels)
        noise, latents = _drawn(generator, channels, _padded(pixels, self.scale).shape, padded.shape)
        low = torch.from_numpy(padded).permute(2, 0, 1)[None] * 2 - 1
        low = low_res_scheduler(parts).add_noise(low, noise, torch.tensor([options.noise_level])).to(device.name)
        stepping = scheduler(parts, self.own_scheduler)
        stepping.set_timesteps(options.steps, device=device.name)
        latents = (latents * stepping.init_noise_sigma).to(device.name)
        predict = Predictor(parts.unet, device, words.embedding, options.guidance, options.noise_level)
        cut = Cut(height, width, side, grid, device.batch)
        with computing(device):
            colours = fitted(parts, pixels)
        after = _decoding(height, width, side)
        latents = yield from denoise(predict, low, latents, stepping, generator, cut, colours, after)
        total = options.steps * predict.passes * len(cut.tiles) + after
        return Denoised(latents, cut, total, type(stepping).__name__, (*words.notes, *predict.notes))


class Denoised(NamedTuple):
    """Latents (1, C, H, W), how they were cut, all units of work there are, and how it went."""

    latents: "Tensor"
    cut: "Cut"
    total: int
    scheduler: str
    notes: tuple[str, ...]


def build(model: Model, scale: int, files: tuple[Found, ...]) -> DiffusionUpscaler:
    """Read the parts from their files. Raises BadWeights where they are not those of such a model at that scale."""
    device = _device()  # first, because in a forked process it makes torch safe to use
    upscaler = DiffusionUpscaler(model, scale, files, sum(file.path.stat().st_size for file in files))
    enlarges = upscaler.parts(device).enlarges
    if enlarges != scale:
        raise BadWeights(f"The decoder of {model.name} enlarges by {enlarges}, not by {scale}.")
    return upscaler


def _device() -> Device:
    """Where and how the networks run; by torch, whatever else is there."""
    return replace(devices.choose(), engine="torch", note=None)


def _decoding(height: int, width: int, side: int) -> int:
    """How many units of work decoding is."""
    from pipelines.diffusion.decoder import OVERLAP

    return DECODING * len(plan(height, width, max(side, SMALLEST_DECODED), OVERLAP))


def _decoded(denoised: Denoised, parts: "Parts", device: Device, side: int) -> Run[Tiled]:
    """The picture; steps go on counting where denoising left off."""
    from pipelines.diffusion.decoder import decode

    def counted(step: Step) -> Step:
        done = denoised.total - DECODING * (step.total - step.done)
        return Step(done, denoised.total, f"decoding, tile {step.done} of {step.total}")

    latents = denoised.latents / parts.scaling
    return (yield from changed(decode(parts.vae, latents, device, max(side, SMALLEST_DECODED)), counted))


def _padded(pixels: Pixels, multiple: int) -> Pixels:
    """The picture mirrored beyond its lower and right edge until both sides are multiples."""
    height, width, _ = pixels.shape
    padded: Pixels = np.pad(pixels, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="symmetric")
    return padded


def _drawn(
    generator: "torch.Generator", channels: Sequence[int], least: Sequence[int], size: Sequence[int]
) -> list["Tensor"]:
    """Noise of `size` (H, W) for each number of channels, (1, C, H, W), on the processor.

    What diffusers would draw, which pads to `least`, is drawn first and in its order, and the rest about it afterwards:
    so the same seed is the same noise on every device, in tiles of any size, and in diffusers.
    """
    import torch

    inner = [torch.randn((1, count, *least[:2]), generator=generator) for count in channels]
    if least == size:  # nothing else is drawn: a scheduler may draw too, what comes next in diffusers
        return inner
    whole = []
    for noise in inner:
        around = torch.randn((1, noise.shape[1], *size[:2]), generator=generator)
        around[:, :, : least[0], : least[1]] = noise
        whole.append(around)
    return whole


def _told(options: Options, scheduler: str) -> list[str]:
    """What would make the same picture again."""
    name = "DPM++ 2M" if scheduler == "DPMSolverMultistepScheduler" else scheduler
    unguided = "no guidance" if options.prompt or options.negative_prompt else "no words, so no guidance"
    return [
        f"{options.steps} steps of {name}",
        f"guidance {options.guidance:g}" if options.guided else unguided,
        f"noise level {options.noise_level}",
        f"seed {options.seed}",
        f"colour fix {options.colour_fix}",
    ]
