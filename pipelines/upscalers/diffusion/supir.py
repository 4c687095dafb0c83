"""SUPIR: Stable Diffusion XL, led by the enlarged picture, which an encoder that learned to clean has read.

Yu et al. 2024, arXiv:2401.13627. What is denoised is as large as the result, or larger where that would be too small
for the network. Facts, where the paper has none: the authors' repository, Fanghua-Yu/SUPIR, whose results these are
where one tile is enough. All of the autoencoder stays in float32: in half precision it gives no numbers.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pipelines.catalog.specification import Options, Specification
from pipelines.catalog.supir import OWN_FILES, QUALITY
from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.adapted_unet import AdaptedUnet
from pipelines.upscalers.diffusion.decoder import decode_latents
from pipelines.upscalers.diffusion.encoder import check_encoder, encode_picture
from pipelines.upscalers.diffusion.parts import Parts, check_parts
from pipelines.upscalers.diffusion.prompt import OPENCLIP_PADDING, tokenize
from pipelines.upscalers.diffusion.reading import Files
from pipelines.upscalers.diffusion.resizing import enlarge_plainly
from pipelines.upscalers.diffusion.restoring_sampler import RestoringScheduler
from pipelines.upscalers.diffusion.supir_file import SupirFile
from pipelines.upscalers.diffusion.task import Task, name_tiles

PENULTIMATE = -2  # the states of the layer before the last, which both encoders are read at


@dataclass(frozen=True, slots=True, eq=False)
class Supir(Parts):
    """See the module. What noise there is at which step is in no file: the specification has it.

    `cleaner` is an autoencoder without its second half, on the device in float32; the text encoders stay on the
    processor.
    """

    cleaner: AutoencoderKL
    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection
    tokenizer: CLIPTokenizer

    scaling: ClassVar[float] = 0.13025
    pixels: ClassVar[int] = 8
    block: ClassVar[int] = 8
    enlarged_first: ClassVar[bool] = True

    def networks(self) -> tuple[Any, ...]:
        """See `Parts`."""
        return self.unet, self.vae, self.cleaner.encoder, self.text_encoder, self.text_encoder_2

    def make_scheduler(self, options: Options, device: str, own: bool = False) -> RestoringScheduler:
        """See `Parts`; a creativity changes some of its settings."""
        schedule = {**self.scheduler, **self.specification.rescheduled(options.creativity)}
        return RestoringScheduler(schedule, options.steps, device)

    def make_seen(self, pixels: Pixels, scale: int, device: Device) -> Run[Pixels]:
        """See `Parts`: the picture enlarged."""
        return (yield from enlarge_plainly(pixels, scale, *self.size_seen(pixels.shape[0], pixels.shape[1], scale)))

    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`. What is seen is cleaned by encoding it and decoding that; colours are taken from there."""
        draws = options.start_point == "image"
        parts = 3 if draws else 2
        yield Step(0, 1, "reading the words")
        embedding, pooled, notes = self._embed(options)
        read = yield from name_tiles(encode_picture(self.cleaner, padded, device, side), "encoding", 0, parts)
        run = decode_latents(self.vae, read.mean, device, side, clamp=False)
        cleaned = (yield from name_tiles(run, "cleaning", 1, parts)).pixels
        plain = None
        if draws:
            run_again = encode_picture(self.vae, cleaned, device, side)
            plain = (yield from name_tiles(run_again, "encoding", 2, parts)).mean * self.scaling
        noise = torch.randn(read.mean.shape, generator=generator)
        height, width, _ = pixels.shape
        return Task(
            noise,
            read.mean * self.scaling,
            _condition(embedding, pooled, options.strength),
            options.guidance,
            notes,
            plain,
            np.ascontiguousarray(cleaned[:height, :width]),
        )

    def _embed(self, options: Options) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """What the networks attend to, and what stands for all of it; with a first axis of 1, or of 2 with guidance.

        Words for quality stand behind those of the caller, but guide by themselves only where there are others.
        """
        prompt = ", ".join(filter(None, [options.prompt, QUALITY]))
        words = replace(options, prompt=prompt, guidance=options.guidance if options.guided else 1.0)
        tokens = tokenize(self.tokenizer, self.text_encoder, words)
        others = tokens.numbers.masked_fill(tokens.mask == 0, OPENCLIP_PADDING)  # the second is OpenCLIP's
        with torch.inference_mode():
            first = self.text_encoder(tokens.numbers, output_hidden_states=True)
            second = self.text_encoder_2.text_model(others, output_hidden_states=True)
            ends = others.argmax(1)  # of all tokens the end's number is the largest
            pooled = self.text_encoder_2.text_projection(second.last_hidden_state[torch.arange(len(ends)), ends])
        embedding = torch.cat([first.hidden_states[PENULTIMATE], second.hidden_states[PENULTIMATE]], dim=2)
        return embedding, pooled, tokens.notes


def read_parts(specification: Specification, files: Files, device: str, dtype: torch.dtype) -> Supir:
    """Reads all parts.

    Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others.
    """
    main = reading.read_network(UNet2DConditionModel, files, "unet", dtype)
    vae = reading.read_network(AutoencoderKL, files, "vae", torch.float32)
    own = SupirFile(next(files[file.path] for file in OWN_FILES if file.path in files))
    unet = AdaptedUnet(main, own.read_control(main, dtype), own.read_layers(main, dtype))
    parts = Supir(
        specification,
        unet.to(device),
        vae.to(device),
        specification.schedule,
        own.read_cleaner(vae).to(device),
        reading.read_text_encoder(files),
        reading.read_projected_text_encoder(files),
        reading.read_tokenizer(files),
    )
    latents = parts.vae.config.latent_channels
    widths = parts.text_encoder.config.hidden_size, parts.text_encoder_2.config.hidden_size
    if parts.unet.config.cross_attention_dim != sum(widths):
        raise BadWeights(f"unet and the text encoders do not fit together: their words have {sum(widths)} values.")
    least = min(each.config.vocab_size for each in (parts.text_encoder, parts.text_encoder_2))
    if len(parts.tokenizer) > least:
        raise BadWeights("tokenizer and the text encoders do not fit together: it has more words than they know.")
    if parts.enlarges != parts.pixels:
        raise BadWeights(f"vae is of another kind: it makes {parts.enlarges} pixels of a latent.")
    check_encoder(parts.vae)
    embedding = torch.zeros(1, 1, sum(widths))
    pooled = torch.zeros(1, parts.text_encoder_2.config.projection_dim)
    check_parts(parts, 2 * latents, latents, _condition(embedding, pooled, 1.0))
    return parts


def _condition(embedding: Tensor, pooled: Tensor, strength: float) -> dict[str, Tensor]:
    return {
        "encoder_hidden_states": embedding,
        "text_embeds": pooled,
        "strength": torch.full((len(embedding),), strength),
    }
