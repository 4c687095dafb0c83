"""OpenCV's EDSR from a graph: the same as OpenCV's, its reach, trunk, blocks, and its sizes by the graph alone."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.archs.edsr_opencv import OpenCvEdsr
from pipelines.networks.checkpoints import read_network
from tests.support import dnn_superres, tiny_graph
from tests.support.networks import (
    assert_every_parameter_counts,
    assert_trunk_works_in_half_precision,
    fill,
    noise,
    reach,
)


@pytest.mark.parametrize(("scale", "quantised"), [(2, False), (3, True), (4, False)])
def test_equals_opencv(scale: int, quantised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published files, 39 MB of 39 million parameters, hold them in 8 bits."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    (tmp_path / "x.pb").write_bytes(tiny_graph.edsr(scale, quantised=quantised))
    dnn_superres.assert_the_same(tmp_path / "x.pb", "edsr", scale)


def test_every_parameter_counts() -> None:
    assert_every_parameter_counts(OpenCvEdsr(2, width=8, depth=2))


def test_the_radius_is_how_far_the_outputs_reach() -> None:
    network = OpenCvEdsr(2, width=2, depth=2)
    without_mean = torch.zeros(1, 2, 17, 17)
    with torch.inference_mode():
        assert reach(network, 2, 17, 8, 8) == 8, "all of it, for the mean is not zero"
        bright = without_mean.clone()
        bright[..., 8, 8] = 1
        read = (network.tail(network.trunk(bright), bright) != 0)[0, 0].nonzero().div(2, rounding_mode="floor")
    assert (read - 8).abs().max() + 1 == network.radius == 7


def test_the_trunk_works_in_half_precision() -> None:
    network = OpenCvEdsr(3, width=8, depth=2)
    fill(network)
    features, inner = assert_trunk_works_in_half_precision(network, noise(5, 6))
    assert features.shape == inner.shape == (1, 8, 5, 6)


def test_blocks_are_the_trunk() -> None:
    network = OpenCvEdsr(2, width=8, depth=3)
    fill(network)
    kept = [network.head(noise(5, 6))]
    blocks = network.in_blocks
    for block in blocks.blocks:
        kept.append(block.run(*(kept[number] for number in block.reads)))
    made = blocks.end.run(*(kept[number] for number in blocks.end.reads))
    torch.testing.assert_close(made, network.trunk(kept[0]))
    assert [block.reach for block in (*blocks.blocks, blocks.end)] == [4, 2, 2]


def test_a_graph_tells_its_sizes(tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(tiny_graph.edsr(4, width=5, depth=3))
    network = read_network(tmp_path / "x.pb")
    assert isinstance(network, OpenCvEdsr)
    assert (network.scale, network.width, network.depth) == (4, 5, 3)
