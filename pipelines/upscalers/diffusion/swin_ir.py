"""SwinIR: a restorer of windows that attend to themselves (Liang et al. 2021, arXiv:2108.10257, section 3.1).

As DiffBIR has it (Lin et al. 2023, arXiv:2308.15070, appendix): the picture is folded, so that each place stands for a
square of pixels, and unfolded again by doublings. Parameters are named as in its authors' files.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

MEAN = (0.4488, 0.4371, 0.4040)  # of the pictures that it was trained with, which it works around
UNSEEN = -100.0  # added to a pair that must not see each other
SLOPE, FIRST_SLOPE = 0.2, 0.01  # of the leaky ReLUs; the second where the features become fewer


class SwinIrSizes(NamedTuple):
    """What a file's shapes tell: `depths` has the layers of each block, and `doublings` unfold the picture."""

    width: int
    depths: tuple[int, ...]
    heads: int
    window: int
    hidden: int
    features: int
    doublings: int


class WindowAttention(nn.Module):
    """Attention within windows of `window` by `window` places, with a bias for each pair's distance."""

    def __init__(self, sizes: SwinIrSizes) -> None:
        super().__init__()
        self.heads, self.window = sizes.heads, sizes.window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * sizes.window - 1) ** 2, sizes.heads))
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """From (N*W, places, C), where `mask` is (W, places, places), to the same."""
        places = windows.shape[1]
        queries, keys, values = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(windows).chunk(3, dim=2)
        )
        chosen = _distances(self.window).to(windows.device).flatten()
        bias = self.relative_position_bias_table[chosen].T.reshape(1, self.heads, places, places)
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(len(windows) // len(mask), 1, 1, 1)
        gathered = F.scaled_dot_product_attention(queries, keys, values, bias.to(queries.dtype))
        made: Tensor = self.proj(gathered.transpose(1, 2).flatten(2))
        return made


class SwinLayer(nn.Module):
    """Attention in windows, which every second layer moves by half a window, and two linear layers."""

    def __init__(self, sizes: SwinIrSizes, shift: int) -> None:
        super().__init__()
        self.window, self.shift = sizes.window, shift
        self.norm1, self.attn = nn.LayerNorm(sizes.width), WindowAttention(sizes)
        self.norm2 = nn.LayerNorm(sizes.width)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(sizes.width, sizes.hidden), "fc2": nn.Linear(sizes.hidden, sizes.width)}
        )

    def forward(self, values: Tensor) -> Tensor:
        """From (N, H, W, C), both sides multiples of a window, to the same."""
        _, height, width, _ = values.shape
        moved = torch.roll(self.norm1(values), (-self.shift, -self.shift), (1, 2))
        mask = _mask(height, width, self.window, self.shift).to(values.device) if self.shift else None
        seen = self.attn(_cut(moved, self.window), mask)
        values = values + torch.roll(_join(seen, height, width, self.window), (self.shift, self.shift), (1, 2))
        made: Tensor = values + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(values))))
        return made


class SwinBlock(nn.Module):
    """Layers in a row and a convolution, with what goes past them."""

    def __init__(self, sizes: SwinIrSizes, depth: int) -> None:
        super().__init__()
        layers = [SwinLayer(sizes, shift=place % 2 * (sizes.window // 2)) for place in range(depth)]
        self.residual_group = nn.ModuleDict({"blocks": nn.Sequential(*layers)})
        self.conv = nn.Conv2d(sizes.width, sizes.width, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        """From (N, H, W, C) to the same."""
        made: Tensor = self.conv(self.residual_group["blocks"](values).permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + values
        return made


class SwinIr(nn.Module):
    """Restores (N, 3, H, W) in [0, 1] to the same, not clamped; both sides are multiples of `multiple`."""

    def __init__(self, sizes: SwinIrSizes) -> None:
        super().__init__()
        self.fold, self.doublings = 1 << sizes.doublings, sizes.doublings
        self.multiple = self.fold * sizes.window
        width, features = sizes.width, sizes.features
        self.conv_first = nn.ModuleDict({"1": nn.Conv2d(3 * self.fold**2, width, 3, padding=1)})
        self.patch_embed = nn.ModuleDict({"norm": nn.LayerNorm(width)})
        self.layers = nn.Sequential(*(SwinBlock(sizes, depth) for depth in sizes.depths))
        self.norm = nn.LayerNorm(width)
        self.conv_after_body = nn.Conv2d(width, width, 3, padding=1)
        self.conv_before_upsample = nn.ModuleDict({"0": nn.Conv2d(width, features, 3, padding=1)})
        for number in range(1, sizes.doublings + 1):
            self.add_module(f"conv_up{number}", nn.Conv2d(features, features, 3, padding=1))
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        mean = pixels.new_tensor(MEAN)[:, None, None]
        first = self.conv_first["1"](F.pixel_unshuffle(pixels - mean, self.fold))
        inner = self.norm(self.layers(self.patch_embed["norm"](first.permute(0, 2, 3, 1))))
        values = self.conv_after_body(inner.permute(0, 3, 1, 2)) + first
        values = F.leaky_relu(self.conv_before_upsample["0"](values), FIRST_SLOPE)
        for number in range(1, self.doublings + 1):
            doubled = F.interpolate(values, scale_factor=2.0, mode="nearest")
            values = F.leaky_relu(self.get_submodule(f"conv_up{number}")(doubled), SLOPE)
        made: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(values), SLOPE)) + mean
        return made


def _cut(values: Tensor, window: int) -> Tensor:
    """From (N, H, W, C) to windows (N*W, places, C), row by row."""
    number, height, width, channels = values.shape
    cut = values.reshape(number, height // window, window, width // window, window, channels)
    return cut.transpose(2, 3).reshape(-1, window**2, channels)


def _join(windows: Tensor, height: int, width: int, window: int) -> Tensor:
    """Undoes `_cut`."""
    joined = windows.reshape(-1, height // window, width // window, window, window, windows.shape[2])
    return joined.transpose(2, 3).reshape(-1, height, width, windows.shape[2])


@cache
def _distances(window: int) -> Tensor:
    """The row of the table of biases for each pair of places (places, places)."""
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    apart = [(each.flatten()[:, None] - each.flatten()) + window - 1 for each in (rows, columns)]
    return apart[0] * (2 * window - 1) + apart[1]


@cache
def _regions(length: int, window: int, shift: int) -> Tensor:
    """Which part of a side each moved place came from (length,): what was apart must not see each other."""
    places = torch.arange(length)
    return (places >= length - window).int() + (places >= length - shift).int()


def _mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """What keeps apart, in windows of the moved picture, what came from opposite borders: (W, places, places)."""
    regions = 3 * _regions(height, window, shift)[:, None] + _regions(width, window, shift)
    cut = _cut(regions[None, :, :, None], window)[..., 0]
    return (cut[:, :, None] != cut[:, None]) * UNSEEN
