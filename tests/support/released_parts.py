"""Small networks in single files of PyTorch, as authors release theirs, with numbers that anybody can make."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.images.picture import Pixels


def fill_deterministically(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Parameters of these names and shapes, by NumPy's generator in the order of the names.

    Every one its own, and of a size that keeps numbers in the network about where they are: nothing is 0 or 1. What a
    network predicts is small beside what it is given, else rounding grows from step to step.
    """
    drawn, made = np.random.default_rng(seed), {}
    for name in sorted(shapes):
        shape = shapes[name]
        values = drawn.standard_normal(tuple(shape))
        if len(shape) == 1 and name.endswith("weight"):  # a norm's
            values = 1 + values / 5
        elif name.endswith("bias"):
            values = values / 10
        elif not name.endswith(("embedding.weight", "table")):
            values = values / math.sqrt(math.prod(shape[1:])) * (0.3 if name == "out.2.weight" else 1)
        made[name] = torch.from_numpy(np.asarray(values, np.float32))
    return made


def speckled(height: int, width: int) -> Pixels:
    """A picture with slow and quick changes, (H, W, 3) in [0, 1], that anybody can make."""
    rows, columns = np.mgrid[:height, :width]
    slow = np.stack([np.sin(rows / (7 + place)) + np.cos(columns / (9 - place)) for place in range(3)], axis=2)
    quick = np.random.default_rng(4).standard_normal((height, width, 3))
    return np.clip(0.5 + 0.15 * slow + 0.08 * quick, 0, 1).astype(np.float32)


@cache
def golden() -> Mapping[str, npt.NDArray[Any]]:
    """What the authors' own code gave for small networks with these numbers, and their parameters' names and shapes."""
    with np.load(Path(__file__).parents[1] / "golden" / "resshift.npz") as kept:
        return dict(kept)


def released(network: str) -> dict[str, Tensor]:
    """The parameters of the small "unet" or "autoencoder", by the names of the authors' files, with idle buffers."""
    shapes = {kind: json.loads(str(golden()[f"{network}{kind}"])) for kind in ("", "_buffers")}
    state = fill_deterministically(shapes[""], {"unet": 1, "autoencoder": 2}[network])
    return state | {name: torch.full(shape, -42.0) for name, shape in shapes["_buffers"].items()}


def as_it_is(state: dict[str, Tensor]) -> dict[str, Any]:
    return state


def save_resshift(
    folder: Path,
    network: str = "resshift_realsrx4_s4_v3.pth",
    wrap: Callable[[dict[str, Tensor]], dict[str, Any]] = as_it_is,
) -> Path:
    """Puts a small ResShift into a folder, by the names of the released files."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(wrap(released("unet")), folder / network)
    torch.save(wrap(released("autoencoder")), folder / "autoencoder_vq_f4.pth")
    return folder
