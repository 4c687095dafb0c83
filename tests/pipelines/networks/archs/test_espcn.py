"""ESPCN from a graph: the same as OpenCV's, its reach, and its sizes by the graph alone."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.archs.espcn import Espcn
from pipelines.networks.checkpoints import read_network
from tests.support import dnn_superres, tiny_graph
from tests.support.networks import assert_every_parameter_counts, reach


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_opencv(scale: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    (tmp_path / "x.pb").write_bytes(tiny_graph.espcn(scale))
    dnn_superres.assert_the_same(tmp_path / "x.pb", "espcn", scale)


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(Espcn(2, width=8, inner_width=6))


def test_the_radius_is_how_far_the_outputs_reach() -> None:
    with torch.inference_mode():
        assert reach(Espcn(3, width=2, inner_width=2), 3, 15, 7, 7) == Espcn.radius == 4


def test_a_graph_tells_its_sizes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(tiny_graph.espcn(3, width=7, inner=5))  # by what it holds, not by its name
    network = read_network(tmp_path / "x")
    assert isinstance(network, Espcn)
    assert (network.scale, network.width, network.middle.out_channels) == (3, 7, 5)
