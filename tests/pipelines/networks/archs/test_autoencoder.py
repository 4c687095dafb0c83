"""The denoising autoencoder: its reach, its three parts, and the picture itself where it has nothing to take off."""

import pytest
import torch

from pipelines.errors import BadWeights
from pipelines.networks.archs.autoencoder import Autoencoder
from pipelines.networks.checkpoints import build_network
from tests.support.networks import (
    assert_every_parameter_counts,
    assert_trunk_works_in_half_precision,
    fill,
    noise,
    spread,
)


def tiny(depth: int = 1) -> Autoencoder:
    network = Autoencoder(6, depth)
    fill(network)
    return network


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(tiny())


def test_without_a_signal_it_is_the_picture() -> None:
    network, picture = tiny(), noise(8, 12)
    for value in network.last.parameters():
        value.data.zero_()
    torch.testing.assert_close(network(picture), picture)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_radius_is_how_far_a_pixel_reaches(depth: int) -> None:
    """Wherever the pixel lies in its square: the farthest of all places is the radius."""
    network = tiny(depth)
    side = 4 * (network.radius // 2 + 3)
    middle = side // 2 // 2 * 2
    assert max(spread(network, middle + row, middle + row, side) for row in range(2)) == network.radius


def test_the_trunk_works_in_half_precision() -> None:
    network, picture = tiny(), noise(8, 12)
    features, _ = assert_trunk_works_in_half_precision(network, picture)
    assert network.last.weight.dtype == torch.float32 and features.shape == (1, 6, 4, 6)


def test_a_file_tells_widths_and_depth() -> None:
    network = tiny(2)
    again = build_network(network.state_dict(), "made")
    assert isinstance(again, Autoencoder) and (again.width, again.depth) == (6, 2)
    assert again.scale == 1
    torch.testing.assert_close(again(noise(8, 4)), network(noise(8, 4)))


def test_one_that_makes_no_picture_is_refused() -> None:
    state = tiny().state_dict()
    state["last.weight"], state["last.bias"] = state["last.weight"][:6], state["last.bias"][:6]
    with pytest.raises(BadWeights, match="its last convolution gives 6 channels"):
        build_network(state, "made")
