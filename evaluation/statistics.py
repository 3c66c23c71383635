"""How sure a number is: intervals for shares and for ratios, so that no table shows a difference that is only luck.

Fixed prompts are trials of their own: theirs is Wilson's interval. What is asked of held-out texts is not: the lines of
one package fall together, so whole packages are drawn again (`share_of_items`, `ratio_of_sums`). Numpy alone. What is
being counted is not this module's concern.
"""

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

TWO_SIDED = 0.975  # the quantile at which a 95% interval ends
NORMAL_QUANTILE = NormalDist().inv_cdf(TWO_SIDED)
FEWEST_UNITS = 5  # that are worth resampling
NO_SPREAD = 1e-9  # between the shares of units that are the same but for rounding


class Interval(NamedTuple):
    """Where the true value lies, as far as the sample can tell."""

    low: float
    high: float


def wilson_interval(successes: float, n: float) -> Interval:
    """The 95% interval of a share, `successes` of `n` (Wilson 1927); the whole of [0, 1] where nothing was asked.

    Where each trial succeeds in part (a problem of which some tries pass), so does `successes`; parts vary less than
    whole successes do, so the interval is then rather too wide than too narrow.

    Unlike the textbook's p ± 2 sqrt(p(1-p)/n) it is right for shares near 0 and 1, where small models live.
    Raises ValueError when there are more successes than trials.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
    if n == 0:
        return Interval(0.0, 1.0)
    z = NORMAL_QUANTILE
    share, spread = successes / n, z * z / n
    center = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    return Interval(max(0.0, center - half), min(1.0, center + half))


def share_with_interval(successes: float, n: int) -> dict[str, float | int | list[float]]:
    """A share of fixed prompts as result files hold it: score, n and the 95% interval."""
    return {"score": successes / n if n else 0.0, "n": n, "interval": list(wilson_interval(successes, n))}


def share_of_items(
    values: Sequence[float], origins: Sequence[tuple[str, str]], weights: Sequence[float] | None = None
) -> dict[str, float | int | list[float]]:
    """The weighted mean of what items of held-out texts scored, 0 to 1 each: score, n and the 95% interval.

    `origins` names for each item its package or book and its file. Resampled is what `units_of` says. Where even files
    are too few for that, or all units have the same share (all right, or none), resampling would show no spread: the
    interval is then Wilson's, with as many trials as files of equal weight would tell as much (Kish 1965).
    """
    if not len(values):
        return share_with_interval(0, 0)
    weighed = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    score = min(1.0, float(np.average(values, weights=weighed)))
    above, below = sums_by_unit(units_of(origins), weighed * values, weighed)
    if len(below) >= FEWEST_UNITS and np.ptp(above / below) > NO_SPREAD:
        interval = np.clip(ratio_interval(above, below), 0.0, 1.0).tolist()
    else:
        (files,) = sums_by_unit(origins, weighed)
        worth = float(files.sum() ** 2 / (files**2).sum())
        interval = list(wilson_interval(score * worth, worth))
    return {"score": score, "n": len(values), "interval": interval}


def gain_of_items(
    values: Sequence[float],
    guesses: Sequence[float],
    origins: Sequence[tuple[str, str]],
    weights: Sequence[float] | None = None,
) -> dict[str, float | list[float]]:
    """How much more items score than a guesser does on the same ones, -1 to 1: score and the 95% interval.

    Item by item, so that what is hard for both counts for neither: each difference, brought to 0 to 1, is an item of
    `share_of_items`.
    """
    found = share_of_items((1 + np.subtract(values, guesses, dtype=float)) / 2, origins, weights)
    score = 2 * found["score"] - 1 if found["n"] else 0.0
    return {"score": score, "interval": [2 * limit - 1 for limit in found["interval"]]}


def units_of(origins: Sequence[tuple[str, str]]) -> list[Hashable]:
    """What is resampled as one, for each item: its package or book; its file where those are below FEWEST_UNITS.

    An interval over packages tells of other packages, one over files only of other files of the same ones.
    """
    works = [work for work, _ in origins]
    return works if len(set(works)) >= FEWEST_UNITS else list(origins)


def sums_by_unit(units: Sequence[Hashable], *columns: Sequence[float]) -> list[np.ndarray]:
    """Each column of numbers, one for each item, summed over the items of each unit: (units,)."""
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    places = np.array([numbers[unit] for unit in units], dtype=np.intp)
    return [np.bincount(places, column, len(numbers)) for column in columns]


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The 95% interval of sum(numerators) / sum(denominators), such as bits per byte over documents.

    Bootstrap over the units given (Efron 1979): what varies together, such as the files of one package, is to be summed
    into one unit first. The percentiles lie further out the fewer the units are (`outer_percentile`). A single unit
    tells nothing about its kind: the interval is then infinite.
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if len(above) < 2:
        return Interval(-math.inf, math.inf)
    drawn = np.random.default_rng(seed).integers(len(above), size=(resamples, len(above)))
    ratios = above[drawn].sum(axis=1) / below[drawn].sum(axis=1)
    outer = outer_percentile(len(above))
    return Interval(*map(float, np.quantile(ratios, (1 - outer, outer))))


def outer_percentile(units: int) -> float:
    """Where the bootstrap of a few units is cut so that 95% stay inside (the expanded percentiles of Hesterberg 2015).

    Plain percentiles take the spread of the sample for that of its kind: with 7 units they hold the truth in 88 of 100
    cases instead of 95. So Student's quantile takes the normal one's place, as in the mean of a small sample. It is
    Cornish and Fisher's expansion, right to 2% from 5 units on.
    """
    z, free = NORMAL_QUANTILE, units - 1
    student = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return NormalDist().cdf(student * math.sqrt(units / free))


def ratio_with_interval(numerators: Sequence[float], denominators: Sequence[float]) -> dict:
    """A ratio of sums as result files hold it: value and the 95% interval over the units given; None where unknown.

    Units whose denominator is 0 say nothing about the ratio and are left out. A bootstrap over two or three units would
    look far surer than it is, so fewer than FEWEST_UNITS give no interval.
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    above, below = above[below > 0], below[below > 0]
    interval = list(ratio_interval(above, below)) if len(below) >= FEWEST_UNITS else None
    return {"value": float(above.sum() / below.sum()) if len(below) else None, "interval": interval}


def ratio_of_sums(numerators: Sequence[float], denominators: Sequence[float], units: Sequence[Hashable]) -> dict:
    """A ratio over items, such as bits per byte of documents, as `ratio_with_interval` has it over whole units."""
    return ratio_with_interval(*sums_by_unit(units, numerators, denominators))
