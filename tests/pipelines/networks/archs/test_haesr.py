"""HAESR against its team's own network, any size, what it depends on, and its sizes by the file alone."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.archs import haesr
from pipelines.networks.archs.haesr import Haesr
from pipelines.networks.checkpoints import read_network
from tests.support import networks
from tests.support.networks import fill, noise


def published(name: str) -> str:
    """What the team's file calls a parameter."""
    return name.replace("block0.residual_layer.", "block0.residual_layer.0.")


def test_equals_the_authors_network() -> None:
    """The golden file has what the class of the NTIRE repository gave for parameters drawn as here."""
    shapes = {published(name): tuple(value.shape) for name, value in Haesr(4, width=16).state_dict().items()}
    network = networks.assert_equals_the_authors("haesr", shapes, noise(9, 19), haesr)
    assert (network.scale, network.width) == (4, 16)


def test_every_parameter_counts() -> None:
    """In a picture of several windows, and more when what follows is normalised: of each some trace."""
    network = Haesr(2, width=16)
    fill(network)
    network.requires_grad_(True)(noise(24, 24)).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 1e-9 for value in network.parameters())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (7, 30), (16, 16), (17, 23)])
def test_any_size(height: int, width: int) -> None:
    made = networks.haesr()(noise(height, width))
    assert made.shape == (1, 3, 4 * height, 4 * width) and made.isfinite().all()


def test_an_output_depends_on_the_whole_picture() -> None:
    network, picture = networks.haesr(), noise(64, 64)
    other = picture.clone()
    other[..., 60:, 60:] = 1 - other[..., 60:, 60:]
    assert (network(picture) - network(other))[..., 0, 0].abs().max() > 0


def test_a_file_with_its_tables(tmp_path: Path) -> None:
    """Which say where samples lie, as whole numbers: the window tells that as well."""
    made = networks.haesr()
    state = {published(name): value for name, value in made.state_dict().items()}
    table = {"block0.residual_layer.0.SLA1.attn.ext_unfold.sample_indices": torch.arange(96)}
    torch.save({"params": {}, "params_ema": state | table}, tmp_path / "x.pth")
    assert networks.same(read_network(tmp_path / "x.pth"), made)
