"""Stable Diffusion x2: from a picture's latents to those of one twice as large, without having to see its pixels.

The network sees the small latents, each repeated, and takes the prompt twice: each word of it, and all in one beside
the level of noise in the small latents, of which there is none. It works on latents brought to variance 1 and predicts
a part of the image, the rest being the noisy latents themselves (Karras et al. 2022, arXiv:2206.00364, table 1).

Facts: diffusers' StableDiffusionLatentUpscalePipeline, whose results these are where one tile is enough.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import interpolate

from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.encoder import check_encoder, encode_picture
from pipelines.upscalers.diffusion.parts import PromptedParts, check_parts
from pipelines.upscalers.diffusion.prompt import embed_prompt
from pipelines.upscalers.diffusion.reading import SCHEDULER, Files
from pipelines.upscalers.diffusion.scheduler import DiffusersScheduler
from pipelines.upscalers.diffusion.task import Task, name_tiles

IMAGE_PREDICTIONS = ("sample", "original_sample")  # two names for the image without its noise
LEVEL_WIDTH = 64  # values, twice, that tell of the noise in the small latents: ones and zeros where there is none


class PreconditionedScheduler(DiffusersScheduler):
    """Euler's method (Karras et al. 2022, algorithm 2), which the files describe, for a preconditioned network."""

    @property
    def sigma(self) -> Tensor:
        """Returns how much noise there is in the latents, which have been scaled for this step."""
        sigma: Tensor = self.wrapped.sigmas[self.wrapped.step_index]
        return sigma

    def network_time(self, time: Tensor) -> Tensor:
        """A fourth of the noise's logarithm."""
        return (self.sigma.log() / 4).to(time.device)

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """A share of the latents with noise, and of the prediction, whose last channel is idle."""
        sigma = self.sigma.item()
        clean: Tensor = latents / (sigma**2 + 1) + prediction[:, :-1] * sigma / (sigma**2 + 1) ** 0.5
        return clean

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """See `Scheduler`. To diffusers the network predicts the whole image."""
        return super().step(self.to_clean(prediction, time, latents), time, latents, generator)


@dataclass(frozen=True, slots=True, eq=False)
class StableDiffusionX2(PromptedParts):
    """See the module."""

    scaling: ClassVar[float] = 0.18215
    pixels: ClassVar[int] = 4

    @property
    def least(self) -> int:
        """Returns two at the deepest level: what makes it larger again mirrors a neighbour."""
        return 2 * self.folds

    def make_scheduler(self, options: Options, device: str, own: bool = False) -> PreconditionedScheduler:
        """See `Parts`."""
        return PreconditionedScheduler(self.scheduler, options.steps, device)

    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "reading the words")
        prompt = embed_prompt(self, options)
        seen = yield from name_tiles(encode_picture(self.vae, padded, device, side), "encoding")
        noise = torch.randn(seen.mean.shape, generator=generator)
        small = (seen.mean + seen.std * noise) * self.scaling
        beside = interpolate(small, scale_factor=2.0, mode="nearest")
        return Task(
            torch.randn(beside.shape, generator=generator),
            beside,
            _condition(prompt.before_norm, prompt.pooled),
            options.guidance,
            prompt.notes,
        )


def read_parts(specification: Specification, files: Files, device: str, dtype: torch.dtype) -> StableDiffusionX2:
    """Reads all parts.

    Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others.
    """
    parts = StableDiffusionX2(
        specification,
        reading.read_network(UNet2DConditionModel, files, "unet", dtype).to(device),
        reading.read_network(AutoencoderKL, files, "vae", torch.float32).to(device),
        reading.read_configuration(files, SCHEDULER, specification.schedulers),
        reading.read_text_encoder(files),
        reading.read_tokenizer(files),
    )
    latents, width = parts.vae.config.latent_channels, parts.text_encoder.config.hidden_size
    if parts.unet.config.time_cond_proj_dim != 2 * LEVEL_WIDTH + width:
        raise BadWeights("unet is of another kind: it does not take the words in one beside the level of noise.")
    if parts.scheduler.get("prediction_type") not in IMAGE_PREDICTIONS:
        raise BadWeights(f"{SCHEDULER} names a prediction that is not of the picture.")
    check_encoder(parts.vae)
    check_parts(parts, 2 * latents, latents + 1, _condition(torch.zeros(1, 1, width), torch.zeros(1, width)))
    return parts


def _condition(embedding: Tensor, pooled: Tensor) -> dict[str, Tensor]:
    level = torch.cat([torch.ones(len(pooled), LEVEL_WIDTH), torch.zeros(len(pooled), LEVEL_WIDTH)], dim=1)
    return {"encoder_hidden_states": embedding, "timestep_cond": torch.cat([level, pooled], dim=1)}
