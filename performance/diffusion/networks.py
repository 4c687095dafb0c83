"""The networks of Stable Diffusion x4 at their true size, with random parameters, saved as diffusers saves them."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

PARAMETERS = {"unet": 473_398_020, "vae": 55_325_927}  # of the published files
NOISE_SCHEDULE = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def make_unet() -> UNet2DConditionModel:
    """The denoising network of stabilityai/stable-diffusion-x4-upscaler, by its unet/config.json."""
    return UNet2DConditionModel(
        in_channels=7,
        out_channels=4,
        block_out_channels=(256, 512, 512, 1024),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        cross_attention_dim=1024,
        num_class_embeds=1000,
        only_cross_attention=(True, True, True, False),
        use_linear_projection=True,
    )


def make_vae() -> AutoencoderKL:
    """Its autoencoder, by its vae/config.json."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        layers_per_block=2,
        scaling_factor=0.08333,
    )


def make_text_encoder() -> CLIPTextModel:
    """The text encoder, as wide and as many words long as the real one, but of one layer: it runs once."""
    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=1024,
        intermediate_size=64,
        num_attention_heads=16,
        num_hidden_layers=1,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return CLIPTextModel(config)


def save_tokenizer(folder: Path) -> CLIPTokenizer:
    """A tokenizer to which each letter is a word, written as the published one's files."""
    letters = [*map(chr, range(33, 127)), *map(chr, range(256, 418))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "pad_token": "!"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text("{}")
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def save_networks(folder: Path) -> None:
    """Saves all parts, as diffusers saves them."""
    torch.manual_seed(0)
    parts = {"unet": make_unet(), "vae": make_vae()}
    for name, network in parts.items():
        assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    tokenizer = save_tokenizer(folder / "tokenizer")
    pipeline = StableDiffusionUpscalePipeline(
        **parts,
        text_encoder=make_text_encoder(),
        tokenizer=tokenizer,
        low_res_scheduler=DDPMScheduler(**NOISE_SCHEDULE),
        scheduler=DDIMScheduler(
            **NOISE_SCHEDULE, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    )
    pipeline.save_pretrained(folder)
    save_tokenizer(folder / "tokenizer")
