"""RCAN: groups of residual blocks in which each channel is weighed by its mean over the whole picture.

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018, arXiv:1807.02758,
figure 2 and equations 9 to 16. It is trained here; files that others publish name their parameters otherwise.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_WHOLE, Block, Blocks
from pipelines.networks.shapes import State, check_sizes, find_largest, read_kernel
from pipelines.networks.tiling import UNBOUNDED

REDUCTION = 16  # the attention's hidden channels are so many times fewer


class Attention(nn.Module):
    """Weighs each channel of (N, width, h, w) by its mean and those of the others (N, width, 1, 1) (equation 12)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // REDUCTION)
        self.down, self.up = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)

    def forward(self, features: Tensor, means: Tensor) -> Tensor:
        return features * torch.sigmoid(self.up(F.relu(self.down(means))))


class ResidualBlock(nn.Module):
    """Two convolutions with ReLU between them, weighed by channel, added to what they are given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two, self.attention = _conv(width, width), _conv(width, width), Attention(width)

    def forward(self, features: Tensor) -> Tensor:
        made = self.convolve(features)
        return self.weigh(features, made, made.mean((2, 3), keepdim=True))

    def convolve(self, features: Tensor) -> Tensor:
        """What is weighed: it reads two places far."""
        made: Tensor = self.two(F.relu(self.one(features)))
        return made

    def weigh(self, features: Tensor, made: Tensor, means: Tensor) -> Tensor:
        """Adds what was made, weighed by its means (N, width, 1, 1) over the whole picture, to what it was made of."""
        weighed: Tensor = self.attention(made, means)
        return features + weighed


class Group(nn.Module):
    """Blocks in a row and a convolution, added to what they are given."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.last = _conv(width, width)

    def forward(self, features: Tensor) -> Tensor:
        inner = features
        for block in self.blocks:
            inner = block(inner)
        return self.end(inner, features)

    def end(self, inner: Tensor, features: Tensor) -> Tensor:
        """The convolution behind the blocks, added to what the group was given."""
        made: Tensor = self.last(inner)
        return features + made

    def in_blocks(self, first: int) -> list[Block]:
        """The group cut into blocks, where its features are of that number: those behind count on from there."""
        cut = list[Block]()
        for number, block in enumerate(cast(Iterable[ResidualBlock], self.blocks)):
            given = first + 2 * number
            cut.append(Block(block, block.convolve, 2, (given,)))
            cut.append(Block(block, block.weigh, 0, (given, given + 1), (given + 1,)))
        return [*cut, Block(self, self.end, 1, (first + len(cut), first))]


class Rcan(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `depth` counts the groups, each of so many `blocks`. Every output pixel reads the whole picture. `forward` is
    `head`, `trunk` and `tail` in a row.
    """

    arch = "rcan"
    multiple = 1  # of which H and W must be multiples
    radius = UNBOUNDED
    compiles = COMPILES_WHOLE  # where all of it is in float32
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
        return self._end(inner, features)

    @property
    def in_blocks(self) -> Blocks:
        """See `Network`: what is weighed, and the weighing, by the means of what was kept."""
        blocks = list[Block]()
        for group in cast(Iterable[Group], self.groups):
            blocks += group.in_blocks(len(blocks))
        reach = max(self._through_end(place) for place in range(self.scale))
        return Blocks(1, tuple(blocks), Block(self, self._end, reach, (len(blocks), 0)))

    def _through_end(self, place: int) -> int:
        """How far the output pixel at this place within an input pixel reads of the features behind the groups."""
        first, last = place - 1, place + 1  # of the last convolution
        for step in reversed(self.steps):
            first, last = first // step - 1, last // step + 1
        return max(-first, last) + 1

    def _end(self, inner: Tensor, features: Tensor) -> Tensor:
        """All of the trunk that is behind the groups."""
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
