"""Runs of recipes as their logs would tell them."""

from evaluation.training.learned import Learned, Point


def curve(*losses: float, tokens: float = 1e6, minutes: float = 1.0) -> list[Point]:
    """Validations at equal distances."""
    return [Point(n * tokens, n * minutes, loss, loss / 2) for n, loss in enumerate(losses)]


def learned(
    *losses: float, tokens: float = 1e6, minutes: float = 1.0, held_out: str = "heldout_code", parameters: int = 1
) -> Learned:
    """A run that was looked at so often."""
    points = curve(*losses, tokens=tokens, minutes=minutes)
    return Learned("2026-01-02 03:04:05", parameters, 44, "0a1b", {"learning_rate": 3e-3}, held_out, points)
