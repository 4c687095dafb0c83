"""Encoding a picture into latents, in tiles that come out as if encoded at once: see `tiled_autoencoder`."""

from functools import partial

import torch
from diffusers import AutoencoderKL, VQModel
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.downsampling import Downsample2D
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
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


def check_encoder(vae: AutoencoderKL | VQModel) -> None:
    """Raises BadWeights for an encoder that is built of other layers than those that are called here."""
    encoder = vae.encoder
    downs = [down for block in encoder.down_blocks for down in block.downsamplers or ()]
    known = (
        has_known_layers(encoder.mid_block, [each for block in encoder.down_blocks for each in block.resnets])
        and all(type(each) is Downsample2D and each.use_conv and each.norm is None for each in downs)
        and isinstance(encoder.conv_norm_out, nn.GroupNorm)
        and not any(getattr(block, "attentions", None) for block in encoder.down_blocks)
    )
    if not known:
        raise BadWeights("vae is of another kind: its encoder is built of layers that are not known here.")


def encode_picture(vae: AutoencoderKL, pixels: Pixels, device: Device, side: int) -> Run[DiagonalGaussianDistribution]:
    """Encodes a picture into the distribution of its latents: see `encode_values`."""
    return DiagonalGaussianDistribution((yield from encode_values(vae, pixels, device, side)))


def encode_values(vae: AutoencoderKL | VQModel, pixels: Pixels, device: Device, side: int) -> Run[Tensor]:
    """Encodes a picture (s*H, s*W, 3), usually in [0, 1], into what the encoder gives, (1, C, H, W) on the processor.

    Those are the latents, of which none has been replaced by an entry of the codebook yet, or with twice as many
    channels mean and logarithm of the variance of each. `side` is how many latents a tile makes. A step tells each tile
    done. Raises BadWeights where the encoder gives no finite numbers.
    """
    scale = pixels_per_latent(vae)
    channels = vae.config.latent_channels * (1 if isinstance(vae, VQModel) else 2)
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None] * 2 - 1
    walk = partial(_walk, vae, scale)
    # The pixels of each latent lie one behind another: so a tile has as many places before as after.
    squares = pixel_unshuffle(picture, scale)
    done = yield from run_in_tiles(squares, walk, device, side, 1, channels)
    values = torch.from_numpy(done.pixels).permute(2, 0, 1)[None]
    if not bool(torch.isfinite(values).all()):
        raise BadWeights("The encoder gives no finite numbers for this image.")
    return values


def _walk(vae: AutoencoderKL | VQModel, scale: int, squares: Tensor, norm: Norm, attend: Attend) -> Tensor:
    """Runs pixels through the encoder's layers, first to last."""
    encoder = vae.encoder
    values = encoder.conv_in(pixel_shuffle(squares, scale))
    for block in encoder.down_blocks:
        for each in block.resnets:
            values = run_resnet(each, values, norm)
        for down in block.downsamplers or ():
            values = down(values)
    values = run_middle(encoder.mid_block, values, norm, attend)
    values = encoder.conv_out(encoder.conv_act(norm(encoder.conv_norm_out, values)))
    encoded: Tensor = values if vae.quant_conv is None else vae.quant_conv(values)
    return encoded
