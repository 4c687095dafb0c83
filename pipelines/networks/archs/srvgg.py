"""Real-ESRGAN's compact network: plain convolutions at low resolution, and one pixel-shuffle at the end.

`SRVGGNetCompact` of github.com/xinntao/Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833), with its parameters' names.
"""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION, Blocks, group
from pipelines.networks.shapes import (
    COLOUR_CHANNELS,
    Misfit,
    State,
    check_sizes,
    find_largest,
    not_in_colour,
    read_kernel,
    shuffled_scale,
)


class SRVGGNetCompact(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    What it computes is added to the picture enlarged by nearest neighbour. `depth` counts the convolutions between the
    first and the last one. `forward` is `head`, `trunk` and `tail` in a row, so that the trunk can work in a lower
    precision than the two convolutions at the ends.
    """

    arch = "compact"
    multiple = 1  # of which H and W must be multiples
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = EVERY_PRECISION  # of the trunk

    def __init__(self, scale: int, width: int = 64, depth: int = 32) -> None:
        super().__init__()
        self.scale, self.width, self.depth = scale, width, depth
        self.body = nn.ModuleList((nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)))
        for _ in range(depth):
            self.body.extend((nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)))
        self.body.append(nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away from its own place an output pixel reads at most."""
        return self.depth + 2

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 3 * self.width + 3 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs, in their order."""
        return list(self.body[2:-1])

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution and its PReLU: (N, 3, H, W) to features (N, width, H, W)."""
        features: Tensor = self.body[1](self.body[0](pixels))
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: features to features of the same shape."""
        for layer in self.inner:
            features = layer(features)
        return features

    @property
    def in_blocks(self) -> Blocks:
        """See `Network`: convolutions by eights, each with its PReLU; the last of these groups is the end."""
        pairs = [nn.Sequential(*self.inner[place : place + 2]) for place in range(0, 2 * self.depth, 2)]
        *blocks, last = group(pairs, reach=1, size=8)
        return Blocks(1, tuple(blocks), replace(last, reach=last.reach + 1))

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, shuffled to (N, 3, scale*H, scale*W), plus the network's input `pixels`, enlarged."""
        enlarged = F.pixel_shuffle(self.body[-1](features), self.scale)
        return enlarged.add_(F.interpolate(pixels, scale_factor=self.scale, mode="nearest"))


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of a compact network."""
    return "body.0.weight" in state


def build(state: State) -> SRVGGNetCompact:
    """A network of the state's sizes, as far as its first and last parameters tell them. Raises Misfit."""
    width, channels = read_kernel(state, "body.0.weight")
    last = find_largest(r"body\.(\d+)\.weight", state)
    if "body.1.weight" not in state:
        raise Misfit("cannot be used: it is a compact network without PReLU, which is not known here.")
    if channels != COLOUR_CHANNELS:
        raise not_in_colour(channels)
    outputs, _ = read_kernel(state, f"body.{last}.weight", channels=width)
    scale, depth = shuffled_scale(outputs), (last - 2) // 2
    check_sizes(scale, depth)
    return SRVGGNetCompact(scale, width, depth)
