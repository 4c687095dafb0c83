"""Two thousand damaged files: an image or a BadPicture, nothing else. `python -m performance.mutations` has more."""

import os
import signal

import pytest

from performance import mutations
from performance.mutations import BATCH, draw_mutations, draw_seeds, read_apart
from pipelines.images import door as images


def test_damaged_files_are_read_or_refused() -> None:
    assert len(draw_seeds()) >= 40
    for data in draw_seeds().values():
        assert images.read(data).pixels.size, "whole, each can be read"
    outcomes = dict(read_apart(draw_mutations(2000, seed=5)))
    assert {name: each for name, each in outcomes.items() if not each.is_right} == {}
    assert len(outcomes) == 2000 > BATCH and {each.ended for each in outcomes.values()} == {"image", "refused"}


def test_a_file_that_ends_the_process_is_told_and_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that crashes, one that hangs, one that raises, one that takes memory."""

    def read(data: bytes) -> None:
        if data == b"crash":
            os.kill(os.getpid(), signal.SIGKILL)
        while data == b"hang":
            pass
        if data == b"take":
            bytearray(320_000_000)
        if data == b"raise":
            raise KeyError("no picture")

    monkeypatch.setattr(mutations.images, "read", read)
    monkeypatch.setattr(mutations, "HANGS", 2.0)
    kinds = (b"fine", b"crash", b"fine", b"hang", b"raise", b"take", b"fine")
    outcomes = [each for _, each in read_apart((f"{number}", data) for number, data in enumerate(kinds))]
    assert [each.ended for each in outcomes] == [
        "image", "crashed", "image", "hangs", "KeyError: 'no picture'", "image", "image"
    ]  # fmt: skip
    assert [each.is_right for each in outcomes] == [True, False, True, False, False, False, True]


def test_the_same_seed_damages_the_same() -> None:
    assert dict(draw_mutations(50, seed=1)) == dict(draw_mutations(50, seed=1))
    assert dict(draw_mutations(50, seed=1)) != dict(draw_mutations(50, seed=2))
