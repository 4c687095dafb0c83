"""Decoding latents into a picture in tiles that look as if they had been decoded at once.

Two things in an autoencoder's decoder see the whole picture: each group norm takes mean and variance over all of it,
and the attention in the middle looks at every latent. Decoded on its own, a tile gets other colours than its
neighbour. So a sample of the whole, windows spread evenly over it, goes through the decoder first, all windows side by
side: the norms' statistics are taken over the insides of all windows at each layer, and what attention saw there is
kept. Then every tile is normalised by the sample's statistics, and attends to itself and to the sample of what lies
outside it. (Shared statistics: Zhang's Tiled VAE, 2023, which takes them from a shrunken picture. Measured with random
decoders those of windows at full size are nearer by half, and the attention's sample takes away most of what remains.)

The layers are the autoencoder's own, called one after another here; where one tile is enough nothing is shared, and the
result is `AutoencoderKL.decode`'s. Memory is a tile's, and the picture's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from pipelines.devices import Device
from pipelines.errors import BadWeights
from pipelines.forward import Batch, computing
from pipelines.picture import Pixels
from pipelines.runs import Run
from pipelines.tiling import Tiled, run_tiled

SIDE = 128  # latents that a tile reads: what the network saw in training
OVERLAP = 12  # the convolutions see 16 latents far, and what comes from beyond 8 changes nothing that could be seen
WINDOWS = 8  # a side; of so many windows, each INSIDE and HALO wide, a sample of the memory of one tile is made
INSIDE, HALO = 8, 4

Norm: TypeAlias = Callable[[nn.GroupNorm, Tensor], Tensor]
Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From queries, keys and values, (N, heads, tokens, width), to what each query gathers, of the queries' shape."""


@dataclass(eq=False)
class Shared:
    """What tiles take from the sample of the whole.

    `moments` has mean and variance by group of each norm; `keys` and `values` are (1, heads, points, width) and
    `places` (points,) the number of each one's latent.
    """

    moments: dict[nn.Module, tuple[Tensor, Tensor]] = field(default_factory=dict)
    keys: Tensor | None = None
    values: Tensor | None = None
    places: Pixels = field(default_factory=lambda: np.empty(0, np.float32))

    def norm(self, module: nn.GroupNorm, values: Tensor) -> Tensor:
        """What the group norm gives with these statistics in place of its own."""
        mean, variance = (each[:, None] for each in self.moments[module])
        gain = torch.unflatten(module.weight, 0, (module.num_groups, -1)) * torch.rsqrt(variance + module.eps)
        shift = torch.unflatten(module.bias, 0, gain.shape) - mean * gain
        return torch.addcmul(shift.reshape(1, -1, 1, 1), values, gain.reshape(1, -1, 1, 1))


def check(vae: AutoencoderKL) -> None:
    """Raise BadWeights for a decoder that is built of other layers than those that are called here."""
    decoder = vae.decoder
    resnets = [*decoder.mid_block.resnets, *(resnet for block in decoder.up_blocks for resnet in block.resnets)]
    ups = [up for block in decoder.up_blocks for up in block.upsamplers or ()]
    attentions = [attention for attention in decoder.mid_block.attentions if attention is not None]
    fits = (
        all(type(each) is ResnetBlock2D and each.time_emb_proj is None and not each.up for each in resnets)
        and all(type(each) is Upsample2D and each.use_conv and each.norm is None for each in ups)
        and all(type(each) is Attention and each.group_norm is not None for each in attentions)
        and isinstance(decoder.conv_norm_out, nn.GroupNorm)
        and not any(getattr(block, "attentions", None) for block in decoder.up_blocks)
    )
    if not fits:
        raise BadWeights("vae is of another kind: its decoder is built of layers that are not known here.")


def decode(vae: AutoencoderKL, latents: Tensor, device: Device, side: int = SIDE) -> Run[Tiled]:
    """The picture (s*H, s*W, 3) in [0, 1] of latents (1, C, H, W) that are scaled as the autoencoder has them.

    `side` is how many latents a tile reads. A step tells each tile done. Raises BadWeights where the decoder gives no
    finite numbers.
    """
    height, width = latents.shape[2:]
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    # A tile has to know where it lies, so every latent goes with its number: float32 counts up to 16 million.
    numbers = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    array = torch.cat([latents.float().cpu(), numbers], dim=1)[0].permute(1, 2, 0).contiguous().numpy()
    work = _Decoder(vae, device, array)
    return (yield from run_tiled(array, scale, work, side, OVERLAP, feather=True))


class _Decoder:
    """From a batch of tiles of latents and their numbers to their pictures, for `run_tiled`."""

    def __init__(self, vae: AutoencoderKL, device: Device, whole: Pixels) -> None:
        self.vae, self.device, self.whole = vae, device, whole
        self._shared: Shared | None = None

    def __call__(self, batch: Batch) -> Batch:
        with computing(self.device):
            if batch.shape[1:] == self.whole.shape:
                made = _walk(self.vae, self._tensor(batch), _own, scaled_dot_product_attention)
            else:
                shared, (tile,) = self._sample(), batch[..., -1]
                attend = _beyond(shared, tile, self.whole[..., 0].size)
                made = _walk(self.vae, self._tensor(batch), shared.norm, attend)
            made = (made / 2 + 0.5).permute(0, 2, 3, 1).cpu()
        if not bool(torch.isfinite(made).all()):
            raise BadWeights("The decoder gives no finite numbers for this picture.")
        pixels: Batch = made.clamp(0, 1).contiguous().numpy()
        return pixels

    def _sample(self) -> Shared:
        """The sample of the whole, made when a tile first asks for it."""
        if self._shared is None:
            height, width, _ = self.whole.shape
            tall, wide = _window(height), _window(width)
            windows = np.stack(
                [self.whole[y : y + tall, x : x + wide] for y in _starts(height) for x in _starts(width)]
            )
            sample = _Sample(windows[..., -1], (_inside(height), _inside(width)))
            _walk(self.vae, self._tensor(windows), sample.norm, sample.attend)
            self._shared = sample.shared
        return self._shared

    def _tensor(self, batch: Batch) -> Tensor:
        """The latents of a batch, without their numbers."""
        return torch.from_numpy(batch[..., :-1]).permute(0, 3, 1, 2).contiguous().to(self.device.name)


class _Sample:
    """What the layers are given while windows go through them, to fill a `Shared`; `numbers` is (N, h, w)."""

    def __init__(self, numbers: Pixels, inside: Sequence[tuple[int, int]]) -> None:
        self.shared = Shared()
        self._tall, self._inside = numbers.shape[1], inside
        places, self._once = np.unique(self._cut(numbers), return_index=True)  # windows may overlap
        self.shared.places = places

    def norm(self, module: nn.GroupNorm, values: Tensor) -> Tensor:
        """Normalise by the statistics of the insides of all windows, and keep those."""
        scale = values.shape[2] // self._tall
        grouped = self._cut(values, scale).unflatten(1, (module.num_groups, -1))
        variance, mean = torch.var_mean(grouped, dim=(0, 2, 3, 4), correction=0)
        self.shared.moments[module] = mean, variance
        return self.shared.norm(module, values)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Each window attends to all of them; the keys and values of the insides are kept."""
        windows, _, tokens, _ = queries.shape
        chosen = self._cut(torch.arange(windows * tokens).reshape(windows, self._tall, -1)).flatten()[self._once]
        queries, keys, values = (each.transpose(0, 1).flatten(1, 2)[None] for each in (queries, keys, values))
        self.shared.keys, self.shared.values = (each[:, :, chosen.to(each.device)] for each in (keys, values))
        gathered = scaled_dot_product_attention(queries, keys, values)[0]
        return torch.unflatten(gathered, 1, (windows, tokens)).transpose(0, 1)

    def _cut(self, values: Any, scale: int = 1) -> Any:
        """The insides of windows (N, ..., h, w) whose sides have become `scale` times as long."""
        rows, columns = (slice(start * scale, stop * scale) for start, stop in self._inside)
        return values[..., rows, columns]


def _window(length: int) -> int:
    """How far a window reaches along a side: all along a short one, of which else too much would be left out."""
    reach = INSIDE + 2 * HALO
    return reach if length > 2 * reach else length


def _inside(length: int) -> tuple[int, int]:
    """From where to where the inside of a window reaches along a side of the picture."""
    window = _window(length)
    return (0, window) if window == length else (HALO, window - HALO)


def _starts(length: int) -> list[int]:
    """Where windows begin along a side: WINDOWS of them, evenly spread, or fewer where they already cover it."""
    last = length - _window(length)
    count = min(WINDOWS, -(-last // INSIDE) + 1)
    return [index * last // max(1, count - 1) for index in range(count)]


def _beyond(shared: Shared, tile: Pixels, total: int) -> Attend:
    """Attention to the tile's own latents, and to the sampled ones outside it.

    Those stand for all latents outside it: each counts for as many as there are to each.
    """
    outside = np.isin(shared.places, tile, invert=True)
    if shared.keys is None or shared.values is None or not outside.any():
        return scaled_dot_product_attention
    chosen = torch.from_numpy(np.flatnonzero(outside)).to(shared.keys.device)
    more_keys, more_values = shared.keys[:, :, chosen], shared.values[:, :, chosen]
    weight = math.log((total - tile.size) / len(chosen))

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        # The weight goes in as one more feature, always 1 in the queries: a mask could take as much memory as all
        # pairs. Kernels like widths that are multiples of 8.
        width = queries.shape[-1]
        queries, keys, more, values, others = (
            pad(each, (0, 8)) for each in (queries, keys, more_keys, values, more_values)
        )
        queries[..., width] = 1
        more[..., width] = weight * math.sqrt(width)
        keys, values = torch.cat([keys, more], dim=2), torch.cat([values, others], dim=2)
        return scaled_dot_product_attention(queries, keys, values, scale=1 / math.sqrt(width))[..., :width]

    return attend


def _walk(vae: AutoencoderKL, latents: Tensor, norm: Norm, attend: Attend) -> Tensor:
    """Through the decoder's layers, from the first to the last; the picture is in [-1, 1], about."""
    decoder = vae.decoder
    values = decoder.conv_in(latents if vae.post_quant_conv is None else vae.post_quant_conv(latents))
    first, *resnets = decoder.mid_block.resnets
    values = _resnet(first, values, norm)
    for attention, resnet in zip(decoder.mid_block.attentions, resnets, strict=True):
        if attention is not None:
            values = _attention(attention, values, norm, attend)
        values = _resnet(resnet, values, norm)
    for block in decoder.up_blocks:
        for resnet in block.resnets:
            values = _resnet(resnet, values, norm)
        for up in block.upsamplers or ():
            # Of 64 or more, diffusers' layer makes a copy with channels first, and the convolution after it another.
            parts = [up(some) for some in torch.split(values, 32)]
            values = torch.cat(parts) if len(parts) > 1 else parts[0]
            del parts
    picture: Tensor = decoder.conv_out(decoder.conv_act(norm(decoder.conv_norm_out, values)))
    return picture


def _resnet(block: Any, values: Tensor, norm: Norm) -> Tensor:
    inner = block.conv1(block.nonlinearity(norm(block.norm1, values)))
    inner = block.conv2(block.nonlinearity(norm(block.norm2, inner)))
    if block.conv_shortcut is not None:
        values = block.conv_shortcut(values)
    added: Tensor = (values + inner) / block.output_scale_factor
    return added


def _attention(block: Any, values: Tensor, norm: Norm, attend: Attend) -> Tensor:
    """Attention of every place to every place of what `attend` gives it."""
    tokens = norm(block.group_norm, values).flatten(2).transpose(1, 2)
    parts = (
        part(tokens).unflatten(2, (block.heads, -1)).transpose(1, 2) for part in (block.to_q, block.to_k, block.to_v)
    )
    gathered = attend(*parts).transpose(1, 2).flatten(2)
    inner = block.to_out[0](gathered).transpose(1, 2).unflatten(2, values.shape[2:])
    added: Tensor = (values + inner) / block.rescale_output_factor
    return added


def _own(module: nn.GroupNorm, values: Tensor) -> Tensor:
    normalised: Tensor = module(values)
    return normalised
