"""EDSR: residual blocks without normalisation at low resolution, and pixel-shuffles.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops 2017, arXiv:1707.02921,
as the library super-image has it (github.com/eugenesiow/super-image) and names its parameters: it reads pixels of 0 to
1 as they are. The mean that its files hold as well is not used there, nor here.
"""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.network import COMPILES_WHOLE, Block, Blocks, group
from pipelines.networks.shapes import State, check_sizes, find_largest, read_kernel

RESIDUAL = 0.1  # what a block of the large network adds is scaled by this, for a stable training (section 3.3)
LARGE = 256  # channels: from here on
_UNUSED = ("sub_mean.", "add_mean.")


class ResidualBlock(nn.Module):
    """Two convolutions with ReLU between them, scaled and added to what they are given."""

    def __init__(self, width: int, residual: float) -> None:
        super().__init__()
        self.residual = residual
        self.body = nn.Sequential(_conv(width, width), nn.Identity(), _conv(width, width))

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.body[2](F.relu(self.body[0](features)))
        return features.add(made, alpha=self.residual)


class Edsr(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), which is not clamped.

    `steps` are what the pixel-shuffles enlarge by in turn, `depth` counts the residual blocks. `forward` is `head`,
    `trunk` and `tail` in a row, so that the trunk can work in a lower precision than the two convolutions at the ends.
    """

    arch = "edsr"
    multiple = 1  # of which H and W must be multiples
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = frozenset({"float16"})  # of the trunk: what bfloat16 costs is not known

    def __init__(self, steps: tuple[int, ...], width: int = 64, depth: int = 16) -> None:
        super().__init__()
        self.steps, self.width, self.depth = steps, width, depth
        self.scale = 1
        self.head_conv = _conv(3, width)
        residual = RESIDUAL if width >= LARGE else 1.0
        self.body = nn.Sequential(*(ResidualBlock(width, residual) for _ in range(depth)), _conv(width, width))
        shuffles: list[nn.Module] = []
        for step in steps:
            self.scale *= step
            shuffles += [_conv(width, step**2 * width), nn.Identity()]
        self.ends = nn.Sequential(nn.Sequential(*shuffles), _conv(width, 3))

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away an output pixel reads at most."""
        return max(self._reach(place) for place in range(self.scale))

    def _reach(self, place: int) -> int:
        """How far the output pixel at this place within an input pixel reads: followed back from the last one."""
        return self._through_end(place) + 2 * self.depth + 1

    def _through_end(self, place: int) -> int:
        """How far it reads of the features behind the blocks, through the convolution there."""
        first, last = place - 1, place + 1
        for step in reversed(self.steps):
            first, last = first // step - 1, last // step + 1
        return max(-first, last) + 1

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about: most at the end."""
        return int(2.5 * self.width * self.scale**2)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.body, self.ends[0]]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution: (N, 3, H, W) to features (N, width, H, W)."""
        features: Tensor = self.head_conv(pixels)
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: (N, width, h, w) to (N, width, scale*h, scale*w)."""
        inner = features
        for block in self._residual:
            inner = block(inner)
        return self._end(inner, features)

    @property
    def in_blocks(self) -> Blocks:
        """See `Network`: residual blocks by twos."""
        blocks = group(self._residual, reach=2, size=2)
        reach = max(self._through_end(place) for place in range(self.scale))
        return Blocks(1, blocks, Block(self, self._end, reach, (len(blocks), 0)))

    @property
    def _residual(self) -> list[nn.Module]:
        return list(self.body.children())[:-1]

    def _end(self, inner: Tensor, features: Tensor) -> Tensor:
        """All of the trunk that is behind the residual blocks."""
        inner = self.body[-1](inner) + features
        for number, step in enumerate(self.steps):
            inner = F.pixel_shuffle(self.get_submodule(f"ends.0.{2 * number}")(inner), step)
        return inner

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, at high resolution: (N, width, scale*H, scale*W) to (N, 3, scale*H, scale*W)."""
        made: Tensor = self.ends[1](features)
        return made


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of EDSR, by our names or by those in files."""
    return "body.0.body.0.weight" in state and ("tail.1.weight" in state or "ends.1.weight" in state)


def adapt(state: State) -> dict[str, Tensor]:
    """The parameters that are used, where `head` and `tail` are no names of layers."""
    renamed = {"head.0.": "head_conv.", "tail.": "ends."}
    adapted = {}
    for key, tensor in state.items():
        if not key.startswith(_UNUSED):
            old = next((each for each in renamed if key.startswith(each)), "")
            adapted[renamed.get(old, "") + key.removeprefix(old)] = tensor
    return adapted


def build(state: State) -> Edsr:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "head_conv.weight", channels=3)
    depth = find_largest(r"body\.(\d+)\.body\.0\.weight", state) + 1
    steps = []
    for number in range(0, 1 + find_largest(r"ends\.0\.(\d+)\.weight", state), 2):
        outputs, _ = read_kernel(state, f"ends.0.{number}.weight", channels=width)
        steps.append(3 if outputs == 9 * width else 2)
    network = Edsr(tuple(steps), width, depth)
    check_sizes(network.scale, depth)
    return network
