"""Decoding latents into a picture, in tiles that look as if they had been decoded at once: see `tiled_autoencoder`."""

from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL, VQModel
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from pipelines.errors import BadWeights
from pipelines.networks.devices import Device
from pipelines.networks.tiling import Tiled
from pipelines.runs import Run
from pipelines.upscalers.diffusion.tiled_autoencoder import (
    Attend,
    Norm,
    has_known_layers,
    pixels_per_latent,
    run_in_tiles,
    run_middle,
    run_resnet,
)

LOOKED_UP = 2048  # latents that are compared with all of a codebook at once: a codebook may have thousands of entries


def check_decoder(vae: AutoencoderKL | VQModel) -> None:
    """Raises BadWeights for a decoder that is built of other layers than those that are called here."""
    decoder = vae.decoder
    ups = [up for block in decoder.up_blocks for up in block.upsamplers or ()]
    known = (
        has_known_layers(decoder.mid_block, [each for block in decoder.up_blocks for each in block.resnets])
        and all(type(each) is Upsample2D and each.use_conv and each.norm is None for each in ups)
        and isinstance(decoder.conv_norm_out, nn.GroupNorm)
        and not any(getattr(block, "attentions", None) for block in decoder.up_blocks)
    )
    if not known:
        raise BadWeights("vae is of another kind: its decoder is built of layers that are not known here.")


def decode_latents(
    vae: AutoencoderKL | VQModel, latents: Tensor, device: Device, side: int, clamp: bool = True
) -> Run[Tiled]:
    """Decodes into a picture (s*H, s*W, 3) in [0, 1] latents (1, C, H, W) that are scaled as the autoencoder has them.

    `side` is how many latents a tile reads. Without `clamp` it may leave [0, 1]. A step tells each tile done. Raises
    BadWeights where the decoder gives no finite numbers.
    """
    walk = partial(_decode_tile, vae, clamp)
    return (yield from run_in_tiles(latents, walk, device, side, pixels_per_latent(vae), 3))


def _decode_tile(vae: AutoencoderKL | VQModel, clamp: bool, latents: Tensor, norm: Norm, attend: Attend) -> Tensor:
    made = _walk(vae, latents, norm, attend) / 2 + 0.5
    if not bool(torch.isfinite(made).all()):
        raise BadWeights("The decoder gives no finite numbers for this image.")
    return made.clamp(0, 1) if clamp else made


def _walk(vae: Any, latents: Tensor, norm: Norm, attend: Attend) -> Tensor:
    """Runs latents through the decoder's layers, from the first to the last; the picture is in [-1, 1], about."""
    decoder = vae.decoder
    if isinstance(vae, VQModel):
        latents = look_up_codes(vae.quantize.embedding.weight, latents)
    values = decoder.conv_in(latents if vae.post_quant_conv is None else vae.post_quant_conv(latents))
    values = run_middle(decoder.mid_block, values, norm, attend)
    for block in decoder.up_blocks:
        for each in block.resnets:
            values = run_resnet(each, values, norm)
        for up in block.upsamplers or ():
            # Of 64 or more, diffusers' layer makes a copy with channels first, and the convolution after it another.
            parts = [up(some) for some in torch.split(values, 32)]
            values = torch.cat(parts) if len(parts) > 1 else parts[0]
            del parts
    picture: Tensor = decoder.conv_out(decoder.conv_act(norm(decoder.conv_norm_out, values)))
    return picture


def look_up_codes(codebook: Tensor, latents: Tensor) -> Tensor:
    """Finds the nearest entry of the codebook (E, C) to each latent (N, C, h, w) (van den Oord et al. 2017, VQ-VAE)."""
    flat = latents.permute(0, 2, 3, 1)
    nearest = [torch.cdist(some, codebook).argmin(1) for some in torch.split(flat.flatten(0, 2), LOOKED_UP)]
    return codebook[torch.cat(nearest)].reshape(flat.shape).permute(0, 3, 1, 2)
