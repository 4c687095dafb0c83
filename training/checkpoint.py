"""A run's state on disk: what it was asked for, how far it is, and all it needs to go on.

Knows nothing of networks but their tensors.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.errors import BadSetting, CannotWrite
from pipelines.files import write_whole

ONE_FILE = {"autoencoder": "cleaner", "estimate": "swift-estimate"}  # networks that enlarge by nothing, by file


@dataclass(frozen=True, slots=True)
class Config:
    """All that decides the result, apart from the processor's rounding."""

    network: str  # one of training/networks.py
    scale: int
    width: int
    depth: int
    steps: int
    batch: int
    patch: int  # low-resolution pixels
    rate: float
    seed: int
    data: str  # how many pictures, and a digest of their names and sizes
    start: str = ""  # the checkpoint that another run left, by its name
    exact: bool = False  # float32 even where bfloat16 is quicker
    degradations: str = "bicubic"  # or mixed: training/degradations.py
    loss: str = "luma"  # as training/losses.py reads it
    teacher: str = ""  # the file of the network that it learns from as well
    teacher_share: float = 0.0  # how much of the target is its output

    @property
    def stem(self) -> str:
        """The name of its files, without an ending."""
        if self.network in ONE_FILE:
            return ONE_FILE[self.network]
        return f"{self.network}{'-mixed' if self.degradations == 'mixed' else ''}-x{self.scale}"


@dataclass(frozen=True, slots=True)
class Round:
    """A run as the model card tells it: the command, the processor, the hours. A network may have seen several."""

    command: str
    processor: str
    hours: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run's state after `step` steps and `seconds`; of `rounds` the last is this run, up to here."""

    config: Config
    step: int
    seconds: float
    rounds: tuple[Round, ...]
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    critic: dict[str, Any] | None = None  # of the adversary, where there is one


def write(path: Path, state: Checkpoint) -> None:
    """Writes a checkpoint so that a kill leaves either the old file or the new one. Raises CannotWrite."""
    # torch reads no class of ours back: those become plain dictionaries.
    plain = {"config": asdict(state.config), "rounds": [asdict(each) for each in state.rounds]}
    stream = io.BytesIO()
    torch.save({name: getattr(state, name) for name in Checkpoint.__slots__} | plain, stream)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The folder {path.parent} cannot be made ({error.strerror}).") from error
    write_whole(path, stream.getvalue())


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint. Raises BadSetting where it cannot be read, or is none of ours."""
    if not path.is_file():
        raise BadSetting(f"There is no checkpoint {path}.")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        tensors = [*saved["network"].values(), *saved["average"].values()]
        if not all(isinstance(each, Tensor) for each in tensors) or not isinstance(saved["optimizer"], dict):
            raise TypeError("no tensors")
        return Checkpoint(
            Config(**saved["config"]),
            int(saved["step"]),
            float(saved["seconds"]),
            tuple(Round(**each) for each in saved["rounds"]),
            saved["network"],
            saved["average"],
            saved["optimizer"],
            saved.get("critic"),
        )
    except Exception as error:  # torch.load raises many kinds, and anything may be in the file
        raise BadSetting(f"{path} is damaged or not a checkpoint of this project.") from error


def check_config(path: Path, found: Config, wanted: Config) -> None:
    """Raises BadSetting where the checkpoint is of another configuration than the one that is asked for."""
    ours, theirs = asdict(wanted), asdict(found)
    different = [f"{key} {theirs[key]} there, {ours[key]} here" for key in ours if ours[key] != theirs[key]]
    if different:
        raise BadSetting(
            f"{path} is of another configuration ({'; '.join(different)}): remove it or name another --runs folder."
        )
