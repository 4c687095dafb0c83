"""Latent diffusion x4, without words: the network sees the picture beside the latents and is told nothing more.

Facts: diffusers' LDMSuperResolutionPipeline, whose results these are where one tile is enough.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, UNet2DModel, VQModel

from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.options import Options
from pipelines.upscalers.diffusion.parts import Parts, check
from pipelines.upscalers.diffusion.reading import SCHEDULER, Files
from pipelines.upscalers.diffusion.task import Task

PREDICTIONS = ("epsilon", "v_prediction")


@dataclass(frozen=True, slots=True, eq=False)
class LatentDiffusionX4(Parts):
    """See the module."""

    scaling: ClassVar[float] = 1.0

    def stepping(self, own: bool) -> Any:
        """DDIM (Song et al. 2021, arXiv:2010.02502), which its files name."""
        return reading.made(DDIMScheduler, self.scheduler, SCHEDULER)

    def task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "drawing noise")
        low = torch.from_numpy(padded).permute(2, 0, 1)[None] * 2 - 1
        noise = torch.randn((1, self.vae.config.latent_channels, *padded.shape[:2]), generator=generator)
        return Task(noise, low, {})


def read(files: Files, device: str, dtype: torch.dtype) -> LatentDiffusionX4:
    """All parts. Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others."""
    parts = LatentDiffusionX4(
        reading.network(UNet2DModel, files, "unet", dtype).to(device),
        reading.network(VQModel, files, "vqvae", torch.float32).to(device),
        reading.configuration(files, SCHEDULER, ("DDIMScheduler",)),
    )
    latents = parts.vae.config.latent_channels
    if parts.scheduler.get("prediction_type", "epsilon") not in PREDICTIONS:
        raise BadWeights(f"{SCHEDULER} names a prediction that is neither of noise nor of velocity.")
    if parts.vae.config.vq_embed_dim not in (None, latents):
        raise BadWeights("vqvae is of another kind: the entries of its codebook are not as wide as its latents.")
    check(parts, latents + 3, latents, {})
    return parts
