"""Tiny latent diffusion models with random parameters: every part of its real class, saved as diffusers saves it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    LDMSuperResolutionPipeline,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
    UNet2DModel,
    VQModel,
)
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipelines.catalog.rows import find
from pipelines.catalog.schema import File, Model, Weights
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler, build
from pipelines.weights import fetch as store

WORDS = 16  # tokens that the text encoder reads, the two ends included


def _tiny(like: str, key: str, name: str) -> Model:
    """The row of a model, with those of its files that a folder saved below has, of any size and content."""
    row = find(like)
    ((scale, weights),) = row.scales.items()
    assert weights is not None
    unsaved = ("model_index.json", "tokenizer/special_tokens_map.json")
    files = sorted(file.path.replace(".fp16", "") for file in weights.files if file.path not in unsaved)
    return replace(row, key=key, name=name, scales={scale: Weights(tuple(File(path, 0) for path in files), ())})


def paths(model: Model) -> tuple[str, ...]:
    """The files of its only scale."""
    (weights,) = model.scales.values()
    assert weights is not None
    return tuple(file.path for file in weights.files)


MODEL = _tiny("sd-x4", "tiny-x4", "Tiny x4")
MODEL_X2 = _tiny("sd-x2", "tiny-x2", "Tiny x2")
MODEL_LDM = _tiny("ldm-x4", "tiny-ldm", "Tiny latent x4")
NOISE = {"beta_start": 0.0001, "beta_end": 0.02, "num_train_timesteps": 1000}


def saved(folder: Path, prediction: str = "v_prediction", **vae: Any) -> Path:
    """Put the parts into a folder, in diffusers' layout; the tokenizer in several files, as the published one's."""
    return _with_old_tokenizer(saved_as_of_now(folder, prediction, **vae))


def saved_as_of_now(
    folder: Path, prediction: str = "v_prediction", unet: UNet2DConditionModel | None = None, **vae: Any
) -> Path:
    """The same, all as save_pretrained leaves it: the tokenizer is one file, as transformers 5 has it."""
    torch.manual_seed(7)
    text = CLIPTextModel(text_config())
    pipeline = StableDiffusionUpscalePipeline(
        vae=drawn(tiny_vae(**vae)),
        text_encoder=drawn(text),
        tokenizer=put_tokenizer(folder / "tokenizer"),
        unet=drawn(unet or tiny_unet()),
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
    return _saved(pipeline, folder)


def saved_x2(folder: Path) -> Path:
    """The same of a tiny Stable Diffusion x2."""
    torch.manual_seed(7)
    text = CLIPTextModel(text_config())
    pipeline = StableDiffusionLatentUpscalePipeline(
        vae=drawn(tiny_vae_x8()),
        text_encoder=drawn(text),
        tokenizer=put_tokenizer(folder / "tokenizer"),
        unet=drawn(tiny_k_unet()),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="original_sample"
        ),
    )
    return _with_old_tokenizer(_saved(pipeline, folder))


def saved_ldm(folder: Path) -> Path:
    """The same of a tiny latent diffusion x4."""
    torch.manual_seed(7)
    autoencoder = drawn(tiny_vq())
    autoencoder.quantize.embedding.weight.data.normal_()  # entries that differ, and so count
    scheduler = DDIMScheduler(beta_start=0.0015, beta_end=0.0155, beta_schedule="scaled_linear", clip_sample=False)
    pipeline = LDMSuperResolutionPipeline(vqvae=autoencoder, unet=drawn(tiny_plain_unet()), scheduler=scheduler)
    pipeline.save_pretrained(folder)
    return folder


def _saved(pipeline: DiffusionPipeline, folder: Path) -> Path:
    for file in (folder / "tokenizer").iterdir():
        file.unlink()
    pipeline.save_pretrained(folder)
    return folder


def _with_old_tokenizer(folder: Path) -> Path:
    (folder / "tokenizer" / "tokenizer.json").unlink()
    put_tokenizer(folder / "tokenizer")
    return folder


def tiny_unet(channels: tuple[int, ...] = (8, 16, 16, 16), groups: int = 4) -> UNet2DConditionModel:
    """Four levels, as the real one's, and attention as there: to the words alone but at the deepest."""
    return UNet2DConditionModel(
        in_channels=7,
        out_channels=4,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=16,
        norm_num_groups=groups,
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


def tiny_k_unet() -> UNet2DConditionModel:
    """Four levels and attention as the real one's, to itself at the deepest; its groups are of 32 channels."""
    return UNet2DConditionModel(
        in_channels=8,
        out_channels=5,
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3),
        up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
        mid_block_type=None,
        act_fn="gelu",
        attention_head_dim=8,
        cross_attention_dim=16,
        norm_num_groups=None,
        time_embedding_type="fourier",
        time_cond_proj_dim=144,
        timestep_post_act="gelu",
        resnet_time_scale_shift="scale_shift",
        conv_in_kernel=1,
        conv_out_kernel=1,
    )


def tiny_vae_x8() -> AutoencoderKL:
    """Four levels and attention in the middle, as the real one's."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
    )


def tiny_plain_unet() -> UNet2DModel:
    """Four levels, and attention at the deeper ones, as the real one's."""
    return UNet2DModel(
        in_channels=6,
        out_channels=3,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        norm_num_groups=4,
    )


def tiny_vq() -> VQModel:
    """Three levels and attention in the middle, as the real one's."""
    return VQModel(
        block_out_channels=(8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=4,
        num_vq_embeddings=64,
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


def loaded(folder: Path, own_scheduler: bool = False, model: Model = MODEL) -> DiffusionUpscaler:
    """The upscaler of the folder's parts, found as a user's own are."""
    ((scale, weights),) = model.scales.items()
    assert weights is not None
    return replace(build(model, scale, store.from_user(weights, folder)), own_scheduler=own_scheduler)


def changed_json(path: Path, changes: Mapping[str, Any]) -> None:
    """Change some of the settings in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
