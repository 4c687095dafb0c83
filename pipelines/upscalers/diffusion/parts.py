"""What every latent diffusion model is made of. What each has of its own is in the module its specification names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, VQModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run
from pipelines.upscalers.diffusion.decoder import check_decoder
from pipelines.upscalers.diffusion.denoiser import Denoiser
from pipelines.upscalers.diffusion.reading import as_bad_weights
from pipelines.upscalers.diffusion.scheduler import DiffusersScheduler, Scheduler
from pipelines.upscalers.diffusion.task import Task, cast_conditioning
from pipelines.upscalers.diffusion.tiled_autoencoder import pixels_per_latent


@dataclass(frozen=True, slots=True, eq=False)
class Parts(ABC):
    """A model's parts, ready to run.

    `unet` is on the device, in its precision, `vae` beside it in float32. `scheduler` holds the settings in the file of
    that name, or where there is none those of the specification: each run makes its own scheduler from them, because it
    counts steps.
    """

    specification: Specification
    unet: Denoiser
    vae: AutoencoderKL | VQModel
    scheduler: Mapping[str, Any]

    # What the network's latents are of the autoencoder's: a constant, whatever a file says, as the published files were
    # made before an autoencoder's configuration had it, and would get another's.
    scaling: ClassVar[float]
    pixels: ClassVar[int] = 1  # of what is denoised a side, for each latent
    padding: ClassVar[Literal["symmetric", "reflect", "constant"]] = "symmetric"  # numpy's name for what lies beyond
    enlarged_first: ClassVar[bool] = False  # whether what is denoised is as large as the result, or larger
    block: ClassVar[int] = 1  # latents: what the network sees has sides that are multiples, beside its grid's

    @property
    def least(self) -> int:
        """Returns how many latents a side the network needs: two at its deepest level where a group has one channel.

        torch refuses to normalise a single value, which would always become zero.
        """
        norms = [module for module in self.unet.modules() if isinstance(module, nn.GroupNorm)]
        return 2 * self.folds if any(norm.num_groups == norm.num_channels for norm in norms) else 1

    @property
    def enlarges(self) -> int:
        """Returns how many pixels a side the decoder makes of one in the latents."""
        return pixels_per_latent(self.vae)

    @property
    def folds(self) -> int:
        """Returns how many latents a side are one at the network's deepest level."""
        return 1 << (len(self.unet.config.block_out_channels) - 1)

    @property
    def nbytes(self) -> int:
        """Memory of the parameters."""
        return sum(parameter.nbytes for network in self.networks() for parameter in network.parameters())

    def networks(self) -> tuple[Any, ...]:
        """All that has parameters."""
        return self.unet, self.vae

    def grid(self, tiled: bool) -> int:
        """Returns how many latents both sides of what is denoised are multiples of; tiles begin and end there."""
        return self.folds

    def pad(self, pixels: Pixels, grid: int) -> Pixels:
        """Continues a picture (H, W, 3) below and to the right, until both sides fill the grid and are long enough."""
        height, width, _ = pixels.shape
        tall, wide = self.padded_size(height, width, grid)
        beyond = (0, tall - height), (0, wide - width), (0, 0)
        padded: Pixels = np.pad(pixels, beyond, mode=self.padding)
        return padded

    def padded_size(self, height: int, width: int, grid: int) -> tuple[int, int]:
        """Returns the height and the width that `pad` makes of these."""
        multiple, least = max(grid, self.block) * self.pixels, self.least * self.pixels
        return max(height + -height % multiple, least), max(width + -width % multiple, least)

    def size_seen(self, height: int, width: int, scale: int) -> tuple[int, int]:
        """Returns the height and the width of what `make_seen` makes of a picture of these."""
        works_at = self.specification.works_at
        return works_at(height, width, scale) if works_at else (height, width)

    def make_seen(self, pixels: Pixels, scale: int, device: Device) -> Run[Pixels]:
        """Makes what is denoised of a picture (H, W, 3): the picture itself, or what another network makes of it."""
        yield from ()
        return pixels

    def make_scheduler(self, options: Options, device: str, own: bool = False) -> Scheduler:
        """A scheduler for one run; with `own` the one that the files describe, where another is better."""
        return DiffusersScheduler(
            self.scheduler, options.steps, device, "" if own else self.specification.better_scheduler
        )

    @abstractmethod
    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """Makes what the network is to do with what `make_seen` made, (H, W, 3), of which `padded` fills the grid.

        `side` is how many latents a tile of the autoencoder has; a step tells each such tile done.
        """


@dataclass(frozen=True, slots=True, eq=False)
class PromptedParts(Parts):
    """A model that reads a prompt too, by an encoder that stays on the processor in float32."""

    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    def networks(self) -> tuple[Any, ...]:
        """See `Parts`."""
        return self.unet, self.vae, self.text_encoder


def check_parts(
    parts: Parts, channels_in: int, channels_out: int, conditioning: Mapping[str, Tensor] | None = None
) -> None:
    """Raises BadWeights where parts do not fit together.

    The network should take and give so many channels; `conditioning` is what else it takes, for one tile: given that,
    it is run once, because what it takes is a matter of its file.
    """
    unet = parts.unet
    if (unet.config.in_channels, unet.config.out_channels) != (channels_in, channels_out):
        raise BadWeights(
            f"unet and vae do not fit together: the network reads {unet.config.in_channels} channels and gives "
            f"{unet.config.out_channels}, and the latents have {parts.vae.config.latent_channels}."
        )
    if isinstance(parts, PromptedParts):
        _check_text_encoder(parts)
    check_decoder(parts.vae)
    for own in (False, True):
        parts.make_scheduler(parts.specification.options, "cpu", own)
    if conditioning is not None:
        as_bad_weights(lambda: _run_once(parts, conditioning), "unet/config.json")


def _check_text_encoder(parts: PromptedParts) -> None:
    wide, width = parts.unet.config.cross_attention_dim, parts.text_encoder.config.hidden_size
    if wide != width:
        raise BadWeights(f"unet and text_encoder do not fit together: {wide} and {width} values.")
    if len(parts.tokenizer) > parts.text_encoder.config.vocab_size:
        raise BadWeights("tokenizer and text_encoder do not fit together: it has more words than the encoder knows.")


def _run_once(parts: Parts, conditioning: Mapping[str, Tensor]) -> None:
    """Runs the network on as little as it takes: it may want what it is not given here."""
    unet: Any = parts.unet
    side = max(parts.folds, parts.least)
    tile = torch.zeros((1, unet.config.in_channels, side, side), device=unet.device, dtype=unet.dtype)
    cast = {name: cast_conditioning(each, unet.device, unet.dtype) for name, each in conditioning.items()}
    with torch.inference_mode():
        unet(tile, 1, **cast)
