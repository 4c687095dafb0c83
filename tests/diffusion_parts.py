"""A tiny Stable Diffusion x4 with random parameters: every part of its real class, saved as diffusers saves it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipelines import weights as store
from pipelines.catalog import File, Model, Weights
from pipelines.upscalers.diffusion import DiffusionUpscaler, build

FILES = (
    "low_res_scheduler/scheduler_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
WORDS = 16  # tokens that the text encoder reads, the two ends included
TAKES = ("tile", "seed", "prompt", "negative_prompt", "steps", "guidance", "noise_level", "colour_fix")
MODEL = Model(
    key="tiny-x4",
    name="Tiny x4",
    family="diffusion",
    engine="diffusion",
    scales={4: Weights(tuple(File(path, 0) for path in FILES), ())},
    licence="none",
    commercial=True,
    note="",
    takes=frozenset(TAKES),
)
NOISE = {"beta_start": 0.0001, "beta_end": 0.02, "num_train_timesteps": 1000}


def saved(folder: Path, prediction: str = "v_prediction", **vae: Any) -> Path:
    """Put the parts into a folder, in diffusers' layout; the tokenizer in several files, as the published one's."""
    saved_as_of_now(folder, prediction, **vae)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    put_tokenizer(folder / "tokenizer")
    return folder


def saved_as_of_now(folder: Path, prediction: str = "v_prediction", **vae: Any) -> Path:
    """The same, all as save_pretrained leaves it: the tokenizer is one file, as transformers 5 has it."""
    torch.manual_seed(7)
    text = CLIPTextModel(text_config())
    pipeline = StableDiffusionUpscalePipeline(
        vae=drawn(tiny_vae(**vae)),
        text_encoder=drawn(text),
        tokenizer=put_tokenizer(folder / "tokenizer"),
        unet=drawn(tiny_unet()),
        low_res_scheduler=DDPMScheduler(**NOISE, beta_schedule="scaled_linear"),
        scheduler=DDIMScheduler(
            **NOISE,
            beta_schedule="scaled_linear",
            prediction_type=prediction,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
    )
    for file in (folder / "tokenizer").iterdir():
        file.unlink()
    pipeline.save_pretrained(folder)
    return folder


def tiny_unet() -> UNet2DConditionModel:
    """Four levels, as the real one's, and attention as there: to the words alone but at the deepest."""
    return UNet2DConditionModel(
        in_channels=7,
        out_channels=4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=16,
        norm_num_groups=4,
        num_class_embeds=1000,
        only_cross_attention=(True, True, True, False),
        use_linear_projection=True,
    )


def tiny_vae(**settings: Any) -> AutoencoderKL:
    """Three levels and attention in the middle, as the real one's."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.08333,
        **settings,
    )


def text_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=514,
        hidden_size=16,
        intermediate_size=24,
        num_attention_heads=2,
        num_hidden_layers=2,
        max_position_embeddings=WORDS,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )


def put_tokenizer(folder: Path) -> CLIPTokenizer:
    """Letters for words: each byte is a token, inside a word and at its end. Written as the published one's files."""
    # GPT-2's names for bytes: a sign for each, those that cannot be printed moved up beyond 255.
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = [*map(chr, plain), *(chr(256 + place) for place in range(256 - len(plain)))]
    tokens = [*names, *(name + "</w>" for name in names), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"model_max_length": WORDS, "tokenizer_class": "CLIPTokenizer", "pad_token": "!"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def drawn(network: nn.Module) -> nn.Module:
    """Every norm and bias its own: as they are made they would be 1 and 0, and a wrong order of them unseen."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.GroupNorm | nn.LayerNorm):
            module.weight.data.uniform_(0.6, 1.4, generator=generator)
        if getattr(module, "bias", None) is not None and isinstance(module.bias, nn.Parameter):
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval()


def loaded(folder: Path, own_scheduler: bool = False) -> DiffusionUpscaler:
    """The upscaler of the folder's parts, found as a user's own are."""
    weights = MODEL.scales[4]
    assert weights is not None
    upscaler = build(MODEL, 4, store.from_user(weights, folder))
    return DiffusionUpscaler(
        upscaler.model, 4, upscaler.files, upscaler.weights_bytes, own_scheduler, placed=upscaler.placed
    )


def changed_json(path: Path, changes: Mapping[str, Any]) -> None:
    """Change some of the settings in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
