"""A small DiffBIR in single files, as its authors released theirs, with numbers that anybody can make."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.catalog import diffbir
from tests.support.diffusion_parts import put_tokenizer
from tests.support.released_parts import as_it_is, fill_deterministically

SEEDS = {"checkpoint": 11, "control": 12, "swin_ir": 13, "bsrnet": 14}
FILES = {
    "diffbir": {"checkpoint": diffbir.CHECKPOINT, "control": diffbir.CONTROL, "swin_ir": diffbir.SWIN_IR},
    "diffbir-v2": {"checkpoint": diffbir.CHECKPOINT_V2, "control": diffbir.CONTROL_V2, "bsrnet": diffbir.BSRNET},
}
SHORTEST = 128  # pixels of the shorter side of what is denoised: the authors' results here were made so small, too


@cache
def golden() -> Mapping[str, npt.NDArray[Any]]:
    """What the authors' own code gave for small networks with these numbers, and their parameters' names and shapes."""
    with np.load(Path(__file__).parents[1] / "golden" / "diffbir.npz") as kept:
        return dict(kept)


@cache
def parameters(network: str) -> dict[str, Tensor]:
    """The parameters of a small network, by the names of the authors' files, with idle buffers."""
    idle = json.loads(str(golden()["swin_ir_buffers"])) if network == "swin_ir" else {}
    made = fill_deterministically(json.loads(str(golden()[network])), SEEDS[network])
    return made | {name: torch.full(shape, -42.0) for name, shape in idle.items()}


def save_diffbir(
    folder: Path,
    key: str = "diffbir",
    wrap: Callable[[dict[str, Tensor]], dict[str, Any]] = as_it_is,
    tokenizer: bool = False,
) -> Path:
    """Puts a small DiffBIR into a folder, by the names of the released files; they hold no tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    for network, file in FILES[key].items():
        torch.save(wrap(parameters(network)), folder / (file.or_else or file.path))
    if tokenizer:
        put_tokenizer(folder / "tokenizer")
    return folder
