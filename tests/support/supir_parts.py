"""A small SUPIR: Stable Diffusion XL as diffusers saves it, and the authors' file beside it, by drawn numbers."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.catalog.supir import SUPIR
from tests.support.diffusion_parts import put_tokenizer, text_config
from tests.support.released_parts import as_it_is, fill_deterministically

FILES = {each.model.key: each.model.scales[4].files[0] for each in SUPIR if each.model.scales[4] is not None}
SHORTEST = 128  # pixels of the shorter side of what is denoised: the authors' results here were made so small, too
SEED = 27  # of the authors' file


@cache
def golden() -> Mapping[str, npt.NDArray[Any]]:
    """What the authors' own code gave for small networks with these numbers, and their parameters' names and shapes."""
    with np.load(Path(__file__).parents[1] / "golden" / "supir.npz") as kept:
        return dict(kept)


@cache
def parameters() -> dict[str, Tensor]:
    """The parameters of SUPIR's own, by the names of the authors' file, with what nothing asks for."""
    made = fill_deterministically(json.loads(str(golden()["supir"])), SEED)
    return made | {"model.control_model.mask_LQ": torch.ones(1, 1, 2)}


def base_networks() -> dict[str, nn.Module]:
    """The networks of a small Stable Diffusion XL, by the names of their folders."""
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(1, 1, 2),
        cross_attention_dim=40,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=128,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        scaling_factor=0.13025,
    )
    other = {**text_config().to_dict(), "hidden_size": 24, "projection_dim": 32, "num_attention_heads": 3}
    made = {
        "unet": unet,
        "vae": vae,
        "text_encoder": CLIPTextModel(text_config()),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig.from_dict(other)),
    }
    for seed, network in enumerate(made.values(), 21):
        state = fill_deterministically({name: each.shape for name, each in network.state_dict().items()}, seed)
        if "conv_out.weight" in state:
            state["conv_out.weight"] *= 0.3  # as of the others: see `fill_deterministically`
        network.load_state_dict(state)
    return {name: network.eval() for name, network in made.items()}


def save_supir(
    folder: Path,
    key: str = "supir",
    wrap: Callable[[dict[str, Tensor]], dict[str, Any]] = as_it_is,
    published: bool = False,
) -> Path:
    """Puts a small SUPIR into a folder, by the names of one's own files, or as they are `published`."""
    put_tokenizer(folder / "tokenizer")
    (folder / "tokenizer" / "special_tokens_map.json").write_text("{}")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    for name, network in base_networks().items():
        saved: Any = network
        saved.save_pretrained(folder / name, **({"variant": "fp16"} if published else {}))
    file = FILES[key]
    if wrap is as_it_is:
        save_file(parameters(), folder / file.path)
    else:
        torch.save(wrap(parameters()), folder / file.or_else)
    return folder
