"""SUPIR's network: Stable Diffusion XL's, which another one leads at each of its steps back to full size.

Yu et al. 2024, arXiv:2401.13627, section 3.1. The one that leads sees the latents with noise and, behind its first
convolution, those of the picture; it is the first half of Stable Diffusion XL's own, so it is diffusers'
`ControlNetModel` without the convolutions that end it. What it makes at each place is joined to what the main network
had there by a `JoiningLayer`, and before each doubling by an `AttendingLayer`. Names are the published file's.
"""

from typing import Any

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from pipelines.upscalers.diffusion.controlled import TwoNetworks, lay_out

GROUPS = 32  # of each norm
HIDDEN = 128  # channels between what leads and what it does
HEAD = 64  # channels of a head of attention
SIZE = 1024  # pixels: as wide and high as each picture is said to be, before and after it was cut out


class JoiningLayer(nn.Module):
    """ZeroSFT: adds to what was skipped, puts it beside the rest, and scales and moves all of it, as is led.

    `width` is how many channels what leads and what is skipped have, `beside` the rest: 0 where there is none.
    """

    def __init__(self, width: int, beside: int) -> None:
        super().__init__()
        self.param_free_norm = nn.GroupNorm(GROUPS, width + beside)
        self.mlp_shared = nn.Sequential(nn.Conv2d(width, HIDDEN, 3, padding=1), nn.SiLU())
        self.zero_mul = nn.Conv2d(HIDDEN, width + beside, 3, padding=1)
        self.zero_add = nn.Conv2d(HIDDEN, width + beside, 3, padding=1)
        self.zero_conv = nn.Conv2d(width, width, 1)

    def forward(self, leading: Tensor, rest: tuple[Tensor, ...], skipped: Tensor, share: Tensor | None) -> Tensor:
        """Joins (N, width + beside, H, W): a `share` (N, 1, 1, 1) as led, the rest side by side alone; None is all."""
        plain = torch.cat([*rest, skipped], dim=1)
        led = torch.cat([*rest, skipped + self.zero_conv(leading)], dim=1)
        hidden = self.mlp_shared(leading)
        led = torch.addcmul(self.zero_add(hidden), self.param_free_norm(led), self.zero_mul(hidden) + 1)
        return led if share is None else torch.lerp(plain, led, share)


class AttendingLayer(nn.Module):
    """ZeroCrossAttn: adds what the values, (N, width, H, W), find in what leads, (N, leading, H, W)."""

    def __init__(self, width: int, leading: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, width), nn.GroupNorm(GROUPS, leading)
        inner = max(1, width // HEAD) * HEAD
        self.attn = nn.ModuleDict(
            {
                "to_q": nn.Linear(width, inner, bias=False),
                "to_k": nn.Linear(leading, inner, bias=False),
                "to_v": nn.Linear(leading, inner, bias=False),
                "to_out": nn.Sequential(nn.Linear(inner, width)),
            }
        )

    def forward(self, leading: Tensor, values: Tensor, share: Tensor | None) -> Tensor:
        """Returns (N, width, H, W); `share` as in `JoiningLayer`."""
        asking, asked = (
            norm(each).flatten(2).transpose(1, 2) for norm, each in ((self.norm1, values), (self.norm2, leading))
        )
        query, key, value = (
            self.attn[name](given).unflatten(2, (-1, HEAD)).transpose(1, 2)
            for name, given in (("to_q", asking), ("to_k", asked), ("to_v", asked))
        )
        found = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        found = self.attn["to_out"](found).transpose(1, 2).reshape(values.shape)
        added: Tensor = values + (found if share is None else share * found)
        return added


class AdaptedUnet(TwoNetworks):
    """A denoising network, led by another one through `layers`, as `make_layers` makes them."""

    def __init__(self, unet: UNet2DConditionModel, control: ControlNetModel, layers: nn.ModuleList) -> None:
        super().__init__(unet, control)
        self.layers = layers
        lay_out(layers)

    def forward(
        self,
        sample: Tensor,
        timestep: Any,
        encoder_hidden_states: Tensor,
        text_embeds: Tensor,
        strength: Tensor,
        return_dict: bool = True,
    ) -> tuple[Tensor]:
        """See `Denoiser`. `text_embeds` (N, width) stands for all words; `strength` (N,) is how far each is led."""
        latents, picture = sample.chunk(2, dim=1)
        sizes = torch.tensor([[SIZE, SIZE, 0, 0, SIZE, SIZE]], device=sample.device).expand(len(sample), -1)
        added = {"text_embeds": text_embeds, "time_ids": sizes}
        places, middle = self.control(
            latents,
            timestep,
            encoder_hidden_states,
            controlnet_cond=picture,
            added_cond_kwargs=added,
            return_dict=False,
        )
        share = None if bool((strength == 1).all()) else strength[:, None, None, None].to(sample.dtype)
        return (self._denoise(latents, timestep, encoder_hidden_states, added, [*places, middle], share),)

    def _denoise(
        self,
        latents: Tensor,
        timestep: Any,
        words: Tensor,
        added: dict[str, Tensor],
        leading: list[Tensor],
        share: Tensor | None,
    ) -> Tensor:
        """Runs the main network; what leads it and the layers that join are taken from the last to the first."""
        unet: Any = self.unet
        layers = iter(reversed(self.layers))
        embedded = unet.time_embedding(unet.get_time_embed(sample=latents, timestep=timestep))
        embedded = embedded + unet.get_aug_embed(emb=embedded, encoder_hidden_states=words, added_cond_kwargs=added)
        values = unet.conv_in(latents)
        skipped = [values]
        for block in unet.down_blocks:
            more = {"encoder_hidden_states": words} if _attends(block) else {}
            values, kept = block(hidden_states=values, temb=embedded, **more)
            skipped += kept
        values = unet.mid_block(values, embedded, encoder_hidden_states=words)
        values = next(layers)(leading.pop(), (), values, share)
        for block in unet.up_blocks:
            attentions = block.attentions if _attends(block) else [None] * len(block.resnets)
            for resnet, attention in zip(block.resnets, attentions, strict=True):
                led_by = leading.pop()
                values = resnet(next(layers)(led_by, (values,), skipped.pop(), share), embedded)
                if attention is not None:
                    values = attention(values, encoder_hidden_states=words, return_dict=False)[0]
            for doubling in block.upsamplers or ():
                values = doubling(next(layers)(led_by, values, share))
        made: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(values)))
        return made


def make_layers(unet: Any) -> nn.ModuleList:
    """Makes the layers that join, for a network of diffusers, in the order of the published file: the last comes first.

    Each `AttendingLayer` comes before the `JoiningLayer` of its place, because that is run before it.
    """
    widths = [unet.conv_in.out_channels]
    for block in unet.down_blocks:
        widths += [resnet.out_channels for resnet in block.resnets]
        widths += [widths[-1] for _ in block.downsamplers or ()]
    made: list[nn.Module] = [JoiningLayer(widths[-1], 0)]
    for block in unet.up_blocks:
        for resnet in block.resnets:
            width = widths.pop()
            made.append(JoiningLayer(width, resnet.in_channels - width))
        made += [AttendingLayer(resnet.out_channels, width) for _ in block.upsamplers or ()]
    return nn.ModuleList(reversed(made))


def _attends(block: Any) -> bool:
    return bool(getattr(block, "has_cross_attention", False))
