"""Stable Diffusion x2: from a picture's latents to those of one twice as large, without having to see its pixels.

The network sees the small latents, each repeated, and is told words twice: each of them, and all in one beside the
level of noise in the small ones, of which there is none. It works on latents brought to variance 1 and gives a part of
the result, the rest being the noisy latents themselves (Karras et al. 2022, arXiv:2206.00364, table 1).

Facts: diffusers' StableDiffusionLatentUpscalePipeline, whose results these are where one tile is enough.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import interpolate

from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step, changed
from pipelines.upscalers.diffusion import encoder, reading
from pipelines.upscalers.diffusion.options import Options
from pipelines.upscalers.diffusion.parts import Worded, check
from pipelines.upscalers.diffusion.prompt import embed
from pipelines.upscalers.diffusion.reading import SCHEDULER, Files
from pipelines.upscalers.diffusion.task import Task

PREDICTIONS = ("sample", "original_sample")  # two names for the picture without its noise
LEVEL = 64  # values, twice, that tell of the noise in the small latents: ones and zeros where there is none


@dataclass(frozen=True, slots=True, eq=False)
class StableDiffusionX2(Worded):
    """See the module."""

    scaling: ClassVar[float] = 0.18215
    pixels: ClassVar[int] = 4

    @property
    def least(self) -> int:
        """Two at the deepest level: what makes it larger again mirrors a neighbour."""
        return 2 * self.folds

    def stepping(self, own: bool) -> Any:
        """Euler's method (Karras et al. 2022, algorithm 2), which its files name."""
        return reading.made(EulerDiscreteScheduler, self.scheduler, SCHEDULER)

    def task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "reading the words")
        words = embed(self, options)
        seen = yield from changed(encoder.encode(self.vae, padded, device, side), _encoding)
        noise = torch.randn(seen.mean.shape, generator=generator)
        small = (seen.mean + seen.std * noise) * self.scaling
        beside = interpolate(small, scale_factor=2.0, mode="nearest")
        return Task(
            torch.randn(beside.shape, generator=generator),
            beside,
            _told(words.before_norm, words.pooled),
            options.guidance,
            _clock,
            _reading,
            words.notes,
        )


def read(files: Files, device: str, dtype: torch.dtype) -> StableDiffusionX2:
    """All parts. Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others."""
    parts = StableDiffusionX2(
        reading.network(UNet2DConditionModel, files, "unet", dtype).to(device),
        reading.network(AutoencoderKL, files, "vae", torch.float32).to(device),
        reading.configuration(files, SCHEDULER, ("EulerDiscreteScheduler",)),
        reading.text_encoder(files),
        reading.tokenizer(files),
    )
    latents, width = parts.vae.config.latent_channels, parts.text_encoder.config.hidden_size
    if parts.unet.config.time_cond_proj_dim != 2 * LEVEL + width:
        raise BadWeights("unet is of another kind: it does not take the words in one beside the level of noise.")
    if parts.scheduler.get("prediction_type") not in PREDICTIONS:
        raise BadWeights(f"{SCHEDULER} names a prediction that is not of the picture.")
    encoder.check(parts.vae)
    check(parts, 2 * latents, latents + 1, _told(torch.zeros(1, 1, width), torch.zeros(1, width)))
    return parts


def _encoding(step: Step) -> Step:
    return replace(step, note=f"encoding, tile {step.done} of {step.total}")


def _told(embedding: Tensor, pooled: Tensor) -> dict[str, Tensor]:
    level = torch.cat([torch.ones(len(pooled), LEVEL), torch.zeros(len(pooled), LEVEL)], dim=1)
    return {"encoder_hidden_states": embedding, "timestep_cond": torch.cat([level, pooled], dim=1)}


def _sigma(scheduler: Any) -> Tensor:
    """How much noise there is in the latents, which have been scaled for this step."""
    sigma: Tensor = scheduler.sigmas[scheduler.step_index]
    return sigma


def _clock(scheduler: Any, time: Tensor) -> Tensor:
    """A fourth of the noise's logarithm."""
    return (_sigma(scheduler).log() / 4).to(time.device)


def _reading(scheduler: Any, latents: Tensor, given: Tensor) -> Tensor:
    """The picture's latents: a share of those with noise, and of what the network gave, whose last channel is idle."""
    sigma = _sigma(scheduler).item()
    clean: Tensor = latents / (sigma**2 + 1) + given[:, :-1] * sigma / (sigma**2 + 1) ** 0.5
    return clean
