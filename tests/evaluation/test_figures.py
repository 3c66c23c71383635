"""Pictures of one style."""

from evaluation.figures import new_figure, one_line


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
