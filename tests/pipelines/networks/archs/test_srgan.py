"""SRGAN against its repository's own network, its reach, its trunk, and its sizes by the file alone."""

from pathlib import Path

import pytest
import torch

from pipelines.errors import BadWeights
from pipelines.networks.archs import srgan
from pipelines.networks.archs.srgan import Srgan
from pipelines.networks.checkpoints import build_network, read_network
from tests.support import networks
from tests.support.networks import fill, noise, spread

State = dict[str, torch.Tensor]


def normalised(network: Srgan) -> dict[str, tuple[int, ...]]:
    """The shapes of a file whose blocks still have their batch normalisation."""
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    parts = ("weight", "bias", "running_mean", "running_var")
    blocks = [f"block{number}.bn{place}" for number in range(2, network.depth + 2) for place in (1, 2)]
    return shapes | {f"{block}.{part}": (network.width,) for block in blocks for part in parts}


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_equals_the_authors_network(scale: int) -> None:
    """The golden file has what the repository's generator gave for parameters drawn as here."""
    shapes = normalised(Srgan(scale.bit_length() - 1))
    network = networks.assert_equals_the_authors(f"srgan_x{scale}", shapes, noise(4, 5), srgan)
    assert (network.scale, network.radius) == (scale, 18)


def test_every_parameter_counts() -> None:
    network = Srgan(1, width=8, depth=2)
    networks.assert_every_parameter_counts(network)


@pytest.mark.parametrize("doublings", [1, 2, 3])
def test_the_radius_is_how_far_the_outputs_reach(doublings: int) -> None:
    network = Srgan(doublings, width=2, depth=1)
    fill(network)
    middle = network.radius + 2
    assert spread(network, middle, middle, 2 * middle) == network.radius


def test_the_trunk_works_in_half_precision() -> None:
    features, inner = networks.assert_trunk_works_in_half_precision(networks.srgan(4), noise(5, 6))
    assert features.shape == (1, 8, 5, 6) and inner.shape == (1, 8, 20, 24)


def test_a_file_tells_its_sizes(tmp_path: Path) -> None:
    """With and without PReLU behind the blocks; a count of what batch normalisation saw is passed over."""
    made = Srgan(2, width=6, depth=3, bent=False)
    state: State = fill(made) | {"block2.bn1.num_batches_tracked": torch.tensor(7)}
    torch.save(state, tmp_path / "x.pth")
    again = read_network(tmp_path / "x.pth")
    assert isinstance(again, Srgan) and (again.doublings, again.width, again.depth, again.bent) == (2, 6, 3, False)
    assert networks.same(again, made)
    assert isinstance(bent := build_network(fill(Srgan(1, width=6)), "made"), Srgan) and bent.bent


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("block2.bn1.running_mean", None, "is not a whole network: it lacks block2.bn1.running_mean"),
        ("block2.bn1.weight", torch.ones(3), "does not fit together: block2.bn1.weight is 3"),
    ],
)
def test_normalisation_that_does_not_fit_is_refused(
    name: str, value: torch.Tensor | None, said: str, tmp_path: Path
) -> None:
    state = networks.drawn(normalised(Srgan(1, width=6, depth=2)))
    torch.save({key: each for key, each in (state | {name: value}).items() if each is not None}, tmp_path / "x.pth")
    with pytest.raises(BadWeights, match=rf"^x\.pth {said}"):
        read_network(tmp_path / "x.pth")
