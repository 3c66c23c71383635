"""Minimal pairs: mistakes as they are meant, really different, and so balanced that no taste for a text decides."""

import tokenize
from collections import Counter

import numpy as np
import pytest

from evaluation.code_questions.minimal_pairs import CHANGES, LONGEST_REST, draw_pairs, measure_pairs, pair_items
from tests.evaluation.code_questions.test_python_code import code_of
from tests.evaluation.conftest import python_source

SNIPPET = '''
class A:
    def f(self, first, other):
        """Swap (a, b) if self.x == first."""
        result = self.size(first, other)  # first == other
        if result == max(first, other):
            return other
        return f"{self.x == first}"
'''


def texts(kind, change=None):
    items = [item for item in pair_items(code_of(SNIPPET)) if item.kind == kind]
    return [item.choices for item in items if change in (None, item.facts["change"])]


def test_arguments_are_swapped_unless_their_order_is_free():
    assert texts("swapped arguments") == [("first, other)  # first == other\n", "other, first)  # first == other\n")]


def test_comparisons_are_turned_around():
    assert texts("wrong comparison") == [("== max(first, other):\n", "!= max(first, other):\n")]


def test_self_is_taken_away_and_added_in_methods():
    assert texts("missing self", "removed") == [
        ("self.size(first, other)  # first == other\n", "size(first, other)  # first == other\n")
    ]
    added = texts("missing self", "added")
    assert ("other\n", "self.other\n") in added and len(added) == 6
    assert all(wrong == "self." + right for right, wrong in added)


def test_brackets_are_dropped_and_doubled():
    assert (")  # first == other\n", "  # first == other\n") in texts("unbalanced bracket", "removed )")
    assert ("):\n", ")):\n") in texts("unbalanced bracket", "doubled )")
    assert len(texts("unbalanced bracket")) == 2 * 3, "the header, two calls; none in strings"


def test_each_of_two_variables_takes_the_other_ones_place():
    """A taste for one of the names is right at one place and wrong at the other."""
    right, wrong = zip(*texts("wrong variable"), strict=True)
    names = [
        (text.split(",")[0].split(")")[0].split()[0], other.split(",")[0].split(")")[0].split()[0])
        for text, other in zip(right, wrong, strict=True)
    ]
    assert len(names) == 2 and names[0] == names[1][::-1]


@pytest.mark.parametrize("seed", range(3))
def test_a_pair_differs_and_its_right_half_is_what_the_file_says(seed):
    code = code_of(python_source(seed))
    ends = {word.end for word in code.words if word.kind == tokenize.NEWLINE}
    items = list(pair_items(code, seed))
    assert len(items) > 40 and items == list(pair_items(code, seed))
    for item in items:
        right, wrong = item.choices
        assert code.text.startswith(right, item.place) and item.place + len(right) in ends
        assert right != wrong and item.answer == 0 and len(right) <= LONGEST_REST
        assert item.facts["change"] in CHANGES[item.kind]


def many_pairs():
    return [item for seed in range(20) for item in pair_items(code_of(python_source(seed)), seed)]


def test_a_draw_is_balanced_between_kinds_and_changes():
    counts = Counter((item.kind, item.facts["change"]) for item in draw_pairs(many_pairs(), 24, seed=0))
    assert counts["missing self", "removed"] == 0, "this source has no methods"
    assert counts["unbalanced bracket", "removed ]"] == counts["unbalanced bracket", "doubled }"] == 4
    assert counts["wrong variable", "replaced"] == 24


def test_no_taste_for_short_or_long_texts_gets_beyond_half():
    items = [item for item in draw_pairs(many_pairs(), 24, seed=0) if item.kind == "unbalanced bracket"]
    for sign in (1, -1):

        def by_length(prompts, choices, sign=sign):
            return [np.array([sign * len(choice) for choice in pair]) for pair in choices]

        scores = measure_pairs(items, by_length, lambda texts: [list(text) for text in texts])
        assert scores["score"] == 0.5 == scores["best_constant_guess"]


def test_a_taste_for_few_tokens_is_no_knowledge():
    """A tokenizer makes one token of what is common, so that the shorter text may be told without any model."""
    items = [item for item in draw_pairs(many_pairs(), 24, seed=0) if item.kind == "unbalanced bracket"]

    def common_endings(texts):
        return [list(text.replace("))", ")").replace("]]", "]")) for text in texts]

    found = measure_pairs(items, lambda p, choices: [np.zeros(2)] * len(p), common_endings)
    assert found["score"] == 0.0 and found["best_constant_guess"] > 0.6 and found["guesser"] == "the one of more tokens"
