"""Latent diffusion x4, without a prompt: the network sees the picture beside the latents and nothing more.

Facts: diffusers' LDMSuperResolutionPipeline, whose results these are where one tile is enough.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import UNet2DModel, VQModel

from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.parts import Parts, check_parts
from pipelines.upscalers.diffusion.reading import SCHEDULER, Files
from pipelines.upscalers.diffusion.scheduler import NOISE_PREDICTIONS
from pipelines.upscalers.diffusion.task import Task


@dataclass(frozen=True, slots=True, eq=False)
class LatentDiffusionX4(Parts):
    """See the module. Its files describe DDIM (Song et al. 2021, arXiv:2010.02502)."""

    scaling: ClassVar[float] = 1.0

    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "drawing noise")
        low = torch.from_numpy(padded).permute(2, 0, 1)[None] * 2 - 1
        noise = torch.randn((1, self.vae.config.latent_channels, *padded.shape[:2]), generator=generator)
        return Task(noise, low, {})


def read_parts(specification: Specification, files: Files, device: str, dtype: torch.dtype) -> LatentDiffusionX4:
    """Reads all parts.

    Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others.
    """
    parts = LatentDiffusionX4(
        specification,
        reading.read_network(UNet2DModel, files, "unet", dtype).to(device),
        reading.read_network(VQModel, files, "vqvae", torch.float32).to(device),
        reading.read_configuration(files, SCHEDULER, specification.schedulers),
    )
    latents = parts.vae.config.latent_channels
    if parts.scheduler.get("prediction_type", "epsilon") not in NOISE_PREDICTIONS:
        raise BadWeights(f"{SCHEDULER} names a prediction that is neither of noise nor of velocity.")
    if parts.vae.config.vq_embed_dim not in (None, latents):
        raise BadWeights("vqvae is of another kind: the entries of its codebook are not as wide as its latents.")
    check_parts(parts, latents + 3, latents, {})
    return parts
