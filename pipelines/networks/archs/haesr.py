"""HAESR: large kernels, and attention within windows, across a grid of the whole picture, and between channels.

Team 6 of the NTIRE 2026 challenge on efficient super-resolution (github.com/Amazingren/NTIRE2026_ESR, team06_HAESR),
whose parameters' names are used here. The first of its three groups works out what attends to what; the others use it
again.
"""

from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.haesr_attention import (
    CORNERS,
    CROSS,
    STAR,
    WINDOW,
    Attention,
    ChannelAttention,
    GatedFeedForward,
    LayerNorm,
    Tokens,
    across_grid,
    around_windows,
)
from pipelines.networks.archs.haesr_passes import COUNT, LARGE_REACH, MAPS, pad_to_windows, run_haesr
from pipelines.networks.network import COMPILES_NOTHING, Block, Passes
from pipelines.networks.shapes import State, check_sizes, read_kernel, shuffled_scale
from pipelines.networks.tiling import UNBOUNDED

Maps: TypeAlias = list[Tensor]
"""What attends to what, by the order in which a group does it."""

KERNEL = 31  # of the large kernels
PARTS = 4  # of the channels, one of which each stage hands on as it is, and one of which large kernels read
LEAST_SIDE = 2 * WINDOW  # pixels: less is too little for the pooling in Gate
_TABLES = (".sample_indices", ".center_indices")  # which stand in files, and follow from the window


# Of the three stages: the samples around a window, and whether a grid's others lie half-way down and along the row.
PATTERNS = (STAR, CROSS, CORNERS)
SHIFTS = ((True, True), (False, True), (True, False))


class LargeKernel(nn.Module):
    """A kernel of 31x31 as a row and a column, for a part of the channels, which are first weighed by their mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.part = part = width // PARTS
        self.DWConv_Kx1 = nn.Conv2d(part, part, (KERNEL, 1), padding=(KERNEL // 2, 0), groups=part)
        self.DWConv_1xK = nn.Conv2d(part, part, (1, KERNEL), padding=(0, KERNEL // 2), groups=part)
        self.conv1 = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor, means: Tensor) -> Tensor:
        shuffled = F.channel_shuffle(features, self.part)
        chosen, others = shuffled[:, : self.part], shuffled[:, self.part :]
        chosen = chosen * F.channel_shuffle(means, self.part)[:, : self.part].sigmoid()
        return F.gelu(self.conv1(_joined(self.DWConv_Kx1(self.DWConv_1xK(chosen)), others)))


class Local(nn.Module):
    """A small kernel beside a large one. `means` are those of the features in the whole picture, (N, width, 1, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.PLKB = LargeKernel(width)
        self.DWConv3 = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.conv1 = nn.Conv2d(2 * width, width, 1)

    def forward(self, features: Tensor, means: Tensor) -> Tensor:
        return F.gelu(self.conv1(_joined(self.DWConv3(features), self.PLKB(features, means))))


class Attending(nn.Module):
    """Attention and a gated layer behind it, each added to what it is given."""

    def __init__(self, width: int, tokens: Tokens, finds: bool) -> None:
        super().__init__()
        self.cnorm = LayerNorm(width)
        self.attn = Attention(width, tokens, finds)
        self.cnorm2 = LayerNorm(width)
        self.gfn = GatedFeedForward(width)

    def forward(self, features: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        made, attention = self.attn(self.cnorm(features), known)
        features = features + made
        return features + self.gfn(self.cnorm2(features)), attention


class Channels(nn.Module):
    """Attention between channels, within windows and then across the grid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.canorm1, self.canorm2 = LayerNorm(width), LayerNorm(width)
        self.cttn1, self.cttn2 = ChannelAttention(width, in_windows=True), ChannelAttention(width, in_windows=False)
        self.cnorm1, self.cnorm2 = LayerNorm(width), LayerNorm(width)
        self.gfn1, self.gfn2 = GatedFeedForward(width), GatedFeedForward(width)

    def forward(self, features: Tensor) -> Tensor:
        features = features + self.cttn1(self.canorm1(features))
        features = features + self.gfn1(self.cnorm1(features))
        features = features + self.cttn2(self.canorm2(features))
        made: Tensor = features + self.gfn2(self.cnorm2(features))
        return made


class Stages(nn.Module):
    """Three stages on 4, 3 and 2 quarters of the channels; each hands one quarter on to the end."""

    def __init__(self, width: int, finds: bool) -> None:
        super().__init__()
        self.quarter = quarter = width // PARTS
        for number, (pattern, shifts) in enumerate(zip(PATTERNS, SHIFTS, strict=True), 1):
            left = (PARTS - number) * quarter
            self.add_module(f"LB{number}", Local(left + quarter))
            self.add_module(f"SLA{number}", Attending(left, around_windows(pattern), finds))
            self.add_module(f"SGA{number}", Attending(left, across_grid(*shifts), finds))
            joined = width - quarter if number == 2 else width
            self.add_module(f"pw{number}", nn.Conv2d(joined, joined, 1))
        self.BlockC = Channels(width)

    def forward(self, features: Tensor, known: Maps) -> tuple[Tensor, Maps]:
        found, kept = Maps(), list[Tensor]()
        for number in (1, 2, 3):
            features = self.get_submodule(f"LB{number}")(features, features.mean((2, 3), keepdim=True))
            local, features = features[:, : self.quarter], features[:, self.quarter :]
            for name in (f"SLA{number}", f"SGA{number}"):
                place = len(found)
                features, attention = self.get_submodule(name)(features, known[place] if known else None)
                found.append(attention)
            features = self.get_submodule(f"pw{number}")(_joined(*(kept if number == 3 else ()), features, local))
            if number < 3:
                kept.append(features[:, : self.quarter])
                features = features[:, self.quarter :]
        return self.BlockC(features), found


class Gate(nn.Module):
    """Spatial attention (Liu et al. 2020, arXiv:2009.11551, section 3.3), from features that are pooled far."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(width // 4, 16)
        self.conv1 = nn.Conv2d(width, narrow, 1)
        self.conv_f = nn.Conv2d(narrow, narrow, 1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride=2)
        self.conv3 = nn.Conv2d(narrow, narrow, 3, padding=1)
        self.conv4 = nn.Conv2d(narrow, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        narrow = self.conv1(features)
        return self.weigh(features, narrow, self.look_far(narrow))

    def look_far(self, narrow: Tensor) -> Tensor:
        """What is pooled, of the whole picture, as large as that again."""
        far = self.conv3(F.max_pool2d(self.conv2(narrow), 7, stride=3))
        return F.interpolate(far, narrow.shape[2:], mode="bilinear", align_corners=False)

    def weigh(self, features: Tensor, narrow: Tensor, far: Tensor) -> Tensor:
        """Each place by itself."""
        gate: Tensor = self.conv4(far + self.conv_f(narrow)).sigmoid()
        return features * gate


class Group(nn.Module):
    """The stages, added to what they are given, behind a gate."""

    def __init__(self, width: int, finds: bool) -> None:
        super().__init__()
        self.residual_layer = Stages(width, finds)
        self.res_end = nn.Conv2d(width, width, 1)
        self.esa = Gate(width)

    def forward(self, features: Tensor, known: Maps) -> tuple[Tensor, Maps]:
        made, found = self.residual_layer(features, known)
        return self.esa(self.res_end(made) + features), found


class Haesr(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    Every output pixel depends on the whole picture. `forward` is `head`, `trunk` and `tail` in a row.
    """

    arch = "haesr"
    multiple = 1  # of which H and W must be multiples: it mirrors what is missing to whole windows itself
    radius = UNBOUNDED
    compiles = COMPILES_NOTHING
    precisions = frozenset[str]()  # its means and its attention need float32

    def __init__(self, scale: int, width: int = 48) -> None:
        super().__init__()
        self.scale, self.width = scale, width
        self.input = nn.Conv2d(3, width, 3, padding=1)
        self.block0, self.block1, self.block2 = Group(width, True), Group(width, False), Group(width, False)
        self.output = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about.

        Attention over up to 120 others for each pixel, six times, is kept from group to group.
        """
        return 750 + 36 * self.width

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.block0, self.block1, self.block2, self.output]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution, of whole windows: (N, 3, H, W) to features (N, width, h, w), h >= H and w >= W."""
        height, width = pixels.shape[2:]
        below, beside = (max(-side % WINDOW, LEAST_SIDE - side) for side in (height, width))
        mirrored = below < height and beside < width
        features: Tensor = self.input(F.pad(pixels, (0, beside, 0, below), "reflect" if mirrored else "replicate"))
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """The three groups: features to features of the same shape."""
        made, maps = self.block0(features, [])
        made, _ = self.block1(made, maps)
        made, _ = self.block2(made, maps)
        return self._end(made, features)

    def _end(self, made: Tensor, features: Tensor) -> Tensor:
        last: Tensor = self.output(made) + features
        return last

    @property
    def in_blocks(self) -> Passes:
        """See `Network`. The tail reads one place further than the trunk's end, which reads one."""
        end = Block(self, self._end, 2, ())
        return Passes(1, partial(run_haesr, self), end, LARGE_REACH, COUNT, MAPS, WINDOW, pad_to_windows)

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, shuffled and cut to (N, 3, scale*H, scale*W)."""
        height, width = pixels.shape[2:]
        return F.pixel_shuffle(self.up(features), self.scale)[..., : height * self.scale, : width * self.scale]


def _joined(*parts: Tensor) -> Tensor:
    return torch.cat(parts, dim=1)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of HAESR."""
    return any(key.startswith("block0.residual_layer.") and ".LB1.PLKB." in key for key in state)


def adapt(state: State) -> dict[str, Tensor]:
    """The parameters, without tables of places."""
    kept = {key: tensor for key, tensor in state.items() if not key.endswith(_TABLES)}
    return {key.replace("block0.residual_layer.0.", "block0.residual_layer."): kept[key] for key in kept}


def build(state: State) -> Haesr:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "input.weight", channels=3)
    outputs, _ = read_kernel(state, "up.0.weight", channels=width)
    scale = shuffled_scale(outputs)
    check_sizes(scale)
    return Haesr(scale, width)
