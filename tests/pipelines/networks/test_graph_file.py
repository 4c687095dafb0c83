"""Damaged graphs are refused in one sentence, whatever is wrong with them, and take no memory that they do not have."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pipelines.errors import BadWeights
from pipelines.networks.checkpoints import read_network
from tests.support import tiny_graph
from tests.support.tiny_graph import Writer

WHOLE = {"espcn": tiny_graph.espcn(2), "edsr": tiny_graph.edsr(2, width=2, depth=1, quantised=True)}


@pytest.mark.parametrize("key", WHOLE)
def test_changed_bytes_are_refused_or_read(key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path, whole = tmp_path_factory.mktemp("graphs") / "x.pb", WHOLE[key]

    @given(some.integers(0, len(whole) - 1), some.integers(0, 255), some.booleans())
    def change(at: int, byte: int, cut: bool) -> None:
        path.write_bytes(whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :])
        try:
            read_network(path)
        except BadWeights as error:
            assert str(error).startswith("x.pb ") and str(error).count("\n") == 0

    change()


def test_a_table_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    """TensorFlow may write one number for a table of any size that repeats it."""
    writer = Writer()
    huge = writer.constant(np.ones((1, 1, 1, 1)))
    writer.nodes[-1] = writer.nodes[-1].replace(b"\x12\x02\x08\x01" * 4, b"\x12\x02\x08\x7f" * 4)
    made = writer.plain("Conv2D", "input", huge)
    (tmp_path / "x.pb").write_bytes(writer.write(made))
    with pytest.raises(BadWeights, match=r"^x\.pb does not fit together: a table has fewer numbers than places\."):
        read_network(tmp_path / "x.pb")


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    whole = tiny_graph.espcn_like(2)
    one = np.float32(1).tobytes()
    (tmp_path / "x.pb").write_bytes(whole.replace(one, np.float32(np.nan).tobytes(), 1))
    with pytest.raises(BadWeights, match=r"^x\.pb holds values that are no numbers"):
        read_network(tmp_path / "x.pb")
