"""How sure a number is: intervals for shares and for ratios, so that no table shows a difference that is only luck.

Numpy alone. What is being counted is not this module's concern.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NORMAL_QUANTILES = {0.95: 1.959964, 0.999: 3.290527}  # two-sided
FEWEST_UNITS = 5  # that are worth resampling


class Interval(NamedTuple):
    """Where the true value lies, as far as the sample can tell."""

    low: float
    high: float


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """The interval of a share, `successes` of `n` (Wilson 1927); the whole of [0, 1] where nothing was asked.

    Where each trial succeeds in part (a problem of which some tries pass), so does `successes`; parts vary less than
    whole successes do, so the interval is then rather too wide than too narrow.

    Unlike the textbook's p ± 2 sqrt(p(1-p)/n) it is right for shares near 0 and 1, where small models live.
    Raises ValueError when there are more successes than trials, KeyError for a confidence other than 0.95 and 0.999.
    """
    z = NORMAL_QUANTILES[confidence]
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
    if n == 0:
        return Interval(0.0, 1.0)
    share, spread = successes / n, z * z / n
    center = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    return Interval(max(0.0, center - half), min(1.0, center + half))


def share_with_interval(successes: float, n: int) -> dict[str, float | int | list[float]]:
    """A share as result files hold it: score, n and the 95% interval."""
    return {"score": successes / n if n else 0.0, "n": n, "interval": list(wilson_interval(successes, n))}


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The 95% interval of sum(numerators) / sum(denominators), such as bits per byte over documents.

    Percentile bootstrap over the units given (Efron 1979): what varies together, such as the files of one package,
    is to be summed into one unit first. A single unit tells nothing about its kind: the interval is then infinite.
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if len(above) < 2:
        return Interval(-math.inf, math.inf)
    drawn = np.random.default_rng(seed).integers(len(above), size=(resamples, len(above)))
    ratios = above[drawn].sum(axis=1) / below[drawn].sum(axis=1)
    return Interval(*map(float, np.quantile(ratios, (0.025, 0.975))))


def ratio_with_interval(numerators: Sequence[float], denominators: Sequence[float]) -> dict:
    """A ratio of sums as result files hold it: value and the 95% interval over the units given; None where unknown.

    Units whose denominator is 0 say nothing about the ratio and are left out. A bootstrap over two or three units would
    look far surer than it is, so fewer than FEWEST_UNITS give no interval.
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    above, below = above[below > 0], below[below > 0]
    interval = list(ratio_interval(above, below)) if len(below) >= FEWEST_UNITS else None
    return {"value": float(above.sum() / below.sum()) if len(below) else None, "interval": interval}
