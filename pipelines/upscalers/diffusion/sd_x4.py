"""Stable Diffusion x4: the network sees the picture, with some noise in it, and takes a prompt and how much noise.

Facts: diffusers' StableDiffusionUpscalePipeline, whose results these are where one tile is enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor

from pipelines.catalog.settings import NOISE_LEVEL_RANGE
from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.parts import PromptedParts, check_parts
from pipelines.upscalers.diffusion.prompt import embed_prompt
from pipelines.upscalers.diffusion.reading import SCHEDULER, Files
from pipelines.upscalers.diffusion.scheduler import NOISE_PREDICTIONS
from pipelines.upscalers.diffusion.task import Task

NOISER = "low_res_scheduler/scheduler_config.json"
PADDING_MULTIPLE = 4  # of pixels a side, to which diffusers brings every picture


@dataclass(frozen=True, slots=True, eq=False)
class StableDiffusionX4(PromptedParts):
    """See the module. `low_res` holds the settings of what adds noise to the small picture.

    DPM++ 2M (Lu et al. 2022, arXiv:2211.01095) steps through the noise that its scheduler's file describes.
    """

    low_res: Mapping[str, Any]

    scaling: ClassVar[float] = 0.08333

    def grid(self, tiled: bool) -> int:
        """Returns what diffusers has for one tile.

        Several lie on the lines of the network's deepest level, which folds squares of latents: so all of them see the
        same squares.
        """
        return max(PADDING_MULTIPLE, self.folds) if tiled else PADDING_MULTIPLE

    def make_noiser(self) -> DDPMScheduler:
        """Makes what adds noise to the small picture."""
        return reading.construct(DDPMScheduler, self.low_res, NOISER)

    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "reading the words")
        prompt = embed_prompt(self, options)
        least = [length + -length % PADDING_MULTIPLE for length in pixels.shape[:2]]
        channels = (3, self.vae.config.latent_channels)
        noise, latents = _draw_noise(generator, channels, least, padded.shape[:2])
        low = torch.from_numpy(padded).permute(2, 0, 1)[None] * 2 - 1
        return Task(
            latents,
            self.make_noiser().add_noise(low, noise, torch.tensor([options.noise_level])),
            _condition(prompt.embedding, options.noise_level),
            options.guidance,
            prompt.notes,
        )


def read_parts(specification: Specification, files: Files, device: str, dtype: torch.dtype) -> StableDiffusionX4:
    """Reads all parts.

    Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others.
    """
    parts = StableDiffusionX4(
        specification,
        reading.read_network(UNet2DConditionModel, files, "unet", dtype).to(device),
        reading.read_network(AutoencoderKL, files, "vae", torch.float32).to(device),
        reading.read_configuration(files, SCHEDULER, specification.schedulers),
        reading.read_text_encoder(files),
        reading.read_tokenizer(files),
        reading.read_configuration(files, NOISER, ("DDPMScheduler",)),
    )
    classes = parts.unet.config.num_class_embeds
    if not isinstance(classes, int) or classes <= NOISE_LEVEL_RANGE[1]:
        raise BadWeights("unet is of another kind: it does not take the level of the noise in the small picture.")
    if parts.scheduler.get("prediction_type", "epsilon") not in NOISE_PREDICTIONS:
        raise BadWeights(f"{SCHEDULER} names a prediction that is neither of noise nor of velocity.")
    if parts.make_noiser().config.num_train_timesteps <= NOISE_LEVEL_RANGE[1]:
        raise BadWeights(f"{NOISER} knows too few levels of noise.")
    latents = parts.vae.config.latent_channels
    check_parts(parts, latents + 3, latents, _condition(torch.zeros(1, 1, parts.text_encoder.config.hidden_size), 0))
    return parts


def _condition(embedding: Tensor, noise_level: int) -> dict[str, Tensor]:
    return {"encoder_hidden_states": embedding, "class_labels": torch.full((len(embedding),), noise_level)}


def _draw_noise(
    generator: torch.Generator, channels: Sequence[int], least: Sequence[int], size: Sequence[int]
) -> list[Tensor]:
    """Noise of `size` (H, W) for each number of channels, (1, C, H, W), on the processor.

    What diffusers would draw, which pads to `least`, is drawn first and in its order, and the rest about it afterwards:
    so the same seed is the same noise on every device, in tiles of any size, and in diffusers.
    """
    inner = [torch.randn((1, count, *least), generator=generator) for count in channels]
    if tuple(least) == tuple(size):  # nothing else is drawn: a scheduler may draw too, what comes next in diffusers
        return inner
    whole = []
    for noise in inner:
        around = torch.randn((1, noise.shape[1], *size), generator=generator)
        around[:, :, : least[0], : least[1]] = noise
        whole.append(around)
    return whole
