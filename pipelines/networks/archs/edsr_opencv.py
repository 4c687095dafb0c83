"""EDSR as OpenCV has it: of the mean of a data set, and with one pixel-shuffle behind the last convolution.

Lim et al. 2017 (see edsr.py), as Xavier Weber trained it (github.com/Saafke/EDSR_Tensorflow), in blue, green and red of
0 to 255. Both are folded into the first and the last convolution, and what a block's residual is scaled by into its
second: the numbers are others than in the file, and the result is the same.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.edsr import RESIDUAL, ResidualBlock
from pipelines.networks.graph import Convolution, Graph
from pipelines.networks.network import COMPILES_TRUNK, EVERY_PRECISION, Block, Blocks, group
from pipelines.networks.shapes import COLOUR_CHANNELS, State, check_sizes

MEAN = (114.35629928 / 255, 111.561547 / 255, 103.1545782 / 255)  # of DIV2K, as dnn_superres has it; red first


class OpenCvEdsr(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped."""

    arch = "edsr"
    multiple = 1  # of which H and W must be multiples
    compiles = COMPILES_TRUNK
    precisions = EVERY_PRECISION  # of the trunk

    def __init__(self, scale: int, width: int = 256, depth: int = 32) -> None:
        super().__init__()
        self.scale, self.width, self.depth = scale, width, depth
        self.first = nn.Conv2d(COLOUR_CHANNELS, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width, 1.0) for _ in range(depth)))
        self.end = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, COLOUR_CHANNELS * scale**2, 3, padding=1)

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most."""
        return 2 * self.depth + 3

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 3 * self.width + 6 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.body, self.end]

    @property
    def in_blocks(self) -> Blocks:
        """See `Network`: residual blocks by twos."""
        blocks = group(list(self.body), reach=2, size=2)
        return Blocks(1, blocks, Block(self, self._end, 2, (len(blocks), 0)))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution of what differs from the mean: (N, 3, H, W) to features (N, width, H, W)."""
        features: Tensor = self.first(pixels - pixels.new_tensor(MEAN).reshape(1, -1, 1, 1))
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """The residual blocks, and the convolution behind them: features to features."""
        return self._end(self.body(features), features)

    def _end(self, inner: Tensor, features: Tensor) -> Tensor:
        made: Tensor = self.end(inner) + features
        return made

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, shuffled: (N, width, H, W) to (N, 3, scale*H, scale*W). `pixels` are not needed."""
        return F.pixel_shuffle(self.last(features), self.scale)


def follow(graph: Graph) -> tuple[OpenCvEdsr, State]:
    """Follows a graph of EDSR: the network of its sizes, and its parameters. Raises Misfit for another one."""
    first = graph.convolve(graph.start, 3)
    state = {"first.weight": first.weight.flip(1) * 255, "first.bias": first.bias}
    depth, node = 0, first.node
    while True:
        layer = graph.convolve(node, 3)
        if not graph.is_read("Relu", layer.node):
            break
        second = graph.convolve(graph.find("Relu", layer.node), 3)
        node = graph.find("Add", node, graph.scale(second.node, RESIDUAL))
        block = f"body.{depth}.body"
        state |= {f"{block}.0.weight": layer.weight, f"{block}.0.bias": layer.bias}
        state |= {f"{block}.2.weight": RESIDUAL * second.weight, f"{block}.2.bias": RESIDUAL * second.bias}
        depth += 1
    state |= {"end.weight": layer.weight, "end.bias": layer.bias}
    last = graph.convolve(graph.find("Add", layer.node, first.node), 3)
    shuffled, scale = graph.shuffle(last.node)
    graph.end(shuffled)
    check_sizes(scale, depth)
    mean = torch.tensor(MEAN).repeat_interleave(scale**2)
    state |= {"last.weight": _in_order(last, scale).weight / 255, "last.bias": _in_order(last, scale).bias / 255 + mean}
    return OpenCvEdsr(scale, len(first.weight), depth), state


def _in_order(last: Convolution, scale: int) -> Convolution:
    """The convolution with its channels as torch shuffles them: the file has a pixel's colours together, blue first."""
    order = torch.arange(len(last.bias)).reshape(scale**2, -1).flip(1).T.ravel()
    return Convolution(last.node, last.weight[order], last.bias[order])
