"""Perplexity: how many equally likely tokens a model hesitates between, and what to think of that number.

Standard library alone: everything that shows a loss uses it.
"""

import math

LARGEST_LOSS = 700.0  # exp of more overflows a float
GRADES = ((50.0, "excellent"), (100.0, "good"), (200.0, "okay"), (math.inf, "poor"))  # below so much: this word


def perplexity(loss: float) -> float:
    """e to the loss in nats per token."""
    return math.exp(min(loss, LARGEST_LOSS))


def grade(value: float) -> str:
    """The word for a perplexity on held-out text: below 50 excellent, 50 to 100 good, to 200 okay, else poor.

    These limits are for this project's tokenizer of 8,192 tokens; other tokenizers shift them (bits per byte compare).
    """
    return next(word for limit, word in GRADES if value < limit or limit == math.inf)


def shown(value: float) -> str:
    """A perplexity as people read it: one decimal, and a power of ten once that would be a row of digits."""
    return f"{value:.1f}" if value < 1e6 else f"{value:.0e}"
