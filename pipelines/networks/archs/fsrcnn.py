"""FSRCNN: the luma's features are made few, mapped, and made many again, all at low resolution.

Dong, Loy and Tang, "Accelerating the Super-Resolution Convolutional Neural Network", ECCV 2016, arXiv:1608.00367, as
Xavier Weber trained it (github.com/Saafke/FSRCNN_Tensorflow): a 1x1 convolution and a pixel-shuffle are in the place
of the deconvolution at the end.
"""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.graph import Graph
from pipelines.networks.luma import LumaNetwork
from pipelines.networks.shapes import State


class Fsrcnn(LumaNetwork):
    """See `LumaNetwork`. It has `width` features, `inner_width` where they are few, and `depth` mappings of these."""

    arch = "fsrcnn"
    precisions: frozenset[str] = frozenset()  # so small that a lower one gains nothing

    def __init__(self, scale: int, width: int = 56, inner_width: int = 12, depth: int = 4) -> None:
        super().__init__()
        self.scale, self.width = scale, width
        self.first = nn.Sequential(nn.Conv2d(1, width, 5, padding=2), nn.PReLU(width))
        inner: list[nn.Module] = [nn.Conv2d(width, inner_width, 1), nn.PReLU(inner_width)]
        for _ in range(depth):
            inner += [nn.Conv2d(inner_width, inner_width, 3, padding=1), nn.PReLU(inner_width)]
        inner += [nn.Conv2d(inner_width, width, 1), nn.PReLU(width)]
        self.body = nn.Sequential(*inner)
        self.last = nn.Conv2d(width, scale**2, 1)
        self.radius = 2 + depth

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 2 * self.width + 6 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.body]

    def read(self, luma: Tensor) -> Tensor:
        """The first convolution."""
        features: Tensor = self.first(luma)
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """All between the first convolution and the last."""
        made: Tensor = self.body(features)
        return made

    def write(self, features: Tensor, luma: Tensor) -> Tensor:
        """The last convolution, shuffled. The luma is not needed."""
        return F.pixel_shuffle(self.last(features), self.scale)


def follow(graph: Graph) -> tuple[Fsrcnn, State]:
    """Follows a graph of FSRCNN: the network of its sizes, and its parameters. Raises Misfit for another one."""
    layers = [graph.convolve(graph.start, 5)]
    slopes = []
    while True:
        node, slope = graph.prelu(layers[-1].node, len(layers[-1].weight))
        slopes.append(slope)
        layers.append(graph.convolve(node))
        if not graph.is_read("Abs", layers[-1].node):
            break
    last = layers[-1]
    shuffled, scale = graph.shuffle(last.node)
    end, bias = graph.add_numbers(shuffled, 1)
    graph.end(end)
    state = {"last.weight": last.weight, "last.bias": bias.repeat(scale**2)}
    names = ["first.0", *(f"body.{2 * number}" for number in range(len(slopes) - 1))]
    for name, layer, slope in zip(names, layers[:-1], slopes, strict=True):
        folder, number = name.split(".")
        state |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
        state[f"{folder}.{int(number) + 1}.weight"] = slope
    return Fsrcnn(scale, len(layers[0].weight), len(layers[1].weight), len(slopes) - 3), state
