"""SUPIR's own parts from its one file, beside those of Stable Diffusion XL, which it leaves as they are.

The file has the names of the authors' code, with all of Stable Diffusion XL in it or without: what is not SUPIR's own
is not read. Sizes are those of Stable Diffusion XL, whose first half the network that leads is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from torch import Tensor, nn

from pipelines.errors import BadWeights
from pipelines.phrasing import printable_name
from pipelines.upscalers.diffusion.adapted_unet import make_layers
from pipelines.upscalers.diffusion.reading import as_bad_weights, construct
from pipelines.upscalers.diffusion.released import read_converted, read_known

LARGEST_FILE = 16 << 30  # bytes; all of Stable Diffusion XL in float32 and what is SUPIR's own have 15.6 * 10^9
WHAT = "SUPIR"
_CONTROL, _LAYERS = "model.control_model.", "model.diffusion_model.project_modules."
_ENCODER = "first_stage_model.denoise_encoder."
_UNET = "model.diffusion_model."  # what diffusers' function wants before the names
_HINT = "input_hint_block.0."  # the convolution that reads the picture's latents
_UNREAD = "mask_LQ"  # a token of training, which nothing asks for


class SupirFile:
    """The file, of which each part is read when it is asked for, on the processor.

    Raises BadWeights, with the file's name, where it is damaged, of another network, or lacks a part.
    """

    def __init__(self, path: Path) -> None:
        self.name = printable_name(path)
        self.state = read_known(path, f"{_CONTROL}input_blocks.0.0.weight", WHAT, LARGEST_FILE)

    def read_control(self, unet: UNet2DConditionModel, dtype: torch.dtype) -> ControlNetModel:
        """Reads the network that leads this one, in that precision."""
        state = {key: each for key, each in self._part(_CONTROL).items() if key != _UNREAD}
        hint = {key.removeprefix(_HINT): state.pop(key) for key in tuple(state) if key.startswith(_HINT)}

        def make() -> ControlNetModel:
            made: Any = construct(ControlNetModel, unet.config, self.name)
            made.controlnet_cond_embedding = nn.Conv2d(
                unet.config.in_channels, unet.config.block_out_channels[0], 3, padding=1
            )
            made.controlnet_mid_block = nn.Identity()
            made.controlnet_down_blocks = nn.ModuleList(nn.Identity() for _ in made.controlnet_down_blocks)
            whole: ControlNetModel = made
            return whole

        def convert() -> dict[str, Tensor]:
            named = {_UNET + key: each for key, each in state.items()}
            converted: dict[str, Tensor] = convert_ldm_unet_checkpoint(named, unet.config)
            return converted | {f"controlnet_cond_embedding.{key}": each for key, each in hint.items()}

        made: ControlNetModel = self._filled(make, convert, dtype, len(state) + len(hint))
        return made

    def read_layers(self, unet: UNet2DConditionModel, dtype: torch.dtype) -> nn.ModuleList:
        """Reads the layers that join both, in that precision."""
        state = self._part(_LAYERS)
        made: nn.ModuleList = self._filled(lambda: make_layers(unet), lambda: state, dtype, len(state))
        return made

    def read_cleaner(self, vae: AutoencoderKL) -> AutoencoderKL:
        """Reads the encoder that cleans, in float32: an autoencoder like this one, without what comes after it."""
        state = {f"encoder.{key}": each for key, each in self._part(_ENCODER).items()}

        def convert() -> dict[str, Tensor]:
            converted: dict[str, Tensor] = convert_ldm_vae_checkpoint(state, vae.config)
            return {key.removeprefix("encoder."): each for key, each in converted.items()}

        with torch.device("meta"):
            made: Any = AutoencoderKL.from_config(vae.config)
        made.encoder = self._filled(lambda: made.encoder, convert, torch.float32, len(state))
        made.quant_conv = vae.quant_conv
        made.decoder = made.post_quant_conv = nn.Identity()
        whole: AutoencoderKL = made.requires_grad_(False).eval()
        return whole

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): tensor for key, tensor in self.state.items() if key.startswith(prefix)}

    def _filled(
        self, make: Callable[[], Any], convert: Callable[[], dict[str, Tensor]], dtype: torch.dtype, count: int
    ) -> Any:
        """The network that `make` makes, with all of the `count` parameters of the file that are of it."""
        converted = as_bad_weights(convert, self.name)
        if len(converted) < count:
            raise BadWeights(f"{self.name} is not of {WHAT}: it has more than that.")
        return read_converted(make, lambda: converted, dtype, self.name, WHAT)
