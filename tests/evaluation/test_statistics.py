"""Intervals: right where small models live, honest where there is little to go by."""

import math

import numpy as np
import pytest

from evaluation.statistics import (
    gain_of_items,
    ratio_interval,
    ratio_of_sums,
    ratio_with_interval,
    share_of_items,
    share_with_interval,
    units_of,
    wilson_interval,
)


def origins_of(works, files, items=1):
    """The origins of equally many items of each file of each work."""
    return [(f"work {w}", f"work {w}/{f}") for w in range(works) for f in range(files) for _ in range(items)]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"), [(0, 164, 0.0, 0.0229), (5, 164, 0.0131, 0.0693), (500, 1000, 0.469, 0.531)]
)
def test_wilson_gives_the_published_values(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_nothing_asked_means_nothing_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert share_with_interval(0, 0) == share_of_items([], []) == {"score": 0.0, "n": 0, "interval": [0.0, 1.0]}
    assert gain_of_items([], [], []) == {"score": 0.0, "interval": [-1.0, 1.0]}


def test_impossible_counts_are_refused():
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


@pytest.mark.parametrize("works", [5, 7, 40])
def test_the_interval_of_items_holds_the_truth_of_other_packages_as_often_as_it_says(works):
    """Packages that differ, with many items each: counted one by one, half of the intervals would miss it."""
    dice, truth, held = np.random.default_rng(4), 1 / 6, []
    origins = origins_of(works, 1, 60)
    for _ in range(200):
        shares = np.repeat(dice.beta(4, 20, works), 60)
        low, high = share_of_items(dice.random(len(shares)) < shares, origins)["interval"]
        held.append(low <= truth <= high)
    assert 0.88 < np.mean(held) < 0.99


def test_packages_are_resampled_and_files_where_packages_are_too_few():
    assert set(units_of(origins_of(5, 3))) == {f"work {w}" for w in range(5)}
    assert len(set(units_of(origins_of(4, 3)))) == 12
    values = np.repeat([0, 0.5, 1, 0.5, 0.5], 40)  # packages differ, their files do not
    wide = np.ptp(share_of_items(values, origins_of(5, 10, 4))["interval"])
    narrow = np.ptp(share_of_items(values[:160], origins_of(4, 10, 4))["interval"])
    assert wide > 1.5 * narrow


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_or_none_is_right_each_file_is_a_trial(value):
    """Resampling would give an interval of no width: sure beyond all doubt, from five items as from five thousand."""
    found = share_of_items([value] * 600, origins_of(6, 10, 10))
    assert found["interval"] == pytest.approx(wilson_interval(60 * value, 60)) and found["n"] == 600
    few = share_of_items([value, value, 1 - value], [("a", "a/1"), ("a", "a/1"), ("a", "a/2")])
    assert few["interval"] == pytest.approx(wilson_interval(1.8 * (2 * value + 1 - value) / 3, 1.8)), "2 files, 2 : 1"


def test_weights_make_a_mean_over_kinds():
    origins, weights = origins_of(8, 2), np.tile([3.0, 1.0], 8)
    values = np.tile([1.0, 0.0], 8)
    assert share_of_items(values, origins, weights)["score"] == 0.75
    assert share_of_items(values, origins, weights)["interval"] == pytest.approx(wilson_interval(0.75 * 12.8, 12.8))


def test_what_is_hard_for_both_counts_for_neither():
    """The model is right wherever the guesser is, and elsewhere too: no luck, however packages differ."""
    origins, dice = origins_of(7, 1, 20), np.random.default_rng(5)
    guesses = (dice.random(140) < np.repeat(dice.random(7), 20)).astype(float)
    values = guesses.copy()
    for package in range(7):
        missed = np.flatnonzero(guesses[20 * package : 20 * package + 20] == 0)
        values[20 * package + missed[: 1 + package % 3]] = 1.0
    gain, share = gain_of_items(values, guesses, origins), share_of_items(values, origins)
    assert gain["score"] == pytest.approx(share["score"] - guesses.mean())
    assert gain["interval"][0] > 0 and share["interval"][0] < guesses.mean()
    assert gain_of_items(guesses, guesses, origins)["interval"][0] < 0


def test_a_ratio_over_items_is_one_over_their_units():
    units = [name for name in "abcdef" for _ in range(2)]
    found = ratio_of_sums(range(12), [1] * 12, units)
    assert found == ratio_with_interval([1, 5, 9, 13, 17, 21], [2] * 6)


def test_one_unit_tells_nothing_about_its_kind():
    assert ratio_interval([3.0], [2.0]) == (-math.inf, math.inf)


def test_a_ratio_for_a_result_file_says_none_where_nothing_is_known():
    """JSON has no infinity, and 0 of 0 bytes is no number of bits per byte."""
    kept = ratio_with_interval([3.0, 6.0, 4.0, 5.0, 7.0, 0.0], [2.0, 2.0, 2.0, 2.0, 2.0, 0.0])
    assert kept == {"value": 2.5, "interval": list(ratio_interval([3, 6, 4, 5, 7], [2] * 5))}
    assert ratio_with_interval([3.0, 6.0, 4.0, 5.0], [2.0] * 4) == {"value": 2.25, "interval": None}, "too few units"
    assert ratio_with_interval([], []) == {"value": None, "interval": None}
