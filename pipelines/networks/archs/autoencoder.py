"""A denoising autoencoder: it takes noise and JPEG's blocks off a picture, and leaves its size.

Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006; trained on damaged
pictures as in Vincent et al., ICML 2008. As since U-Net (Ronneberger et al., MICCAI 2015), the encoder folds squares of
pixels into channels, twice, the decoder unfolds them, and a path beside the middle keeps the detail. What comes out is
added to the picture, so that only the damage is learned (DnCNN, Zhang et al., TIP 2017).
"""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.swift import MakeConv, plain_conv
from pipelines.networks.network import COMPILES_WHOLE, EVERY_PRECISION
from pipelines.networks.shapes import COLOUR_CHANNELS, Misfit, State, check_sizes, find_largest, read_kernel

FOLD = 2  # each folding halves both sides
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
    """Cleans (N, 3, H, W) in [0, 1]: the same shape comes back, which is not clamped. H and W are multiples of 4.

    `width` channels at half the resolution, `middle` at a quarter of it, where `depth` blocks work. `conv` as in Swift.
    `forward` is `head`, `trunk` and `tail` in a row, so that the trunk can work in a lower precision than the two
    convolutions at the ends.
    """

    arch = "autoencoder"
    scale = 1
    multiple = FOLD**2  # of which H and W must be multiples
    compiles = COMPILES_WHOLE  # where all of it is in float32
    precisions = EVERY_PRECISION  # of the trunk
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees

    def __init__(self, width: int, middle: int, depth: int, conv: MakeConv = plain_conv) -> None:
        super().__init__()
        self.width, self.middle, self.depth = width, middle, depth
        self.first = conv(COLOUR_CHANNELS * SQUARE, width, 3)
        self.encoder = Block(width, conv)
        self.down = conv(SQUARE * width, middle, 1)
        self.body = nn.ModuleList(Block(middle, conv) for _ in range(depth))
        self.up = conv(middle, SQUARE * width, 1)
        self.decoder = Block(width, conv)
        self.last = conv(width, COLOUR_CHANNELS * SQUARE, 3)

    @property
    def radius(self) -> int:
        """Returns how many pixels of the input away from its own place an output pixel reads at most.

        In pixels of half the size: the last and the decoder's convolutions read 3 around, then to the end of a square,
        2 for each convolution in the middle, and then the encoder's and the first one's 3.
        """
        behind, ahead = 3, 3 + 1  # the output's pixel is the first of its square, or the last
        behind, ahead = (FOLD * (-(-each // FOLD) + 2 * self.depth) for each in (behind, ahead))
        return FOLD * (max(behind, ahead) + 3) + FOLD - 1

    @property
    def floats_per_pixel(self) -> int:
        """Returns how many numbers are held at once for each pixel of the input, about."""
        return -(-5 * self.width // SQUARE)

    @property
    def inner(self) -> list[nn.Module]:
        """The modules that `trunk` runs."""
        return [self.encoder, self.down, self.body, self.up, self.decoder]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """The first convolution: (N, 3, H, W) to features (N, width, H/2, W/2)."""
        features: Tensor = self.first(F.pixel_unshuffle(pixels, FOLD))
        return features

    def trunk(self, features: Tensor) -> Tensor:
        """Runs all that is between: features to features of the same shape."""
        beside = self.encoder(features)
        inner = self.down(F.pixel_unshuffle(beside, FOLD))
        for block in self.body:
            inner = block(inner)
        made: Tensor = self.decoder(beside + F.pixel_shuffle(self.up(inner), FOLD))
        return made

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The last convolution, unfolded to (N, 3, H, W), plus the network's input `pixels`."""
        return pixels + F.pixel_shuffle(self.last(features), FOLD)


def matches(state: State) -> bool:
    """Returns whether a file with these parameters is of such an autoencoder."""
    return "encoder.one.weight" in state and "decoder.one.weight" in state


def build(state: State) -> Autoencoder:
    """A network of the state's sizes. Raises Misfit."""
    width, _ = read_kernel(state, "encoder.one.weight")
    middle, _ = read_kernel(state, "body.0.one.weight")
    outputs, _ = read_kernel(state, "last.weight", channels=width)
    depth = 1 + find_largest(r"body\.(\d+)\.one\.weight", state)
    check_sizes(Autoencoder.scale, depth)
    if outputs != COLOUR_CHANNELS * SQUARE:
        raise Misfit(f"belongs to another network: its last convolution gives {outputs} channels.")
    return Autoencoder(width, middle, depth)
