"""SRCNN: bicubic where it has nothing to add, one change for all three colours, its reach, and its file."""

import numpy as np
import pytest
import torch

from pipelines.images import resample
from pipelines.networks.archs.srcnn import FULL_RANGE_LUMA, Srcnn
from pipelines.networks.checkpoints import build_network
from pipelines.runs import finish
from tests.support.networks import noise, reach, srcnn


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_a_signal_it_is_bicubic(scale: int) -> None:
    """The kernel of the product's own bicubic, which is Pillow's."""
    network, picture = Srcnn(scale), noise(9, 7)
    for value in network.rebuild.parameters():
        value.data.zero_()
    expected = finish(resample.enlarge(picture[0].permute(1, 2, 0).numpy(), scale, "bicubic"))
    with torch.inference_mode():
        made = network(picture)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made.clip(0, 1), expected, atol=1e-4)


def test_it_changes_luma_alone() -> None:
    network, bicubic, picture = srcnn(2), Srcnn(2), noise(9, 7)
    for value in bicubic.rebuild.parameters():
        value.data.zero_()
    with torch.inference_mode():
        change = (network(picture) - bicubic(picture))[0]
    assert change.abs().max() > 0.01 and sum(FULL_RANGE_LUMA) == pytest.approx(1)
    torch.testing.assert_close(change[0], change[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(change[0], change[2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_radius_is_not_less_than_the_outputs_reach(scale: int) -> None:
    with torch.inference_mode():
        assert 3 <= reach(Srcnn(scale), scale, 25, 12, 12) <= Srcnn(scale).radius


def test_a_file_tells_its_scale() -> None:
    network = srcnn(3)
    again = build_network(network.state_dict(), "made")
    assert isinstance(again, Srcnn) and again.scale == 3
    torch.testing.assert_close(again(noise(7, 5)), network(noise(7, 5)))
