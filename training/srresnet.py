"""SRGAN's generator as it is trained, with batch normalisation; its parameters are named as in published files.

Ledig et al., CVPR 2017, arXiv:1609.04802, figure 4. What is exported has the normalisation folded into the convolutions
(pipelines/networks/archs/srgan.py), which computes the same.
"""

import torch
from torch import Tensor, nn

from pipelines.networks.archs.srgan import Doubling


class NormedBlock(nn.Module):
    """Two convolutions, each normalised, with PReLU between them, added to what they are given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.prelu = nn.PReLU()
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(features)))))
        return features + made


class NormedSrgan(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1] by 2**doublings, with `depth` residual blocks of `width` channels."""

    def __init__(self, scale: int, width: int = 64, depth: int = 16) -> None:
        super().__init__()
        doublings = scale.bit_length() - 1
        self.block1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = [f"block{number}" for number in range(2, depth + 2)]
        for name in self.blocks:
            self.add_module(name, NormedBlock(width))
        self.behind = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.ends = nn.Sequential(*(Doubling(width) for _ in range(doublings)), nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.block1(pixels)
        inner = features
        for name in self.blocks:
            inner = self.get_submodule(name)(inner)
        return (torch.tanh(self.ends(features + self.behind(inner))) + 1.0) / 2.0


def as_published(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The parameters by the names that published files give them, where the last two parts are blocks as well."""
    names = {"behind.": f"block{depth + 2}.", "ends.": f"block{depth + 3}."}
    renamed = {}
    for key, value in state.items():
        old = next((each for each in names if key.startswith(each)), "")
        renamed[names.get(old, "") + key.removeprefix(old)] = value
    return renamed
