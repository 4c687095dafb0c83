"""EDSR against super-image's own network, its reach, its trunk, and its sizes by the file alone."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.archs import edsr
from pipelines.networks.archs.edsr import Edsr
from pipelines.networks.checkpoints import read_network
from tests.support import networks
from tests.support.networks import fill, noise, spread

SIZES = {"edsr_x2": ((2,), 8, 3), "edsr_x3": ((3,), 8, 2), "edsr_x4": ((2, 2), 8, 2), "edsr_large": ((2,), 256, 1)}


def published(name: str) -> str:
    """What super-image's files call a parameter."""
    return name.replace("head_conv.", "head.0.").replace("ends.", "tail.")


@pytest.mark.parametrize("key", SIZES)
def test_equals_the_authors_network(key: str) -> None:
    """The golden file has what super-image's class gave for parameters drawn as here, its unused mean among them."""
    made = Edsr(*SIZES[key])
    shapes = {published(name): tuple(value.shape) for name, value in made.state_dict().items()}
    shapes |= {f"{which}_mean.{part}": shape for which in ("sub", "add") for part, shape in MEAN.items()}
    network = networks.assert_equals_the_authors(key, shapes, noise(5, 6), edsr)
    assert isinstance(network, Edsr) and (network.steps, network.width, network.depth) == SIZES[key]


MEAN = {"weight": (3, 3, 1, 1), "bias": (3,)}


def test_every_parameter_counts() -> None:
    networks.assert_every_parameter_counts(Edsr((2,), width=8, depth=2))


@pytest.mark.parametrize(("steps", "radius"), [((2,), 9), ((3,), 9), ((2, 2), 9)])
def test_the_radius_is_how_far_the_outputs_reach(steps: tuple[int, ...], radius: int) -> None:
    """2 a block, 1 for the first convolution, the one behind the blocks, and those at the higher resolutions."""
    network = Edsr(steps, width=2, depth=2)
    fill(network)
    assert spread(network, 11, 11, 22) == network.radius
    assert network.radius <= radius


def test_the_trunk_works_in_half_precision() -> None:
    features, inner = networks.assert_trunk_works_in_half_precision(networks.edsr(4), noise(5, 6))
    assert features.shape == (1, 8, 5, 6) and inner.shape == (1, 8, 20, 24)


def test_a_file_by_its_published_names(tmp_path: Path) -> None:
    made = networks.edsr(4)
    torch.save({published(name): value for name, value in made.state_dict().items()}, tmp_path / "x.pt")
    assert networks.same(read_network(tmp_path / "x.pt"), made)
