"""How near a written line comes to the true one: exact match and edit similarity, as CodeXGLUE scores them.

Its evaluator (Code-Code/CodeCompletion-line/evaluator/evaluator.py) counts a line as exact when both split at white
space into the same parts, and takes `fuzz.ratio` of fuzzywuzzy as their similarity.
"""

from collections import defaultdict


def is_exact(answer: str, truth: str) -> bool:
    """Whether two lines are the same but for the amount of white space; so indentation does not count."""
    return answer.split() == truth.split()


def edit_similarity(answer: str, truth: str) -> float:
    """The share of characters that two lines have in common in the same order, from 0 to 1, in whole hundredths.

    That is 2 M / T, where T is the length of both and M that of their longest common subsequence: `fuzz.ratio` with
    python-Levenshtein, which counts insertions and deletions (an exchanged character is one of each). Without that
    package fuzzywuzzy matches longest blocks first (difflib), whose M is never larger. The ends are stripped.
    """
    answer, truth = answer.strip(), truth.strip()
    if answer == truth:
        return 1.0
    return round(200 * common_subsequence_length(answer, truth) / (len(answer) + len(truth))) / 100


def common_subsequence_length(first: str, second: str) -> int:
    """How many characters the longest common subsequence of two texts has.

    One bit for each character of `first`, all steps of a column at once (Hyyrö 2004, "Bit-parallel LCS-length
    computation revisited"): after each character of `second`, the zeros count what is common so far.
    """
    places: dict[str, int] = defaultdict(int)
    for place, character in enumerate(first):
        places[character] |= 1 << place
    all_ones = column = (1 << len(first)) - 1
    for character in second:
        matches = column & places[character]
        column = ((column + matches) | (column - matches)) & all_ones
    return len(first) - column.bit_count()
