"""Checkpoints: from a file of weights to the network it is of.

All about a network is taken from the names and shapes in its file, but for the scale of SRCNN, which is a number there.
Imports torch: import it where a model is loaded.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pipelines.errors import BadWeights
from pipelines.networks import foreign
from pipelines.networks.archs import (
    autoencoder,
    disp,
    edsr,
    edsr_opencv,
    espcn,
    fsrcnn,
    haesr,
    lapsrn,
    rcan,
    rrdbnet,
    span,
    srcnn,
    srgan,
    srvgg,
    swift,
)
from pipelines.networks.file import copy_as_float32, read_if_graph, read_tensors, strip_prefixes
from pipelines.networks.graph import Graph
from pipelines.networks.network import Arch, Network
from pipelines.networks.shapes import Misfit, State, describe_shape
from pipelines.phrasing import list_names, printable_name

# What begins a name in files that no upscaler is made of, and what they are.
_NOT_UPSCALERS = (
    (("model.diffusion_model.", "first_stage_model.", "cond_stage_model."), "a checkpoint of Stable Diffusion"),
    (("lora_", "base_model.model.", "unet.up_blocks."), "a LoRA, an addition to another model"),
)
_COUNT = "num_batches_tracked"  # which batch normalisation keeps while it learns
# In this order: the first that a file matches is the one that it is of.
ARCHS = (
    Arch(rrdbnet.matches, rrdbnet.build, "RRDB", rename=rrdbnet.rename),
    Arch(swift.matches, swift.build, "Swift"),
    Arch(autoencoder.matches, autoencoder.build, "autoencoder"),
    Arch(rcan.matches, rcan.build, "RCAN"),
    Arch(srcnn.matches, srcnn.build, "SRCNN"),
    Arch(span.matches, span.build, "SPAN"),
    Arch(disp.matches, disp.build, "DISP"),
    Arch(haesr.matches, haesr.build, "HAESR", adapt=haesr.adapt),
    Arch(srgan.matches, srgan.build, "SRGAN", adapt=srgan.adapt),
    Arch(edsr.matches, edsr.build, "EDSR", adapt=edsr.adapt),
    Arch(srvgg.matches, srvgg.build, "compact"),
)
# What follows a graph, and the name of what it is of.
GRAPHS: tuple[tuple[str, Callable[[Graph], tuple[Network, State]]], ...] = (
    ("ESPCN", espcn.follow),
    ("FSRCNN", fsrcnn.follow),
    ("LapSRN", lapsrn.follow),
    ("EDSR", edsr_opencv.follow),
)


def read_network(path: Path) -> Network:
    """The network that the file holds: float32, on the CPU, frozen, ready to run.

    The library spandrel is asked for what none of our own architectures can be made of. Raises BadWeights, with the
    file's name, for whatever is wrong with it.
    """
    name = printable_name(path)
    if (graph := read_if_graph(path)) is not None:
        return _follow_graph(graph, name)
    tensors = read_tensors(path)
    try:
        return build_network(_own_state(tensors, name), name)
    except BadWeights as error:
        theirs = strip_prefixes(tensors, foreign.knows) if foreign.is_installed() else None
        if theirs is None:
            raise
        ours = strip_prefixes(tensors, _is_known) is not None
        try:
            return foreign.build(copy_as_float32(theirs, name), name)
        except BadWeights:
            if ours:  # of what is known better here, what is wrong is known better too
                raise error from None
            raise


def _follow_graph(graph: Graph, name: str) -> Network:
    """The network that a graph is of. Raises BadWeights."""
    for _, follow in GRAPHS:
        try:
            network, state = follow(replace(graph, seen=set()))
            _check_fit(state, network)
        except Misfit:
            continue
        network.load_state_dict(copy_as_float32(state, name), assign=True)
        return network.eval().requires_grad_(False)
    *others, last = (each for each, _ in GRAPHS)
    raise BadWeights(f"{name} is a graph of another network than {', '.join(others)} or {last}.")


def read_state(path: Path) -> dict[str, Tensor]:
    """The file's parameters: float32 on the CPU, finite, in memory of their own, named as their architecture does.

    They need not be of one network yet: `build_network` checks that. Raises BadWeights, with the file's name.
    """
    return _own_state(read_tensors(path), printable_name(path))


def _own_state(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """A file's tensors as the parameters of one of our own architectures."""
    tensors = strip_prefixes(tensors, _is_known) or tensors
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
        raise BadWeights(f"{name} belongs to another network: {list_names(whole)} is no table of decimal numbers.")
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
    for beginnings, what in _NOT_UPSCALERS:
        if any(key.startswith(beginnings) for key in state):
            raise BadWeights(f"{name} is {what}, which does not upscale by itself.")
    more = "" if foreign.is_installed() else f"; for 42 more, {foreign.HOW_TO_INSTALL}"
    raise BadWeights(f"{name} belongs to another network: expected {_expected()}, found {list_names(state)}{more}.")


def _expected() -> str:
    """Returns the networks whose files can be read."""
    *others, last = (arch.name for arch in ARCHS)
    return f"{', '.join(others)} or {last}"


def _check_fit(state: State, network: Network) -> None:
    """Raises Misfit where the state's names or shapes are not exactly the network's."""
    expected = network.state_dict()
    lacking, surplus = expected.keys() - state.keys(), state.keys() - expected.keys()
    if lacking:
        raise Misfit(f"is not a whole network: it lacks {list_names(lacking)}.")
    if surplus:
        raise Misfit(f"belongs to another network: it has {list_names(surplus)} beyond {type(network).__name__}'s.")
    for key, tensor in expected.items():
        if tensor.shape != state[key].shape:
            raise Misfit(
                f"does not fit together: {list_names([key])} is {describe_shape(state[key])} "
                f"and should be {describe_shape(tensor)}."
            )
