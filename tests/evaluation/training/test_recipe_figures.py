"""What a table or a picture of recipes claims is what their runs, seed by seed, can carry."""

import pytest

from evaluation.training.recipe_figures import Row, picture, table
from tests.evaluation.training.conftest import learned


def test_the_table_tells_who_was_as_good_as_the_first_and_after_how_much():
    slow, fast, never = learned(9, 7, 6, 5), learned(9, 5, 4, 3), learned(9, 8, 7, 6)
    lines = table([Row("slow", [slow]), Row("fast", [fast]), Row("never", [never])])
    assert lines[1].endswith("-")
    assert lines[2].endswith("33% of its tokens, 33% of its time")
    assert lines[3].endswith("not reached")
    assert lines[0].index("as good") == lines[1].rindex("-") == lines[3].index("not reached")


def test_each_seed_is_held_against_the_same_seed_of_the_first():
    """Not a mean against a single run, which could reach it sooner or never for no reason but luck."""
    slow = Row("slow", [learned(9, 7, 6, 5), learned(9, 7, 6, 3)])
    fast = Row("fast", [learned(9, 5, 4, 3, minutes=2), learned(9, 7, 3, 2, minutes=2)])
    lines = table([slow, fast])
    assert "4.000 (3.000 to 5.000)" in lines[1]
    assert "2.500 (2.000 to 3.000)" in lines[2]
    assert lines[2].endswith("50% (33% to 67%) of its tokens, 100% (67% to 133%) of its time")
    assert "Means of 2 seeds" in lines[3]


def test_seeds_that_did_not_come_so_far_are_told():
    slow = Row("slow", [learned(9, 5), learned(9, 5)])
    assert table([slow, Row("half", [learned(9, 6), learned(9, 4)])])[2].endswith("of its time, with 1 of 2 seeds")


def test_minutes_are_those_of_all_seeds():
    row = Row("two", [learned(9, 5, minutes=1), learned(9, 5, minutes=2)])
    assert table([row])[1].split()[3] == "1.5"


@pytest.mark.parametrize("key, name", [("heldout_code", "held-out code"), ("heldout_own", "your held-out text")])
def test_table_and_picture_name_the_text_that_was_predicted(key, name):
    rows = [Row("one", [learned(9, 5, held_out=key)])]
    assert f"loss, {name}" in table(rows)[0]
    figure = picture(rows, "1M tokens")
    assert figure.axes[0].get_ylabel() == f"loss on {name} (nats per token)"
    assert figure.get_suptitle() == f"Loss on {name} over 1M tokens"


WORSE = [learned(9, 7, 6, 5), learned(9, 7, 6, 4.8)]
BETTER = [learned(9, 5, 4, 3), learned(9, 5, 4, 3.2)]
OVERLAPPING = [learned(9, 5, 4, 3), learned(9, 5, 4, 4.9)]


@pytest.mark.parametrize(
    "first, second, title",
    [
        (WORSE, BETTER, "second is best after 3M tokens and as good as first with 37% of its tokens"),
        (BETTER, WORSE, "first is best after 3M tokens"),
        (WORSE, OVERLAPPING, "Loss on held-out code over 3M tokens"),
        (WORSE[:1], BETTER[:1], "Loss on held-out code over 3M tokens"),  # one seed proves nothing
    ],
)
def test_the_title_says_best_only_where_every_seed_says_so(first, second, title):
    assert picture([Row("first", first), Row("second", second)], "3M tokens").get_suptitle() == title


def test_every_run_is_drawn_and_each_recipe_named_once():
    figure = picture([Row("first", WORSE), Row("second", BETTER)], "3M tokens")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["first: 4.900 (4.800 to 5.000)", "second: 3.100 (3.000 to 3.200)"]
    assert len([line for line in figure.axes[0].lines if len(line.get_xdata()) == 4]) == 4
