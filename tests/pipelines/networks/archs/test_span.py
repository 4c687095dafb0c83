"""SPAN against its team's own network, its reach, its trunk, and its sizes by the file alone."""

import pytest

from pipelines.networks.archs import span
from pipelines.networks.archs.span import Span
from pipelines.networks.checkpoints import build_network
from tests.support import networks
from tests.support.networks import fill, noise, spread

GROWN = dict.fromkeys(("conv_1", "conv_2"), 1) | {f"block_{n}.c{c}_r": 1 for n in range(1, 7) for c in (1, 2, 3)}


def test_equals_the_authors_network() -> None:
    """The golden file has what the class of the NTIRE repository gave for parameters drawn as here."""
    shapes = {key: tuple(value.shape) for key, value in Span(4, width=8).state_dict().items()}
    assert {key.removesuffix(".eval_conv.weight") for key in shapes if key.endswith("eval_conv.weight")} == set(GROWN)
    network = networks.assert_equals_the_authors("span", shapes, noise(7, 9), span)
    assert (network.scale, network.width, network.radius) == (4, 8, 21)


def test_every_parameter_counts() -> None:
    networks.assert_every_parameter_counts(Span(2, width=8, depth=1))


@pytest.mark.parametrize("depth", [1, 3])
def test_the_radius_is_how_far_the_outputs_reach(depth: int) -> None:
    network = Span(2, width=2, depth=depth)
    fill(network)
    middle = network.radius + 2
    assert spread(network, middle, middle, 2 * middle) == network.radius == 3 * depth + 3


def test_the_trunk_works_in_half_precision() -> None:
    features, _ = networks.assert_trunk_works_in_half_precision(networks.span(), noise(5, 6))
    assert features.shape == (1, 8, 5, 6)


def test_a_file_tells_scale_width_and_depth() -> None:
    again = build_network(fill(Span(3, width=6, depth=2)), "made")
    assert isinstance(again, Span) and (again.scale, again.width, again.depth) == (3, 6, 2)


def test_a_file_with_training_branches_is_another() -> None:
    """Their kernels would have to be merged first."""
    state = fill(Span(2, width=4, depth=1))
    assert span.matches(state) and not span.matches(state | {"block_1.c1_r.sk.weight": state["conv_cat.weight"]})
