"""A scatter of contenders by two measures, as an SVG that needs no script, with the Pareto front drawn and labelled.

Text takes the colour around it (`currentColor`) and the front that of the CSS variable --accent where there is one, so
that one drawing serves light, dark and paper. It is drawn for a width of 360 px: legible on a phone as it is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 360, 300  # px; the list of labels that found no place comes below
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 28, 40  # px around the field, for the titles and ticks
FONT, LINE = 11, 14  # px
# px, how wide a letter is taken to be: more than the mean in any system's font, of capitals and digits, and of others.
CAPITAL, LETTER = 8.0, 6.5
STRONG = 1.11  # times as wide are letters in bold
RADIUS = 4.5  # px
APART = 5  # px between a label and the marks of others, where there is room
MARGIN = 0.08  # of the range, free at each end of an axis
TICKS = 6  # at most
ACCENT = "var(--accent, #0f766e)"

Place = Callable[[float], float]
Spot = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is measured along it, and its unit ("" for none). A logarithmic one takes values above 0 only."""

    title: str
    unit: str
    higher_is_better: bool
    log: bool = False

    def __str__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit}, {'higher' if self.higher_is_better else 'lower'} is better"


@dataclass(frozen=True, slots=True)
class Point:
    """One contender by two finite measures."""

    label: str
    x: float
    y: float


class Box(NamedTuple):
    """A rectangle of the drawing, in px."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Returns whether they overlap."""
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)

    def holds(self, other: "Box") -> bool:
        """Returns whether the other lies within."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


class Label(NamedTuple):
    """A text that found its place."""

    text: str
    box: Box
    strong: bool


FIELD = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
ROOM = Box(LEFT + 2, TOP - 8, WIDTH, HEIGHT - BOTTOM)  # where labels may stand


def find_pareto_front(points: Sequence[Point], x: Axis, y: Axis) -> list[Point]:
    """The points that no other beats by one measure without losing by the other, from left to right."""

    def merit(point: Point) -> Spot:
        return (point.x if x.higher_is_better else -point.x), (point.y if y.higher_is_better else -point.y)

    def beaten(point: Point) -> bool:
        mine = merit(point)
        return any(other != mine and other[0] >= mine[0] and other[1] >= mine[1] for other in map(merit, points))

    return sorted((point for point in points if not beaten(point)), key=lambda point: (point.x, point.y))


def draw_scatter(points: Sequence[Point], x: Axis, y: Axis, title: str) -> str:
    """Draws one `<svg>` element, described for screen readers, in which no label lies on another; at least one point.

    A label that finds no free place is listed below the field, by a number where there is room for that.
    """
    along = _place(x, [point.x for point in points], FIELD.left, FIELD.right)
    up = _place(y, [point.y for point in points], FIELD.bottom, FIELD.top)
    front = find_pareto_front(points, x, y)
    steps = _steps([(along(point.x), up(point.y)) for point in front], horizontal_first=not x.higher_is_better)
    spots = [(along(point.x), up(point.y)) for point in points]
    labels, listed = _labels(points, spots, front, steps)
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {WIDTH} {HEIGHT + LINE * len(listed)}" '
            f'role="img" font-size="{FONT}" font-family="system-ui, sans-serif" fill="currentColor">',
            f"<title>{escape(title)}</title><desc>{escape(_described(points, front, x, y))}</desc>",
            *_frame(x, y),
            *_x_ticks(x, points, along),
            *_y_ticks(y, points, up),
            f'<path d="{_path(steps)}" fill="none" stroke-width="1.5" stroke-dasharray="4 3" style="stroke:{ACCENT}"/>',
            *(_mark(point, spot, point in front) for point, spot in zip(points, spots, strict=True)),
            *map(_label, labels),
            *(f'<text x="4" y="{HEIGHT + LINE * row + 8}">{escape(line)}</text>' for row, line in enumerate(listed)),
            "</svg>",
        ]
    )


def choose_ticks(axis: Axis, low: float, high: float) -> list[float]:
    """Returns round numbers from `low` to `high`, at most TICKS."""
    if axis.log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for mantissas in ((1, 2, 5), (1, 3), (1,)):
            found = [m * 10.0**decade for decade in decades for m in mantissas if low <= m * 10.0**decade <= high]
            if 2 <= len(found) <= TICKS:
                return found
    least = (high - low) / (TICKS - 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= least)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def measure_text(text: str, strong: bool) -> float:
    """Returns how wide a text is taken to be, in px."""
    return sum(CAPITAL if letter.isupper() or letter.isdigit() else LETTER for letter in text) * (
        STRONG if strong else 1
    )


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """Returns what the axis shows: the values with some room; around a single value, some of its size."""
    low, high = min(values), max(values)
    if axis.log:
        factor = (high / low) ** MARGIN if high > low else 2
        return low / factor, high * factor
    room = MARGIN * (high - low) or 0.1 * abs(high) or 1
    return low - room, high + room


def _place(axis: Axis, values: Sequence[float], start: float, end: float) -> Place:
    """Returns the way from a value to px between `start` and `end`."""
    bent: Place = math.log if axis.log else float
    low, high = map(bent, _range(axis, values))
    return lambda value: start + (end - start) * (bent(value) - low) / (high - low)


def _steps(front: Sequence[Spot], horizontal_first: bool) -> list[Spot]:
    """The corners of the front: what lies beyond it is beaten by nobody."""
    corners = list(front[:1])
    for (x, y), (next_x, next_y) in pairwise(front):
        corners += [(next_x, y) if horizontal_first else (x, next_y), (next_x, next_y)]
    return corners


def _labels(
    points: Sequence[Point], spots: Sequence[Spot], front: Sequence[Point], steps: Sequence[Spot]
) -> tuple[list[Label], list[str]]:
    """The labels in their places, those of the front first, and the lines for those that found none."""
    lines = [Box(min(a, c) - 1, min(b, d) - 1, max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in pairwise(steps)]
    marks = [_about(spot, RADIUS) for spot in spots]
    labels: list[Label] = []
    listed: list[str] = []
    for point, spot in sorted(zip(points, spots, strict=True), key=lambda pair: pair[0] not in front):
        strong = point in front
        taken = [*marks, *(label.box for label in labels)]
        clear = [*taken, *(_about(other, RADIUS + APART) for other in spots if other != spot)]
        number = str(len(listed) + 1)
        for text, obstacles in ((point.label, [*clear, *lines]), (point.label, clear), (number, taken)):
            around = _around(spot, measure_text(text, strong))
            box = next((each for each in around if _free(each, obstacles)), None)
            if box is not None:
                labels.append(Label(text, box, strong))
                break
        if box is None or text == number:
            listed.append(f"{number if box else '·'} {point.label} ({point.y:.4g} at {point.x:.3g})")
    return labels, listed


def _about(spot: Spot, radius: float) -> Box:
    return Box(spot[0] - radius, spot[1] - radius, spot[0] + radius, spot[1] + radius)


def _around(spot: Spot, width: float) -> list[Box]:
    """Returns where a text so wide may stand beside its mark, the best place first."""
    (x, y), gap, height = spot, RADIUS + 2, FONT + 1
    lefts = {"right": x + gap, "left": x - gap - width, "centre": x - width / 2, "from": x - 2, "to": x + 2 - width}
    tops = {"beside": y - height / 2, "above": y - gap - height, "below": y + gap}
    places = [("right", "beside"), ("left", "beside")]
    places += [(across, up) for across in ("centre", "from", "to") for up in ("above", "below")]
    return [Box(lefts[a], tops[u], lefts[a] + width, tops[u] + height) for a, u in places]


def _free(box: Box, obstacles: Sequence[Box]) -> bool:
    return ROOM.holds(box) and not any(box.meets(other) for other in obstacles)


def _described(points: Sequence[Point], front: Sequence[Point], x: Axis, y: Axis) -> str:
    values = "; ".join(f"{point.label} {point.y:.4g} at {point.x:.3g}" for point in points)
    best = ", ".join(point.label for point in front)
    return f"{y}, against {x}: {values}. On the Pareto front: {best}."


def _frame(x: Axis, y: Axis) -> list[str]:
    scale = "; logarithmic" if x.log else ""
    return [
        f'<path d="M{FIELD.left} {FIELD.top}V{FIELD.bottom}H{FIELD.right}" fill="none" stroke="currentColor"/>',
        f'<text x="2" y="{FONT + 3}">{escape(str(y))}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{FONT + 3}" text-anchor="end" style="fill:{ACCENT}">╌● Pareto front</text>',
        f'<text x="{(FIELD.left + FIELD.right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(str(x))}{scale}</text>",
    ]


def _x_ticks(axis: Axis, points: Sequence[Point], along: Place) -> list[str]:
    return [
        f'<path d="M{along(value):.1f} {FIELD.bottom}v-{FIELD.bottom - FIELD.top}" stroke="currentColor" '
        f'opacity="0.15"/>'
        f'<text x="{along(value):.1f}" y="{FIELD.bottom + LINE}" text-anchor="middle">{value:.4g}</text>'
        for value in choose_ticks(axis, *_range(axis, [point.x for point in points]))
    ]


def _y_ticks(axis: Axis, points: Sequence[Point], up: Place) -> list[str]:
    return [
        f'<path d="M{FIELD.left} {up(value):.1f}H{FIELD.right}" stroke="currentColor" opacity="0.15"/>'
        f'<text x="{FIELD.left - 5}" y="{up(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        for value in choose_ticks(axis, *_range(axis, [point.y for point in points]))
    ]


def _path(corners: Sequence[Spot]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)


def _mark(point: Point, spot: Spot, on_front: bool) -> str:
    """Draws a mark, full on the front and hollow off it: told by more than colour."""
    look = f'style="fill:{ACCENT}"' if on_front else 'fill="none" stroke="currentColor" stroke-width="1.5"'
    tip = escape(f"{point.label}: {point.y:.4g} at {point.x:.3g}")
    return f'<circle cx="{spot[0]:.1f}" cy="{spot[1]:.1f}" r="{RADIUS}" {look}><title>{tip}</title></circle>'


def _label(label: Label) -> str:
    text, box, strong = label
    weight = ' font-weight="600"' if strong else ""
    return (
        f'<text x="{(box.left + box.right) / 2:.1f}" y="{box.bottom - 2:.1f}" text-anchor="middle"{weight}>'
        f"{escape(text)}</text>"
    )
