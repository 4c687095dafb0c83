"""The networks that are trained here, in the form in which they are trained, freshly initialised from a run's seed."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from pipelines.networks.archs import srgan
from pipelines.networks.archs.autoencoder import Autoencoder
from pipelines.networks.archs.edsr import Edsr
from pipelines.networks.archs.estimate import Estimate
from pipelines.networks.archs.rcan import Rcan
from pipelines.networks.archs.srcnn import Srcnn
from pipelines.networks.archs.swift import Swift
from training.branches import BranchedConv, collapse
from training.checkpoint import Config
from training.srresnet import NormedSrgan, as_published

Make = Callable[[Config], nn.Module]


def _autoencoder(config: Config) -> nn.Module:
    network = Autoencoder(config.width, config.depth, BranchedConv)
    for name, value in network.last.named_parameters():  # a picture is left as it is at first
        if name in ("straight", "project"):
            value.data.zero_()
    return network


STEPS = {2: (2,), 3: (3,), 4: (2, 2)}  # that EDSR's pixel-shuffles enlarge by in turn

NETWORKS: Mapping[str, Make] = {
    "swift": lambda config: Swift(config.scale, config.width, config.depth, BranchedConv),
    "srcnn": lambda config: Srcnn(config.scale),
    "autoencoder": _autoencoder,
    "estimate": lambda config: Estimate(),
    "srresnet": lambda config: NormedSrgan(config.scale, config.width, config.depth),
    "srgan": lambda config: NormedSrgan(config.scale, config.width, config.depth),
    "rcan": lambda config: Rcan(config.scale, config.width, config.depth),
    "edsr-base": lambda config: Edsr(STEPS[config.scale], config.width, config.depth),
}


def build_for_training(config: Config) -> nn.Module:
    """The network in its training form, freshly initialised from the seed."""
    torch.manual_seed(config.seed)
    return NETWORKS[config.network](config)


def plain_state(network: nn.Module, config: Config) -> dict[str, Tensor]:
    """The parameters of the plain network that computes the same: branches and normalisation folded."""
    state = collapse(network)
    if isinstance(network, NormedSrgan):
        state = srgan.adapt(as_published(state, config.depth))
    return {key: value.contiguous() for key, value in state.items() if not key.endswith("num_batches_tracked")}
