"""The network of ResShift: a UNet that looks around by windows (Yue et al. 2023, arXiv:2307.12348).

Residual blocks with the time at four levels of resolution, and after the first block of each level two Swin blocks (Liu
et al. 2021, arXiv:2103.14030), whose second one has its windows moved by half of one. Parameters are named as in the
published files. Facts that no paper has are what those were trained with: where windows are moved, and which of the
places in one that has been moved do not see each other.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

LEVELS = 4
DOWN_BLOCKS, UP_BLOCKS = 2, 3  # residual blocks of a level, on the way down and up
GROUPS = 32  # of every norm
WINDOW = 8  # values a side
SHIFT = WINDOW // 2
MLP_RATIO = 4  # of the width between the two layers after an attention
LONGEST_PERIOD = 10_000  # of the waves that tell the time
UNSEEN = -100.0  # added to what two places think of each other that do not see each other: as good as nothing is left


@dataclass(frozen=True, slots=True)
class SwinUnetSizes:
    """What tells one such network from another, by diffusers' names where it has them.

    `attended` is how many channels the Swin blocks have, `heads` into how many their attention divides them.
    """

    in_channels: int
    out_channels: int
    block_out_channels: tuple[int, ...]
    attended: int
    heads: int


class SwinUnet(nn.Module):
    """From (N, C, H, W) and a time to (N, C', H, W); both sides are multiples of 64, because of the deepest windows."""

    def __init__(self, sizes: SwinUnetSizes) -> None:
        super().__init__()
        self.config = sizes
        self._width, self._skipped = sizes.block_out_channels[0], list[int]()
        timed = 4 * self._width
        self.time_embed = nn.Sequential(nn.Linear(self._width, timed), nn.SiLU(), nn.Linear(timed, timed))
        self.input_blocks = nn.ModuleList(self._way_down(sizes, timed))
        self.middle_block = nn.ModuleList(
            [
                _Residual(self._width, self._width, timed),
                _Swin(self._width, sizes, shifted=False),
                _Residual(self._width, self._width, timed),
            ]
        )
        self.output_blocks = nn.ModuleList(self._way_up(sizes, timed))
        self.out = nn.Sequential(_norm(self._width), nn.SiLU(), _conv(self._width, sizes.out_channels))

    def _way_down(self, sizes: SwinUnetSizes, timed: int) -> list[nn.Module]:
        made: list[nn.Module] = [nn.ModuleList([_conv(sizes.in_channels, self._width)])]
        self._skipped.append(self._width)
        for level, width in enumerate(sizes.block_out_channels):
            for number in range(DOWN_BLOCKS):
                layers = [_Residual(self._width, width, timed)]
                self._width = width
                made.append(nn.ModuleList([*layers, *self._looking_around(sizes, level, number)]))
                self._skipped.append(width)
            if level < LEVELS - 1:
                made.append(nn.ModuleList([_Smaller(width)]))
                self._skipped.append(width)
        return made

    def _way_up(self, sizes: SwinUnetSizes, timed: int) -> list[nn.Module]:
        made: list[nn.Module] = []
        for level, width in reversed([*enumerate(sizes.block_out_channels)]):
            for number in range(UP_BLOCKS):
                layers: list[nn.Module] = [_Residual(self._width + self._skipped.pop(), width, timed)]
                self._width = width
                layers += self._looking_around(sizes, level, number)
                if level and number == UP_BLOCKS - 1:
                    layers.append(_Larger(width))
                made.append(nn.ModuleList(layers))
        return made

    def _looking_around(self, sizes: SwinUnetSizes, level: int, number: int) -> list[nn.Module]:
        """The Swin blocks after the first block of a level; at the deepest no window is moved, whatever the size."""
        return [] if number else [_Swin(self._width, sizes, shifted=level < LEVELS - 1)]

    def forward(self, sample: Tensor, timestep: Tensor | int, return_dict: bool = False) -> tuple[Tensor]:
        """Runs the network, called as diffusers' are. `timestep` counts from 0."""
        time = self.time_embed(_waves(timestep, self.config.block_out_channels[0], sample))
        values, kept = sample, list[Tensor]()
        for block in self.input_blocks:
            values = _run(block, values, time)
            kept.append(values)
        values = _run(self.middle_block, values, time)
        for block in self.output_blocks:
            values = _run(block, torch.cat([values, kept.pop()], dim=1), time)
        return (self.out(values),)


def _run(block: Any, values: Tensor, time: Tensor) -> Tensor:
    for layer in block:
        values = layer(values, time) if isinstance(layer, _Residual) else layer(values)
    return values


def _waves(timestep: Tensor | int, width: int, like: Tensor) -> Tensor:
    """The time as cosines and sines of ever longer periods (Vaswani et al. 2017), (1, width), as exact as `like`."""
    places = torch.arange(width // 2, dtype=torch.float32, device=like.device)
    angles = float(timestep) * torch.exp(places * (-math.log(LONGEST_PERIOD) / (width // 2)))
    return torch.cat([angles.cos(), angles.sin()])[None].to(like.dtype)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, width)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class _Residual(nn.Module):
    """Two convolutions; the time scales and shifts what is normalised between them (Perez et al. 2018, FiLM)."""

    def __init__(self, inputs: int, outputs: int, timed: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(_norm(inputs), nn.SiLU(), _conv(inputs, outputs))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(timed, 2 * outputs))
        # The third, which drops values while it learns, has no parameters.
        self.out_layers = nn.Sequential(_norm(outputs), nn.SiLU(), nn.Identity(), _conv(outputs, outputs))
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, values: Tensor, time: Tensor) -> Tensor:
        norm, *rest = self.out_layers
        scale, shift = self.emb_layers(time)[..., None, None].chunk(2, dim=1)
        inner = torch.addcmul(shift, norm(self.in_layers(values)), 1 + scale)
        for layer in rest:
            inner = layer(inner)
        added: Tensor = self.skip_connection(values) + inner
        return added


class _Smaller(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = _conv(width, width, stride=2)

    def forward(self, values: Tensor) -> Tensor:
        halved: Tensor = self.op(values)
        return halved


class _Larger(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _conv(width, width)

    def forward(self, values: Tensor) -> Tensor:
        doubled: Tensor = self.conv(interpolate(values, scale_factor=2.0, mode="nearest"))
        return doubled


class _Swin(nn.Module):
    """Two blocks of their own width, between two layers that lead there and back. Nothing goes past all of them."""

    def __init__(self, width: int, sizes: SwinUnetSizes, shifted: bool) -> None:
        super().__init__()
        self.patch_embed = _named(proj=nn.Conv2d(width, sizes.attended, 1))
        self.blocks = nn.Sequential(*(_SwinBlock(sizes, shift) for shift in (0, SHIFT * shifted)))
        self.patch_unembed = _named(proj=nn.Conv2d(sizes.attended, width, 1))

    def forward(self, values: Tensor) -> Tensor:
        looked: Tensor = self.patch_unembed(self.blocks(self.patch_embed(values)))
        return looked


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


class _SwinBlock(nn.Module):
    def __init__(self, sizes: SwinUnetSizes, shift: int) -> None:
        super().__init__()
        width = sizes.attended
        self.norm1, self.norm2 = _norm(width), _norm(width)
        self.attn = _WindowAttention(width, sizes.heads, shift)
        wide = MLP_RATIO * width
        self.mlp = _named(fc1=nn.Conv2d(width, wide, 1), act=nn.GELU(), fc2=nn.Conv2d(wide, width, 1))

    def forward(self, values: Tensor) -> Tensor:
        values = values + self.attn(self.norm1(values))
        added: Tensor = values + self.mlp(self.norm2(values))
        return added


class _WindowAttention(nn.Module):
    """Attention of each place to those of its window, by what they hold and by how they lie to each other."""

    def __init__(self, width: int, heads: int, shift: int) -> None:
        super().__init__()
        self.heads, self.shift = heads, shift
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, values: Tensor) -> Tensor:
        places = values.permute(0, 2, 3, 1)
        if self.shift:
            places = places.roll((-self.shift, -self.shift), dims=(1, 2))
        number, height, width, channels = places.shape
        rows, columns = height // WINDOW, width // WINDOW
        # Windows one row after the other; then (3, N, windows, heads, places in a window, width of a head).
        windows = places.reshape(number, rows, WINDOW, columns, WINDOW, channels).transpose(2, 3)
        parts = self.qkv(windows.reshape(number, rows * columns, WINDOW**2, channels))
        parts = parts.unflatten(3, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        gathered = self.proj(self._attend(parts, columns).transpose(2, 3).flatten(3))
        windows = gathered.reshape(number, rows, columns, WINDOW, WINDOW, channels).transpose(2, 3)
        places = windows.reshape(number, height, width, channels)
        if self.shift:
            places = places.roll((self.shift, self.shift), dims=(1, 2))
        mixed: Tensor = places.permute(0, 3, 1, 2)
        return mixed

    def _attend(self, parts: Tensor, last: int) -> Tensor:
        """What each query gathers, (N, windows, heads, places, width), of queries, keys and values of that shape.

        `last` is how many windows the last row has.
        """
        index = _relative_places(parts.device)
        bias = self.relative_position_bias_table[index].permute(2, 0, 1)
        if not self.shift:
            return _attend(parts, bias)
        # What was moved from the top to the bottom is no neighbour of what lies above it there. In these files the
        # windows of the last row are cut by columns instead, and those of the last column are not cut at all.
        halves = torch.arange(WINDOW**2, device=parts.device) % WINDOW < self.shift
        cut = bias + UNSEEN * (halves[:, None] != halves)
        return torch.cat([_attend(parts[:, :, :-last], bias), _attend(parts[:, :, -last:], cut)], dim=1)


def _attend(parts: Tensor, bias: Tensor) -> Tensor:
    queries, keys, values = parts.flatten(1, 2)
    gathered = scaled_dot_product_attention(queries, keys, values, attn_mask=bias[None].to(parts.dtype))
    return gathered.reshape(parts.shape[1:])


def _relative_places(device: torch.device) -> Tensor:
    """The row in the table of biases for each two places of a window, (places, places)."""
    places = torch.arange(WINDOW**2, device=device)
    down, across = (each[:, None] - each + WINDOW - 1 for each in (places // WINDOW, places % WINDOW))
    return down * (2 * WINDOW - 1) + across
