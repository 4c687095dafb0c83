"""Checkpoints: from a file of weights to the network it is of.

All about a network is taken from the names and shapes in its file, but for the scale of SRCNN, which is a number there.
Imports torch: import it where a model is loaded.
"""

from pathlib import Path

import torch
from torch import Tensor

from pipelines.errors import BadWeights
from pipelines.networks.archs import disp, edsr, haesr, rrdbnet, span, srcnn, srgan, srvgg, swift
from pipelines.networks.file import copy_as_float32, read_tensors
from pipelines.networks.network import Arch, Network
from pipelines.networks.shapes import Misfit, State, describe_shape
from pipelines.phrasing import list_names, printable_name

_COUNT = "num_batches_tracked"  # which batch normalisation keeps while it learns
# In this order: the first that a file matches is the one that it is of.
ARCHS = (
    Arch(rrdbnet.matches, rrdbnet.build, "conv_first.weight, body.0.rdb1.conv1.weight … (RRDB)", rename=rrdbnet.rename),
    Arch(swift.matches, swift.build, "first.weight, body.0.weight … (Swift)"),
    Arch(srcnn.matches, srcnn.build, "extract.weight, map.weight … (SRCNN)"),
    Arch(span.matches, span.build, "conv_1.eval_conv.weight, block_1.c1_r.eval_conv.weight … (SPAN)"),
    Arch(disp.matches, disp.build, "conv_1.eval_conv.weight, blocks.0.c1_r.eval_conv.weight … (DISP)"),
    Arch(haesr.matches, haesr.build, "input.weight, block0.res_end.weight … (HAESR)", adapt=haesr.adapt),
    Arch(srgan.matches, srgan.build, "block1.0.weight, block2.conv1.weight … (SRGAN)", adapt=srgan.adapt),
    Arch(edsr.matches, edsr.build, "head.0.weight, body.0.body.0.weight … (EDSR)", adapt=edsr.adapt),
    Arch(srvgg.matches, srvgg.build, "body.0.weight, body.1.weight … (compact)"),
)


def read_network(path: Path) -> Network:
    """The network that the file holds: float32, on the CPU, frozen, ready to run.

    Raises BadWeights, with the file's name, for whatever is wrong with it.
    """
    return build_network(read_state(path), printable_name(path))


def read_state(path: Path) -> dict[str, Tensor]:
    """The file's parameters: float32 on the CPU, finite, in memory of their own, named as their architecture does.

    They need not be of one network yet: `build_network` checks that. Raises BadWeights, with the file's name.
    """
    name = printable_name(path)
    tensors = read_tensors(path, _is_known, _expected())
    arch = _find_arch(tensors, name)
    if arch.rename is not None:
        names = arch.rename(tensors)
        renamed = {names[key]: tensor for key, tensor in tensors.items()}
        if len(renamed) < len(tensors):
            raise BadWeights(f"{name} is not one network: it has the same parameter under two names.")
        tensors = renamed
    try:
        adapted = arch.adapt(tensors) if arch.adapt else tensors
    except Misfit as error:
        raise BadWeights(f"{name} {error}") from error
    adapted = {key: tensor for key, tensor in adapted.items() if not key.endswith(_COUNT)}
    if whole := [key for key, tensor in adapted.items() if not tensor.is_floating_point()]:
        raise BadWeights(f"{name} is of another network: {list_names(whole)} is no table of decimal numbers.")
    return copy_as_float32(adapted, name)


def build_network(state: State, name: str) -> Network:
    """The network with these parameters, which are float32 and named as `read_state` names them; they are not copied.

    `name` stands for them in the message of the BadWeights that is raised where they are not those of one network.
    """
    try:
        with torch.device("meta"):
            network = _find_arch(state, name).build(state)
        _check_fit(state, network)
    except Misfit as error:
        raise BadWeights(f"{name} {error}") from error
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _is_known(state: State) -> bool:
    return any(arch.matches(state) for arch in ARCHS)


def _find_arch(state: State, name: str) -> Arch:
    for arch in ARCHS:
        if arch.matches(state):
            return arch
    raise BadWeights(f"{name} is of another network: expected {_expected()}, found {list_names(state)}.")


def _expected() -> str:
    """Returns what the files that can be read begin with."""
    *others, last = (arch.begins for arch in ARCHS)
    return f"{', '.join(others)} or {last}"


def _check_fit(state: State, network: Network) -> None:
    """Raises Misfit where the state's names or shapes are not exactly the network's."""
    expected = network.state_dict()
    lacking, surplus = expected.keys() - state.keys(), state.keys() - expected.keys()
    if lacking:
        raise Misfit(f"is not a whole network: it lacks {list_names(lacking)}.")
    if surplus:
        raise Misfit(f"is of another network: it has {list_names(surplus)} beyond {type(network).__name__}'s.")
    for key, tensor in expected.items():
        if tensor.shape != state[key].shape:
            raise Misfit(
                f"does not fit together: {list_names([key])} is {describe_shape(state[key])} "
                f"and should be {describe_shape(tensor)}."
            )
