"""Patches of pictures as people have them: each is degraded anew, in a way of its own, when it is drawn.

Kernels and JPEG's qualities are without number, so no pair can be kept in memory as training/data.py keeps them. A
patch is degraded together with what lies around it, as far as that can be seen in it; where JPEG's blocks begin is
random.

Knows nothing of networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pipelines.images.picture import Pixels8
from pipelines.networks.archs.autoencoder import Autoencoder
from training.data import Pair, crop_to_scale, split_pictures, to_tensor
from training.degradations import (
    AS_IT_IS,
    DEGRADATION_REACH,
    JPEG_BLOCK,
    Degradation,
    degrade,
    draw_damage,
    draw_degradation,
)

VALIDATION = (
    Degradation("bicubic"),
    Degradation("bicubic", 75),
    Degradation("area", 90),
    Degradation("opencv-cubic"),
    Degradation("opencv-cubic", 75),
    Degradation("lanczos", 60),
    Degradation("blur"),
    Degradation("nearest"),
)
DAMAGED = (
    Degradation(AS_IT_IS, noise=10),
    Degradation(AS_IT_IS, noise=25),
    Degradation(AS_IT_IS, 20),
    Degradation(AS_IT_IS, 40),
)
CPU = torch.device("cpu")
PAIRS_PER_PICTURE = 2  # so many of these for each held-out picture


@dataclass(frozen=True, slots=True)
class MixedPatches:
    """All training pictures, uint8 (H, W, 3), whose sides are multiples of the scale; `draw` says what is done."""

    pictures: Sequence[Pixels8]
    scale: int
    draw: Callable[[np.random.Generator], Degradation]
    device: torch.device = CPU

    @property
    def largest(self) -> int:
        """See `Supply`."""
        return int(max(min(each.shape[:2]) for each in self.pictures)) // self.scale

    def to(self, device: torch.device) -> "MixedPatches":
        """See `Supply`."""
        return replace(self, device=device)

    def batch(self, count: int, patch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Supply`."""
        random = np.random.default_rng(seed)
        fits = [each for each in self.pictures if min(each.shape[:2]) >= patch * self.scale]
        cut = [self._cut(fits[random.integers(len(fits))], patch, random) for _ in range(count)]
        low, high = (torch.from_numpy(np.stack(side)).to(self.device) for side in zip(*cut, strict=True))
        return low.permute(0, 3, 1, 2).float() / 255, high.permute(0, 3, 1, 2).float() / 255

    def _cut(self, picture: Pixels8, patch: int, random: np.random.Generator) -> tuple[Pixels8, Pixels8]:
        """A small patch (patch, patch, 3) and the large one that it was made of."""
        down, across = (_around(side // self.scale, patch, random) for side in picture.shape[:2])
        window = picture[down.start * self.scale : down.stop * self.scale]
        window = window[:, across.start * self.scale : across.stop * self.scale]
        # Turned before it is degraded: the nearest pixel and JPEG's blocks count from one corner.
        flip_down, flip_across, transpose = random.integers(2, size=3)
        top = down.after if flip_down else down.before
        left = across.after if flip_across else across.before
        window = window[:: -1 if flip_down else 1, :: -1 if flip_across else 1]
        if transpose:
            window, top, left = window.swapaxes(0, 1), left, top
        window = np.ascontiguousarray(window)
        low = degrade(window, self.scale, self.draw(random))
        return low[top : top + patch, left : left + patch], window[
            top * self.scale : (top + patch) * self.scale, left * self.scale : (left + patch) * self.scale
        ]


@dataclass(frozen=True, slots=True)
class _Around:
    """A stretch of low-resolution pixels: a patch, and so many before and after it that are seen in it."""

    start: int
    stop: int
    before: int
    after: int


def _around(side: int, patch: int, random: np.random.Generator) -> _Around:
    first = int(random.integers(side - patch + 1))
    before, after = (DEGRADATION_REACH + int(each) for each in random.integers(JPEG_BLOCK, size=2))
    before, after = min(before, first), min(after, side - patch - first)
    return _Around(first - before, first + patch + after, before, after)


def load(files: Sequence[Path], scale: int, patch: int) -> tuple[MixedPatches, list[Pair], list[str]]:
    """Patches to train on, held-out pairs to validate on, and one line for each kind of file left out.

    Raises BadSetting if nothing is left to train on or to validate on.
    """
    return _load(files, scale, patch, draw_degradation, VALIDATION)


def load_damaged(files: Sequence[Path], scale: int, patch: int) -> tuple[MixedPatches, list[Pair], list[str]]:
    """The same for a network that cleans: noise and JPEG, nothing is shrunk. The scale is 1.

    Held-out pictures have the sides that the network can read.
    """
    return _load(files, scale, patch, draw_damage, DAMAGED, Autoencoder.multiple)


def _load(
    files: Sequence[Path],
    scale: int,
    patch: int,
    draw: Callable[[np.random.Generator], Degradation],
    validation: Sequence[Degradation],
    multiple: int = 1,
) -> tuple[MixedPatches, list[Pair], list[str]]:
    pictures = split_pictures(files, patch * scale)
    train = [np.asarray(crop_to_scale(each, scale)) for each in pictures.train]
    held_out = [
        make_degraded_pair(
            crop_to_scale(picture, multiple * scale),
            scale,
            validation[(number * PAIRS_PER_PICTURE + offset) % len(validation)],
        )
        for number, picture in enumerate(pictures.held_out)
        for offset in range(PAIRS_PER_PICTURE)
    ]
    return MixedPatches(train, scale, draw), held_out, pictures.notes


def make_degraded_pair(picture: Image.Image, scale: int, by: Degradation) -> Pair:
    """The picture, cropped to a multiple of the scale, and what degrading makes of it."""
    high = crop_to_scale(picture, scale)
    return Pair(to_tensor(Image.fromarray(degrade(np.asarray(high), scale, by))), to_tensor(high))
