"""Intervals: right where small models live, honest where there is little to go by."""

import math

import numpy as np
import pytest

from evaluation.statistics import ratio_interval, ratio_with_interval, share_with_interval, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"), [(0, 164, 0.0, 0.0229), (5, 164, 0.0131, 0.0693), (500, 1000, 0.469, 0.531)]
)
def test_wilson_gives_the_published_values(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_nothing_asked_means_nothing_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert share_with_interval(0, 0)["score"] == 0.0


def test_more_confidence_needs_a_wider_interval_and_impossible_counts_are_refused():
    assert wilson_interval(50, 100, 0.999).low < wilson_interval(50, 100).low
    with pytest.raises(ValueError, match="11 successes in 10 trials"):
        wilson_interval(11, 10)


def test_the_wilson_interval_holds_the_truth_as_often_as_it_says():
    dice = np.random.default_rng(1)
    held = [low <= 0.03 <= high for low, high in (wilson_interval(int(k), 200) for k in dice.binomial(200, 0.03, 2000))]
    assert 0.93 < np.mean(held) < 0.985


def test_the_bootstrap_of_a_ratio_holds_the_truth_and_repeats():
    """Documents of different size and difficulty: the unit that is drawn is the document, never the token."""
    dice = np.random.default_rng(2)
    sizes = dice.integers(100, 10_000, 300)
    bits = sizes * (1.5 + 0.3 * dice.standard_normal(300))
    low, high = ratio_interval(bits, sizes)
    assert low < bits.sum() / sizes.sum() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.3 / math.sqrt(300) * 1.15, rel=0.3)
    assert ratio_interval(bits, sizes) == (low, high)


def test_one_unit_tells_nothing_about_its_kind():
    assert ratio_interval([3.0], [2.0]) == (-math.inf, math.inf)


def test_a_ratio_for_a_result_file_says_none_where_nothing_is_known():
    """JSON has no infinity, and 0 of 0 bytes is no number of bits per byte."""
    kept = ratio_with_interval([3.0, 6.0, 4.0, 5.0, 7.0, 0.0], [2.0, 2.0, 2.0, 2.0, 2.0, 0.0])
    assert kept == {"value": 2.5, "interval": list(ratio_interval([3, 6, 4, 5, 7], [2] * 5))}
    assert ratio_with_interval([3.0, 6.0, 4.0, 5.0], [2.0] * 4) == {"value": 2.25, "interval": None}, "too few units"
    assert ratio_with_interval([], []) == {"value": None, "interval": None}
