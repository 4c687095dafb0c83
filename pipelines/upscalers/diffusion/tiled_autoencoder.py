"""Running an autoencoder's layers over tiles that come out as if the whole had gone through them at once.

Two things in an autoencoder see the whole picture: each group norm takes mean and variance over all of it, and the
attention in the middle looks at every latent. On its own, a tile gets other colours than its neighbour. So a sample of
the whole, windows spread evenly over it, goes through the layers first, all windows side by side: the norms' statistics
are taken over the insides of all windows at each layer, and what attention saw there is kept. Then every tile is
normalised by the sample's statistics, and attends to itself and to the sample of what lies outside it. (Shared
statistics: Zhang's Tiled VAE, 2023, which takes them from a shrunken picture. Measured with random decoders those of
windows at full size are nearer by half, and the attention's sample takes away most of what remains.)

The layers are the autoencoder's own, which `decoder` and `encoder` call one after another; where one tile is enough
nothing is shared, and the result is the autoencoder's own. Memory is a tile's, and the picture's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.networks.forward import Batch, computing_on
from pipelines.networks.tiling import SMALLEST_WRITTEN, Tiled, run_tiled
from pipelines.runs import Run

# The convolutions see 16 latents far, and what comes from beyond 8 changes nothing that could be seen.
AUTOENCODER_OVERLAP = 12
# The sample is of so many windows a side, each SAMPLE_REACH latents wide or an eighth of a smaller tile, so that
# together they take the memory of one tile. Measured with random decoders and tiles of 64: windows of 8 have errors of
# 0.09 to 0.15 of the picture's deviation, those of 16 of 0.04 to 0.08; a fourth as many of 16, in the memory of those
# of 8, 0.12 to 0.39.
SAMPLE_WINDOWS = 8
SAMPLE_REACH = 16
# Where memory is short: as much as the smallest tile.
LEAST_SAMPLE_REACH = (SMALLEST_WRITTEN + 2 * AUTOENCODER_OVERLAP) // SAMPLE_WINDOWS

Norm: TypeAlias = Callable[[nn.GroupNorm, Tensor], Tensor]
Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From queries, keys and values, (N, heads, tokens, width), to what each query gathers, of the queries' shape."""
Walk: TypeAlias = Callable[[Tensor, Norm, Attend], Tensor]
"""From (N, C, h, w) through the layers, which it gives what they see the whole by, to (N, C', s*h, s*w)."""


@dataclass(eq=False)
class SharedLayers:
    """What the layers of every tile share: the norms' statistics and the attention of the sample of the whole.

    `moments` has mean and variance by group of each norm; `keys` and `values` are (1, heads, points, width) and
    `places` (points,) the number of each one's latent.
    """

    moments: dict[nn.Module, tuple[Tensor, Tensor]] = field(default_factory=dict)
    keys: Tensor | None = None
    values: Tensor | None = None
    places: Pixels = field(default_factory=lambda: np.empty(0, np.float32))

    def norm(self, module: nn.GroupNorm, values: Tensor) -> Tensor:
        """Normalises as the group norm would with these statistics in place of its own."""
        mean, variance = (each[:, None] for each in self.moments[module])
        gain = torch.unflatten(module.weight, 0, (module.num_groups, -1)) * torch.rsqrt(variance + module.eps)
        shift = torch.unflatten(module.bias, 0, gain.shape) - mean * gain
        return torch.addcmul(shift.reshape(1, -1, 1, 1), values, gain.reshape(1, -1, 1, 1))


def pixels_per_latent(vae: Any) -> int:
    """Counts the pixels a side that a decoder makes of a latent: twice as many at each level but the first."""
    return 1 << (len(vae.config.block_out_channels) - 1)


def has_known_layers(middle: Any, resnets: Sequence[Any]) -> bool:
    """Returns whether the middle block and these are built of the layers that are called here."""
    attentions = [attention for attention in middle.attentions if attention is not None]
    return all(
        type(each) is ResnetBlock2D and each.time_emb_proj is None and not (each.up or each.down)
        for each in [*middle.resnets, *resnets]
    ) and all(type(each) is Attention and each.group_norm is not None for each in attentions)


def run_in_tiles(values: Tensor, walk: Walk, device: Device, side: int, scale: int, channels: int) -> Run[Tiled]:
    """Runs `walk` over values (1, C, H, W), one for each latent: (s*H, s*W, channels) float32.

    `side` is how many latents a tile reads. A step tells each tile done.
    """
    height, width = values.shape[2:]
    # A tile has to know where it lies, so every latent goes with its number: float32 counts up to 16 million.
    numbers = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    array = torch.cat([values.float().cpu(), numbers], dim=1)[0].permute(1, 2, 0).contiguous().numpy()
    work = _TileRunner(walk, device, array, max(LEAST_SAMPLE_REACH, min(SAMPLE_REACH, side // SAMPLE_WINDOWS)))
    return (yield from run_tiled(array, scale, work, side, AUTOENCODER_OVERLAP, feather=True, channels=channels))


class _TileRunner:
    """From a batch of tiles, with the numbers of their latents, to what comes out of the layers, for `run_tiled`.

    `reach` is how wide the sample's windows are, unless memory makes them smaller.
    """

    def __init__(self, walk: Walk, device: Device, whole: Pixels, reach: int) -> None:
        self.walk, self.device, self.whole, self.reach = walk, device, whole, reach
        self._shared: SharedLayers | None = None

    def __call__(self, batch: Batch) -> Batch:
        with computing_on(self.device):
            if batch.shape[1:] == self.whole.shape:
                made = self.walk(self._tensor(batch), _plain_norm, scaled_dot_product_attention)
            else:
                shared, (tile,) = self._sample(), batch[..., -1]
                made = self.walk(
                    self._tensor(batch), shared.norm, _make_shared_attention(shared, tile, self.whole[..., 0].size)
                )
            array: Batch = made.permute(0, 2, 3, 1).cpu().contiguous().numpy()
        return array

    def _sample(self) -> SharedLayers:
        """The sample of the whole, made when a tile first asks for it; where memory is short, of smaller windows.

        To cut the tile would not help: the sample may take more than it. Raises MemoryError where the smallest do not
        fit.
        """
        while self._shared is None:
            try:
                with computing_on(self.device):
                    self._shared = self._take_sample()
            except MemoryError:
                if self.reach <= LEAST_SAMPLE_REACH:
                    raise
                self.reach = max(LEAST_SAMPLE_REACH, self.reach // 2)
        return self._shared

    def _take_sample(self) -> SharedLayers:
        height, width, _ = self.whole.shape
        down, across = _Windows(height, self.reach), _Windows(width, self.reach)
        windows = np.stack(
            [self.whole[y : y + down.length, x : x + across.length] for y in down.starts for x in across.starts]
        )
        sample = _Sample(windows[..., -1], (down.inside, across.inside))
        self.walk(self._tensor(windows), sample.norm, sample.attend)
        return sample.shared

    def _tensor(self, batch: Batch) -> Tensor:
        """A batch without its numbers."""
        return torch.from_numpy(batch[..., :-1]).permute(0, 3, 1, 2).contiguous().to(self.device.name)


class _Sample:
    """What the layers are given while windows go through them, to fill `SharedLayers`; `numbers` is (N, h, w)."""

    def __init__(self, numbers: Pixels, inside: Sequence[tuple[int, int]]) -> None:
        self.shared = SharedLayers()
        self._tall, self._inside = numbers.shape[1], inside
        places, self._once = np.unique(self._cut(numbers), return_index=True)  # windows may overlap
        self.shared.places = places

    def norm(self, module: nn.GroupNorm, values: Tensor) -> Tensor:
        """Normalises by the statistics of the insides of all windows, and keeps those."""
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


class _Windows:
    """Windows along one side of the picture: how far each reaches, where it begins, and what is inside, from and to.

    Beside the inside is a halo, of which the statistics know nothing: it keeps the window's border from them.
    """

    def __init__(self, side: int, reach: int) -> None:
        self.length = reach if side > 2 * reach else side  # of a short side too much would be left out
        halo = -(-reach // 4) if self.length < side else 0
        self.inside = halo, self.length - halo
        last, apart = side - self.length, self.length - 2 * halo
        count = min(SAMPLE_WINDOWS, -(-last // apart) + 1)  # fewer where they already cover it
        self.starts = [index * last // max(1, count - 1) for index in range(count)]


def _make_shared_attention(shared: SharedLayers, tile: Pixels, total: int) -> Attend:
    """Makes attention to the tile's own latents, and to the sampled ones outside it.

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


def run_middle(block: Any, values: Tensor, norm: Norm, attend: Attend) -> Tensor:
    """Runs the block between encoder and decoder, of which both have one."""
    first, *resnets = block.resnets
    values = run_resnet(first, values, norm)
    for attention, after in zip(block.attentions, resnets, strict=True):
        if attention is not None:
            values = _run_attention(attention, values, norm, attend)
        values = run_resnet(after, values, norm)
    return values


def run_resnet(block: Any, values: Tensor, norm: Norm) -> Tensor:
    """Runs two convolutions, and what goes past them."""
    inner = block.conv1(block.nonlinearity(norm(block.norm1, values)))
    inner = block.conv2(block.nonlinearity(norm(block.norm2, inner)))
    if block.conv_shortcut is not None:
        values = block.conv_shortcut(values)
    added: Tensor = (values + inner) / block.output_scale_factor
    return added


def _run_attention(block: Any, values: Tensor, norm: Norm, attend: Attend) -> Tensor:
    """Attention of every place to every place of what `attend` gives it."""
    tokens = norm(block.group_norm, values).flatten(2).transpose(1, 2)
    parts = (
        part(tokens).unflatten(2, (block.heads, -1)).transpose(1, 2) for part in (block.to_q, block.to_k, block.to_v)
    )
    gathered = attend(*parts).transpose(1, 2).flatten(2)
    inner = block.to_out[0](gathered).transpose(1, 2).unflatten(2, values.shape[2:])
    added: Tensor = (values + inner) / block.rescale_output_factor
    return added


def _plain_norm(module: nn.GroupNorm, values: Tensor) -> Tensor:
    normalised: Tensor = module(values)
    return normalised
