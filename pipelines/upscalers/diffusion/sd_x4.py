"""Stable Diffusion x4: the network sees the picture, with some noise in it, and is told words and how much noise.

Facts: diffusers' StableDiffusionUpscalePipeline, whose results these are where one tile is enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor

from pipelines.catalog.settings import NOISE_LEVEL
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.options import Options
from pipelines.upscalers.diffusion.parts import Worded, check
from pipelines.upscalers.diffusion.prompt import embed
from pipelines.upscalers.diffusion.reading import SCHEDULER, Files
from pipelines.upscalers.diffusion.task import Task

SCHEDULERS = {kind.__name__: kind for kind in (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler)}
PREDICTIONS = ("epsilon", "v_prediction")
LOW_RES = "low_res_scheduler/scheduler_config.json"
MULTIPLE = 4  # of pixels a side, to which diffusers brings every picture


@dataclass(frozen=True, slots=True, eq=False)
class StableDiffusionX4(Worded):
    """`low_res` is the configuration of what adds noise to the small picture."""

    low_res: Mapping[str, Any]

    scaling: ClassVar[float] = 0.08333

    def grid(self, tiled: bool) -> int:
        """As diffusers has it for one tile.

        Several lie on the lines of the network's deepest level, which folds squares of latents: so all of them see the
        same squares.
        """
        return max(MULTIPLE, self.folds) if tiled else MULTIPLE

    def stepping(self, own: bool) -> Any:
        """DPM++ 2M (Lu et al. 2022, arXiv:2211.01095) over the model's noise; or the scheduler that its files name."""
        if own:
            return reading.made(SCHEDULERS[self.scheduler["_class_name"]], self.scheduler, SCHEDULER)
        noise = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type")
        known = {key: self.scheduler[key] for key in noise if self.scheduler.get(key) is not None}
        return reading.made(DPMSolverMultistepScheduler, known, SCHEDULER)

    def noiser(self) -> DDPMScheduler:
        """What adds noise to the small picture."""
        return reading.made(DDPMScheduler, self.low_res, LOW_RES)

    def task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "reading the words")
        words = embed(self, options)
        least = [length + -length % MULTIPLE for length in pixels.shape[:2]]
        channels = (3, self.vae.config.latent_channels)
        noise, latents = _drawn(generator, channels, least, padded.shape[:2])
        low = torch.from_numpy(padded).permute(2, 0, 1)[None] * 2 - 1
        return Task(
            latents,
            self.noiser().add_noise(low, noise, torch.tensor([options.noise_level])),
            _told(words.embedding, options.noise_level),
            options.guidance,
            notes=words.notes,
        )


def read(files: Files, device: str, dtype: torch.dtype) -> StableDiffusionX4:
    """All parts. Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others."""
    parts = StableDiffusionX4(
        reading.network(UNet2DConditionModel, files, "unet", dtype).to(device),
        reading.network(AutoencoderKL, files, "vae", torch.float32).to(device),
        reading.configuration(files, SCHEDULER, SCHEDULERS),
        reading.text_encoder(files),
        reading.tokenizer(files),
        reading.configuration(files, LOW_RES, ("DDPMScheduler",)),
    )
    classes = parts.unet.config.num_class_embeds
    if not isinstance(classes, int) or classes <= NOISE_LEVEL[1]:
        raise BadWeights("unet is of another kind: it does not take the level of the noise in the small picture.")
    if parts.scheduler.get("prediction_type", "epsilon") not in PREDICTIONS:
        raise BadWeights(f"{SCHEDULER} names a prediction that is neither of noise nor of velocity.")
    if parts.noiser().config.num_train_timesteps <= NOISE_LEVEL[1]:
        raise BadWeights(f"{LOW_RES} knows too few levels of noise.")
    latents = parts.vae.config.latent_channels
    check(parts, latents + 3, latents, _told(torch.zeros(1, 1, parts.text_encoder.config.hidden_size), 0))
    return parts


def _told(embedding: Tensor, noise_level: int) -> dict[str, Tensor]:
    return {"encoder_hidden_states": embedding, "class_labels": torch.full((len(embedding),), noise_level)}


def _drawn(
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
