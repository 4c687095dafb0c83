"""SRCNN 9-5-5: three convolutions on the picture as bicubic enlarges it.

Dong, Loy, He and Tang, "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2016, arXiv:1501.00092. It
enlarges the luma, as the paper does; colour stays bicubic. One thing differs: the layers predict what bicubic luma
lacks instead of the luma itself, which trains much faster.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_TRUNK, EVERY_PRECISION
from pipelines.networks.shapes import State, check_sizes

FULL_RANGE_LUMA = (65.481 / 219, 128.553 / 219, 24.966 / 219)  # BT.601, full range: adding d to R, G and B adds d to it
WIDTH = 64


class Srcnn(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `forward` is `head`, `trunk` and `tail` in a row, so that the trunk can work in a lower precision than the ends.
    """

    arch = "srcnn"
    multiple = 1  # of which H and W must be multiples
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees
    compiles = COMPILES_TRUNK  # the bicubic kernel at its beginning is torch's own: only the trunk is compiled
    precisions = EVERY_PRECISION  # of the trunk
    width = WIDTH

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.extract = nn.Conv2d(1, WIDTH, 9)
        self.map = nn.Conv2d(WIDTH, 32, 5)
        self.rebuild = nn.Conv2d(32, 1, 5)
        # No shape tells what it enlarges by, so the file does.
        self.register_buffer("enlarges", torch.tensor([float(scale)]))

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most: 8 large ones, and 2 for bicubic."""
        return -(-8 // self.scale) + 2

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return 3 * WIDTH * self.scale**2

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.map]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution, of the luma that bicubic gives: (N, 3, H, W) to (N, 64, scale*H, scale*W)."""
        red, green, blue = torch.split(self._bicubic(pixels), 1, dim=1)
        luma = FULL_RANGE_LUMA[0] * red + FULL_RANGE_LUMA[1] * green + FULL_RANGE_LUMA[2] * blue
        return F.relu(self.extract(_bordered(luma, 4)), inplace=True)

    def trunk(self, features: Tensor) -> Tensor:
        """The second convolution: 64 channels to 32."""
        return F.relu(self.map(_bordered(features, 2)), inplace=True)

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, added to all channels of what bicubic makes of the network's input `pixels`."""
        detail: Tensor = self.rebuild(_bordered(features, 2))
        return self._bicubic(pixels) + detail

    def _bicubic(self, pixels: Tensor) -> Tensor:
        # antialias selects the kernel with a = -0.5, which is Pillow's and MATLAB's; the other one has a = -0.75.
        return F.interpolate(pixels, scale_factor=self.scale, mode="bicubic", antialias=True)


def _bordered(planes: Tensor, border: int) -> Tensor:
    """Returns planes with their outermost pixels repeated: zeros would darken the picture's border."""
    return F.pad(planes, (border, border, border, border), mode="replicate")


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of SRCNN."""
    return "extract.weight" in state


def build(state: State) -> Srcnn:
    """SRCNN, whose sizes are always the same; what it enlarges by stands in the file. Raises Misfit."""
    scale = float(state["enlarges"].sum()) if "enlarges" in state else 0.0
    check_sizes(scale)
    return Srcnn(int(scale))
