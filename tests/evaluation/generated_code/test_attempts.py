"""Completions: cut where they end, looked at without running them, and on the rung of the ladder that they reach."""

import pytest

from evaluation.code_questions.function_completion import cut_body
from evaluation.generated_code.attempts import LADDER, Attempt, constant_attempts, look_at, write
from evaluation.sandbox.pool import Job, Verdict
from pretraining.sampling import SamplingSettings


class Adding:
    """A problem."""

    id, prompt, entry, indentation = "adding", 'def add(a, b):\n    """Add."""\n', "add", 0

    def job(self, completion):
        return Job(self.prompt + completion, "add", cases=(((2, 3), 5),))


@pytest.mark.parametrize(
    ("completion", "parses", "defines"),
    [
        ("    return a + b\n", True, True),
        ("    return (a + b\n", False, False),
        ("    return a\n\nx = 1\n", True, True),
        ("    x = '\\d'\n", True, True),  # an odd escape is only worth a warning
        ("    return " + "(" * 300 + ")" * 300, False, False),  # too deep for Python's own parser
        ("    return '\ud800'\n", False, False),  # no character
    ],
)
def test_what_can_be_seen_without_running(completion, parses, defines):
    attempt = look_at(Adding(), completion)
    assert (attempt.parses, attempt.defines, attempt.rung) == (parses, defines, parses + defines)


@pytest.mark.parametrize(
    ("verdict", "rung"),
    [
        (None, 2),
        (Verdict("error:NameError", calls=1), 2),
        (Verdict("timeout", calls=1), 2),
        (Verdict("invalid-test", calls=0), 2),
        (Verdict("wrong", calls=3), 3),
        (Verdict("wrong", calls=3, right_type=1), 4),
        (Verdict("wrong", calls=3, right_type=2, passed=1), 5),
        (Verdict("pass", calls=3, right_type=3, passed=3), 6),
    ],
)
def test_the_rung_follows_from_the_verdict(verdict, rung):
    attempt = Attempt(Adding(), "", parses=True, defines=True, verdict=verdict)
    assert attempt.rung == rung and attempt.passes == (rung == len(LADDER))


def test_each_problem_is_completed_several_times_and_cut(trained):
    """In the order of the problems, and up to where the caller says that the answer ends."""
    first, second = Adding(), Adding()
    settings = SamplingSettings(max_new_tokens=12, temperature=1.0)
    whole = write(trained, [first, second], 3, seed=1, settings=settings)
    assert [attempt.problem for attempt in whole] == [first] * 3 + [second] * 3
    assert len({attempt.completion for attempt in whole}) == 6, "each sample has random numbers of its own"


def test_writing_stops_where_the_answer_ends(trained):
    settings = SamplingSettings(max_new_tokens=12, temperature=1.0)

    def first_five(problem, text):
        return text[:5] if len(text) >= 5 else None

    whole = write(trained, [Adding()], 4, seed=1, settings=settings)
    cut = write(trained, [Adding()], 4, seed=1, settings=settings, cut=first_five)
    assert [attempt.completion for attempt in cut] == [attempt.completion[:5] for attempt in whole]


def test_an_answer_that_is_cut_to_nothing_stays_nothing(trained):
    settings = SamplingSettings(max_new_tokens=3)
    (attempt,) = write(trained, [Adding()], 1, seed=1, settings=settings, cut=lambda problem, text: "")
    assert attempt.completion == ""


def test_constant_bodies_are_programs():
    """A guesser whose body did not even parse would be no guesser."""
    attempts = constant_attempts([Adding(), Adding()])
    assert all(attempt.defines for attempt in attempts) and len(attempts) % 2 == 0
    assert cut_body(attempts[0].completion + "\nx", 0)
