"""Scores of written files on the benchmark sets, for their model cards: looked at once, after all choices are made.

A set is a folder of pictures, or one with HR and LR_bicubic/X<scale> (the small pictures as MATLAB made them, named
`<name>x<scale>.png`); without those, Pillow's antialiased bicubic makes them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from pipelines.errors import BadSetting
from pipelines.files import write_whole
from pipelines.networks.checkpoints import read_network
from training.data import Pair, find_pictures, make_pair, to_tensor
from training.data import read_picture as read_picture
from training.trainer import validate

HEADING = "## Scores"


class Bicubic(nn.Module):
    """What every network is compared with: Pillow's kernel."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(picture, scale_factor=self.scale, mode="bicubic", antialias=True)


def score_files(files: Sequence[Path], sets: Sequence[Path]) -> None:
    """Prints PSNR-Y of each file on each set, and puts the table into the model card beside the file."""
    for path in files:
        network = read_network(path)
        lines = ["| set | bicubic | this network |", "|-|-|-|"]
        for folder in sets:
            pairs = list(read_pairs(folder, network.scale))
            ours, plain = (validate(each, pairs, torch.device("cpu")) for each in (network, Bicubic(network.scale)))
            lines.append(f"| {folder.name} ({len(pairs)}) | {plain:.2f} | {ours:.2f} |")
        table = "\n".join(lines)
        print(f"{path.name}\n{table}", flush=True)
        note = f"PSNR of luma in dB, border crop {network.scale}, output rounded to 8 bits."
        document = path.with_suffix(".md")
        text = document.read_text().partition(HEADING)[0].rstrip() if document.exists() else f"# {path.stem}"
        write_whole(document, f"{text}\n\n{HEADING}\n\n{note}\n\n{table}\n".encode())


def read_pairs(folder: Path, scale: int) -> Iterator[Pair]:
    """Yields the pairs of a set at this scale. Raises BadSetting if it has none."""
    given = folder / "LR_bicubic" / f"X{scale}"
    if not given.is_dir():
        for path in find_pictures([folder]):
            yield make_pair(read_picture(path), scale)
        return
    for path in find_pictures([folder / "HR"]):
        low = given / f"{path.stem}x{scale}.png"
        if not low.exists():
            raise BadSetting(f"{folder.name} has no {low.name} for {path.name}.")
        small, high = to_tensor(read_picture(low)), to_tensor(read_picture(path))
        height, width = small.shape[1] * scale, small.shape[2] * scale
        if high.shape[1] < height or high.shape[2] < width:
            raise BadSetting(f"{path.name} is smaller than {low.name} enlarged by {scale}.")
        yield Pair(small, high[:, :height, :width])
