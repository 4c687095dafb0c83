"""LapSRN: levels that each double the luma, by a residual of their own, and go on from the residual before.

Lai, Huang, Ahuja and Yang, "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", CVPR 2017,
arXiv:1704.03915, as Fanny Monori trained it (github.com/fannymonori/TF-LapSRN): pixel-shuffles are in the place of
deconvolutions, and a level reads the residual of the one before as it is, not its features.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.graph import Graph
from pipelines.networks.luma import LumaNetwork
from pipelines.networks.network import EVERY_PRECISION
from pipelines.networks.shapes import State

SLOPE = 0.2  # of each leaky ReLU
SIDE = 4  # of the kernels before a pixel-shuffle, which reach one place less before than behind


class Level(nn.Module):
    """One level: the first convolution, those of its body, the one that gives the residual, and the one beside it."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.last = nn.Conv2d(width, 4, SIDE + 1, padding=SIDE // 2)
        self.base = nn.Conv2d(1, 4, SIDE + 1, padding=SIDE // 2)

    def find_residual(self, features: Tensor) -> Tensor:
        """Maps what the first convolution gives to the residual before it is shuffled, (N, 4, h, w)."""
        for layer in self.body:
            features = _leak(layer(features))
        made: Tensor = self.last(features)
        return made


class LapSrn(LumaNetwork):
    """See `LumaNetwork`. It has a level for each doubling, of `depth` convolutions between its first and its last."""

    arch = "lapsrn"
    precisions = EVERY_PRECISION  # of the trunk

    def __init__(self, levels: int, width: int = 64, depth: int = 9) -> None:
        super().__init__()
        self.scale: int = 2**levels
        self.width, self.depth = width, depth
        self.levels = nn.ModuleList(Level(width, depth) for _ in range(levels))

    @property
    def _levels(self) -> list[Level]:
        return [cast(Level, level) for level in self.levels]

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most: followed back from the last one."""
        return max(self._reach(place) for place in range(self.scale))

    def _reach(self, place: int) -> int:
        first, last = place, place
        for _ in self.levels:
            first, last = first // 2 - self.depth - SIDE // 2, last // 2 + self.depth + SIDE // 2 + 1
        return max(-first, last)

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about: most in the last level."""
        return int(2.5 * self.width * (self.scale // 2) ** 2) + 6 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        later = [level.first for level in self._levels[1:]]
        return [*later, *(part for level in self._levels for part in (level.body, level.last))]

    def read(self, luma: Tensor) -> Tensor:
        """The first convolution of the first level."""
        return _leak(self._levels[0].first(luma))

    def trunk(self, features: Tensor) -> Tensor:
        """The residuals of all levels, (N, 4, h, w), (N, 4, 2h, 2w) …, shuffled back into channels of (h, w)."""
        residuals: list[Tensor] = []
        for number, level in enumerate(self._levels):
            if number:
                features = _leak(level.first(_leak(F.pixel_shuffle(residuals[-1], 2))))
            residuals.append(level.find_residual(features))
        return torch.cat([_folded(each, 2**number) for number, each in enumerate(residuals)], dim=1)

    def write(self, features: Tensor, luma: Tensor) -> Tensor:
        """Doubles the luma in each level, and adds the level's residual."""
        start = 0
        for number, level in enumerate(self._levels):
            channels = 4 * 4**number
            residual = _unfolded(torch.narrow(features, 1, start, channels), 2**number)
            start += channels
            luma = _leak(F.pixel_shuffle(level.base(luma), 2) + _leak(F.pixel_shuffle(residual, 2)))
        return luma


def _leak(planes: Tensor) -> Tensor:
    return F.leaky_relu(planes, SLOPE)


def _folded(planes: Tensor, by: int) -> Tensor:
    return planes if by == 1 else F.pixel_unshuffle(planes, by)


def _unfolded(planes: Tensor, by: int) -> Tensor:
    return planes if by == 1 else F.pixel_shuffle(planes, by)


def follow(graph: Graph) -> tuple[LapSrn, State]:
    """Follows a graph of LapSRN: the network of its sizes, and its parameters. Raises Misfit for another one."""
    state: dict[str, Tensor] = {}
    source = luma = graph.start
    levels = depth = width = 0
    while graph.is_convolved(source, 3):
        layer = graph.convolve(source, 3)
        names = [f"levels.{levels}.first"]
        layers = [layer]
        while True:
            node = graph.leak(layers[-1].node, SLOPE)
            if not graph.is_convolved(node, 3):
                break
            names.append(f"levels.{levels}.body.{len(names) - 1}")
            layers.append(graph.convolve(node, 3))
        depth, width = len(layers) - 1, len(layer.weight)
        layers += [graph.convolve(node, SIDE), graph.convolve(luma, SIDE)]
        names += [f"levels.{levels}.last", f"levels.{levels}.base"]
        for name, layer in zip(names, layers, strict=True):
            state |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
        residual, base = (graph.shuffle(layer.node)[0] for layer in layers[-2:])
        source = graph.leak(residual, SLOPE)
        luma = graph.leak(graph.find("Add", base, source), SLOPE)
        levels += 1
    graph.end(luma)
    return LapSrn(levels, width, depth), state
