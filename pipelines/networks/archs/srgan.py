"""SRGAN's generator: residual blocks at low resolution, doubled by pixel-shuffles, and a tanh at the end.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", CVPR 2017,
arXiv:1609.04802, figure 4, as github.com/leftthomas/SRGAN has it and names its parameters. Its batch normalisation,
which is fixed once it is trained, is folded into the convolutions before it.
"""

import re
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION, Block, Blocks, group
from pipelines.networks.shapes import Misfit, State, check_sizes, describe_shape, find_largest, read_kernel

EPSILON = 1e-5  # of batch normalisation, beside the variance
_NORM = re.compile(r"(.*)\.(bn\d|1)\.running_var")


class ResidualBlock(nn.Module):
    """Two convolutions with PReLU between them, added to what they are given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.conv2(self.prelu(self.conv1(features)))
        return made + features


class Doubling(nn.Module):
    """(N, width, h, w) to (N, width, 2*h, 2*w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.prelu = nn.PReLU()

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.prelu(F.pixel_shuffle(self.conv(features), 2))
        return made


class Srgan(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), in [0, 1].

    `depth` counts the residual blocks; `bent` says whether PReLU follows the convolution behind them, as in the files
    of the repository's first years. `forward` is `head`, `trunk` and `tail` in a row, so that the trunk can work in a
    lower precision than the two convolutions at the ends.
    """

    arch = "srgan"
    multiple = 1  # of which H and W must be multiples
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = EVERY_PRECISION  # of the trunk

    def __init__(self, doublings: int, width: int = 64, depth: int = 5, bent: bool = True) -> None:
        super().__init__()
        self.scale, self.doublings, self.width, self.depth, self.bent = 2**doublings, doublings, width, depth, bent
        self.block1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        for number in range(2, depth + 2):
            self.add_module(f"block{number}", ResidualBlock(width))
        behind = nn.Conv2d(width, width, 3, padding=1)
        self.add_module(f"block{depth + 2}", nn.Sequential(behind, nn.PReLU()) if bent else nn.Sequential(behind))
        ends = [*(Doubling(width) for _ in range(doublings)), nn.Conv2d(width, 3, 9, padding=4)]
        self.add_module(f"block{depth + 3}", nn.Sequential(*ends))

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most.

        What the last convolution reads is followed back through the doublings, and then 1 for each 3x3 convolution and
        4 for the first one.
        """
        return max(self._reach(place) for place in range(self.scale))

    def _reach(self, place: int) -> int:
        """How far the output pixel at this place within an input pixel reads."""
        return self._through_end(place) + 2 * self.depth + 4

    def _through_end(self, place: int) -> int:
        """How far it reads of the features behind the blocks, through the convolution there."""
        first, last = place - 4, place + 4
        for _ in range(self.doublings):
            first, last = first // 2 - 1, last // 2 + 1
        return max(-first, last) + 1

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about: most at the end."""
        return int(2.5 * self.width * self.scale**2)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        blocks = list(self.children())[1:-1]
        return [*blocks, *list(self._ends)[:-1]]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution and its PReLU: (N, 3, H, W) to features (N, width, H, W)."""
        features: Tensor = self.block1(pixels)
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: (N, width, h, w) to (N, width, scale*h, scale*w)."""
        inner = features
        for block in self._residual:
            inner = block(inner)
        return self._end(inner, features)

    @property
    def in_blocks(self) -> Blocks:
        """See `Network`: residual blocks by fours."""
        blocks = group(self._residual, reach=2, size=4)
        reach = max(self._through_end(place) for place in range(self.scale))
        return Blocks(4, blocks, Block(self, self._end, reach, (len(blocks), 0)))

    @property
    def _residual(self) -> list[nn.Module]:
        return [self.get_submodule(f"block{number}") for number in range(2, self.depth + 2)]

    def _end(self, inner: Tensor, features: Tensor) -> Tensor:
        """All of the trunk that is behind the residual blocks."""
        inner = self.get_submodule(f"block{self.depth + 2}")(inner) + features
        for doubling in list(self._ends)[:-1]:
            inner = doubling(inner)
        return inner

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution and a tanh, whose range of -1 to 1 becomes 0 to 1."""
        return (torch.tanh(self._ends[-1](features)) + 1.0) / 2.0

    @property
    def _ends(self) -> nn.Sequential:
        return cast(nn.Sequential, self.get_submodule(f"block{self.depth + 3}"))


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of an SRGAN's generator."""
    return "block1.0.weight" in state and "block2.conv1.weight" in state and "block2.prelu.weight" in state


def adapt(state: State) -> dict[str, Tensor]:
    """The parameters with each batch normalisation folded into the convolution before it. Raises Misfit.

    (k * x + c - mean) * g / sqrt(var + e) + b is a convolution by k * g / sqrt(var + e).
    """
    folded = dict(state)
    for match in filter(None, map(_NORM.fullmatch, state)):
        part, name = match.groups()
        conv = f"{part}.{name.replace('bn', 'conv')}" if name != "1" else f"{part}.0"
        names = [f"{part}.{name}.{each}" for each in ("running_mean", "running_var", "weight", "bias")]
        lacking = [each for each in (*names, f"{conv}.weight", f"{conv}.bias") if each not in state]
        if lacking:
            raise Misfit(f"is not a whole network: it lacks {lacking[0]}.")
        mean, variance, gain, bias = (folded.pop(each).double() for each in names)
        kernel, shift = folded[f"{conv}.weight"].double(), folded[f"{conv}.bias"].double()
        if kernel.ndim != 4 or any(each.shape != kernel.shape[:1] for each in (mean, variance, gain, bias, shift)):
            raise Misfit(f"does not fit together: {names[2]} is {describe_shape(gain)}.")
        factor = gain / torch.sqrt(variance + EPSILON)
        folded[f"{conv}.weight"] = (kernel * factor.reshape(-1, 1, 1, 1)).float()
        folded[f"{conv}.bias"] = ((shift - mean) * factor + bias).float()
    return folded


def build(state: State) -> Srgan:
    """A network of the state's sizes. Raises Misfit."""
    depth = find_largest(r"block(\d+)\.conv1\.weight", state) - 1
    doublings = find_largest(rf"block{depth + 3}\.(\d+)\.weight", state)
    width, _ = read_kernel(state, "block2.conv1.weight")
    check_sizes(2**doublings, depth)
    return Srgan(doublings, width, depth, bent=f"block{depth + 2}.1.weight" in state)
