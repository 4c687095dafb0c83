"""DISP: residual blocks of plain convolutions with SiLU between them, a distilled and pruned relative of SPAN.

Team 18 of the NTIRE 2026 challenge on efficient super-resolution (github.com/Amazingren/NTIRE2026_ESR, team18_DISP),
whose parameters' names are used here.
"""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.plain_conv import PlainConv
from pipelines.networks.network import COMPILES_WHOLE
from pipelines.networks.shapes import State, check_sizes, find_largest, read_kernel, shuffled_scale


class Block(nn.Module):
    """Three convolutions and `more` between the second and the third, each with SiLU; added to what it is given."""

    def __init__(self, width: int, more: int) -> None:
        super().__init__()
        self._extern_conv_block = nn.ModuleList(PlainConv(width, width) for _ in range(more))
        self.c1_r = PlainConv(width, width)
        self.c2_r = PlainConv(width, width)
        self.c3_r = PlainConv(width, width)

    def forward(self, features: Tensor) -> Tensor:
        inner = features
        for conv in (self.c1_r, self.c2_r, *self._extern_conv_block, self.c3_r):
            inner = F.silu(conv(inner))
        return inner + features


class Disp(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `depth` counts the blocks, `more` the convolutions of each beyond three. `forward` is `head`, `trunk` and `tail` in
    a row, so that the trunk can work in a lower precision than the two convolutions at the ends.
    """

    arch = "disp"
    multiple = 1  # of which H and W must be multiples
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = frozenset({"float16"})  # of the trunk: bfloat16 costs up to 0.05 dB

    def __init__(self, scale: int, width: int = 32, depth: int = 4, more: int = 1) -> None:
        super().__init__()
        self.scale, self.width, self.depth, self.more = scale, width, depth, more
        self.conv_1 = PlainConv(3, width)
        self.blocks = nn.Sequential(*(Block(width, more) for _ in range(depth)))
        self.conv_2 = nn.Conv2d(width, width, 1)
        self.upsampler = nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most: 1 for each 3x3 convolution."""
        return (3 + self.more) * self.depth + 2

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 5 * self.width + 3 * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.blocks, self.conv_2]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution: (N, 3, H, W) to features (N, width, H, W)."""
        features: Tensor = self.conv_1(pixels)
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: features to features of the same shape."""
        made: Tensor = self.conv_2(self.blocks(features)) + features
        return made

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, shuffled to (N, 3, scale*H, scale*W)."""
        return F.pixel_shuffle(self.upsampler(features), self.scale)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of DISP."""
    return "blocks.0.c1_r.eval_conv.weight" in state


def build(state: State) -> Disp:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "conv_1.eval_conv.weight", channels=3)
    depth = 1 + find_largest(r"blocks\.(\d+)\.c1_r\.eval_conv\.weight", state)
    more = sum(key.startswith("blocks.0._extern_conv_block.") and key.endswith(".weight") for key in state)
    outputs, _ = read_kernel(state, "upsampler.0.weight", channels=width)
    scale = shuffled_scale(outputs)
    check_sizes(scale, depth)
    return Disp(scale, width, depth, more)
