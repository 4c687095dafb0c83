"""SPAN: attention without parameters, a sigmoid of each block's features that weighs them.

Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", CVPR Workshops 2024,
arXiv:2311.12770, with one 3x3 kernel in place of each training branch, as the NTIRE challenges' teams publish it
(github.com/Amazingren/NTIRE2026_ESR, team00_SPAN).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.plain_conv import PlainConv
from pipelines.networks.network import COMPILES_TRUNK
from pipelines.networks.shapes import State, check_sizes, find_largest, read_kernel, shuffled_scale

MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K's red, green and blue, which it is trained with
RANGE = 255.0


class Block(nn.Module):
    """Three convolutions, and what they give, with what they were given, weighed by its own sigmoid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c1_r = PlainConv(width, width)
        self.c2_r = PlainConv(width, width)
        self.c3_r = PlainConv(width, width)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the block's features, and those of its first convolution."""
        first = F.silu(self.c1_r(features))
        third = self.c3_r(F.silu(self.c2_r(first)))
        return (third + features) * (torch.sigmoid(third) - 0.5), first


class Span(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `depth` counts the blocks. `forward` is `head`, `trunk` and `tail` in a row, so that the trunk can work in a lower
    precision than the two convolutions at the ends.
    """

    arch = "span"
    multiple = 1  # of which H and W must be multiples
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees
    compiles = COMPILES_TRUNK  # it begins with a mean of its own for each channel: only the trunk is compiled
    precisions = frozenset({"float16"})  # of the trunk: bfloat16 costs up to 0.05 dB

    def __init__(self, scale: int, width: int = 28, depth: int = 6) -> None:
        super().__init__()
        self.scale, self.width, self.depth = scale, width, depth
        self.conv_1 = PlainConv(3, width)
        for number in range(1, depth + 1):
            self.add_module(f"block_{number}", Block(width))
        self.conv_cat = nn.Conv2d(4 * width, width, 1)
        self.conv_2 = PlainConv(width, width)
        self.upsampler = nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most: 3 a block, 1 for each other."""
        return 3 * self.depth + 3

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 9 * self.width + 3 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [module for module in self.children() if module not in (self.conv_1, self.upsampler)]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution, of pixels about their mean: (N, 3, H, W) to features (N, width, H, W)."""
        mean = torch.tensor(MEAN, device=pixels.device).reshape(1, 3, 1, 1)
        features: Tensor = self.conv_1((pixels - mean) * RANGE)
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """The blocks, and what joins the first one's and the last one's: features to features of the same shape."""
        inner, made = features, []
        for number in range(1, self.depth + 1):
            inner, first = self.get_submodule(f"block_{number}")(inner)
            made.append((inner, first))
        joined: Tensor = self.conv_cat(torch.cat((features, self.conv_2(inner), made[0][0], made[-1][1]), dim=1))
        return joined

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, shuffled to (N, 3, scale*H, scale*W)."""
        return F.pixel_shuffle(self.upsampler(features), self.scale)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of SPAN without its training branches."""
    return "block_1.c1_r.eval_conv.weight" in state and "block_1.c1_r.sk.weight" not in state


def build(state: State) -> Span:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "conv_1.eval_conv.weight", channels=3)
    depth = find_largest(r"block_(\d+)\.c1_r\.eval_conv\.weight", state)
    outputs, _ = read_kernel(state, "upsampler.0.weight", channels=width)
    scale = shuffled_scale(outputs)
    check_sizes(scale, depth)
    return Span(scale, width, depth)
