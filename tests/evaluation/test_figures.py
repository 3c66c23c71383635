"""Pictures of one style."""

from evaluation.figures import bars_with_intervals, new_figure, one_line
from evaluation.statistics import Interval


def test_what_is_added_to_a_figure_later_has_the_style_too():
    """Titles and legends read matplotlib's settings when they are set, long after the figure was made."""
    _, (axes,) = new_figure()
    axes.plot([1], [1], label="a line")
    axes.set_title("A finding")
    assert axes.get_title(loc="left") == "A finding"
    assert not axes.legend().get_frame_on()


def test_whatever_a_model_writes_can_be_shown():
    """An untrained one writes control characters and scripts that the font of a picture does not have."""
    assert one_line("two\nlines\tand\x03 naïve 日本 \ufffd $x$") == "two lines and? naïve ?? ? $x$"


def test_no_number_is_crossed_out_by_the_tick_of_a_guess():
    """It stands right of the tick where that is near the end of its bar's interval, else at that end."""
    _, (axes,) = new_figure()
    bars = ["near", "far", "within", "none"]
    bars_with_intervals(axes, bars, [0.5] * 4, [Interval(0.4, 0.6)] * 4, guesses=[0.65, 0.9, 0.3, None])
    assert [text.xy[0] for text in axes.texts] == [0.65, 0.6, 0.6, 0.6]
