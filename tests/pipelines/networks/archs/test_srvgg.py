"""The compact network against what the authors' gives, its reach, and its three parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.srvgg import SRVGGNetCompact
from tests.support.networks import fill, noise, reach

GOLDEN = Path(__file__).parents[3] / "golden" / "networks.npz"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_the_authors_network(scale: int) -> None:
    """The golden file holds the outputs of BasicSR's network for parameters drawn as here."""
    network = SRVGGNetCompact(scale, width=8, depth=3)
    fill(network)
    expected = np.load(GOLDEN)[f"compact_x{scale}"]
    assert expected.std() > 0.1
    np.testing.assert_allclose(network(noise(4, 4)), expected, atol=1e-5)


def test_every_parameter_counts() -> None:
    """Else the golden outputs would say nothing about some of them."""
    network = SRVGGNetCompact(2, width=8, depth=3)
    fill(network)
    network.requires_grad_(True)(noise(4, 4)).square().mean().backward()
    for name, value in network.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 1e-4, name


def test_without_a_signal_it_is_nearest_neighbour() -> None:
    network, picture = SRVGGNetCompact(3, width=4, depth=1), noise(5, 4)
    fill(network)
    for value in network.body[-1].parameters():
        value.data.zero_()
    torch.testing.assert_close(network(picture), F.interpolate(picture, scale_factor=3, mode="nearest"))


@pytest.mark.parametrize("depth", [1, 4])
def test_the_radius_is_how_far_the_outputs_reach(depth: int) -> None:
    network = SRVGGNetCompact(3, width=2, depth=depth)
    with torch.inference_mode():
        assert reach(network, 3, 2 * depth + 9, depth + 4, depth + 4) == network.radius == depth + 2


def test_the_trunk_works_in_half_precision() -> None:
    network, picture = SRVGGNetCompact(2, width=8, depth=3), noise(5, 6)
    fill(network)
    whole = network(picture)
    for module in network.inner:
        module.bfloat16()
    features = network.head(picture)
    assert features.dtype == torch.float32 == network.body[-1].weight.dtype and features.shape == (1, 8, 5, 6)
    inner = network.trunk(features.bfloat16())
    assert inner.dtype == torch.bfloat16
    torch.testing.assert_close(network.tail(inner.float(), picture), whole, atol=0.1, rtol=0)
