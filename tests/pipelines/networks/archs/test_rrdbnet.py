"""The RRDB network against what the authors' networks give, its reach, and its three parts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.networks.archs.rrdbnet import RRDBNet
from tests.support.networks import fill, noise, reach

GOLDEN = Path(__file__).parents[3] / "golden" / "networks.npz"
KINDS = {1: (2, 4), 2: (2, 2), 4: (2, 1), 8: (3, 1)}  # by scale: upsamplings and unshuffle


@pytest.mark.parametrize("scale", KINDS)
def test_equals_the_authors_networks(scale: int) -> None:
    """The golden file holds the outputs of BasicSR's and ai-forever's networks for parameters drawn as here."""
    network = RRDBNet(*KINDS[scale], width=8, depth=2, growth=4)
    fill(network)
    expected = np.load(GOLDEN)[f"rrdb_x{scale}"]
    assert network.scale == scale and expected.std() > 0.1
    np.testing.assert_allclose(network(noise(2 if scale == 8 else 4, 4)), expected, atol=1e-5)


def test_every_parameter_counts() -> None:
    """Else the golden outputs would say nothing about some of them."""
    network = RRDBNet(2, 2, width=8, depth=2, growth=4)
    fill(network)
    network.requires_grad_(True)(noise(4, 4)).square().mean().backward()
    for name, value in network.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 1e-4, name


@pytest.mark.parametrize("kind", [(0, 1), (1, 1), (1, 2), *KINDS.values()], ids=str)
def test_the_radius_is_how_far_the_outputs_reach(kind: tuple[int, int]) -> None:
    network = RRDBNet(*kind, width=1, depth=1, growth=1)
    side = 2 * network.radius + 2 * network.multiple
    places = range(side // 2, side // 2 + network.multiple)
    with torch.inference_mode():
        assert max(reach(network, network.scale, side, place, place) for place in places) == network.radius


def test_the_radius_of_the_network_in_use() -> None:
    """345 for the blocks, 2 for the convolutions around them, 2 for those at the higher resolutions."""
    with torch.device("meta"):
        assert RRDBNet(2).radius == RRDBNet(3).radius == 349


@pytest.mark.parametrize("scale", KINDS)
def test_the_trunk_works_in_half_precision(scale: int) -> None:
    network, picture = RRDBNet(*KINDS[scale], width=8, depth=2, growth=4), noise(8, 12)
    fill(network)
    whole = network(picture)
    for module in network.inner:
        module.bfloat16()
    features = network.head(picture)
    assert features.dtype == torch.float32 == network.conv_last.weight.dtype
    assert features.shape == (1, 8, 8 // network.multiple, 12 // network.multiple)
    inner = network.trunk(features.bfloat16())
    assert inner.dtype == torch.bfloat16 and inner.shape == (1, 8, 8 * scale, 12 * scale)
    torch.testing.assert_close(network.tail(inner.float(), picture), whole, atol=0.1, rtol=0)


def test_several_pictures_at_once() -> None:
    network = RRDBNet(2, width=8, depth=1, growth=4)
    fill(network)
    pictures = torch.cat((noise(5, 7, seed=2), noise(5, 7, seed=3)))
    alone = torch.cat([network(picture[None]) for picture in pictures])
    torch.testing.assert_close(network(pictures), alone)
