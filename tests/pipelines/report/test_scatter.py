"""The drawing of quality against time."""

import math
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import numpy as np
import pytest
from playwright.sync_api import Browser

from pipelines.report.scatter import TICKS, Axis, Point, choose_ticks, draw_scatter, find_pareto_front, measure_text
from tests.conftest import visit

TIME = Axis("Time", "s", False, log=True)
PSNR = Axis("PSNR Y", "dB", True)
LPIPS = Axis("LPIPS", "", False)
SVG = "{http://www.w3.org/2000/svg}"


def names(points: list[Point]) -> str:
    return "".join(point.label for point in points)


def test_the_front_is_what_nobody_beats() -> None:
    points = [Point("a", 1, 30), Point("b", 2, 29), Point("c", 3, 34), Point("d", 4, 34), Point("e", 0.5, 20)]
    assert names(find_pareto_front(points, TIME, PSNR)) == "eac"
    assert (
        names(find_pareto_front([Point("p", 34, 0.2), Point("q", 32, 0.1), Point("r", 31, 0.15)], PSNR, LPIPS)) == "qp"
    )


def test_equal_points_are_both_on_the_front() -> None:
    assert names(find_pareto_front([Point("a", 1, 30), Point("b", 1, 30), Point("c", 1, 29)], TIME, PSNR)) == "ab"
    assert names(find_pareto_front([Point("a", 1, 30)], TIME, PSNR)) == "a"


@pytest.mark.parametrize(
    ("axis", "low", "high", "expected"),
    [
        (TIME, 0.008, 3.2, [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]),
        (TIME, 0.008, 320, [0.01, 0.1, 1.0, 10.0, 100.0]),
        (TIME, 0.15, 2.3, [0.2, 0.5, 1.0, 2.0]),
        (TIME, 1.1, 1.8, [1.2, 1.4, 1.6, 1.8]),
        (PSNR, 25.7, 27.5, [26.0, 26.5, 27.0, 27.5]),
        (PSNR, -1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
    ],
)
def test_ticks_are_round(axis: Axis, low: float, high: float, expected: list[float]) -> None:
    assert choose_ticks(axis, low, high) == pytest.approx(expected)


def test_ticks_are_few_and_in_the_range() -> None:
    for seed in range(200):
        low, high = sorted(np.random.default_rng(seed).lognormal(0, 3, 2))
        for axis in (TIME, PSNR):
            found = choose_ticks(axis, low, high)
            assert 1 <= len(found) <= TICKS and all(low <= tick <= high * (1 + 1e-9) for tick in found)


def test_it_is_one_element_that_describes_itself() -> None:
    root = ElementTree.fromstring(
        draw_scatter([Point("bicubic", 0.02, 33.67), Point("<b>&", 2.1, 33.0)], TIME, PSNR, "A & B")
    )
    assert root.get("role") == "img" and root.findtext(f"{SVG}title") == "A & B"
    assert root.findtext(f"{SVG}desc") == (
        "PSNR Y (dB), higher is better, against Time (s), lower is better: bicubic 33.67 at 0.02; <b>& 33 at 2.1. "
        "On the Pareto front: bicubic."
    )
    assert {text.text for text in root.iter(f"{SVG}text")} >= {"bicubic", "<b>&", "╌● Pareto front"}


def test_the_same_points_give_the_same_drawing_without_nan() -> None:
    points = [Point("a", 0.5, 30.0)] * 3
    drawing = draw_scatter(points, TIME, PSNR, "One spot")
    assert drawing == draw_scatter(points, TIME, PSNR, "One spot") and "nan" not in drawing
    assert "nan" not in draw_scatter([Point("a", 0.0, 0.0)], PSNR, LPIPS, "Zero")


@pytest.mark.parametrize("width", [390, 1280])
def test_labels_are_legible_and_lie_apart(browser: Browser, width: int) -> None:
    """Measured by the browser: 24 contenders in a crowd, some with a chain's long name, and names of capitals."""
    random = np.random.default_rng(3)
    points = [
        Point(f"model-{n} x4 then other x2" if n % 3 == 0 else f"model-{n}", math.exp(t), 30 + q)
        for n, (t, q) in enumerate(random.normal(0, 1, (24, 2)))
    ] + [Point("SRCNN", 100, 38), Point("FSRCNN", 10, 20)]
    with visit(browser, width, "light") as page:
        page.set_content(f'<div style="max-width:640px">{draw_scatter(points, TIME, PSNR, "A crowd")}</div>')
        boxes = page.locator("svg text").evaluate_all(
            "all => all.map(each => each.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"
        )
        shown = page.locator("svg").bounding_box()
        widths = page.locator("svg text").evaluate_all(
            "all => all.map(each => [each.textContent, each.hasAttribute('font-weight'), each.getComputedTextLength()])"
        )
    names = {point.label for point in points}
    widths = [(text, strong, width) for text, strong, width in widths if text in names]
    assert {"SRCNN", "FSRCNN"} <= {text for text, _, _ in widths}
    assert all(width <= measure_text(text, strong) for text, strong, width in widths), "a label runs into its mark"
    assert shown is not None and shown["width"] <= width
    for (left, top, right, bottom), other in combinations(boxes, 2):
        assert right <= other[0] + 1 or other[2] <= left + 1 or bottom <= other[1] + 3 or other[3] <= top + 3
    assert min(bottom - top for _, top, _, bottom in boxes) >= 11
