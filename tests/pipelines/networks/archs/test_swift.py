"""Swift: its reach, its three parts, and nearest neighbour where it has nothing to add."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.swift import Swift
from pipelines.networks.checkpoints import build_network
from tests.support.networks import (
    assert_every_parameter_counts,
    assert_trunk_works_in_half_precision,
    fill,
    noise,
    reach,
)


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(Swift(2, width=8, depth=3))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_a_signal_it_is_nearest_neighbour(scale: int) -> None:
    network, picture = Swift(scale, width=4, depth=1), noise(5, 4)
    for value in network.last.parameters():
        value.data.zero_()
    torch.testing.assert_close(network(picture), F.interpolate(picture, scale_factor=scale, mode="nearest"))


@pytest.mark.parametrize("depth", [1, 4])
def test_the_radius_is_how_far_the_outputs_reach(depth: int) -> None:
    network = Swift(3, width=2, depth=depth)
    with torch.inference_mode():
        assert reach(network, 3, 2 * depth + 11, depth + 5, depth + 5) == network.radius == depth + 3


def test_the_trunk_works_in_half_precision() -> None:
    network, picture = Swift(2, width=8, depth=3), noise(5, 6)
    fill(network)
    features, _ = assert_trunk_works_in_half_precision(network, picture)
    assert network.last.weight.dtype == torch.float32 and features.shape == (1, 8, 5, 6)


def test_a_file_tells_scale_width_and_depth() -> None:
    network = Swift(3, width=6, depth=2)
    fill(network)
    again = build_network(network.state_dict(), "made")
    assert isinstance(again, Swift) and (again.scale, again.width, again.depth) == (3, 6, 2)
    torch.testing.assert_close(again(noise(7, 5)), network(noise(7, 5)))


def test_training_in_bfloat16_does_not_round_the_result() -> None:
    network, picture = Swift(2, width=8, depth=2), noise(5, 6)
    fill(network)
    exact = network(picture)
    with torch.autocast("cpu", torch.bfloat16):
        made = network(picture)
    assert made.dtype == torch.float32 and not torch.equal(made, made.bfloat16().float())
    torch.testing.assert_close(made, exact, atol=0.05, rtol=0.05)
