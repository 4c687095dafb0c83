"""Stable Diffusion 2's parts from one file, and DiffBIR's beside it, by the names of latent diffusion's own code.

Sizes are told by the shapes of parameters: there are no settings. Parameters are put under diffusers' names by its own
functions, so that its networks are used.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_controlnet_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from pipelines.networks.shapes import find_largest
from pipelines.phrasing import printable_name
from pipelines.upscalers.diffusion.reading import count_positions
from pipelines.upscalers.diffusion.released import read_converted, read_known, read_size
from pipelines.upscalers.diffusion.swin_ir import SwinIr, SwinIrSizes

State = Mapping[str, Tensor]

LARGEST_CHECKPOINT = 8 << 30  # bytes; Stable Diffusion 2.1 in float32 has 5.2 * 10^9
HEAD = 64  # channels of a head of attention, in the denoising network as in the text encoder
LEVELS = 4
_UNET, _AUTOENCODER, _TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.model."
_SWIN_IR_KEY, _CONTROL_KEY = "layers.0.residual_group.blocks.0.attn.qkv.weight", "zero_convs.0.0.weight"
_UNREAD = (".relative_position_index", ".attn_mask")  # both are counted anew
# OpenCLIP's names within a layer, and those of transformers.
_TEXT_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


class StableDiffusionFile:
    """A file of all parts, of which each is read when it is asked for, on the processor.

    Raises BadWeights, with the file's name, where it is damaged, of another network, or lacks a part.
    """

    def __init__(self, path: Path) -> None:
        self.name = printable_name(path)
        self.state = read_known(path, f"{_UNET}input_blocks.0.0.weight", "Stable Diffusion 2", LARGEST_CHECKPOINT)

    def read_unet(self, dtype: torch.dtype) -> UNet2DConditionModel:
        """Reads the denoising network in that precision."""
        state = self._part(_UNET)
        settings = {"sample_size": 64, **_unet_settings(state, self.name)}
        settings["up_block_types"] = ["UpBlock2D", *["CrossAttnUpBlock2D"] * (LEVELS - 1)]
        whole = {_UNET + key: tensor for key, tensor in state.items()}
        return read_converted(
            lambda: UNet2DConditionModel(**settings),
            lambda: convert_ldm_unet_checkpoint(whole, settings),
            dtype,
            self.name,
            "the denoising network of Stable Diffusion 2",
        )

    def read_autoencoder(self) -> AutoencoderKL:
        """Reads the autoencoder in float32."""
        state = self._part(_AUTOENCODER)
        widths = [read_size(state, f"encoder.down.{level}.block.0.conv1.weight", self.name) for level in range(LEVELS)]
        settings = {
            "block_out_channels": widths,
            "down_block_types": ["DownEncoderBlock2D"] * LEVELS,
            "up_block_types": ["UpDecoderBlock2D"] * LEVELS,
            "layers_per_block": 2,
            "latent_channels": read_size(state, "post_quant_conv.weight", self.name),
        }
        return read_converted(
            lambda: AutoencoderKL(**settings),
            lambda: convert_ldm_vae_checkpoint(dict(state), settings),
            torch.float32,
            self.name,
            "the autoencoder of Stable Diffusion",
        )

    def read_text_encoder(self) -> CLIPTextModel:
        """Reads OpenCLIP's text encoder without its last layer, which nothing here looks at, in float32."""
        state, name = self._part(_TEXT), self.name
        vocabulary, width = (read_size(state, "token_embedding.weight", name, axis) for axis in (0, 1))
        settings = CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=read_size(state, "transformer.resblocks.0.mlp.c_fc.weight", name),
            num_attention_heads=max(1, width // HEAD),
            num_hidden_layers=find_largest(r"transformer\.resblocks\.(\d+)\.ln_1\.weight", state),
            max_position_embeddings=read_size(state, "positional_embedding", name),
            hidden_act="gelu",
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
        )
        encoder: CLIPTextModel = read_converted(
            lambda: CLIPTextModel(settings),
            lambda: _rename_text(state, int(settings.num_hidden_layers)),
            torch.float32,
            name,
            "the text encoder of Stable Diffusion 2",
        )
        return count_positions(encoder)

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): tensor for key, tensor in self.state.items() if key.startswith(prefix)}


def read_control(path: Path, dtype: torch.dtype) -> ControlNetModel:
    """Reads IRControlNet as diffusers' network, on the processor in that precision.

    Its first convolution reads latents and the picture's: it is cut in two. Raises as `StableDiffusionFile`.
    """
    name, what = printable_name(path), "DiffBIR's control network"
    state = read_known(path, _CONTROL_KEY, what, LARGEST_CHECKPOINT)
    settings = _unet_settings(state, name)
    first = "input_blocks.0.0.weight"
    width, channels = read_size(state, first, name), read_size(state, first, name, 1) // 2
    settings["in_channels"] = channels

    def make() -> ControlNetModel:
        made = ControlNetModel(**settings)
        made.controlnet_cond_embedding = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        return made

    def convert() -> dict[str, Tensor | None]:
        converted: dict[str, Tensor | None] = convert_controlnet_checkpoint(state, settings)
        converted["conv_in.weight"] = state[first][:, :channels]
        converted["controlnet_cond_embedding.weight"] = state[first][:, channels:]
        return converted

    made: ControlNetModel = read_converted(make, convert, dtype, name, what)
    return made


def read_swin_ir(path: Path) -> SwinIr:
    """Reads DiffBIR's first stage, on the processor in float32. Raises as `StableDiffusionFile`."""
    name, what = printable_name(path), "DiffBIR's SwinIR"
    state = read_known(path, _SWIN_IR_KEY, what)
    state = {key: tensor for key, tensor in state.items() if not key.endswith(_UNREAD)}
    layer = "layers.0.residual_group.blocks.0."
    table = f"{layer}attn.relative_position_bias_table"
    depths = [
        1 + find_largest(rf"layers\.{block}\.residual_group\.blocks\.(\d+)\.norm1\.weight", state)
        for block in range(1 + find_largest(r"layers\.(\d+)\.conv\.weight", state))
    ]
    sizes = SwinIrSizes(
        width=read_size(state, "conv_first.1.weight", name),
        depths=tuple(depths),
        heads=read_size(state, table, name, 1),
        window=(int(read_size(state, table, name) ** 0.5) + 1) // 2,
        hidden=read_size(state, f"{layer}mlp.fc1.weight", name),
        features=read_size(state, "conv_last.weight", name, 1),
        doublings=find_largest(r"conv_up(\d)\.weight", state),
    )
    made: SwinIr = read_converted(lambda: SwinIr(sizes), lambda: state, torch.float32, name, what)
    return made


def _unet_settings(state: State, name: str) -> dict[str, Any]:
    """The settings of diffusers' network, and of the one that controls it."""
    widths = [read_size(state, f"input_blocks.{1 + 3 * level}.0.out_layers.3.weight", name) for level in range(LEVELS)]
    words = read_size(state, "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", name, 1)
    return {
        "in_channels": read_size(state, "input_blocks.0.0.weight", name, 1),
        "block_out_channels": widths,
        "down_block_types": [*["CrossAttnDownBlock2D"] * (LEVELS - 1), "DownBlock2D"],
        "layers_per_block": 2,
        "cross_attention_dim": words,
        "attention_head_dim": [max(1, width // HEAD) for width in widths],  # to diffusers the number of heads
        "use_linear_projection": True,
    }


def _rename_text(state: State, layers: int) -> dict[str, Tensor | None]:
    """OpenCLIP's parameters by the names of transformers."""
    named: dict[str, Tensor | None] = {
        "embeddings.token_embedding.weight": state.get("token_embedding.weight"),
        "embeddings.position_embedding.weight": state.get("positional_embedding"),
        **{f"final_layer_norm.{each}": state.get(f"ln_final.{each}") for each in ("weight", "bias")},
    }
    for key, tensor in state.items():
        match = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)", key)
        if match is None or int(match[1]) >= layers:
            continue
        layer = f"encoder.layers.{match[1]}."
        if match[2] == "attn.in_proj":
            for part, values in zip("qkv", tensor.chunk(3), strict=True):
                named[f"{layer}self_attn.{part}_proj.{match[3]}"] = values
        else:
            named[f"{layer}{_TEXT_NAMES.get(match[2], match[2])}.{match[3]}"] = tensor
    return named
