"""DISP against its team's own network, its reach, its trunk, and its sizes by the file alone."""

import pytest

from pipelines.networks.archs import disp
from pipelines.networks.archs.disp import Disp
from pipelines.networks.checkpoints import build_network
from tests.support import networks
from tests.support.networks import fill, noise, spread


def test_equals_the_authors_network() -> None:
    """The golden file has what the class of the NTIRE repository gave for parameters drawn as here."""
    shapes = {key: tuple(value.shape) for key, value in Disp(2, width=8).state_dict().items()}
    network = networks.assert_equals_the_authors("disp", shapes, noise(7, 9), disp)
    assert (network.scale, network.width, network.radius) == (2, 8, 18)


def test_every_parameter_counts() -> None:
    networks.assert_every_parameter_counts(Disp(2, width=8, depth=2))


@pytest.mark.parametrize(("depth", "more"), [(1, 0), (2, 2)])
def test_the_radius_is_how_far_the_outputs_reach(depth: int, more: int) -> None:
    network = Disp(3, width=2, depth=depth, more=more)
    fill(network)
    middle = network.radius + 2
    assert spread(network, middle, middle, 2 * middle) == network.radius == (3 + more) * depth + 2


def test_the_trunk_works_in_half_precision() -> None:
    features, _ = networks.assert_trunk_works_in_half_precision(networks.disp(), noise(5, 6))
    assert features.shape == (1, 8, 5, 6)


def test_a_file_tells_its_sizes() -> None:
    again = build_network(fill(Disp(3, width=6, depth=3, more=2)), "made")
    assert isinstance(again, Disp) and (again.scale, again.width, again.depth, again.more) == (3, 6, 3, 2)
