"""The places where a result differs most from a plain method's are those that were changed."""

import numpy as np
import pytest
from PIL import Image

from pipelines.images.picture import Pixels8
from pipelines.report.changes import CHANGED_SIDE, find_changes


def small_picture(height: int, width: int) -> Pixels8:
    return np.random.default_rng(0).integers(60, 190, (height, width, 3), np.uint8)


def enlarged(small: Pixels8, scale: int, kernel: Image.Resampling = Image.Resampling.BICUBIC) -> Pixels8:
    size = (small.shape[1] * scale, small.shape[0] * scale)
    return np.asarray(Image.fromarray(small).resize(size, kernel))


@pytest.mark.parametrize(
    ("height", "width", "scale", "plain"),
    [(100, 150, 4, "bicubic"), (100, 150, 3, "nearest"), (600, 900, 4, "bicubic"), (900, 1300, 3, "bicubic")],
)
def test_what_was_changed_comes_first(height: int, width: int, scale: int, plain: str) -> None:
    """However large the result: of the two largest only every few pixels are compared."""
    small = small_picture(height, width)
    kernel = {"bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}[plain]
    result = enlarged(small, scale, kernel).copy()
    row, column = int(0.7 * len(result)), int(0.2 * result.shape[1])
    result[row : row + 40, column : column + 40] ^= 128
    assert find_changes(small, enlarged(small, scale, kernel), plain) == []
    first, *_ = find_changes(small, result, plain)
    assert first.x <= column and first.x + first.side >= column + 40
    assert first.y <= row and first.y + first.side >= row + 40
    assert first.side <= CHANGED_SIDE


def test_it_is_another_method_that_a_result_is_compared_with() -> None:
    small = small_picture(40, 40)
    assert find_changes(small, enlarged(small, 4), "nearest") != []
    assert find_changes(small, enlarged(small, 4), "bicubic") == []


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (2, 2)])
def test_the_smallest_picture_has_one_place_or_none(height: int, width: int) -> None:
    small = small_picture(height, width)
    for square in find_changes(small, 255 - enlarged(small, 2)):
        assert square.x + square.side <= 2 * width and square.y + square.side <= 2 * height
