"""Counting what passes: pass@k against counting draws, intervals over problems, and nothing invented without a run."""

from itertools import combinations

import pytest

from evaluation.generated_code import attempts_judged
from evaluation.generated_code.attempts import LADDER, Attempt
from evaluation.generated_code.attempts_judged import (
    best_constant,
    measure_attempts,
    pass_at_k,
    pass_shares,
    share,
    summary,
)
from evaluation.sandbox.pool import SandboxUnavailable, Verdict
from evaluation.statistics import wilson_interval
from tests.evaluation.generated_code.test_attempts import Adding

RIGHT, WRONG, BROKEN = "    return a + b\n", "    return a - b\n", "    return (\n"


def attempts(*patterns):
    """Attempts at as many problems as there are texts: `+` passes, `-` does not."""
    verdicts = {"+": Verdict("pass", passed=1, calls=1), "-": Verdict("wrong", calls=1)}
    return [Attempt(Adding(), "", True, True, verdicts[sign]) for pattern in patterns for sign in pattern]


@pytest.mark.parametrize("n", [1, 4, 6])
def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass(n):
    for passed in range(n + 1):
        for k in range(1, n + 1):
            draws = list(combinations([True] * passed + [False] * (n - passed), k))
            assert pass_at_k(n, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_intervals_are_over_problems_not_over_samples():
    """Twenty samples of one problem are nearly one and the same trial."""
    shares = pass_shares(attempts("++++", "++++", "----", "----", "----"), 4)
    assert list(shares) == ["1", "4"]
    assert shares["1"]["score"] == shares["4"]["score"] == 0.4
    assert shares["1"]["n"] == 5 and shares["1"]["interval"] == list(wilson_interval(2, 5))


def test_pass_at_1_counts_shares_of_samples_and_pass_at_k_problems():
    shares = pass_shares(attempts("+---", "----"), 4)
    assert (shares["1"]["score"], shares["4"]["score"]) == (1 / 8, 1 / 2)
    assert share(attempts("+---", "----"), 4, lambda attempt: attempt.passes) == shares["1"]


def test_of_many_samples_also_pass_at_10_and_100():
    assert list(pass_shares(attempts("+" * 20), 20)) == ["1", "10", "20"]
    assert list(pass_shares(attempts("+" * 200), 200)) == ["1", "10", "100", "200"]


def test_right_and_wrong_programs_are_told_apart_by_running_them(trained):
    written = [attempts_judged.Attempt(Adding(), text, text != BROKEN, text != BROKEN) for text in (RIGHT, BROKEN)]
    written += [Attempt(Adding(), WRONG, True, True)] * 2
    judged, values = measure_attempts(trained, written, 2, cpu_seconds=1, rerank=True)
    if values["sandbox"]["level"] is None:
        pytest.skip(values["sandbox"]["reason"])
    assert [attempt.outcome for attempt in judged] == ["pass", "not run", "wrong", "wrong"]
    assert values["verdicts"] == {"wrong": 2, "pass": 1, "not run": 1}
    assert values["ladder"]["all cases"]["score"] == 1 / 4 and values["pass_at"]["2"]["score"] == 1 / 2
    assert (values["best"]["completion"], values["worst"]["completion"]) == (RIGHT, BROKEN)
    assert values["constant_guess"]["score"] == 0.0 and values["likeliest"]["n"] == 2


def test_without_a_sandbox_only_what_needs_none_is_told(trained, monkeypatch):
    def refuse(*arguments, **settings):
        raise SandboxUnavailable("no walls here")

    monkeypatch.setattr(attempts_judged, "Sandbox", refuse)
    judged, values = measure_attempts(trained, [Attempt(Adding(), RIGHT, True, True)], 1, cpu_seconds=1, rerank=True)
    assert values["sandbox"] == {"level": None, "reason": "no walls here"} and judged[0].verdict is None
    assert list(values["ladder"]) == ["parses", "defines it"] and values["ladder"]["defines it"]["score"] == 1.0
    assert not values.keys() & {"pass_at", "likeliest", "constant_guess"}


def test_the_best_constant_body_is_named():
    bodies = len(attempts_judged.CONSTANT_BODIES)
    rows = ["-" * bodies, "-+" + "-" * (bodies - 2)]
    found = best_constant(attempts(*rows))
    assert (found["guesser"], found["score"], found["n"]) == (attempts_judged.CONSTANT_BODIES[1], 0.5, 2)


def test_a_question_may_leave_out_rungs():
    found = summary(attempts("+-"), 2, ("parses", "runs", "all cases"))["ladder"]
    assert list(found) == ["parses", "runs", "all cases"] and found["runs"]["score"] == 1.0
    assert set(found) < set(LADDER)
