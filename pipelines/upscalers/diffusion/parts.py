"""What every latent diffusion model is made of. What each has of its own: `sd_x4`, `sd_x2` and `ldm_x4`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet2DModel, VQModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run
from pipelines.upscalers.diffusion import decoder
from pipelines.upscalers.diffusion.options import Options
from pipelines.upscalers.diffusion.reading import tried
from pipelines.upscalers.diffusion.task import Task, fit
from pipelines.upscalers.diffusion.tiled_autoencoder import enlarged_by


@dataclass(frozen=True, slots=True, eq=False)
class Parts(ABC):
    """A model's parts, ready to run.

    `unet` is on the device, in its precision, `vae` beside it in float32. The scheduler is a configuration: each run
    makes its own, because it counts steps.
    """

    unet: UNet2DConditionModel | UNet2DModel
    vae: AutoencoderKL | VQModel
    scheduler: Mapping[str, Any]

    # What the network's latents are of the autoencoder's: a constant, whatever a file says, as the published files were
    # made before an autoencoder's configuration had it, and would get another's.
    scaling: ClassVar[float]
    pixels: ClassVar[int] = 1  # of the small picture a side, for each latent

    @property
    def least(self) -> int:
        """How many latents a side the network needs."""
        return 1

    @property
    def enlarges(self) -> int:
        """How many pixels a side the decoder makes of one in the latents."""
        return enlarged_by(self.vae)

    @property
    def folds(self) -> int:
        """How many latents a side are one at the network's deepest level."""
        return 1 << (len(self.unet.config.block_out_channels) - 1)

    @property
    def nbytes(self) -> int:
        """Memory of the parameters."""
        return sum(parameter.nbytes for network in self.networks() for parameter in network.parameters())

    def networks(self) -> tuple[Any, ...]:
        """All that has parameters."""
        return self.unet, self.vae

    def grid(self, tiled: bool) -> int:
        """Both sides of what is denoised are multiples of so many latents, and tiles begin and end there."""
        return self.folds

    @abstractmethod
    def stepping(self, own: bool) -> Any:
        """A scheduler for one run; with `own` the one that the files name, where another is better."""

    @abstractmethod
    def task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """What the network is to do with a picture (H, W, 3), of which `padded` fills the grid.

        `side` is how many latents a tile of the autoencoder has; a step tells each such tile done.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Worded(Parts):
    """A model that reads words too, by an encoder that stays on the processor in float32."""

    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    def networks(self) -> tuple[Any, ...]:
        """See `Parts`."""
        return self.unet, self.vae, self.text_encoder


def check(parts: Parts, seen: int, given: int, told: Mapping[str, Tensor]) -> None:
    """Raise BadWeights where parts do not fit together.

    The network should read `seen` channels and give `given`; `told` is what else it is told, for one tile.
    """
    unet = parts.unet
    if (unet.config.in_channels, unet.config.out_channels) != (seen, given):
        raise BadWeights(
            f"unet and vae do not fit together: the network reads {unet.config.in_channels} channels and gives "
            f"{unet.config.out_channels}, and the latents have {parts.vae.config.latent_channels}."
        )
    if isinstance(parts, Worded):
        _check_words(parts)
    decoder.check(parts.vae)
    parts.stepping(own=False)
    parts.stepping(own=True)
    tried(lambda: _once(parts, told), "unet/config.json")


def _check_words(parts: Worded) -> None:
    wide, width = parts.unet.config.cross_attention_dim, parts.text_encoder.config.hidden_size
    if wide != width:
        raise BadWeights(f"unet and text_encoder do not fit together: {wide} and {width} values.")
    if len(parts.tokenizer) > parts.text_encoder.config.vocab_size:
        raise BadWeights("tokenizer and text_encoder do not fit together: it has more words than the encoder knows.")


def _once(parts: Parts, told: Mapping[str, Tensor]) -> None:
    """Run the network on as little as it takes: it may want what it is not given here."""
    unet, side = parts.unet, max(parts.folds, parts.least)
    tile = torch.zeros((1, unet.config.in_channels, side, side), device=unet.device, dtype=unet.dtype)
    with torch.inference_mode():
        unet(tile, 1, **{name: fit(each, unet.device, unet.dtype) for name, each in told.items()})
