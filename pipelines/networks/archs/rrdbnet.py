"""The RRDB network: ESRGAN's and Real-ESRGAN's generator.

Wang et al. 2018, arXiv:1809.00219, section 3.1 and figure 4; the pixel-unshuffle before it is from Wang et al. 2021,
arXiv:2107.10833, section 3.3. Parameters are named as in github.com/XPixelGroup/BasicSR; files may have ESRGAN's older
names too.
"""

import re
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION, Block, Blocks
from pipelines.networks.shapes import State, check_sizes, find_largest, not_in_colour, read_kernel

SLOPE = 0.2  # of the leaky ReLU
RESIDUAL = 0.2  # what a block adds to its input is scaled by this, for a stable training
DENSE_CONVOLUTIONS = 5  # of a dense block
CONVOLUTIONS = 3 * DENSE_CONVOLUTIONS  # of a residual block
UNSHUFFLES = {3: 1, 12: 2, 48: 4}  # by the channels that the first convolution reads of a picture in colour

# github.com/xinntao/ESRGAN renamed the parameters twice: before BasicSR's names there were these, and before these
# the positions in a row of layers, as `_by_position` reads them.
_SECOND_NAMES = (
    (re.compile(r"^RRDB_trunk\.(\d+)\.RDB([123])\."), r"body.\1.rdb\2."),
    (re.compile(r"^trunk_conv\."), "conv_body."),
    (re.compile(r"^upconv(\d)\."), r"conv_up\1."),
    (re.compile(r"^HRconv\."), "conv_hr."),
)
_BLOCK = re.compile(r"(body\.\d+\.rdb|RRDB_trunk\.\d+\.RDB)[123]\.")
_PART = re.compile(r"(conv_(first|body|up\d|hr|last)|trunk_conv|upconv\d|HRconv)\.")


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
        return self.end(self.rdb2(self.rdb1(inputs)), inputs)

    def end(self, inner: Tensor, inputs: Tensor) -> Tensor:
        """The last dense block, scaled and added to what the residual block was given."""
        return inputs.add(self.rdb3(inner), alpha=RESIDUAL)

    def blocks(self, first: int) -> tuple[Block, ...]:
        """The dense blocks one by one, of which the first reads the map of this number."""
        return (
            Block(self.rdb1, self.rdb1, DENSE_CONVOLUTIONS, (first,)),
            Block(self.rdb2, self.rdb2, DENSE_CONVOLUTIONS, (first + 1,)),
            Block(self, self.end, DENSE_CONVOLUTIONS, (first + 2, first)),
        )


class RRDBNet(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    H and W must be multiples of `multiple`: the picture is folded by `unshuffle` (1, 2 or 4) into more channels, passes
    `depth` residual blocks, and is doubled `upsamplings` times. `forward` is `head`, `trunk` and `tail` in a row, so
    that the trunk can work in a lower precision than the two convolutions at the ends.
    """

    arch = "rrdb"
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = EVERY_PRECISION  # of the trunk

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
        """Returns how many pixels of the input away from its own place an output pixel reads at most.

        Each 3x3 convolution reads one place further at its own resolution, so the interval that one pixel's outputs
        read is followed back from the last convolution to the first.
        """
        return max(self._reach(place) for place in range(self.multiple))

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about.

        Most are held at the end, between two layers.
        """
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
        """Runs all that is between the first and the last convolution: features (N, width, scale*H, scale*W)."""
        return self._end(self.body(features), features)

    @property
    def in_blocks(self) -> Blocks:
        """See `Network`: each dense block by itself."""
        blocks = tuple(each for number, block in enumerate(self._body()) for each in block.blocks(3 * number))
        first = [self._through_end(place)[0] for place in range(2**self.upsamplings)]
        return Blocks(1, blocks, Block(self, self._end, -min(first), (len(blocks), 0)))

    def _body(self) -> Iterable[ResidualBlock]:
        return cast(Iterable[ResidualBlock], self.body)

    def _end(self, inner: Tensor, features: Tensor) -> Tensor:
        """All of the trunk that is behind the blocks."""
        features = features + self.conv_body(inner)
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
        first, _ = self._through_end(place * self.scale)
        _, last = self._through_end((place + 1) * self.scale - 1)
        convolutions = CONVOLUTIONS * self.depth + 1  # with conv_first
        first, last = (first - convolutions) * self.multiple, (last + convolutions + 1) * self.multiple - 1
        return max(place - first, last - place)

    def _through_end(self, place: int) -> tuple[int, int]:
        """The first and the last place of the features from which the pixel at this place of the result is made."""
        first, last = place - 2, place + 2  # conv_last, conv_hr
        for _ in range(self.upsamplings):
            first, last = (first - 1) // 2, (last + 1) // 2
        return first - 1, last + 1  # conv_body


def _conv(into: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, padding=1)


def _leaky(features: Tensor) -> Tensor:
    return F.leaky_relu(features, SLOPE, inplace=True)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of an RRDB network, under any of their names.

    Other networks' first convolution is called `conv_first` too: those have no such blocks, and parts of other names.
    """
    if "model.0.weight" in state:
        return True
    return "conv_first.weight" in state and (
        any(_BLOCK.match(key) for key in state) or all(_PART.match(key) for key in state)
    )


def build(state: State) -> RRDBNet:
    """A network of the state's sizes, as far as a few of its parameters tell them. Raises Misfit."""
    width, channels = read_kernel(state, "conv_first.weight")
    growth, _ = read_kernel(state, "body.0.rdb1.conv1.weight", channels=width)
    depth = 1 + find_largest(r"body\.(\d+)\..+", state)
    upsamplings = find_largest(r"conv_up(\d)\.weight", state)
    if channels not in UNSHUFFLES:
        raise not_in_colour(channels)
    unshuffle = UNSHUFFLES[channels]
    check_sizes(2**upsamplings / unshuffle, depth)
    return RRDBNet(upsamplings, unshuffle, width, depth, growth)


def rename(keys: Iterable[str]) -> dict[str, str]:
    """BasicSR's name for each name in a file; what is not understood keeps its own."""
    keys = list(keys)
    if "model.0.weight" in keys:
        return _by_position(keys)
    names = {}
    for key in keys:
        name = key
        for pattern, replacement in _SECOND_NAMES:
            name = pattern.sub(replacement, name)
        names[key] = name
    return names


def _by_position(keys: list[str]) -> dict[str, str]:
    """BasicSR's names for ESRGAN's first ones, which count all layers: `model.0` is the first convolution.

    `model.1.sub` are the blocks and then the convolution behind them. Each upsampling is three layers, of which the
    last but one is the convolution; the two last convolutions follow, each with one layer before it.
    """
    blocks, last = find_largest(r"model\.1\.sub\.(\d+)\.weight", keys), find_largest(r"model\.(\d+)\.weight", keys)
    layers = {f"1.sub.{blocks}": "conv_body", str(last - 2): "conv_hr", str(last): "conv_last", "0": "conv_first"}
    layers |= {str(place): f"conv_up{place // 3}" for place in range(3, last - 2, 3)}
    names = {}
    for key in keys:
        block = re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB([123])\.(conv[1-5])\.0\.(weight|bias)", key)
        layer = re.fullmatch(r"model\.(.+)\.(weight|bias)", key)
        if block:
            names[key] = "body.{}.rdb{}.{}.{}".format(*block.groups())
        elif layer and layer[1] in layers:
            names[key] = f"{layers[layer[1]]}.{layer[2]}"
        else:
            names[key] = key
    return names
