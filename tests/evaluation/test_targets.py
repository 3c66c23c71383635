"""The README's targets: what is counted, when it is reached, and what takes the meaning from it."""

import pytest

from evaluation.targets import target_lines, targets


def code_eval(*, perplexity=42.4, bracket=0.93, keyword=0.55, indentation=0.71, functions=0.17, guess=0.1) -> dict:
    """Results in the shape of code_eval.json."""

    def score(value):
        interval = [max(0.0, value - 0.03), min(1.0, value + 0.03)]
        return {"score": value, "n": 1000, "interval": interval, "best_constant_guess": guess}

    return {
        "code_perplexity": {
            "average_perplexity": perplexity,
            "interval": [perplexity - 3, perplexity + 3],
            "n": 50_000,
        },
        "bracket_completion": score(bracket),
        "keyword_completion": score(keyword),
        "indentation_awareness": score(indentation),
        "function_completion": score(functions),
    }


def verdicts(**changes) -> list[str]:
    return [row.verdict for row in targets({"code_eval": code_eval(**changes)})]


def test_the_goals_are_those_of_the_readme():
    rows = targets({"code_eval": code_eval()})
    assert [row.shown_goal for row in rows] == ["< 100", "< 50", "> 50%", "> 50%", "> 30%"]
    assert [row.value for row in rows] == [42.4, 42.4, 0.93, 0.55, 0.17]


def test_a_goal_is_reached_beyond_it_and_not_at_it():
    assert verdicts() == ["yes", "yes", "yes", "yes", "no"]
    assert verdicts(perplexity=70)[:2] == ["yes", "no"]
    assert targets({"code_eval": code_eval(perplexity=100.0)})[0].reached is False
    assert targets({"code_eval": code_eval(bracket=0.5)})[2].reached is False


def test_an_interval_that_holds_the_goal_makes_it_unsure():
    """A score of 51% from a small sample is no 51%."""
    assert verdicts(bracket=0.51)[2] == "yes, unsure"
    assert verdicts(bracket=0.49)[2] == "no, unsure"
    assert verdicts(perplexity=48)[1] == "yes, unsure"


def test_a_goal_that_a_constant_guess_reaches_too_says_so():
    """Half of all closing brackets may be round: then 55% is no understanding."""
    assert verdicts(guess=0.52)[2] == "yes, guess too"
    assert verdicts(guess=0.52)[4] == "no"


def test_bodies_in_form_are_not_praised_beyond_the_program_that_only_has_form():
    """`return <first argument>` passes nearly always: 45% reach the goal of 30% and are no sense at all."""
    found = {"code_eval": code_eval(functions=0.45, guess=0.99)}
    assert targets(found)[4].verdict == "yes, guess too"
    text = " ".join(" ".join(target_lines(found)).split())
    assert "form only" in text and "a program that always writes `return <first argument>`" in text


def test_syntax_counts_the_weakest_of_its_three_tests():
    """A mean would let brackets, the easiest, hide the others."""
    row = targets({"code_eval": code_eval(indentation=0.4)})[3]
    assert row.value == 0.4 and "indentation" in row.counted and row.verdict == "no"


@pytest.mark.parametrize("results", [{}, {"code_eval": {}}, {"language_modelling": {"n": 3}}])
def test_what_was_not_measured_is_neither_reached_nor_missed(results):
    assert {row.verdict for row in targets(results)} == {"not measured"}
    assert all(row.reached is None for row in targets(results))
    assert len(target_lines(results)) > 5


def test_without_one_of_its_tests_syntax_is_not_measured():
    found = code_eval()
    del found["keyword_completion"]
    assert targets({"code_eval": found})[3].verdict == "not measured"


def test_the_table_fits_a_terminal_and_says_what_is_counted():
    for perplexity in (42.4, 8192.0):
        lines = target_lines({"code_eval": code_eval(perplexity=perplexity, guess=0.52)})
        assert max(map(len, lines)) <= 80, max(lines, key=len)
    text = "\n".join(lines)
    assert "   8,192 " in text and "yes, guess too" in text
    assert all(f"  {name}: " in text for name in ("perplexity", "bracket", "syntax", "generation"))
