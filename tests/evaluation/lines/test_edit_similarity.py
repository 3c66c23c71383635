"""Exact match and edit similarity: the values that CodeXGLUE's evaluator gives, and those of a slow reference."""

import difflib
import random

import pytest

from evaluation.lines.edit_similarity import common_subsequence_length, edit_similarity, is_exact


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("this is a test", "this is a test!", 0.97),  # the first two stand in fuzzywuzzy's own README as 97 and 91
        ("fuzzy wuzzy was a bear", "wuzzy fuzzy was a bear", 0.91),
        ("abcd", "abxd", 0.75),  # by hand: a, b, d are common, 2 * 3 / 8; as a distance, one exchange would be 1 / 4
        ("return x", "", 0.0),
        ("", "", 1.0),
        ("  return x", "return x  ", 1.0),  # white space at the ends is stripped, as there
        ("abc", "xyz", 0.0),
    ],
)
def test_similarity_is_that_of_fuzz_ratio(answer, truth, expected):
    assert edit_similarity(answer, truth) == edit_similarity(truth, answer) == expected


def slow_common_length(first, second):
    """The textbook's table."""
    row = [0] * (len(second) + 1)
    for a in first:
        diagonal = 0
        for place, b in enumerate(second, start=1):
            diagonal, row[place] = row[place], diagonal + 1 if a == b else max(row[place], row[place - 1])
    return row[-1]


def test_common_subsequences_are_those_of_the_textbook_and_never_shorter_than_difflib_s():
    dice = random.Random(3)
    for _ in range(300):
        first, second = ("".join(dice.choices("abc ö", k=dice.randrange(90))) for _ in range(2))
        length = common_subsequence_length(first, second)
        assert length == slow_common_length(first, second)
        blocks = difflib.SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
        assert length >= sum(block.size for block in blocks)


def test_exact_is_the_same_but_for_the_amount_of_white_space():
    assert is_exact("    return  x", "return x\t")
    assert not is_exact("return x", "returnx")
    assert not is_exact("f(a,b)", "f(a, b)"), "white space that is missing altogether counts, as in CodeXGLUE"
    assert not is_exact("", "x")
