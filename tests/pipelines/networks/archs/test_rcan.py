"""RCAN: every output reads the whole picture, and a file tells its sizes."""

import pytest
import torch

from pipelines.networks.archs.rcan import Rcan
from pipelines.networks.checkpoints import build_network
from pipelines.networks.tiling import UNBOUNDED
from tests.support.networks import assert_every_parameter_counts, fill, noise


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(Rcan(2, width=16, depth=1, blocks=2))


def test_a_pixel_reaches_everywhere() -> None:
    """Through the channels' means, which are of the whole picture."""
    network = Rcan(2, width=16, depth=1, blocks=1)
    fill(network)
    picture = noise(40, 9)
    other = picture.clone()
    other[..., 0, 0] = 0
    assert network.radius == UNBOUNDED
    assert (network(picture) - network(other))[..., -1, -1].abs().max() > 0


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_file_tells_scale_width_depth_and_blocks(scale: int) -> None:
    network = Rcan(scale, width=6, depth=2, blocks=3)
    fill(network)
    again = build_network(network.state_dict(), "made")
    assert isinstance(again, Rcan) and (again.scale, again.width, again.depth) == (scale, 6, 2)
    assert len(again.groups[0].blocks) == 3
    torch.testing.assert_close(again(noise(7, 5)), network(noise(7, 5)))
