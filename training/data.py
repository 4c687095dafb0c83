"""Training pictures: files -> pairs of 8-bit pictures -> random patches.

The small picture is the large one shrunk by Pillow's antialiased bicubic and rounded to 8 bits, a file that somebody
could have; so the network learns what the benchmark asks. All pairs stay in memory (on the GPU, if there is one) and a
batch is cut by index arithmetic, so no worker process is needed. training/mixed.py has the other kind of patches.

Knows nothing of networks.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from PIL import Image

from pipelines.environment import Limits
from pipelines.errors import BadPicture, BadSetting
from pipelines.images import door as images
from pipelines.images.picture import to_uint8

TRAINING_SUFFIXES = {".png", ".bmp", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
ANY_SIZE = Limits(input_pixels=1 << 30, output_pixels=1 << 30, file_bytes=1 << 32)
# Each picture is also used smaller: sharper per pixel, and free of its file's JPEG traces.
SMALLER_COPIES = (1.0, 0.8, 0.6)
HELD_OUT_EVERY = 40  # every 40th picture is for validation and never trained on


@dataclass(frozen=True, slots=True)
class Pair:
    """uint8 RGB, (3, h, w) and (3, scale*h, scale*w)."""

    low: torch.Tensor
    high: torch.Tensor


class Supply(Protocol):
    """Where a run's patches come from."""

    @property
    def largest(self) -> int:
        """The side of the largest square patch that some picture has room for, in low-resolution pixels."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same, with batches on another device."""
        ...

    def batch(self, count: int, patch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns `count` random patches, float in [0, 1]: (count, 3, patch, patch) and the same scale times larger.

        Each is one of the eight turns and flips of its picture. The same seed gives the same batch.
        """
        ...


@dataclass(frozen=True, slots=True)
class Split:
    """Pictures to train on, also smaller, those held out, and one line for each kind of file left out."""

    train: list[Image.Image]
    held_out: list[Image.Image]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Patches:
    """All training pairs as one long row of pixels each, and where in it each picture lies."""

    low: torch.Tensor  # (pixels, 3) uint8
    high: torch.Tensor
    size: torch.Tensor  # (pictures, 2): height and width of the small picture
    start: torch.Tensor  # (pictures,): index of its first pixel in `low`; times scale**2 in `high`
    scale: int

    @property
    def largest(self) -> int:
        """See `Supply`."""
        return int(self.size.amin(1).max())

    def to(self, device: torch.device) -> "Patches":
        """See `Supply`."""
        return replace(self, low=self.low.to(device), high=self.high.to(device))

    def batch(self, count: int, patch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Supply`."""
        random = torch.Generator().manual_seed(seed)
        fits = (self.size.amin(1) >= patch).nonzero().squeeze(1)
        picture = fits[torch.randint(len(fits), (count,), generator=random)]
        corner = (torch.rand(count, 2, generator=random) * (self.size[picture] - patch + 1)).long()
        turn = torch.randint(2, (count, 3), generator=random)
        return (
            self._cut(self.low, picture, corner, turn, patch, 1),
            self._cut(self.high, picture, corner, turn, patch, self.scale),
        )

    def _cut(
        self, row: torch.Tensor, picture: torch.Tensor, corner: torch.Tensor, turn: torch.Tensor, patch: int, scale: int
    ) -> torch.Tensor:
        along = torch.arange(patch * scale)
        down, across = torch.meshgrid(along, along, indexing="ij")
        flip_down, flip_across, transpose = turn[:, :, None, None].bool().unbind(1)
        down, across = torch.where(transpose, across, down), torch.where(transpose, down, across)
        down = torch.where(flip_down, patch * scale - 1 - down, down)
        across = torch.where(flip_across, patch * scale - 1 - across, across)
        top, left = (corner * scale)[:, :, None, None].unbind(1)
        width = (self.size[picture, 1] * scale)[:, None, None]
        start = (self.start[picture] * scale**2)[:, None, None]
        index = start + (top + down) * width + left + across
        return row[index.to(row.device)].permute(0, 3, 1, 2).float() / 255


def find_pictures(folders: Sequence[Path]) -> list[Path]:
    """Returns every picture file under the folders, each once, sorted. Raises BadSetting if there is none."""
    for folder in folders:
        if not folder.is_dir():
            raise BadSetting(f"There is no folder {folder}.")
    found = (path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in TRAINING_SUFFIXES)
    files = sorted({path.resolve(): path for path in found}.values())
    if not files:
        raise BadSetting(f"No images in {', '.join(map(str, folders))}.")
    return files


def describe_files(files: Sequence[Path]) -> str:
    """Returns how many files these are, and eight digits that others would not have: of their names and sizes."""
    text = "\n".join(f"{path.name} {path.stat().st_size}" for path in files)
    return f"{len(files)} files {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def read_picture(path: Path) -> Image.Image:
    """An RGB picture of 8 bits, upright, without its alpha. Raises BadPicture if the file is broken."""
    return Image.fromarray(to_uint8(images.read(path, bounds=ANY_SIZE).pixels))


def make_pair(picture: Image.Image, scale: int) -> Pair:
    """The picture, cropped to a multiple of the scale, and its antialiased bicubic shrink."""
    high = crop_to_scale(picture, scale)
    low_size = (high.width // scale, high.height // scale)
    return Pair(to_tensor(high.resize(low_size, Image.Resampling.BICUBIC)), to_tensor(high))


def crop_to_scale(picture: Image.Image, scale: int) -> Image.Image:
    """The picture without the last rows and columns that are no multiple of the scale."""
    return picture.crop((0, 0, picture.width // scale * scale, picture.height // scale * scale))


def load(files: Sequence[Path], scale: int, patch: int) -> tuple[Patches, list[Pair], list[str]]:
    """Patches to train on, held-out pairs to validate on, and one line for each kind of file left out.

    Raises BadSetting if nothing is left to train on or to validate on.
    """
    pictures = split_pictures(files, patch * scale)
    train = [make_pair(each, scale) for each in pictures.train]
    sizes = torch.tensor([each.low.shape[1:] for each in train])
    areas = sizes.prod(1)
    patches = Patches(
        torch.cat([each.low.flatten(1).T for each in train]),
        torch.cat([each.high.flatten(1).T for each in train]),
        sizes,
        areas.cumsum(0) - areas,
        scale,
    )
    return patches, [make_pair(each, scale) for each in pictures.held_out], pictures.notes


def split_pictures(files: Sequence[Path], least: int) -> Split:
    """Reads the files and sets every HELD_OUT_EVERY-th aside; those with a side below `least` pixels are left out.

    Raises BadSetting if nothing is left to train on or to validate on.
    """
    broken: list[str] = []
    small: list[str] = []
    train: list[Image.Image] = []
    held_out: list[Image.Image] = []
    good = 0
    for path in files:
        try:
            picture = read_picture(path)
        except BadPicture:
            broken.append(path.name)
            continue
        if min(picture.size) < least:
            small.append(path.name)
            continue
        good += 1
        if good % HELD_OUT_EVERY == 1:  # the first one too, so that a handful of pictures can be tried
            held_out.append(picture)
        else:
            train.extend(_smaller(picture, least))
    notes = [
        f"left out {len(names)} {what}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        for names, what in ((broken, "broken"), (small, f"smaller than a patch of {least} pixels"))
        if names
    ]
    if not train:
        raise BadSetting("; ".join(["Too few images to train on: at least two must be large enough", *notes]) + ".")
    return Split(train, held_out, notes)


def _smaller(picture: Image.Image, least: int) -> Iterator[Image.Image]:
    for shrink in SMALLER_COPIES:
        size = (round(picture.width * shrink), round(picture.height * shrink))
        if min(size) >= least:
            yield picture if shrink == 1 else picture.resize(size, Image.Resampling.BICUBIC)


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """Returns the picture as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
