"""A graph is followed only where it is all of a network that is known: anything else is refused, never run wrongly."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import BadWeights
from pipelines.networks.checkpoints import read_network
from tests.support.tiny_graph import Writer, espcn, lapsrn


def relu_at_the_end(writer: Writer, made: str) -> str:
    return writer.plain("Relu", made)


def another_slope(writer: Writer, made: str) -> str:
    return writer.plain("Tanh", writer.plain("Mul", made, writer.constant(0.5)))


def two_ends(writer: Writer, made: str) -> str:
    writer.plain("Relu", made)
    return writer.plain("Tanh", made)


def added_to_itself(writer: Writer, made: str) -> str:
    return writer.plain("Tanh", writer.plain("Add", made, made))


@pytest.mark.parametrize("end", [relu_at_the_end, another_slope, two_ends, added_to_itself])
def test_what_ends_otherwise_is_refused(end: Callable[[Writer, str], str], tmp_path: Path) -> None:
    writer = Writer()
    made = writer.plain("Relu", writer.draw("input", 5, 1, 4, 4))
    made = writer.plain("Relu", writer.draw(made, 3, 4, 4, 4))
    made = writer.shuffle(writer.draw(made, 3, 4, 4, 4), 2)
    (tmp_path / "x.pb").write_bytes(writer.write(end(writer, made)))
    with pytest.raises(BadWeights, match=r"^x\.pb is a graph of another network than ESPCN, FSRCNN, LapSRN or EDSR\."):
        read_network(tmp_path / "x.pb")


def test_a_subtraction_the_other_way_round_is_refused(tmp_path: Path) -> None:
    swapped = Writer.leak

    def leak(self: Writer, source: str) -> str:
        below = self.plain("Relu", self.plain("Mul", self.constant(-1), source))
        return self.plain("Sub", self.plain("Mul", self.constant(0.2), below), self.plain("Relu", source))

    try:
        Writer.leak = leak  # type: ignore[method-assign]
        (tmp_path / "x.pb").write_bytes(lapsrn(1))
    finally:
        Writer.leak = swapped  # type: ignore[method-assign]
    with pytest.raises(BadWeights, match="another network"):
        read_network(tmp_path / "x.pb")


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"SAME", b"VALI"), (b"NHWC", b"NCHW"), (b"\x1a\x04\x01\x01\x01\x01", b"\x1a\x04\x01\x02\x02\x01")],
)
def test_another_kind_of_convolution_is_refused(before: bytes, after: bytes, tmp_path: Path) -> None:
    content = espcn(2)
    assert before in content
    (tmp_path / "x.pb").write_bytes(content.replace(before, after, 1))
    with pytest.raises(
        BadWeights, match=r"^x\.pb belongs to another network: conv2d_\d+ has a? ?\w+ that (is|are) not known"
    ):
        read_network(tmp_path / "x.pb")
