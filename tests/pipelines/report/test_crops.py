"""Where methods differ most."""

import tracemalloc
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.report.crops import MOST_CROPS, OVERVIEW_SIDE, Square, find_differences, picture_section


def flat(height: int, width: int, level: int = 100) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def loaders(**outputs: npt.NDArray[np.uint8]) -> dict[str, Callable[[], npt.NDArray[np.uint8]]]:
    return {label: output.copy for label, output in outputs.items()}


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(png)))


def test_finds_where_they_differ_the_most_first() -> None:
    one, other = flat(400, 300), flat(400, 300)
    other[200:232, 100:132] += 10
    other[64:96, 200:232] += 50
    first, second = find_differences([one, one, other], 2, side=32, border=4)
    for box, (x, y) in ((first, (200, 64)), (second, (100, 200))):
        assert abs(box.x - x) <= 4 and abs(box.y - y) <= 4 and box.side == 32
    assert find_differences([other, one, one], 2, side=32, border=4) == [first, second], (
        "the order of methods is no matter"
    )


def test_squares_do_not_overlap_and_keep_off_the_border() -> None:
    random = np.random.default_rng(0)
    outputs = [random.integers(0, 256, (200, 170, 3), np.uint8) for _ in range(3)]
    boxes = find_differences(outputs, 20, side=32, border=9, step=8)
    assert len(boxes) >= 8
    for x, y, side in boxes:
        assert x % 8 == y % 8 == 0 and side == 32
        assert x >= 9 and y >= 9 and x + side <= 170 - 9 and y + side <= 200 - 9
    for a, b in combinations(boxes, 2):
        assert abs(a.x - b.x) >= 32 or abs(a.y - b.y) >= 32


def test_a_difference_in_the_border_does_not_count() -> None:
    one, other = flat(64, 64), flat(64, 64)
    other[:4] = 255
    assert find_differences([one, other], 3, side=16, border=4) == []


def test_small_pictures_give_fewer_and_smaller_squares() -> None:
    random = np.random.default_rng(1)
    outputs = [random.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(2)]
    (box,) = find_differences(outputs, 3, side=64, border=2)
    assert box.side <= 16 and box.x >= 2 and box.x + box.side <= 28
    assert find_differences([each[:4, :4] for each in outputs], 3, side=64, border=2) == []
    assert find_differences([each[:1, :1] for each in outputs], 3, side=64, border=0) == [Square(0, 0, 1)]
    assert find_differences([each[:7, :30] for each in outputs], 3, side=64, border=0, step=8) == []


def test_memory_at_a_large_size_is_a_few_bytes_a_pixel() -> None:
    one, other = flat(2048, 2048), flat(2048, 2048, 90)
    tracemalloc.start()
    find_differences([one, other] * 4, MOST_CROPS, side=64, border=8, step=8)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5 * 2048 * 2048


def test_a_section_cuts_the_same_place_out_of_all() -> None:
    random = np.random.default_rng(2)
    original, bicubic, espcn = (random.integers(0, 256, (600, 400, 3), np.uint8) for _ in range(3))
    low = random.integers(0, 256, (150, 100, 3), np.uint8)
    picture = picture_section("cat.png", original, low, loaders(bicubic=bicubic, espcn=espcn))
    assert (picture.name, picture.width, picture.height) == ("cat.png", 400, 600)
    assert (picture.small_width, picture.small_height) == (100, 150)
    assert pixels(picture.overview).shape == (OVERVIEW_SIDE, OVERVIEW_SIDE * 2 // 3, 3)
    assert len(picture.crops) == MOST_CROPS
    for crop in picture.crops:
        x, y, side = crop.box
        assert [view.label for view in crop.views] == ["original", "small image", "bicubic", "espcn"]
        np.testing.assert_array_equal(pixels(crop.views[3].png), espcn[y : y + side, x : x + side])
        small = low[y // 4 : (y + side) // 4, x // 4 : (x + side) // 4]
        np.testing.assert_array_equal(pixels(crop.views[1].png), small)


def test_one_method_is_shown_where_it_misses_the_original() -> None:
    original, output = flat(96, 96), flat(96, 96)
    output[40:60, 40:60] = 0
    (crop, *_) = picture_section("one.png", original, flat(48, 48), loaders(bicubic=output)).crops
    assert crop.box.x < 40 and crop.box.x + crop.box.side > 60
    assert picture_section("same.png", original, flat(48, 48), loaders(bicubic=original)).crops == ()


def test_outputs_are_held_one_at_a_time() -> None:
    original = flat(512, 512)
    outputs = {str(number): partial(flat, 512, 512, number) for number in range(20)}
    tracemalloc.start()
    picture_section("large.png", original, flat(256, 256), outputs)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5 * original.nbytes
