"""Visitors at once, each with another picture: nobody gets another's result. `performance.load` has more of them."""

from performance.load import draw_picture, is_own, read_options, run_load
from pipelines.catalog.rows import Stage
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish


def test_nobody_gets_anothers_result(served: str) -> None:
    """Some leave half-way, some cancel."""
    given = {"clients": 12, "requests": 12, "leaving": 2, "cancelling": 2, "sizes": 1}
    options = read_options([f"--{name}={count}" for name, count in given.items()])
    tally, rows, _ = run_load(served, None, options)
    assert tally.wrong == []
    assert tally.ended["right"] == 8 and tally.ended["left"] == tally.ended["cancelled"] == 2, rows


def test_a_result_is_known_by_its_content() -> None:
    """As any model makes it; of the same size only the own one is taken."""
    for model in ("bicubic", "nearest", "swift"):
        pixels, other = draw_picture(1, 60, 50), draw_picture(2, 60, 50)
        done = finish(enlarge_by(Picture(pixels), [Stage(model, 2)]))
        result = images.encode(done.picture)
        assert is_own(result, pixels, 2) and not is_own(result, other, 2) and not is_own(result, pixels, 3)
