"""Charts of characters: never wider than asked for, every value at its height, curves told apart without colour."""

import math

import pytest

from pretraining.watching.text_chart import (
    ASCII,
    SMALLEST_CHART,
    UNICODE,
    Series,
    draw_chart,
    progress_bar,
    round_ticks,
    sparkline,
    text_of,
    visible_range,
)

FALLING = [(step, 9.0 - step / 25) for step in range(0, 101, 10)]


def drawn(series, width=60, height=12, characters=UNICODE, **settings) -> list[str]:
    return [text_of(line) for line in draw_chart(series, width, height, characters, **settings)]


@pytest.mark.parametrize("characters", [UNICODE, ASCII])
def test_a_chart_is_never_larger_than_its_place(characters):
    """A line too long wraps in the terminal and destroys the picture."""
    many = [(step, math.sin(step / 50) * 10**6) for step in range(3000)]
    for width in range(1, 150, 7):
        for height in range(1, 40, 3):
            series = [Series(FALLING, "o"), Series(many, "x", line_only=True)]
            lines = drawn(series, width, height, characters, x_name="step", right_ticks=lambda low, high: [(0, "zero")])
            large_enough = width >= SMALLEST_CHART[0] and height >= SMALLEST_CHART[1]
            assert len(lines) == (height if large_enough else 0)
            assert all(len(line) <= width for line in lines)


def test_values_stand_at_the_height_of_their_labels():
    """A chart that is pretty and wrong by a row misleads: the axis says 5, the curve is at 5."""
    plateau = [(0, 2.0), (40, 5.0), (60, 5.0), (100, 8.0)]
    for characters in (UNICODE, ASCII):
        for height in range(9, 30):
            lines = drawn([Series(plateau, "o", line_only=True)], 60, height, characters)[:-2]
            labels = {line.split()[0]: row for row, line in enumerate(lines) if line[0] != " "}
            at_the_middle = [row for row, line in enumerate(lines) if line[31] != " "]
            assert at_the_middle == [labels["5"]] if "5" in labels else len(at_the_middle) == 1
            assert lines[0][58:].strip() and lines[-1][3:5].strip(), "from the lowest row to the highest"


def test_a_falling_curve_falls_from_the_left_edge_to_the_right():
    lines = drawn([Series(FALLING, "o")], 40, 10, ASCII)[:-2]
    columns = [line.index("o", 6) for line in lines if "o" in line[6:]]
    assert columns == sorted(columns) and columns[0] < 10 and lines[-1].rstrip().endswith("o")


def test_series_are_told_apart_without_colour():
    """By eyes that see no colours, and in a file."""
    other = [(step, loss + 1) for step, loss in FALLING]
    for characters in (UNICODE, ASCII):
        text = "\n".join(drawn([Series(other, "x", "b"), Series(FALLING, "o", "a")], 60, 12, characters))
        assert text.count("x") > 2 and text.count("o") > 2
    spans = [span for line in draw_chart([Series(other, "x", "b"), Series(FALLING, "o", "a")], 60, 12) for span in line]
    assert {style for text, style in spans if "x" in text} == {"b"}
    assert {style for text, style in spans if "o" in text} == {"a"}


def test_only_plain_characters_where_asked_for():
    text = "\n".join(drawn([Series(FALLING, "o")], 60, 12, ASCII, x_name="step"))
    assert text.isascii()
    assert sparkline([1, 2, 3], 3, ASCII).isascii()
    assert text_of(progress_bar(0.5, 10, ASCII)) == "#####-----"


def test_a_line_between_far_points_has_no_holes():
    """Two evaluations of a steep fall would otherwise be dots without a connection."""
    lines = drawn([Series([(0, 0.0), (1, 10.0), (2, 0.0), (3, 10.0)], "o", line_only=True)], 30, 20)
    assert all(any("\u2801" <= c <= "\u28ff" for c in line) for line in lines[:-2])


def test_what_is_no_number_is_left_out():
    """A loss that exploded must not take the picture of the rest with it."""
    points = [*FALLING, (110, math.inf), (120, math.nan), (130, 1e300), (140, -math.inf)]
    assert drawn([Series(points, "o")]) == drawn([Series(FALLING, "o")])
    assert drawn([Series([(0, math.nan)], "o"), Series([], "x")]) == []


@pytest.mark.parametrize(
    "points", [[(0, 5.0)], [(0, 5.0), (10, 5.0)], [(7, 0.0)], [(0, 1e-12), (1, 2e-12)], [(0, -3.0)]]
)
def test_a_single_point_or_a_level_line_can_be_drawn(points):
    lines = drawn([Series(points, "o")], 50, 10)
    assert len(lines) == 10 and "o" in "".join(lines)


def test_steps_are_whole_and_small_differences_stay_small():
    """The first minutes of a run: a handful of steps, and losses that differ by nothing."""
    lines = drawn([Series([(0, 9.071), (1, 9.066), (2, 9.068)], "o", line_only=True)], x_name="step")
    assert lines[-1].split() == ["0", "1", "step"]
    assert sum(any("\u2801" <= c <= "\u28ff" for c in line) for line in lines) <= 2
    assert drawn([Series([(0, 9.0)], "o")])[-1].split() == ["0", "1"]


def test_labels_are_round_and_few():
    assert [label for _, label in round_ticks(0, 961, 7)] == ["0", "200", "400", "600", "800"]
    assert [label for _, label in round_ticks(3.56, 5.9, 3)] == ["4", "5"]
    assert [label for _, label in round_ticks(3.56, 5.9, 6)] == ["4.0", "4.5", "5.0", "5.5"]
    assert [label for _, label in round_ticks(0, 40_000, 5)] == ["0", "10,000", "20,000", "30,000", "40,000"]
    for low, high, most in [(-1e14, 1e14, 5), (1e-9, 3e-9, 3), (0.1, 0.3, 2), (8.99, 9.01, 4), (-7, -3, 3)]:
        ticks = round_ticks(low, high, most)
        assert 1 <= len(ticks) <= most and all(low - 1e-9 <= value <= high + 1e-9 for value, _ in ticks)
        assert all(len(label) < 12 for _, label in ticks) and len({label for _, label in ticks}) == len(ticks)


def test_the_start_and_single_spikes_do_not_flatten_the_rest():
    """A run falls from 9 to 5 in minutes and from 5 to 3 in hours; with the whole fall in the picture it is a line."""
    run = [(step, 3 + 6 / (1 + step / 10)) for step in range(0, 2501, 10)]
    low, high = visible_range([run])
    assert low == run[-1][1] and high < 4
    assert visible_range([[*run[:100], (1000, 1e6), *run[101:]]])[1] < 4
    assert visible_range([[*run, (2510, 50.0)]])[1] == 50, "where the run is now is always shown"
    assert visible_range([[(0, 9.0), (10, 8.8), (20, 8.0)]])[1] == 9.0, "no cut for so little"


def test_sparklines_show_a_course():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1, 1], 10) == "███" and sparkline([0, 0], 5) == "▁▁"
    assert sparkline([], 5) == "" and sparkline([1.0], 0) == "" and sparkline([math.nan, math.inf, 1e308], 5) == ""
    assert len(sparkline(list(range(1000)), 20)) == 20


def test_a_bar_is_as_full_as_the_work_is_done():
    assert [text_of(progress_bar(share, 4)) for share in (-1, 0, 0.5, 0.99, 1, 7)] == [
        "╌╌╌╌", "╌╌╌╌", "━━╌╌", "━━━╌", "━━━━", "━━━━"
    ]  # fmt: skip
