"""DiffBIR: a restorer cleans the enlarged picture, and Stable Diffusion 2.1 adds detail that it is held to.

Lin et al. 2023, arXiv:2308.15070: a control network sees the cleaned picture's latents beside those with noise.
What is denoised is as large as the result, or larger where that would be too small for the network. Facts, where the
paper has none: the authors' repository, XPixelGroup/DiffBIR, whose results these are where one tile is enough.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import CLIPTextModel, CLIPTokenizer

from pipelines.catalog.diffbir import BSRNET, CHECKPOINT, CHECKPOINT_V2, CONTROL, CONTROL_V2, SWIN_IR
from pipelines.catalog.specification import Options, Specification
from pipelines.catalog.tokenizer import TOKENIZER
from pipelines.errors import BadSetting, BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.checkpoints import read_network
from pipelines.networks.devices import Device
from pipelines.networks.forward import Batch, computing_on
from pipelines.networks.tiling import run_tiled
from pipelines.runs import Run, Step
from pipelines.upscalers.diffusion.checkpoints import StableDiffusionFile, read_control, read_swin_ir
from pipelines.upscalers.diffusion.controlled import ControlledUnet
from pipelines.upscalers.diffusion.diffbir_samplers import SpacedScheduler, ThirdOrderScheduler, signal_shares
from pipelines.upscalers.diffusion.encoder import check_encoder, encode_picture
from pipelines.upscalers.diffusion.parts import Parts, check_parts
from pipelines.upscalers.diffusion.prompt import OPENCLIP_PADDING, tokenize
from pipelines.upscalers.diffusion.reading import TOKENIZER_NEEDS, Files, read_tokenizer
from pipelines.upscalers.diffusion.resizing import enlarge_plainly, resize
from pipelines.upscalers.diffusion.swin_ir import SwinIr
from pipelines.upscalers.diffusion.task import Task, name_tiles
from pipelines.weights import fetch as store

CLEANED_SIDE, CLEANED_OVERLAP = 512, 64  # pixels that a tile of SwinIR reads, and shares with its neighbour
BSRNET_SIDE, BSRNET_OVERLAP = 256, 32  # the same of BSRNet, of the small picture
BSRNET_SCALE = 4


@dataclass(frozen=True, slots=True, eq=False)
class DiffBir(Parts):
    """See the module. What noise there is at which step is in no file: `scheduler` has it from the specification.

    `cleaner` is the restorer, in float32 on the device; the text encoder stays on the processor. `folder` is where the
    files lie: a prompt is cut by the tokenizer in it, or else by the one that was downloaded.
    """

    cleaner: nn.Module
    text_encoder: CLIPTextModel
    folder: Path

    scaling: ClassVar[float] = 0.18215
    pixels: ClassVar[int] = 8
    enlarged_first: ClassVar[bool] = True
    padding: ClassVar[Literal["symmetric", "reflect", "constant"]] = "constant"

    def networks(self) -> tuple[Any, ...]:
        """See `Parts`."""
        return self.unet, self.vae, self.cleaner, self.text_encoder

    def make_scheduler(self, options: Options, device: str, own: bool = False) -> SpacedScheduler | ThirdOrderScheduler:
        """See `Parts`."""
        kind = ThirdOrderScheduler if self.scheduler["third_order"] else SpacedScheduler
        return kind(self.scheduler, options.steps, device)

    def make_seen(self, pixels: Pixels, scale: int, device: Device) -> Run[Pixels]:
        """See `Parts`: the picture enlarged and cleaned. Its values may leave [0, 1]."""
        height, width = self.size_seen(pixels.shape[0], pixels.shape[1], scale)
        if not isinstance(self.cleaner, SwinIr):
            run = run_tiled(pixels, BSRNET_SCALE, self._clean(device), BSRNET_SIDE, BSRNET_OVERLAP, feather=True)
            cleaned = yield from name_tiles(run, "cleaning")
            return _check(resize(cleaned.pixels, height, width))
        plain = yield from enlarge_plainly(pixels, scale, height, width)
        multiple = self.cleaner.multiple
        padded = np.pad(plain, ((0, -height % multiple), (0, -width % multiple), (0, 0)))
        side = max(CLEANED_SIDE // multiple, 1) * multiple
        run = run_tiled(padded, 1, self._clean(device), side, CLEANED_OVERLAP, feather=True, grid=multiple)
        cleaned = yield from name_tiles(run, "cleaning")
        return _check(np.ascontiguousarray(cleaned.pixels[:height, :width]))

    def _clean(self, device: Device) -> Any:
        """The restorer as a function from a batch of pixels to another."""

        def clean(batch: Batch) -> Batch:
            with computing_on(device):
                values = torch.from_numpy(np.require(batch, requirements="W")).to(device.name).permute(0, 3, 1, 2)
                made: Batch = self.cleaner(values).permute(0, 2, 3, 1).cpu().contiguous().numpy()
            return made

        return clean

    def make_task(
        self, pixels: Pixels, padded: Pixels, options: Options, generator: torch.Generator, device: Device, side: int
    ) -> Run[Task]:
        """See `Parts`."""
        yield Step(0, 1, "reading the words")
        embedding, notes = self._embed(options)
        from_image = options.start_point == "image"
        if from_image and not self.specification.starts_from_image:
            notes = (*notes, "the noise that it starts from hides all of the image: the start point changes nothing")
        seen = yield from name_tiles(encode_picture(self.vae, padded, device, side), "encoding")
        picture = seen.mean * self.scaling
        noise = torch.randn(picture.shape, generator=generator)
        beside = picture
        if options.noise_level:
            share = float(signal_shares(bool(self.scheduler["no_signal"]))[options.noise_level])
            beside = share**0.5 * picture + (1 - share) ** 0.5 * torch.randn(picture.shape, generator=generator)
        return Task(
            noise,
            beside,
            _condition(embedding, options.strength),
            options.guidance,
            notes,
            picture if from_image else None,
        )

    def _embed(self, options: Options) -> tuple[Tensor, tuple[str, ...]]:
        """What the networks attend to, with a first axis of 1, or of 2 with guidance; and notes for the caller."""
        config, notes = self.text_encoder.config, tuple[str, ...]()
        if options.prompt or options.guided:
            tokens = tokenize(self._tokenizer(), self.text_encoder, options)
            numbers, notes = tokens.numbers.masked_fill(tokens.mask == 0, OPENCLIP_PADDING), tokens.notes
            numbers = pad(numbers, (0, config.max_position_embeddings - numbers.shape[1]), value=OPENCLIP_PADDING)
        else:
            numbers = torch.full((1, config.max_position_embeddings), OPENCLIP_PADDING)
            numbers[0, :2] = torch.tensor([config.bos_token_id, config.eos_token_id])
        with torch.inference_mode():
            return self.text_encoder(numbers).last_hidden_state, notes

    def _tokenizer(self) -> CLIPTokenizer:
        """Reads the tokenizer. Raises BadSetting where there is none, BadWeights where it is of another encoder."""
        places = [(file, _lying(self.folder, file.path, file.or_else)) for file in TOKENIZER.files]
        found = {file.path: place for file, place in places if place is not None}
        if not {f"tokenizer/{name}" for name in TOKENIZER_NEEDS} <= found.keys():
            found = {each.file.path: each.path for each in store.find(TOKENIZER) or ()}
        if not found:
            raise BadSetting(
                f"A prompt for {self.specification.model.name} takes a tokenizer, which is not here: leave the prompt "
                "empty, or put the folder tokenizer of Stable Diffusion x4 beside the files."
            )
        tokenizer = read_tokenizer(found)
        if len(tokenizer) > self.text_encoder.config.vocab_size:
            raise BadWeights("The tokenizer has more words than the text encoder knows.")
        return tokenizer


def read_parts(specification: Specification, files: Files, device: str, dtype: torch.dtype) -> DiffBir:
    """Reads all parts.

    Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others.
    """
    first = SWIN_IR.path in files
    checkpoint, control = (
        files[each.path] for each in ((CHECKPOINT, CONTROL) if first else (CHECKPOINT_V2, CONTROL_V2))
    )
    whole = StableDiffusionFile(checkpoint)
    parts = DiffBir(
        specification,
        ControlledUnet(whole.read_unet(dtype), read_control(control, dtype)).to(device),
        whole.read_autoencoder().to(device),
        specification.schedule,
        (read_swin_ir(files[SWIN_IR.path]) if first else _read_bsrnet(files[BSRNET.path])).to(device),
        whole.read_text_encoder(),
        checkpoint.parent,
    )
    latents, wide = parts.vae.config.latent_channels, parts.text_encoder.config.hidden_size
    if parts.unet.config.cross_attention_dim != wide:
        raise BadWeights(f"{checkpoint.name} is of another kind: its words have {wide} values.")
    if parts.enlarges != parts.pixels:
        raise BadWeights(f"{checkpoint.name} is of another kind: it makes {parts.enlarges} pixels of a latent.")
    check_encoder(parts.vae)
    check_parts(parts, 2 * latents, latents, _condition(torch.zeros(1, 1, wide), 1.0))
    return parts


def _read_bsrnet(path: Path) -> nn.Module:
    network = read_network(path)
    if network.arch != "rrdb" or network.scale != BSRNET_SCALE:
        raise BadWeights(f"{path.name} is not of BSRNet: it holds {network.arch} at x{network.scale}.")
    assert isinstance(network, nn.Module)
    return network


def _condition(embedding: Tensor, strength: float) -> dict[str, Tensor]:
    return {"encoder_hidden_states": embedding, "strength": torch.full((len(embedding),), strength)}


def _check(pixels: Pixels) -> Pixels:
    if not np.isfinite(pixels).all():
        raise BadWeights("The network of the first stage gives no finite numbers for this image.")
    return pixels


def _lying(folder: Path, *paths: str) -> Path | None:
    return next((folder / path for path in paths if path and (folder / path).is_file()), None)
