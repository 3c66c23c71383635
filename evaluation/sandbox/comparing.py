"""When an answer is the expected one. Both are plain data: nothing of a program runs here."""

import cmath


def same(answer: object, expected: object) -> bool:
    """Equal and of the same type, all the way down; floats to nine digits, and nan is nan.

    What is looked up by its hash, in sets and as keys, is compared exactly.
    """
    if type(answer) is not type(expected):
        return False
    if isinstance(expected, (float, complex)):
        both_nan = cmath.isnan(answer) and cmath.isnan(expected)
        return both_nan or cmath.isclose(answer, expected, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(expected, (list, tuple)):
        return len(answer) == len(expected) and all(map(same, answer, expected))
    if isinstance(expected, (set, frozenset)):
        return set(map(_typed, answer)) == set(map(_typed, expected))
    if isinstance(expected, dict):
        alike = set(map(_typed, answer)) == set(map(_typed, expected))
        return alike and all(same(answer[key], expected[key]) for key in expected)
    return answer == expected


def _typed(value: object) -> tuple:
    """What has a hash, with its type all the way down: True, 1 and 1.0 are one key, and three answers."""
    inner = type(value)(map(_typed, value)) if isinstance(value, (tuple, frozenset)) else value
    return type(value), inner
