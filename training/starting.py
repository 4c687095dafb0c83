"""What a run begins with: the layers of an earlier run's checkpoint, or of a written file such as a bundled one."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pipelines.errors import BadSetting, BadWeights
from pipelines.networks.file import read_tensors
from training import checkpoint
from training.branches import BranchedConv
from training.checkpoint import Round

WRITTEN = ".safetensors"
ROUND = re.compile(r"^Round \d+, ([\d.]+) h on (.+):\n\n```\n(.+)\n```$", re.MULTILINE)  # as the model card has it


@torch.no_grad()
def take_layers(network: nn.Module, start: Path) -> tuple[str, tuple[Round, ...]]:
    """Copies every layer of equal name and shape from a checkpoint's averaged network or from a written file.

    Returns how many, in words, and the rounds of training that those have seen; a written file's are read from the
    model card beside it. A buffer is not learned: it says what the network is, as its scale, and stays, but for what
    batch normalisation has seen. Raises BadSetting where nothing fits or the file cannot be read.
    """
    if start.suffix == WRITTEN:
        given, rounds = _read_written(network, start), _read_rounds(start.with_suffix(".md"))
    else:
        saved = checkpoint.read(start)
        given, rounds = saved.average, saved.rounds
    own = dict(network.named_parameters())
    equal = [name for name in own if name in given and given[name].shape == own[name].shape]
    if not equal:
        raise BadSetting(f"{start} has no layer that this network could take over.")
    for name in equal:
        own[name].copy_(given[name])
    for name, buffer in network.named_buffers():
        if ".running_" in name and name in given and given[name].shape == buffer.shape:
            buffer.copy_(given[name])
    return f"{len(equal)} of {len(own)} tensors taken from {start.name}", rounds


def _read_written(network: nn.Module, start: Path) -> Mapping[str, Tensor]:
    """The file's parameters in the training form: what a fresh network's branches do is taken off the one kernel."""
    if not start.is_file():
        raise BadSetting(f"There is no file {start}.")
    try:
        given = {name: value.float() for name, value in read_tensors(start).items()}
    except BadWeights as error:
        raise BadSetting(str(error)) from error
    for name, module in network.named_modules():
        kernel = given.pop(f"{name}.weight", None) if isinstance(module, BranchedConv) else None
        if kernel is not None and kernel.shape == module.straight.shape:
            given |= {
                f"{name}.straight": kernel - (module.kernel() - module.straight),
                f"{name}.expand": module.expand.clone(),
                f"{name}.project": module.project.clone(),
            }
        elif kernel is not None:
            given.pop(f"{name}.bias", None)
    return given


def _read_rounds(card: Path) -> tuple[Round, ...]:
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return tuple(Round(command, processor, float(hours)) for hours, processor, command in ROUND.findall(text))
