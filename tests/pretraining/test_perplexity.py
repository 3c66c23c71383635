"""The number that readers see first, and its word."""

import math

import pytest

from pretraining.perplexity import grade, perplexity, shown


def test_perplexity_is_e_to_the_loss_and_never_overflows():
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert math.isfinite(perplexity(1e6))


@pytest.mark.parametrize(
    ("value", "word"),
    [(1, "excellent"), (49.9, "excellent"), (50, "good"), (99, "good"), (100, "okay"), (200, "poor"), (247.96, "poor")],
)
def test_the_bands_are_those_of_the_first_readme(value, word):
    assert grade(value) == word


def test_an_infinite_perplexity_has_a_word_too():
    assert grade(math.inf) == "poor"


def test_a_perplexity_is_never_a_row_of_digits():
    """A run that diverges would else fill the screen with three hundred of them."""
    assert shown(42.35) == "42.4" and shown(8696.3) == "8696.3"
    assert shown(perplexity(478_061.0)) == "1e+304"
