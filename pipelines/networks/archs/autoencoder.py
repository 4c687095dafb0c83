"""A denoising autoencoder: it takes noise and JPEG's blocks off a picture, and leaves its size.

Trained on damaged pictures to give the whole ones, as in Vincent et al., "Extracting and Composing Robust Features with
Denoising Autoencoders", ICML 2008. As in FFDNet (Zhang, Zuo and Zhang, TIP 2018) squares of pixels are folded into
channels, so that all of it works at half the resolution and sees twice as far. What comes out is added to the picture,
so that only the damage is learned (DnCNN, Zhang et al., TIP 2017).
"""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.swift import MakeConv, plain_conv
from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION
from pipelines.networks.shapes import COLOUR_CHANNELS, Misfit, State, check_sizes, find_largest, read_kernel

FOLD = 2  # the folding halves both sides
SQUARE = FOLD**2


class Block(nn.Module):
    """Two convolutions with ReLU between them, added to what they are given.

    There is no other ReLU in the network: one behind every convolution died in training.
    """

    def __init__(self, width: int, conv: MakeConv) -> None:
        super().__init__()
        self.one = conv(width, width, 3)
        self.two = conv(width, width, 3)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.two(F.relu(self.one(features)))
        return features + made


class Autoencoder(nn.Module):
    """Cleans (N, 3, H, W) in [0, 1]: the same shape comes back, which is not clamped. H and W are multiples of 2.

    `depth` blocks of `width` channels work at half the resolution. `conv` as in Swift. `forward` is `head`, `trunk` and
    `tail` in a row, so that the trunk can work in a lower precision than the two convolutions at the ends.
    """

    arch = "autoencoder"
    scale = 1
    multiple = FOLD  # of which H and W must be multiples
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = EVERY_PRECISION  # of the trunk
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees

    def __init__(self, width: int, depth: int, conv: MakeConv = plain_conv) -> None:
        super().__init__()
        self.width, self.depth = width, depth
        self.first = conv(COLOUR_CHANNELS * SQUARE, width, 3)
        self.body = nn.ModuleList(Block(width, conv) for _ in range(depth))
        self.last = conv(width, COLOUR_CHANNELS * SQUARE, 3)

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away from its own place an output pixel reads at most.

        Each convolution reads 1 square around; from the first pixel of a square it is one more to the end of the last.
        """
        return FOLD * (2 * self.depth + 2) + FOLD - 1

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return -(-4 * self.width // SQUARE)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return list(self.body)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The encoder's first convolution: (N, 3, H, W) to features (N, width, H/2, W/2)."""
        features: Tensor = self.first(F.pixel_unshuffle(pixels, FOLD))
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: features to features of the same shape."""
        for block in self.body:
            features = block(features)
        return features

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The decoder's last convolution, unfolded to (N, 3, H, W), plus the network's input `pixels`."""
        return pixels + F.pixel_shuffle(self.last(features), FOLD)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of such an autoencoder."""
    return "first.weight" in state and "body.0.one.weight" in state


def build(state: State) -> Autoencoder:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "body.0.one.weight")
    outputs, _ = read_kernel(state, "last.weight", channels=width)
    depth = 1 + find_largest(r"body\.(\d+)\.one\.weight", state)
    check_sizes(Autoencoder.scale, depth)
    if outputs != COLOUR_CHANNELS * SQUARE:
        raise Misfit(f"belongs to another network: its last convolution gives {outputs} channels.")
    return Autoencoder(width, depth)
