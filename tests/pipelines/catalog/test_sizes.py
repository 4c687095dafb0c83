"""Sizes as people write them, exact to the pixel, and the scales that lead there."""

from typing import Any

import numpy as np
import pytest

from pipelines.catalog.sizes import Size, choose_scales, describe_sizing, parse_factor, parse_size
from pipelines.errors import BadSetting


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("x2.5", Size(factor=2.5)),
        ("2.5", Size(factor=2.5)),
        (2.5, Size(factor=2.5)),
        (4, Size(factor=4)),
        (np.int64(3), Size(factor=3)),
        (np.float64(1.5), Size(factor=1.5)),
        (7 / 3, Size(factor=7 / 3)),
        (" X16 ", Size(factor=16)),
        ("x17", Size(height=17)),
        ("x500", Size(height=500)),
        ("500x", Size(width=500)),
        ("16x", Size(width=16)),
        ("500x400", Size(width=500, height=400)),
        ("500 × 400", Size(width=500, height=400)),
        ("500X12", Size(width=500, height=12)),
    ],
)
def test_what_is_written_is_read(text: object, size: Size) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "x",
            "500",
            "x1",
            "x1.4",
            "1",
            "x16.5",
            "0x",
            "0x400",
            "400x0",
            "-3",
            "x-2",
            "axb",
            "1e2",
            "٢",
            "9999999x",
        ),
        *("x2.5.1", "nan", None, True, ["x2"], {}, 10**4000, float("nan"), float("inf"), "4x4x4", "x2\n\x00", b"x2"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(text: Any) -> None:
    for read, begins in ((parse_size, "There is no size"), (parse_factor, "The scale is a number from 1.5 to 16, not")):
        with pytest.raises(BadSetting, match=f"^{begins}") as raised:
            read(text)
        assert str(raised.value).isprintable() and len(str(raised.value)) < 250


def test_a_size_is_written_as_it_is_read() -> None:
    for text in ("x2.5", "x4", "500x", "x500", "500x400"):
        assert str(parse_size(text)) == text


def test_a_scale_is_a_factor_alone() -> None:
    assert parse_factor("x3") == Size(factor=3)
    with pytest.raises(BadSetting, match=r"^The scale is a number from 1\.5 to 16, not '500x'\.$"):
        parse_factor("500x")


@pytest.mark.parametrize(
    ("size", "image", "result"),
    [
        ("x2.5", (100, 60), (250, 150)),
        ("x2.5", (33, 21), (83, 53)),  # 82.5 and 52.5: halves go up
        ("x2.3", (10, 5), (23, 12)),  # 11.5, which is 11.499999999999998 in binary
        ("500x", (200, 133), (500, 333)),  # 332.5
        ("x500", (200, 300), (333, 500)),
        ("500x400", (100, 101), (396, 400)),
        ("500x400", (200, 100), (500, 250)),
        ("16x", (1, 1), (16, 16)),
        ("2000x", (1000, 1), (2000, 2)),
        ("100x", (100, 60), (100, 60)),
    ],
)
def test_results_are_exact_to_the_pixel(size: str, image: tuple[int, int], result: tuple[int, int]) -> None:
    assert parse_size(size).of(*image) == result


def test_what_would_be_smaller_or_too_much_is_refused() -> None:
    with pytest.raises(
        BadSetting,
        match=r"^A width of 500 pixels is smaller than the image \(501 × 400\)\. A factor is from 1\.5 to 16\.$",
    ):
        parse_size("500x").of(501, 400)
    with pytest.raises(BadSetting, match="smaller than the image"):
        parse_size("5000x400").of(501, 401)
    with pytest.raises(
        BadSetting, match=r"^A width of 500 pixels is more than 16 times the image \(30 × 20\)\. 480 × 320 pixels are"
    ):
        parse_size("500x").of(30, 20)


@pytest.mark.parametrize(
    ("scales", "wanted", "chosen"),
    [
        ((2, 3, 4), (250, 150), (3,)),
        ((2, 3, 4), (200, 120), (2,)),
        ((2, 3, 4), (100, 60), (2,)),
        ((2, 3, 4), (201, 120), (3,)),
        ((2, 3, 4), (600, 360), (3, 2)),
        ((2, 3, 4), (700, 420), (4, 2)),
        ((2, 4), (600, 360), (4, 2)),
        ((2, 3, 4), (1600, 960), (4, 4)),
        ((2, 4, 8), (1600, 960), (4, 4)),
        ((2, 4, 8), (500, 300), (8,)),
        ((4,), (500, 300), (4, 4)),
        ((2,), (400, 240), (2, 2)),
        ((2,), (401, 240), ()),
    ],
)
def test_the_next_larger_scale_or_the_model_twice(
    scales: tuple[int, ...], wanted: tuple[int, int], chosen: tuple[int, ...]
) -> None:
    assert choose_scales(scales, (100, 60), wanted) == chosen


def test_what_is_done_is_said() -> None:
    assert describe_sizing("Swift", [3], (300, 180), (300, 180)) == ()
    assert describe_sizing("Swift", [4, 2], (800, 480), (700, 420)) == (
        "Swift has no scale this large, so it runs twice: x4, then x2",
        "made at 800 × 480 pixels, then shrunk to 700 × 420 by antialiased bicubic",
    )
