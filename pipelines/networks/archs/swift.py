"""Swift: this project's own fast network, a short stack of plain convolutions.

All of them run at low resolution; one pixel-shuffle makes the picture large, and the picture itself, repeated, is
added, so that the network only learns what a nearest-neighbour enlargement lacks. What helps training (branches beside
each convolution, see training/branches.py) is collapsed into these kernels before a file is written, after SESR
(Bhardwaj et al., MLSys 2022) and ECBSR (Zhang et al., ACM MM 2021).
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION
from pipelines.networks.shapes import COLOUR_CHANNELS, State, check_sizes, find_largest, read_kernel, shuffled_scale

MakeConv: TypeAlias = Callable[[int, int, int], nn.Module]


def plain_conv(inputs: int, outputs: int, size: int) -> nn.Module:
    """A convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)


class Swift(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `depth` counts the 3x3 convolutions between the first, of 5x5, and the last one. `conv` makes each from inputs,
    outputs and kernel size; training passes another one than `plain_conv`. `forward` is `head`, `trunk` and `tail` in a
    row, so that the trunk can work in a lower precision than the two convolutions at the ends.
    """

    arch = "swift"
    multiple = 1  # of which H and W must be multiples
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = EVERY_PRECISION  # of the trunk

    def __init__(self, scale: int, width: int, depth: int, conv: MakeConv = plain_conv) -> None:
        super().__init__()
        self.scale, self.width, self.depth = scale, width, depth
        self.first = conv(3, width, 5)
        self.body = nn.ModuleList(conv(width, width, 3) for _ in range(depth))
        self.last = conv(width, 3 * scale**2, 3)

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most.

        It is 2 for the first convolution and 1 for each of the others.
        """
        return 2 + self.depth + 1

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 4 * self.width + 3 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return list(self.body)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution: (N, 3, H, W) to features (N, width, H, W)."""
        return F.relu(self.first(pixels), inplace=True)

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: features to features of the same shape."""
        inner = features
        for layer in self.body:
            inner = F.relu(layer(inner), inplace=True)
        return inner + features

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, plus the network's input `pixels`, shuffled to (N, 3, scale*H, scale*W)."""
        # Repeated before it is shuffled, each pixel becomes a square of itself.
        made, squared = self.last(features), self.scale**2
        if isinstance(made, Tensor) and made.dtype == pixels.dtype:  # the same, without planes for what is added
            made.view(made.shape[0], COLOUR_CHANNELS, squared, *made.shape[2:]).add_(pixels.unsqueeze(2))
        else:  # traced for OpenVINO, which knows nothing of views, or trained in two precisions
            made = made + torch.repeat_interleave(pixels, squared, dim=1)
        return F.pixel_shuffle(made, self.scale)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of a network of Swift's kind."""
    return "first.weight" in state and "body.0.weight" in state


def build(state: State) -> Swift:
    """A network of the state's sizes. Raises Misfit."""
    depth = 1 + find_largest(r"body\.(\d+)\.weight", state)
    width, _ = read_kernel(state, "body.0.weight")
    outputs, _ = read_kernel(state, "last.weight", channels=width)
    scale = shuffled_scale(outputs)
    check_sizes(scale, depth)
    return Swift(scale, width, depth)
