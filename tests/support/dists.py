"""A made-up network for DISTS: VGG16 in its real shape and weights of its channels, the same in every run."""

from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from tests.support.pictures import pair

HEADS, BACKBONE = "alpha_beta.mat", "vgg16-397923af.pth"
CHANNELS = 1475
# By the number of the layer in torch's model zoo: channels out and in.
CONVOLUTIONS = {
    0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256),
    17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512),
}  # fmt: skip
# Name, kind of `pair`, height and width.
PAIRS = {
    "random": ("random", 64, 48),
    "odd": ("shapes", 97, 61),
    "hardly any variance": ("near white", 50, 50),
    "saturated": ("saturated", 33, 70),
    "an edge": ("half and half", 41, 80),
    "one pixel": ("random", 1, 1),
    "one row": ("shapes", 1, 19),
    "tiny": ("shapes", 5, 3),
    "grey": ("shapes", 40, 57),
    "identical": ("random", 31, 45),
    "flat": ("flat", 35, 36),
}


@cache
def make_backbone() -> dict[str, torch.Tensor]:
    """The state dict of a random VGG16, with what stands for its classifier."""
    random = np.random.default_rng(16)
    state = {"classifier.0.weight": torch.zeros(2, 2)}
    for number, (outputs, inputs) in CONVOLUTIONS.items():
        weight = random.standard_normal((outputs, inputs, 3, 3), np.float32) * np.float32((2 / (9 * inputs)) ** 0.5)
        state[f"features.{number}.weight"] = torch.from_numpy(weight)
        state[f"features.{number}.bias"] = torch.from_numpy(random.normal(0, 0.1, outputs).astype(np.float32))
    return state


def make_heads() -> dict[str, npt.NDArray[np.float32]]:
    """Weights of the channels, whose sum is far from 1."""
    random = np.random.default_rng(2020)
    return {name: random.uniform(0, 2, (1, CHANNELS)).astype(np.float32) for name in ("alpha", "beta")}


def draw_pair(name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The two pictures of one of PAIRS."""
    x, y = pair(*PAIRS[name])
    if name == "grey":
        return x[..., 0], y[..., 0]
    return x, x if name == "identical" else y
