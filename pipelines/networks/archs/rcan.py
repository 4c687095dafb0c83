"""RCAN: groups of residual blocks in which each channel is weighed by its mean over the whole picture.

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018, arXiv:1807.02758,
figure 2 and equations 9 to 16. It is trained here; files that others publish name their parameters otherwise.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_NOTHING
from pipelines.networks.shapes import State, check_sizes, find_largest, read_kernel
from pipelines.networks.tiling import UNBOUNDED

REDUCTION = 16  # the attention's hidden channels are so many times fewer


class Attention(nn.Module):
    """Weighs each channel of (N, width, h, w) by what its mean, and those of the others, make of it (equation 12)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // REDUCTION)
        self.down, self.up = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        means = features.mean((2, 3), keepdim=True)
        return features * torch.sigmoid(self.up(F.relu(self.down(means))))


class Block(nn.Module):
    """Two convolutions with ReLU between them, weighed by channel, added to what they are given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two, self.attention = _conv(width, width), _conv(width, width), Attention(width)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.attention(self.two(F.relu(self.one(features))))
        return features + made


class Group(nn.Module):
    """Blocks in a row and a convolution, added to what they are given."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.last = _conv(width, width)

    def forward(self, features: Tensor) -> Tensor:
        inner = features
        for block in self.blocks:
            inner = block(inner)
        made: Tensor = self.last(inner)
        return features + made


class Rcan(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `depth` counts the groups, each of so many `blocks`. Every output pixel reads the whole picture. `forward` is
    `head`, `trunk` and `tail` in a row.
    """

    arch = "rcan"
    multiple = 1  # of which H and W must be multiples
    radius = UNBOUNDED
    in_blocks = None  # means over the whole picture are no block's
    compiles = COMPILES_NOTHING
    precisions: frozenset[str] = frozenset()  # of the trunk: what lower ones cost is not known

    def __init__(self, scale: int, width: int = 64, depth: int = 10, blocks: int = 20) -> None:
        super().__init__()
        self.scale, self.width, self.depth = scale, width, depth
        self.first = _conv(3, width)
        self.groups = nn.ModuleList(Group(width, blocks) for _ in range(depth))
        self.behind = _conv(width, width)
        steps = (scale,) if scale == 3 else (2,) * (scale.bit_length() - 1)
        self.doublings = nn.ModuleList(_conv(width, step**2 * width) for step in steps)
        self.steps = steps
        self.last = _conv(width, 3)

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about: most at the end."""
        return int(2.5 * self.width * self.scale**2)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.groups, self.behind, self.doublings]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution: (N, 3, H, W) to features (N, width, H, W)."""
        features: Tensor = self.first(pixels)
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: (N, width, h, w) to (N, width, scale*h, scale*w)."""
        inner = features
        for group in self.groups:
            inner = group(inner)
        inner = features + self.behind(inner)
        for step, layer in zip(self.steps, self.doublings, strict=True):
            inner = F.pixel_shuffle(layer(inner), step)
        return inner

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, at high resolution: (N, width, scale*H, scale*W) to (N, 3, scale*H, scale*W)."""
        made: Tensor = self.last(features)
        return made


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of an RCAN that was trained here."""
    return "groups.0.blocks.0.attention.down.weight" in state


def build(state: State) -> Rcan:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "first.weight", channels=3)
    depth = 1 + find_largest(r"groups\.(\d+)\.last\.weight", state)
    blocks = 1 + find_largest(r"groups\.0\.blocks\.(\d+)\.one\.weight", state)
    scale = 1
    for number in range(1 + find_largest(r"doublings\.(\d+)\.weight", state)):
        outputs, _ = read_kernel(state, f"doublings.{number}.weight", channels=width)
        scale *= 3 if outputs == 9 * width else 2
    check_sizes(scale, depth)
    return Rcan(scale, width, depth, blocks)
