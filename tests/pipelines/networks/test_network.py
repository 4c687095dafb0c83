"""Every architecture: what its network says of itself is so, and each file is recognised as of one architecture."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pipelines.networks.checkpoints import ARCHS, build_network
from pipelines.networks.network import Network
from tests.support.networks import compact, noise, rrdb, srcnn, swift

NETWORKS: dict[str, Callable[[], Network]] = {
    "rrdb x2": lambda: rrdb(2),
    "rrdb x4": lambda: rrdb(4),
    "compact x3": lambda: compact(3),
    "swift x2": lambda: swift(2),
    "srcnn x4": lambda: srcnn(4),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


def test_forward_is_its_three_parts(network: Network) -> None:
    picture = noise(6 * network.multiple, 7 * network.multiple)
    with torch.inference_mode():
        features = network.head(picture)
        whole = network.tail(network.trunk(features), picture)
        assert features.shape[1] == network.width
        assert whole.shape == (1, 3, picture.shape[2] * network.scale, picture.shape[3] * network.scale)
        torch.testing.assert_close(network(picture), whole)


def test_inner_are_the_modules_of_the_trunk(network: Network) -> None:
    """Those with parameters, all of them: else part of the trunk would stay in float32."""
    picture, ran = noise(4, 4), set[nn.Module]()
    features = network.head(picture)
    for module in nn.ModuleList(network.children()).modules():  # type: ignore[attr-defined]
        if next(module.parameters(recurse=False), None) is not None:
            module.register_forward_hook(lambda module, *_: ran.add(module))
    network.trunk(features)
    inner = {each for module in network.inner for each in module.modules()}
    assert ran == {module for module in inner if next(module.parameters(recurse=False), None) is not None}


def test_a_file_is_of_one_architecture(network: Network) -> None:
    state = network.state_dict()
    arch = next(arch for arch in ARCHS if arch.matches(state))
    assert type(arch.build(state)) is type(network)
    again = build_network(state, "made")
    for name in ("scale", "multiple", "radius", "floats_per_pixel", "width", "arch", "compiles", "precisions"):
        assert getattr(again, name) == getattr(network, name)
