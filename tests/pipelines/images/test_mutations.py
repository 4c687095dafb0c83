"""A hundred damaged files: an image or a BadPicture, nothing else. `python -m performance.mutations` has more."""

from performance.mutations import draw_mutations, draw_seeds, read_apart
from pipelines.images import door as images


def test_damaged_files_are_read_or_refused() -> None:
    assert len(draw_seeds()) >= 40
    for data in draw_seeds().values():
        assert images.read(data).pixels.size, "whole, each can be read"
    outcomes = {name: read_apart(data) for name, data in draw_mutations(100, seed=5)}
    assert {name: each for name, each in outcomes.items() if not each.is_right} == {}
    assert {each.ended for each in outcomes.values()} == {"image", "refused"}


def test_the_same_seed_damages_the_same() -> None:
    assert dict(draw_mutations(50, seed=1)) == dict(draw_mutations(50, seed=1))
    assert dict(draw_mutations(50, seed=1)) != dict(draw_mutations(50, seed=2))
