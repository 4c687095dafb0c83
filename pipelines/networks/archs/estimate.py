"""A tiny network that tells from a small picture alone what was done to it: how it was shrunk, stored, and its noise.

It looks at luma, and of what its convolutions find it keeps the mean and the variance over the picture, as logarithms:
what was done to a picture was done to all of it. It enlarges nothing, so it is none of ARCHS.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.shapes import Misfit, State, describe_shape

CLASSES = ("antialiased", "averaged", "not antialiased", "soft", "pixels left out")
"""How it was shrunk: by bicubic, Lanczos or bilinear; by areas; by a kernel too narrow; by a blur; by leaving out."""

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
WIDTHS = (16, 16, 32, 32, 32)
HALVING = (2, 3)  # these convolutions go on at half the resolution
HIDDEN = 48
GAIN = 16.0  # what tells is faint: this makes it as strong as what networks are used to
LEAST_DEVIATION = 0.01
LEAST_SIDE = 24  # pixels, of a picture that it can look at


class Estimate(nn.Module):
    """Maps luma (N, 1, H, W) in [0, 1] to (N, 7).

    Five logits in the order of CLASSES; JPEG's quality divided by 100, which is 1 without JPEG; and the logarithm of
    1 + the noise's deviation in levels of 255.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList()
        inputs = 1
        for number, width in enumerate(WIDTHS):
            layer = nn.Conv2d(inputs, width, 3, stride=2 if number in HALVING else 1)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, layer.bias))
            self.body.append(layer)
            inputs = width
        self.hidden = nn.Linear(2 * inputs + 2 * WIDTHS[0], HIDDEN)
        self.told = nn.Linear(HIDDEN, len(CLASSES) + 2)

    def forward(self, luma: Tensor) -> Tensor:
        features = GAIN * (luma - luma.mean((2, 3), keepdim=True))
        seen = []
        for number, layer in enumerate(self.body):
            features = F.relu(layer(features))
            if number in (1, len(self.body) - 1):
                deep = features.float()
                seen += [torch.log(deep.mean((2, 3)) + LEAST_DEVIATION)]
                seen += [torch.log(deep.var((2, 3)) + LEAST_DEVIATION**2)]
        told: Tensor = self.told(F.relu(self.hidden(torch.cat(seen, 1))))
        return told


def luma_of(pixels: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 1, H, W)."""
    weights = torch.tensor(LUMA, device=pixels.device, dtype=pixels.dtype)[:, None, None]
    return (pixels * weights).sum(1, keepdim=True)


def build(state: State) -> Estimate:
    """The network with these parameters, frozen. Raises Misfit."""
    network = Estimate()
    expected = network.state_dict()
    if expected.keys() != state.keys():
        raise Misfit("is not the network that tells what was done to a picture.")
    for key, value in expected.items():
        if value.shape != state[key].shape:
            raise Misfit(f"does not fit together: {key} is {describe_shape(state[key])}.")
    network.load_state_dict(dict(state))
    return network.eval().requires_grad_(False)
