"""The RRDB network against what the authors' networks give, its reach, its three parts, and its names in files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.checkpoints import read_network
from tests.support.networks import (
    assert_every_parameter_counts,
    assert_trunk_works_in_half_precision,
    fill,
    noise,
    reach,
    same,
)

State = dict[str, Tensor]

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
    assert_every_parameter_counts(RRDBNet(2, 2, width=8, depth=2, growth=4))


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
    features, inner = assert_trunk_works_in_half_precision(network, picture)
    assert network.conv_last.weight.dtype == torch.float32
    assert features.shape == (1, 8, 8 // network.multiple, 12 // network.multiple)
    assert inner.shape == (1, 8, 8 * scale, 12 * scale)


def test_several_pictures_at_once() -> None:
    network = RRDBNet(2, width=8, depth=1, growth=4)
    fill(network)
    pictures = torch.cat((noise(5, 7, seed=2), noise(5, 7, seed=3)))
    alone = torch.cat([network(picture[None]) for picture in pictures])
    torch.testing.assert_close(network(pictures), alone)


def released(state: State) -> State:
    """ESRGAN's second names."""
    names = {"conv_body": "trunk_conv", "conv_hr": "HRconv", "conv_up": "upconv", "body": "RRDB_trunk", "rdb": "RDB"}
    renamed = {}
    for key, value in state.items():
        for ours, theirs in names.items():
            key = key if ours == "body" and not key.startswith(ours) else key.replace(ours, theirs)
        renamed[key] = value
    return renamed


def positions(state: State) -> State:
    """ESRGAN's first names: the places of the layers in a row."""
    upsamplings = sum(key.startswith("conv_up") for key in state) // 2
    tops = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6", "conv_up3": "9"}
    tops |= {"conv_hr": str(3 * upsamplings + 2), "conv_last": str(3 * upsamplings + 4)}
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "body":
            renamed[f"model.1.sub.{parts[1]}.{parts[2].upper()}.{parts[3]}.0.{parts[4]}"] = value
        else:
            renamed[f"model.{tops[parts[0]]}.{parts[1]}"] = value
    return renamed


@pytest.mark.parametrize("kind", [(1, 1), (2, 1), (3, 1), (2, 2), (2, 4), (3, 2)], ids=str)
@pytest.mark.parametrize("names", [dict, released, positions])
def test_every_naming_of_rrdb(names: Callable[[State], State], kind: tuple[int, int], tmp_path: Path) -> None:
    network = RRDBNet(*kind, width=6, depth=2, growth=4)
    fill(network)
    torch.save(names(network.state_dict()), tmp_path / "x.pth")
    loaded = read_network(tmp_path / "x.pth")
    assert isinstance(loaded, RRDBNet) and same(loaded, network)
    assert (loaded.upsamplings, loaded.multiple) == kind and loaded.scale == network.scale
    assert (loaded.width, loaded.depth, loaded.growth) == (6, 2, 4)
