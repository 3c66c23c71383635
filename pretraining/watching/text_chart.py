"""Curves drawn with characters: a chart of several series, sparklines and bars, for terminals and plain text.

Pure functions of the standard library: points and a size in, lines out. Colour is left to the caller: a line is a list
of spans, and each span names its style. Series differ by their marks, so that a chart can be read without colour.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[str, str]  # a piece of a line, and the name of its style ("" for none)
Line = list[Span]
Points = Sequence[tuple[float, float]]
Range = tuple[float, float]

SMALLEST_CHART = (24, 6)  # columns and lines; below that nothing can be read off it
COLUMNS_BETWEEN_MARKS = 6
SMALLEST_RANGE = 0.1  # of y: differences that mean nothing should not look like mountains
LARGEST = 1e15  # what is beyond is no loss and no step
SHARE_ABOVE = 0.05  # of a run, and of its values, may lie above the picture
# One character shows 2 x 4 dots; these are the bits of its left and right column, from the top.
BRAILLE, BRAILLE_DOTS = 0x2800, ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


@dataclass(frozen=True)
class Series:
    """A curve. `points` are (x, y) with rising x; `mark` shows where they are."""

    points: Points
    mark: str
    style: str = ""
    line_only: bool = False  # too many points for marks


@dataclass(frozen=True)
class Characters:
    """What to draw with."""

    bar: str  # done, to do
    levels: str  # of a sparkline, from low to high
    axes: str  # up, right, corner, tick on the left, on the right, below
    dots: bool  # braille, 2 x 4 dots to a character


UNICODE = Characters(bar="━╌", levels="▁▂▃▄▅▆▇█", axes="│─└┤├┬", dots=True)
ASCII = Characters(bar="#-", levels="_.-^", axes="|-+++'", dots=False)


def text_of(line: Line) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line)


def draw_chart(
    series: Sequence[Series],
    width: int,
    height: int,
    characters: Characters = UNICODE,
    *,
    x_name: str = "",
    right_ticks: Callable[[float, float], list[tuple[float, str]]] | None = None,
) -> list[Line]:
    """Draw `series`, the last on top, into `height` lines of at most `width` columns. x are whole numbers.

    `right_ticks` makes a second scale for the same curves: (y, label) for what lies between two y.
    Points that are not finite, or beyond LARGEST, are left out. No lines come back where the size is below
    SMALLEST_CHART or there is nothing to draw.
    """
    finite = [[(x, y) for x, y in one.points if abs(x) < LARGEST and abs(y) < LARGEST] for one in series]
    if width < SMALLEST_CHART[0] or height < SMALLEST_CHART[1] or not any(finite):
        return []
    rows = height - 2
    xs = [x for points in finite for x, _ in points]
    x_range = min(xs), max(*xs, min(xs) + 1)
    y_range = visible_range(finite)
    left, right = (
        {row: label for value, label in ticks if (row := _row(value, y_range, rows, characters)) is not None}
        for ticks in (round_ticks(*y_range, most=max(2, rows // 3)), right_ticks(*y_range) if right_ticks else [])
    )
    left_width, right_width = (max((len(text) for text in labels.values()), default=0) for labels in (left, right))
    columns = width - left_width - 2 - (right_width + 2 if right else 0)
    canvas = _Canvas(columns, rows, x_range, y_range, characters)
    for one, points in zip(series, finite, strict=True):
        canvas.draw(points, one)
    up, _, _, left_tick, right_tick, _ = characters.axes
    lines = []
    for row in range(rows):
        edge = [(f"{left.get(row, ''):>{left_width}} {left_tick if row in left else up}", "dim")]
        other = [(f"{right_tick} {right[row]}" if row in right else up, "dim")] if right else []
        lines.append(edge + canvas.spans(row) + other)
    return lines + _x_axis(x_range, columns, left_width + 1, characters, x_name)


def visible_range(curves: Sequence[Points]) -> Range:
    """The y range that shows a training best: all but its first moments and its single spikes, and where it is now.

    A run falls from 9 to 5 in its first minutes and from 5 to 3 in the hours after; those hours are what is watched.
    """
    curves = [points for points in curves if points]
    start, end = min(points[0][0] for points in curves), max(points[-1][0] for points in curves)
    low, highest = (extreme(y for points in curves for _, y in points) for extreme in (min, max))
    highs = []
    for points in curves:
        values = sorted([y for x, y in points if x >= start + (end - start) * SHARE_ABOVE] or [points[-1][1]])
        highs += [values[len(values) - 1 - int(len(values) * SHARE_ABOVE)], points[-1][1]]
    high = max(highs)
    high = highest if highest - low < 1.3 * (high - low) else high  # no cut for so little
    room = max(0.0, SMALLEST_RANGE + abs(high) * 1e-6 - (high - low)) / 2
    return low - room, high + room


def round_ticks(low: float, high: float, most: int, whole: bool = False) -> list[tuple[float, str]]:
    """At most `most` round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`, with their labels."""
    power = math.floor(math.log10((high - low) / most))
    steps = (factor * 10.0 ** (power + shift) for shift in (0, 1) for factor in (1, 2, 5))
    for step in steps if not whole else (step for step in steps if step >= 1):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            decimals = max(0, -math.floor(math.log10(step) + 1e-9))
            style = f",.{decimals}f" if max(abs(low), abs(high)) < 1e7 and decimals < 6 else ".1e"
            return [(number * step, f"{number * step:{style}}") for number in range(first, last + 1)]
    return []


def sparkline(values: Sequence[float], width: int, characters: Characters = UNICODE) -> str:
    """The course of `values` in one line of at most `width` characters; from 0 to the highest."""
    values = [value for value in values if abs(value) < LARGEST]
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    cuts = [len(values) * number // count for number in range(count + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(cuts)]
    top, levels = max(*means, 1e-300), characters.levels
    return "".join(levels[min(len(levels) - 1, max(0, int(mean / top * len(levels))))] for mean in means)


def progress_bar(share: float, width: int, characters: Characters = UNICODE) -> list[Span]:
    """What is done and what is left, in `width` characters."""
    done = int(min(1.0, max(0.0, share)) * width)
    return [(characters.bar[0] * done, "good"), (characters.bar[1] * (width - done), "dim")]


def _place(value: float, limits: Range, cells: int) -> float:
    """Where a value stands among `cells` between the limits: 0 for the first one's middle, outside them beyond."""
    low, high = limits
    return (value - low) / (high - low) * (cells - 1)


def _row(value: float, y_range: Range, rows: int, characters: Characters) -> int | None:
    """The row, counted from the top, that a value is drawn in; None outside the picture."""
    dots = rows * (4 if characters.dots else 1)
    dot = round(dots - 1 - _place(value, y_range, dots))
    return dot * rows // dots if 0 <= dot < dots else None


def _x_axis(x_range: Range, columns: int, indent: int, characters: Characters, name: str) -> list[Line]:
    """The axis and its numbers, two lines."""
    _, across, corner, _, _, tick = characters.axes
    axis, numbers = [across] * columns, [" "] * columns
    numbers[max(0, columns - len(name)) :] = list(name)[:columns]
    free_until = columns - len(name) - 1 if name else columns
    taken = -1
    for value, label in round_ticks(*x_range, most=max(2, columns // 10), whole=True):
        column = round(_place(value, x_range, columns))
        start = max(0, column - len(label) // 2)
        if taken < start and start + len(label) <= free_until:
            axis[column] = tick
            numbers[start : start + len(label)] = list(label)
            taken = start + len(label)
    return [
        [(" " * indent + corner + "".join(axis), "dim")],
        [(" " * (indent + 1) + "".join(numbers).rstrip(), "dim")],
    ]


class _Canvas:
    """Characters in rows, each with the style of what was drawn there last."""

    def __init__(self, columns: int, rows: int, x_range: Range, y_range: Range, characters: Characters) -> None:
        self.columns, self.rows, self.x_range, self.y_range = columns, rows, x_range, y_range
        self.characters = characters
        self.across, self.down = (2, 4) if characters.dots else (1, 1)  # dots of a character
        self.cells: dict[tuple[int, int], Span] = {}  # by row and column

    def draw(self, points: Points, series: Series) -> None:
        """A line through the mean of each column of dots, and marks on the points."""
        columns, dots = self.columns * self.across, self.rows * self.down
        means: dict[int, tuple[float, int]] = {}
        for x, y in points:
            column = round(_place(x, self.x_range, columns))
            mean, count = means.get(column, (0.0, 0))
            means[column] = (mean + (y - mean) / (count + 1), count + 1)
        line = [(column, dots - 1 - _place(mean, self.y_range, dots)) for column, (mean, _) in means.items()]
        for start, end in zip(line[:1] + line, line, strict=False):
            self._draw_piece(start, end, series)
        last_marked = math.inf
        for x, y in [] if series.line_only else reversed(points):
            column = round(_place(x, self.x_range, self.columns))
            row = _row(y, self.y_range, self.rows, self.characters)
            if row is not None and last_marked - column >= COLUMNS_BETWEEN_MARKS:
                self.cells[row, column] = (series.mark, series.style)
                last_marked = column

    def _draw_piece(self, start: tuple[int, float], end: tuple[int, float], series: Series) -> None:
        """Dots from one place to another: in each column those between the line's heights there and one before."""
        (first, height), (last, final) = start, end
        slope = (final - height) / max(1, last - first)
        for column in range(first, last + 1):
            before = height + slope * max(0, column - first - 1)
            here = height + slope * (column - first)
            upper, lower = sorted((before, here))
            for y in range(max(0, round(upper)), min(self.rows * self.down - 1, round(lower)) + 1):
                if abs(y - here) < 1 or y != round(before):
                    self._dot(column, y, series)

    def _dot(self, x: int, y: int, series: Series) -> None:
        place = y // self.down, x // self.across
        if not self.characters.dots:
            self.cells[place] = (series.mark, series.style)
            return
        there = ord(self.cells.get(place, (chr(BRAILLE), ""))[0])
        bits = there - BRAILLE if BRAILLE <= there < BRAILLE + 256 else 0
        self.cells[place] = (chr(BRAILLE | bits | BRAILLE_DOTS[x % 2][y % 4]), series.style)

    def spans(self, row: int) -> Line:
        """One row, neighbours of one style together."""
        line: Line = []
        for column in range(self.columns):
            text, style = self.cells.get((row, column), (" ", ""))
            if line and line[-1][1] == style:
                line[-1] = (line[-1][0] + text, style)
            else:
                line.append((text, style))
        return line
