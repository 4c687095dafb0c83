"""The compact network against what the authors' gives, its reach, its three parts, and its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.checkpoints import read_network
from tests.support.networks import (
    assert_every_parameter_counts,
    assert_trunk_works_in_half_precision,
    fill,
    noise,
    reach,
    same,
)

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
    assert_every_parameter_counts(SRVGGNetCompact(2, width=8, depth=3))


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
    features, _ = assert_trunk_works_in_half_precision(network, picture)
    assert network.body[-1].weight.dtype == torch.float32 and features.shape == (1, 8, 5, 6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_compact_at_every_scale(scale: int, tmp_path: Path) -> None:
    network = SRVGGNetCompact(scale, width=5, depth=3)
    fill(network)
    torch.save({"params": network.state_dict()}, tmp_path / "x.pth")
    loaded = read_network(tmp_path / "x.pth")
    assert isinstance(loaded, SRVGGNetCompact) and same(loaded, network)
    assert (loaded.scale, loaded.width, loaded.depth) == (scale, 5, 3)


@pytest.mark.parametrize(
    ("name", "depth"), [("realesr-general-x4v3", 32), ("realesr-general-wdn-x4v3", 32), ("realesr-animevideov3", 16)]
)
def test_the_published_compact_networks(name: str, depth: int, assets: Path) -> None:
    network = read_network(assets / "weights" / "real-esrgan" / f"{name}.pth")
    assert isinstance(network, SRVGGNetCompact)
    assert (network.scale, network.width, network.depth, network.radius) == (4, 64, depth, depth + 2)
    picture = noise(6, 5) * 0.1 + 0.4
    smooth = nn.functional.interpolate(picture, scale_factor=4, mode="nearest")
    assert (network(picture) - smooth).abs().mean() < 0.1  # it enlarges: what it adds is small
