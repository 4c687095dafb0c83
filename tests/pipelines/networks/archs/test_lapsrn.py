"""LapSRN from a graph: the same as OpenCV's, its reach, its trunk, and its sizes by the graph alone."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.archs.lapsrn import LapSrn
from pipelines.networks.checkpoints import read_network
from tests.support import dnn_superres, tiny_graph
from tests.support.networks import assert_every_parameter_counts, assert_trunk_works_in_half_precision, fill, noise


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_equals_opencv(scale: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    (tmp_path / "x.pb").write_bytes(tiny_graph.lapsrn(scale.bit_length() - 1))
    dnn_superres.assert_the_same(tmp_path / "x.pb", "lapsrn", scale)


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(LapSrn(2, width=4, depth=1))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_radius_is_how_far_the_outputs_reach(levels: int, tmp_path: Path) -> None:
    """From the files, whose kernels of 4 reach one place less before than behind; found by changing one pixel."""
    (tmp_path / "x.pb").write_bytes(tiny_graph.lapsrn(levels, width=2, depth=2))
    network, side = read_network(tmp_path / "x.pb"), 31
    picture = torch.full((1, 3, side, side), 0.5)
    changed = picture.clone()
    changed[..., side // 2, side // 2] = 1
    with torch.inference_mode():
        differs = (network(picture) != network(changed))[0, 0].nonzero()
    places = differs.div(network.scale, rounding_mode="floor")
    assert (places - side // 2).abs().max() == network.radius


def test_the_trunk_works_in_half_precision() -> None:
    network = LapSrn(3, width=4, depth=1)
    fill(network)
    features, inner = assert_trunk_works_in_half_precision(network, noise(5, 6))
    assert features.shape == (1, 4, 5, 6) and inner.shape == (1, 4 + 16 + 64, 5, 6)


def test_a_graph_tells_its_sizes(tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(tiny_graph.lapsrn(2, width=5, depth=3))
    network = read_network(tmp_path / "x.pb")
    assert isinstance(network, LapSrn)
    assert (network.scale, network.width, network.depth) == (4, 5, 3)
