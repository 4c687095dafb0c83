"""A blind test's questions and answers, without a page."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BadSetting
from pipelines.images.door import Pixels8
from pipelines.measuring.run import rank_preferences
from pipelines.runs import finish
from ui.jobs import blind
from ui.jobs.blind import BlindTest, Pick
from ui.jobs.kept_files import Results

BEST_FIRST = ("a", "b", "c", "d")
NOISE = np.random.default_rng(1).integers(0, 256, (600, 500, 3), np.uint8)


def noisy(levels: int) -> Pixels8:
    """A picture that differs the more the more levels, and nowhere more than around (400, 450)."""
    strength = np.full((600, 500, 1), levels, np.float64)
    strength[420:480, 370:430] *= 3
    return np.clip(NOISE * 0.2 + strength, 0, 255).astype(np.uint8)


def begun_with(**pictures: Pixels8) -> BlindTest:
    """The test of results of one picture."""
    loaders = {model: (lambda pixels=pixels: pixels) for model, pixels in pictures.items()}
    shape = next(iter(pictures.values()), NOISE).shape
    original = noisy(0)[: shape[0], : shape[1]]
    places = finish(blind.prepare([lambda: Results(original, loaders, None)], 2)).places
    return blind.begin(places, seed=1)


def opened(crop: bytes) -> Pixels8:
    return np.asarray(Image.open(BytesIO(crop)).convert("RGB"))


def answered(test: BlindTest) -> BlindTest:
    """The test as somebody answers it who always sees which one is better."""
    while (question := test.question) is not None:
        better: Pick = "left" if question.left < question.right else "right"
        test = blind.answer(test, question.number, better)
    return test


def test_known_answers_give_the_known_ranking() -> None:
    test = answered(begun_with(**{model: noisy(10 * level) for level, model in enumerate(BEST_FIRST)}))
    assert len(test.votes) == len(test.asked) == test.total == 12
    found = rank_preferences(test.models, test.votes)
    assert [each.model for each in found] == [*BEST_FIRST]
    assert found[0].low > found[-1].strength and found[-1].high < found[0].strength
    picked = [vote.outcome for vote in test.votes]
    assert 3 <= picked.count("first") <= 9, "the better one is on either side"
    assert len({frozenset((each.left, each.right)) for each in test.asked}) >= 4, "several pairs are asked about"


def test_crops_are_of_the_same_place_and_of_the_results() -> None:
    test = begun_with(b=noisy(20), a=noisy(0))
    assert test.question is not None and test.total == blind.LEAST_ASKED
    left, right, original = map(opened, filter(None, test.shown()))
    assert left.shape == right.shape == original.shape == (192, 192, 3)
    by_side = {test.question.left: left, test.question.right: right}
    np.testing.assert_array_equal(by_side["a"], original)
    assert by_side["b"].mean() > original.mean() + 15
    rows, columns = np.nonzero((by_side["b"].astype(int) - original).max(axis=2) > 30)
    assert len(rows) > 3000 and np.ptp(rows) < 70 and np.ptp(columns) < 70, "where they differ most is in sight"


def test_each_test_has_its_own_order_and_the_same_seed_the_same() -> None:
    places = begun_with(**{model: noisy(10 * level) for level, model in enumerate(BEST_FIRST)}).places

    def order(seed: int) -> list[tuple[str, str, int]]:
        return [(each.left, each.right, each.place) for each in answered(blind.begin(places, seed)).asked]

    assert order(1) == order(1) != order(2)


def test_an_answer_counts_once_and_strange_ones_not_at_all() -> None:
    test = begun_with(a=noisy(0), b=noisy(20))
    after = blind.answer(test, 1, "same")
    assert [vote.outcome for vote in after.votes] == ["same"] and after.question is not None
    assert after.question.number == 2
    for number, pick in ((1, "left"), (3, "left"), (2, "sideways"), (2, None), (2, ["left"]), ("2", "left")):
        assert blind.answer(after, number, pick) is after  # type: ignore[arg-type]


def test_what_looks_the_same_is_not_asked_about() -> None:
    test = answered(begun_with(a=noisy(0), b=noisy(20), c=noisy(20)))
    assert all({each.left, each.right} != {"b", "c"} for each in test.asked)
    assert all(vote.outcome == "same" for vote in test.votes if {vote.first, vote.second} == {"b", "c"})


@pytest.mark.parametrize("models", [{}, {"a": noisy(0)}, {"a": noisy(7), "b": noisy(7)}])
def test_without_two_results_that_differ_there_is_no_test(models: dict[str, Pixels8]) -> None:
    with pytest.raises(BadSetting, match="at least two models that differ"):
        begun_with(**models)


def test_a_small_picture_has_crops_of_half_its_side() -> None:
    test = begun_with(a=noisy(0)[:100, :120], b=noisy(20)[:100, :120])
    assert opened(test.shown()[0]).shape == (64, 64, 3)
