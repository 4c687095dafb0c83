"""A denoising network that another one controls, which sees a picture's latents beside those with noise.

IRControlNet (Lin et al. 2023, DiffBIR, arXiv:2308.15070, section 3.2) is ControlNet (Zhang et al. 2023,
arXiv:2302.05543) whose first convolution reads both: so it is diffusers' `ControlNetModel`, of which another one
reads the picture.
"""

from typing import Any

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn


def lay_out(network: nn.Module) -> None:
    """Lays a network's parameters out as its convolutions are quickest: in float32 with channels first.

    Half of the work is in convolutions of 1280 channels and more, which take a tenth longer with channels last in
    float32. In half precision, and where there are few channels, as in an autoencoder, they are quicker so.
    """
    for parameter in network.parameters():
        if parameter.dtype == torch.float32:
            parameter.data = parameter.data.contiguous()


class TwoNetworks(nn.Module):
    """What a `Denoiser` of two networks is to others: it takes latents with a picture's beside them, (N, 2*C, H, W)."""

    def __init__(self, unet: UNet2DConditionModel, control: ControlNetModel) -> None:
        super().__init__()
        self.unet, self.control = unet, control
        self.config: Any = type(unet.config)({**unet.config, "in_channels": 2 * unet.config.in_channels})
        lay_out(self)

    @property
    def device(self) -> Any:
        """Where it is."""
        return self.unet.device

    @property
    def dtype(self) -> Any:
        """Its precision."""
        return self.unet.dtype


class ControlledUnet(TwoNetworks):
    """A denoising network; what the other one makes is added to what its blocks make."""

    def forward(
        self,
        sample: Tensor,
        timestep: Any,
        encoder_hidden_states: Tensor,
        strength: Tensor,
        return_dict: bool = True,
    ) -> tuple[Tensor]:
        """See `Denoiser`. `strength` (N,) is how much of the control each is given."""
        latents, picture = sample.chunk(2, dim=1)
        downs, middle = self.control(
            latents, timestep, encoder_hidden_states, controlnet_cond=picture, return_dict=False
        )
        share = strength[:, None, None, None].to(sample.dtype)
        made: tuple[Tensor] = self.unet(
            latents,
            timestep,
            encoder_hidden_states,
            down_block_additional_residuals=tuple(down * share for down in downs),
            mid_block_additional_residual=middle * share,
            return_dict=False,
        )
        return made
