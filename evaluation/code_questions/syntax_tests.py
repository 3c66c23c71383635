"""Scores of the tests on brackets, keywords and indentation: means over kinds, guessers, and the splits that tell more.

The items come from code_items.py; the scoring function decides who is asked.
"""

from collections.abc import Mapping, Sequence

from evaluation.code_questions.code_items import CLOSING, DEPTHS, DISTANCES, GAPS, KEYWORDS, STEPS, range_names
from evaluation.code_questions.forced_choice import (
    Item,
    Scorer,
    always,
    always_by_fact,
    beside_guess,
    by_fact,
    by_kind,
    guessed_right,
    macro_average,
    right_answers,
)

INDENTATION_GUESSERS = {
    "the same as before": lambda item: int(item.facts["same"]),
    "the left margin": lambda item: 0,
    "the deepest allowed": lambda item: len(item.choices) - 1,
}


def measure_brackets(items: Sequence[Item], score: Scorer) -> dict:
    """Which bracket closes: the mean over the three, split by depth and distance."""
    right = right_answers(items, score, "brackets")
    return {
        **beside_guess(items, right, {f"always {bracket}": always(bracket) for bracket in CLOSING}),
        "by_bracket": by_kind(items, right, CLOSING),
        "by_depth": by_fact(items, right, "depth", range_names(DEPTHS)),
        "by_distance": by_fact(items, right, "distance", range_names(DISTANCES)),
    }


def measure_keywords(items: Sequence[Item], score: Scorer, frequencies: Mapping[str, int]) -> dict:
    """Which of all keywords comes: the mean over keywords, and that in which each counts as often as it occurs.

    The guesser has one keyword for the first place of a line and one for all others.
    """
    right = right_answers(items, score, "keywords")
    means = []
    for weights in (None, frequencies):
        guesser = {"by place in the line": always_by_fact(items, "place", weights)}
        means.append(beside_guess(items, right, guesser, weights))
    equal, often = means
    return {**equal, "as_often_as_in_code": often, "by_keyword": by_kind(items, right, KEYWORDS)}


def measure_indentation(items: Sequence[Item], score: Scorer) -> dict:
    """Where the next statement begins: the mean over the kinds of step, of which those back carry the information."""
    right = right_answers(items, score, "indentation")
    found = beside_guess(items, right, INDENTATION_GUESSERS)
    guessed = guessed_right(items, INDENTATION_GUESSERS[found["guesser"]])
    same = guessed_right(items, INDENTATION_GUESSERS["the same as before"])
    return {
        **found,
        "same_guess": macro_average(items, same)["score"],
        "by_step": by_kind(items, right, STEPS),
        "guess_by_step": {step: part["score"] for step, part in by_kind(items, guessed, STEPS).items()},
        "by_gap": by_fact(items, right, "gap", GAPS),
    }
