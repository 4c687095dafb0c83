"""ResShift: from the latents of the plain enlargement, with noise, to those of a sharp one (Yue et al. 2023).

The network sees the small picture beside the latents, as many of which it has pixels, and predicts the latents without
noise. Facts, where the paper (arXiv:2307.12348) has none: the authors' repository, zsyOAOA/ResShift, whose results
these are where one tile is enough.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn.functional import interpolate

from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion.encoder import check_encoder, encode_values
from pipelines.upscalers.diffusion.parts import Parts, check_parts
from pipelines.upscalers.diffusion.reading import Files
from pipelines.upscalers.diffusion.released import read_swin_unet, read_vq_autoencoder
from pipelines.upscalers.diffusion.residual_shift import ResidualShiftScheduler
from pipelines.upscalers.diffusion.task import Task, name_tiles

AUTOENCODER = "autoencoder_vq_f4.pth"  # of all versions; a row's other file has the network


@dataclass(frozen=True, slots=True, eq=False)
class ResShift(Parts):
    """See the module. What noise there is at which step is in no file: `scheduler` has it from the specification."""

    scaling: ClassVar[float] = 1.0
    padding: ClassVar[Literal["symmetric", "reflect", "constant"]] = "reflect"
    block: ClassVar[int] = 64  # eight of its deepest level, whose windows are as wide

    def make_scheduler(self, options: Options, device: str, own: bool = False) -> ResidualShiftScheduler:
        """See `Parts`."""
        return ResidualShiftScheduler(self.scheduler, options.steps, device)

    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "upscaling plainly")
        small = torch.from_numpy(padded).permute(2, 0, 1)[None]
        # By torch's bicubic (a = -0.75), and not clamped: so the network's pictures were made when it was trained.
        plain = interpolate(small, scale_factor=float(self.enlarges), mode="bicubic")[0].permute(1, 2, 0)
        run = encode_values(self.vae, plain.contiguous().numpy(), device, side)
        encoded = yield from name_tiles(run, "encoding")
        return Task(torch.randn(encoded.shape, generator=generator), small * 2 - 1, {}, plain=encoded)


def read_parts(specification: Specification, files: Files, device: str, dtype: torch.dtype) -> ResShift:
    """Reads all parts.

    Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others.
    """
    (network,) = (path for name, path in files.items() if name != AUTOENCODER)
    parts = ResShift(
        specification,
        read_swin_unet(network, dtype).to(device),
        read_vq_autoencoder(files[AUTOENCODER], torch.float32).to(device),
        specification.schedule,
    )
    latents = parts.vae.config.latent_channels
    if parts.vae.config.vq_embed_dim != latents:
        raise BadWeights(f"{AUTOENCODER} is of another kind: its codebook is not as wide as its latents.")
    check_encoder(parts.vae)
    check_parts(parts, latents + 3, latents)
    return parts
