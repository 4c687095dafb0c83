"""The RRDB network: ESRGAN's and Real-ESRGAN's generator.

Wang et al. 2018, arXiv:1809.00219, section 3.1 and figure 4; the pixel-unshuffle before it is from Wang et al. 2021,
arXiv:2107.10833, section 3.3. Parameters are named as in github.com/XPixelGroup/BasicSR.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

SLOPE = 0.2  # of the leaky ReLU
RESIDUAL = 0.2  # what a block adds to its input is scaled by this, for a stable training


class DenseBlock(nn.Module):
    """Five convolutions, each of which reads the outputs of all before it. (N, width, h, w) to the same."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = _conv(width, growth)
        self.conv2 = _conv(width + growth, growth)
        self.conv3 = _conv(width + 2 * growth, growth)
        self.conv4 = _conv(width + 3 * growth, growth)
        self.conv5 = _conv(width + 4 * growth, width)

    def forward(self, inputs: Tensor) -> Tensor:
        features = inputs
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            # What was gathered so far goes free as soon as it is copied.
            features = torch.cat((features, _leaky(conv(features))), dim=1)
        return inputs.add(self.conv5(features), alpha=RESIDUAL)


class ResidualBlock(nn.Module):
    """Three dense blocks in a row: the "residual in residual dense block" that the network is named after."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.add(self.rdb3(self.rdb2(self.rdb1(inputs))), alpha=RESIDUAL)


class RRDBNet(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    H and W must be multiples of `multiple`: the picture is folded by `unshuffle` (1, 2 or 4) into more channels, passes
    `depth` residual blocks, and is doubled `upsamplings` times. `forward` is `head`, `trunk` and `tail` in a row, so
    that the trunk can work in a lower precision than the two convolutions at the ends.
    """

    compiles_whole = True  # where all of it is in float32

    def __init__(
        self, upsamplings: int, unshuffle: int = 1, width: int = 64, depth: int = 23, growth: int = 32
    ) -> None:
        super().__init__()
        self.upsamplings, self.width, self.depth, self.growth = upsamplings, width, depth, growth
        self.multiple = unshuffle
        self.scale: int = 2**upsamplings // unshuffle
        self.conv_first = _conv(3 * unshuffle**2, width)
        self.body = nn.Sequential(*(ResidualBlock(width, growth) for _ in range(depth)))
        self.conv_body = _conv(width, width)
        for number in range(1, upsamplings + 1):
            self.add_module(f"conv_up{number}", _conv(width, width))
        self.conv_hr = _conv(width, width)
        self.conv_last = _conv(width, 3)

    @property
    def radius(self) -> int:
        """How many pixels of the input away from its own place an output pixel reads at most.

        Each 3x3 convolution reads one place further at its own resolution, so the interval that one pixel's outputs
        read is followed back from the last convolution to the first.
        """
        return max(self._reach(place) for place in range(self.multiple))

    @property
    def floats_per_pixel(self) -> int:
        """How many numbers are held at once for each pixel of the input, about: at the end, between two layers."""
        return int(3.5 * self.width * self.scale**2)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [module for module in self.children() if module not in (self.conv_first, self.conv_last)]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution: (N, 3, H, W) to features (N, width, H / multiple, W / multiple)."""
        features: Tensor = self.conv_first(F.pixel_unshuffle(pixels, self.multiple))
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """All that is between the first and the last convolution: features (N, width, scale*H, scale*W)."""
        features = features + self.conv_body(self.body(features))
        for number in range(1, self.upsamplings + 1):
            conv = self.get_submodule(f"conv_up{number}")
            features = _leaky(conv(F.interpolate(features, scale_factor=2, mode="nearest")))
        return _leaky(self.conv_hr(features))

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution: features to (N, 3, scale*H, scale*W). `pixels`, the network's input, is not needed."""
        enlarged: Tensor = self.conv_last(features)
        return enlarged

    def _reach(self, place: int) -> int:
        """The radius of a pixel at this place of the square that is folded into one."""
        first, last = place * self.scale, (place + 1) * self.scale - 1
        first, last = first - 2, last + 2  # conv_last, conv_hr
        for _ in range(self.upsamplings):
            first, last = (first - 1) // 2, (last + 1) // 2
        convolutions = 15 * self.depth + 2  # with conv_first and conv_body
        first, last = (first - convolutions) * self.multiple, (last + convolutions + 1) * self.multiple - 1
        return max(place - first, last - place)


def _conv(into: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, padding=1)


def _leaky(features: Tensor) -> Tensor:
    return F.leaky_relu(features, SLOPE, inplace=True)
