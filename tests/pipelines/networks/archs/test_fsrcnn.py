"""FSRCNN from a graph: the same as OpenCV's, its reach, and its sizes by the graph alone."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.archs.fsrcnn import Fsrcnn
from pipelines.networks.checkpoints import read_network
from tests.support import dnn_superres, tiny_graph
from tests.support.networks import assert_every_parameter_counts, reach


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_opencv(scale: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    (tmp_path / "x.pb").write_bytes(tiny_graph.fsrcnn(scale))
    dnn_superres.assert_the_same(tmp_path / "x.pb", "fsrcnn", scale)


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(Fsrcnn(2, width=8, inner_width=6, depth=1))


@pytest.mark.parametrize("depth", [1, 4])
def test_the_radius_is_how_far_the_outputs_reach(depth: int) -> None:
    network = Fsrcnn(2, width=2, inner_width=2, depth=depth)
    with torch.inference_mode():
        assert reach(network, 2, 2 * depth + 7, depth + 3, depth + 3) == network.radius == depth + 2


def test_a_graph_tells_its_sizes(tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(tiny_graph.fsrcnn(4, width=7, inner=3, depth=3))
    network = read_network(tmp_path / "x.pb")
    assert isinstance(network, Fsrcnn)
    assert (network.scale, network.width, network.body[0].out_channels, len(network.body)) == (4, 7, 3, 10)
