"""What trains and scores the network that tells what was done to a picture (pipelines/networks/archs/estimate.py).

Its patches are degraded as those of the other networks, at every scale at once, because nobody knows by how much a
picture was shrunk; a part of them keeps its size and has noise, as what is to be cleaned up has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.images.picture import Pixels8
from pipelines.networks.archs.estimate import CLASSES, luma_of
from pipelines.networks.estimating import judge
from training.data import crop_to_scale, split_pictures
from training.degradations import AS_IT_IS, Degradation, degrade, draw_damage, draw_degradation
from training.mixed import CPU, MixedPatches
from training.trainer import Aim

SCALES = (2, 3, 4)
COMMON_MULTIPLE = 12  # of all scales
UNSHRUNK_SHARE, NOISY_SHARE, MOST_NOISE = 0.3, 0.3, 30.0
UNKNOWN = -1  # the class of what was not shrunk: it teaches quality and noise alone
QUALITY_WEIGHT, NOISE_WEIGHT = 5.0, 2.0
CLASS_OF = {
    "bicubic": "antialiased",
    "lanczos": "antialiased",
    "bilinear": "antialiased",
    "area": "averaged",
    "opencv-linear": "not antialiased",
    "opencv-cubic": "not antialiased",
    "blur": "soft",
    "nearest": "pixels left out",
    "nearest-behind": "pixels left out",
}
JUDGED = [
    Degradation(kernel, quality)
    for kernel in ("bicubic", "lanczos", "bilinear", "area", "opencv-cubic", "blur", "nearest")
    for quality in (None, 95, 80, 60)
]


@dataclass(frozen=True, slots=True)
class JudgedPatches:
    """Patches of luma, and what was done to each: class, quality / 100, log(1 + noise)."""

    pictures: Sequence[Pixels8]
    device: torch.device = CPU

    @property
    def largest(self) -> int:
        """See `Supply`."""
        return int(max(min(each.shape[:2]) for each in self.pictures)) // max(SCALES)

    def to(self, device: torch.device) -> "JudgedPatches":
        """See `Supply`."""
        return replace(self, device=device)

    def batch(self, count: int, patch: int, seed: int) -> tuple[Tensor, Tensor]:
        """See `Supply`; in place of the large pictures (count, 3) of what is to be told of each."""
        random = np.random.default_rng(seed)
        made = [self._one(patch, random) for _ in range(count)]
        low, told = zip(*made, strict=True)
        return torch.cat(low).to(self.device), torch.tensor(told, device=self.device)

    def _one(self, patch: int, random: np.random.Generator) -> tuple[Tensor, tuple[float, float, float]]:
        scale = 1 if random.random() < UNSHRUNK_SHARE else int(random.choice(SCALES))
        by = draw_damage(random) if scale == 1 else self._shrunk(random)
        patches = MixedPatches(self.pictures, scale, lambda _: by)
        low, _ = patches.batch(1, patch, int(random.integers(1 << 31)))
        return luma_of(low), describe(by)

    def _shrunk(self, random: np.random.Generator) -> Degradation:
        by = draw_degradation(random)
        noise = MOST_NOISE * float(random.random()) ** 2 if random.random() < NOISY_SHARE else 0.0
        return replace(by, noise=noise, seed=int(random.integers(1 << 31)))


def describe(by: Degradation) -> tuple[float, float, float]:
    """The class's number, the quality divided by 100, and log(1 + noise)."""
    kind = UNKNOWN if by.kernel == AS_IT_IS else CLASSES.index(CLASS_OF[by.kernel])
    return kind, (by.quality or 100) / 100, float(np.log1p(by.noise))


def estimate_loss(told: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the class, where there is one, and absolute errors of quality and noise."""
    kinds = F.cross_entropy(told[:, : len(CLASSES)], truth[:, 0].long(), ignore_index=UNKNOWN, reduction="sum")
    quality, noise = (told[:, len(CLASSES) :] - truth[:, 1:]).abs().mean(0)
    total: Tensor = kinds / len(truth) + QUALITY_WEIGHT * quality + NOISE_WEIGHT * noise
    return total


def load(files: Sequence[Path], patch: int) -> tuple[JudgedPatches, Aim, list[str]]:
    """Patches to train on, the aim on held-out pictures, and one line for each kind of file left out."""
    pictures = split_pictures(files, patch * max(SCALES))
    train = [np.asarray(crop_to_scale(each, COMMON_MULTIPLE)) for each in pictures.train]
    held_out = [np.asarray(crop_to_scale(each, COMMON_MULTIPLE)) for each in pictures.held_out]

    def score(network: nn.Module, device: torch.device) -> float:
        right = [
            judge(network, degrade(picture, scale, by).astype(np.float32) / np.float32(255)).careful
            == (CLASS_OF[by.kernel] == "antialiased" and (by.quality or 100) >= 95)
            for picture in held_out
            for scale in (2, 4)
            for by in JUDGED
        ]
        return float(np.mean(right))

    return JudgedPatches(train), Aim(estimate_loss, score, "careful or not told right {:.3f}"), pictures.notes
