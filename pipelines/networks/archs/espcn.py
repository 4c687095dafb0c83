"""ESPCN: convolutions of 5x5, 3x3 and 3x3 of the luma at low resolution, and one pixel-shuffle.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
Network", CVPR 2016, arXiv:1609.05158, as Fanny Monori trained it (github.com/fannymonori/TF-ESPCN): ReLU between the
convolutions, tanh at the end.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.graph import Graph
from pipelines.networks.luma import LumaNetwork
from pipelines.networks.shapes import State


class Espcn(LumaNetwork):
    """See `LumaNetwork`. What it gives lies in [-1, 1]."""

    arch = "espcn"
    radius = 2 + 1 + 1
    precisions: frozenset[str] = frozenset()  # so small that a lower one gains nothing

    def __init__(self, scale: int, width: int = 64, inner_width: int = 32) -> None:
        super().__init__()
        self.scale, self.width = scale, width
        self.first = nn.Conv2d(1, width, 5, padding=2)
        self.middle = nn.Conv2d(width, inner_width, 3, padding=1)
        self.last = nn.Conv2d(inner_width, scale**2, 3, padding=1)

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 2 * self.width + 6 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.middle]

    def read(self, luma: Tensor) -> Tensor:
        """The first convolution."""
        return F.relu(self.first(luma))

    def trunk(self, features: Tensor) -> Tensor:
        """The second convolution."""
        return F.relu(self.middle(features))

    def write(self, features: Tensor, luma: Tensor) -> Tensor:
        """The last convolution, shuffled. The luma is not needed."""
        return torch.tanh(F.pixel_shuffle(self.last(features), self.scale))


def follow(graph: Graph) -> tuple[Espcn, State]:
    """Follows a graph of ESPCN: the network of its sizes, and its parameters. Raises Misfit for another one."""
    first = graph.convolve(graph.start, 5)
    middle = graph.convolve(graph.find("Relu", first.node), 3)
    last = graph.convolve(graph.find("Relu", middle.node), 3)
    shuffled, scale = graph.shuffle(last.node)
    graph.end(graph.find("Tanh", shuffled))
    layers = {"first": first, "middle": middle, "last": last}
    state = {f"{name}.{kind}": getattr(layer, kind) for name, layer in layers.items() for kind in ("weight", "bias")}
    return Espcn(scale, len(first.weight), len(middle.weight)), state
