"""The network of DISTS: VGG16 that shrinks without aliasing, over images that come from top to bottom, strip by strip.

Simonyan and Zisserman, arXiv:1409.1556, up to its thirteenth convolution, with the L2 pooling of Ding, Ma, Wang and
Simoncelli (arXiv:2004.07728) in place of its own, as in github.com/dingkeyan93/DISTS.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = (2, 2, 3, 3, 3)  # convolutions before each pooling, and before the end
WIDTHS = (64, 128, 256, 512, 512)
STAGES = (3, *WIDTHS)  # channels of what is compared: the image itself, and the end of each group
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which it was trained on
WINDOW = 3  # pixels a side, of convolutions and poolings alike: it reaches one over the image's border, into zeros
POOLING_STRIDE = 2
POOLING_EPSILON = 1e-12


class L2Pooling(nn.Module):
    """The root of the mean square under a Hann window, around every second place. It has no parameters."""

    def forward(self, rows: Tensor) -> Tensor:
        """Features (N, C, h, W) to (N, C, (h - 1) // 2, (W + 1) // 2)."""
        channels, line = rows.shape[1], rows.new_tensor((0.25, 0.5, 0.25))
        window = torch.outer(line, line).expand(channels, 1, WINDOW, WINDOW)
        square = functional.conv2d(rows.square(), window, stride=POOLING_STRIDE, padding=(0, 1), groups=channels)
        return square.add_(POOLING_EPSILON).sqrt_()


class DistsVgg16(nn.Module):
    """`features` are named as in torch's model zoo. No layer adds zeros above or below its rows: `pass_on` does."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = STAGES[0]
        for number, (count, width) in enumerate(zip(GROUPS, WIDTHS, strict=True)):
            layers += [L2Pooling()] * (number > 0)
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, WINDOW, padding=(0, 1)), nn.ReLU(inplace=True)]
                inputs = width
        self.features = nn.Sequential(*layers)

    def pass_on(self, strip: Tensor, kept: dict[int, Tensor], last: bool) -> Iterator[Tensor]:
        """The features of each of STAGES (N, C, h, w), as many rows as this strip (N, 3, H, W) in [0, 1] completes.

        `kept` is empty before the first strip of an image, and holds between two what the windows of each layer still
        read of the rows above. So no row is computed twice, and all strips together give what the whole image does.
        """
        yield strip
        shift, scale = (strip.new_tensor(each).view(-1, 1, 1) for each in (MEAN, DEVIATION))
        features = (strip - shift) / scale
        for number, layer in enumerate(self.features):
            if isinstance(layer, L2Pooling):
                yield features
            features = layer(features) if isinstance(layer, nn.ReLU) else _windows(layer, number, features, kept, last)
        yield features


def _windows(layer: nn.Module, number: int, below: Tensor, kept: dict[int, Tensor], last: bool) -> Tensor:
    """What the layer gives for the rows that it kept and those below them."""
    count, channels, _, width = below.shape
    outside = below.new_zeros(count, channels, 1, width)
    rows = torch.cat([kept.get(number, outside), below, *[outside] * last], dim=2)
    stride = POOLING_STRIDE if isinstance(layer, L2Pooling) else 1
    whole = (rows.shape[2] - WINDOW) // stride + 1
    kept[number] = rows[:, :, max(0, whole) * stride :].clone()  # a part of `rows` would hold all of it
    if whole > 0:
        found: Tensor = layer(rows)
        return found
    if isinstance(layer, nn.Conv2d):
        channels = layer.out_channels
    return below.new_empty(count, channels, 0, -(-width // stride))
