"""A blind test of a comparison's results: two unlabelled crops at a time, until a ranking follows from the votes.

The crops are of files that were kept for the viewer, at the places where the results differ most. Nothing that is shown
says which method made it; the order of the pairs and the side of each follow from the test's own seed.
"""

import math
import random
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from pipelines.errors import BadSetting
from pipelines.images.door import Pixels8
from pipelines.measuring.run import Vote, choose_pair
from pipelines.report import report as reports
from pipelines.report.report import Square
from pipelines.runs import Run, Step
from ui.jobs.kept_files import Results

Pick: TypeAlias = Literal["left", "right", "same"]
OUTCOMES: Mapping[Pick, Literal["first", "second", "same"]] = {"left": "first", "right": "second", "same": "same"}

CROP_SIDE = 192  # px of the result: two or three pixels of the screen each
LEAST_SHARE = 2  # a crop is at most this part of the shorter side, or all places would show the same
MOST_PLACES = 9  # crops of each method that are held
LEAST_ASKED, MOST_ASKED = 10, 30  # pairs in a test
ASKED_EACH = 3  # pairs for each method, between the two


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What each method made of one place, and the original there if it is known: WebP files of equal size."""

    crops: Mapping[str, bytes]
    original: bytes | None
    apart: Mapping[frozenset[str], float]  # mean difference of two methods' crops, in levels of 255


@dataclass(frozen=True, slots=True)
class Question:
    """A pair that is shown; `number` counts from 1."""

    number: int
    left: str
    right: str
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class BlindTest:
    """A test that goes on while it has a question. Of pairs that are the same everywhere nobody is asked."""

    models: tuple[str, ...]
    places: tuple[Place, ...]
    seed: int
    total: int
    votes: tuple[Vote, ...] = ()
    asked: tuple[Question, ...] = ()  # those with an answer
    question: Question | None = None

    def shown(self) -> tuple[bytes, bytes, bytes | None]:
        """Returns the crops of the question, left and right, and the original's."""
        assert self.question is not None, "it has come to its end"
        place = self.places[self.question.place]
        return place.crops[self.question.left], place.crops[self.question.right], place.original


def prepare(pictures: Sequence[Callable[[], Results]], scale: int) -> Run[BlindTest]:
    """The test of these pictures' results with its first question. Raises BadSetting where no two of them differ."""
    shown = pictures[:MOST_PLACES]
    most = math.ceil(MOST_PLACES / max(1, len(shown)))
    places: list[Place] = []
    for number, read in enumerate(shown):
        yield Step(number, len(shown), "preparing the blind test")
        places += _cut_places(read(), scale, most)
    return begin(places[:MOST_PLACES], secrets.randbits(64))


def begin(places: Sequence[Place], seed: int) -> BlindTest:
    """The test at these places with its first question; of the methods that have a crop at each. Raises BadSetting."""
    models = [model for model in places[0].crops if all(model in place.crops for place in places)] if places else []
    if not any(apart for place in places for pair, apart in place.apart.items() if pair <= {*models}):
        raise BadSetting("A blind test needs the results of at least two models that differ.")
    total = min(MOST_ASKED, max(LEAST_ASKED, ASKED_EACH * len(models)))
    return _ask(BlindTest(tuple(models), tuple(places), seed, total))


def answer(test: BlindTest, number: int, pick: Pick) -> BlindTest:
    """The test after an answer to the question of that number; one that was answered before changes nothing."""
    question = test.question
    if question is None or question.number != number or pick not in [*OUTCOMES]:
        return test
    vote = Vote(question.left, question.right, OUTCOMES[pick])
    return _ask(replace(test, votes=(*test.votes, vote), asked=(*test.asked, question), question=None))


def as_url(crop: bytes) -> str:
    """The crop inside the page: a URL of its own could be told from another's."""
    return f"data:image/webp;base64,{b64encode(crop).decode()}"


def _ask(test: BlindTest) -> BlindTest:
    """The test with its next question, if there is to be another."""
    chance = random.Random(f"{test.seed} {len(test.votes)}")
    votes = test.votes
    # What is the same everywhere counts as no difference, without a question.
    for _ in range(test.total):
        if len(test.asked) >= test.total:
            return test
        left, right = choose_pair(test.models, votes, chance)
        pair = frozenset((left, right))
        if any(place.apart[pair] for place in test.places):
            place = _choose_place(test, pair, chance)
            return replace(test, votes=votes, question=Question(len(test.asked) + 1, left, right, place))
        votes = (*votes, Vote(left, right, "same"))
    return replace(test, votes=votes)


def _choose_place(test: BlindTest, pair: frozenset[str], chance: random.Random) -> int:
    """Where the two differ most, of the places that they were compared at least often; of equal ones any."""
    seen = [sum(each.place == place and pair == {each.left, each.right} for each in test.asked)
            for place in range(len(test.places))]  # fmt: skip
    differ = [place for place, each in enumerate(test.places) if each.apart[pair]]
    fresh = [place for place in differ if seen[place] == min(seen[each] for each in differ)]
    most = max(test.places[place].apart[pair] for place in fresh)
    return chance.choice([place for place in fresh if test.places[place].apart[pair] == most])


def _cut_places(results: Results, scale: int, most: int) -> list[Place]:
    """The places of one picture: each result is read once."""
    if len(results.models) < 2:
        return []
    squares = reports.choose_places(results.original, list(results.models.values()), scale)[:most]
    boxes: list[tuple[int, int, int]] = []
    cut: dict[str, list[Pixels8]] = {}
    for model, load in results.models.items():
        pixels = load()
        boxes = boxes or [_widen(square, (pixels.shape[1], pixels.shape[0])) for square in squares]
        cut[model] = [_cut(pixels, box) for box in boxes]
    return [
        Place(
            {model: _encode(crops[index], results.icc) for model, crops in cut.items()},
            None if results.original is None else _encode(_cut(results.original, box), results.icc),
            {frozenset(pair): _distance(*(cut[model][index] for model in pair)) for pair in combinations(cut, 2)},
        )
        for index, box in enumerate(boxes)
    ]


def _widen(square: Square, size: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of a crop about the middle of the square, inside a picture of that width and height."""
    side = min(CROP_SIDE, max(square.side, min(size) // LEAST_SHARE))
    left, top = (
        min(max(at + square.side // 2 - side // 2, 0), extent - side)
        for at, extent in zip((square.x, square.y), size, strict=True)
    )
    return left, top, side


def _cut(pixels: Pixels8, box: tuple[int, int, int]) -> Pixels8:
    left, top, side = box
    return pixels[top : top + side, left : left + side].copy()  # or all of the result would be held


def _distance(one: Pixels8, other: Pixels8) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def _encode(pixels: Pixels8, icc: bytes | None) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=0, method=0, icc_profile=icc)
    return stream.getvalue()
