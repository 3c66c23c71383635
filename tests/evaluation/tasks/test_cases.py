"""Hidden cases: edges, constants, many different answers. What a trivial answer passes is no task."""

import random
from collections import Counter

import pytest

from evaluation.tasks import catalogue
from evaluation.tasks.cases import HIDDEN, choose_cases, draw_cases, fingerprint, trivial_share
from evaluation.tasks.chains import chain_template
from evaluation.tasks.exercises import TRAINING, Exercise, fill
from evaluation.tasks.hidden_tests import Case
from evaluation.tasks.steps import read_steps
from evaluation.tasks.templates import TaskError, Template, Values, Wording


def exercise(body: str, kind: str = "integer", **constants: int) -> Exercise:
    wordings = (Wording("f", "Do it."),)
    values = {name: Values((value,)) for name, value in constants.items()}
    return fill(Template("tried", {"n": kind}, wordings, wordings, (body,), values), TRAINING, random.Random(0))


def chosen(one: Exercise) -> list[Case]:
    return choose_cases(one, random.Random(1))[0]


@pytest.mark.parametrize("body", ["return 3", "return n", "return n if n < 59 else 0", "return n == 700"])
def test_a_task_for_which_a_trivial_answer_does_is_refused(body):
    with pytest.raises(TaskError, match="trivial"):
        chosen(exercise(body))


def test_edges_and_constants_are_tried():
    """Where `>` and `>=` differ, and where an empty list breaks what works for others."""
    hidden = [case.arguments[0] for case in chosen(exercise("return n > $limit", limit=33))]
    assert {32, 33, 34, 0, 1, -1} <= set(hidden)
    assert [] in [case.arguments[0] for case in chosen(exercise("return len(n)", "ints"))]


def test_each_step_of_a_chain_is_tried_where_it_matters():
    """A limit that seldom acts: who forgets it must not pass."""
    steps = {step.key: step for step in read_steps() if step.takes == "integer"}
    template = chain_template([steps["negated"], steps["at_most"]], random.Random(0))
    one = fill(template, TRAINING, random.Random(0))
    hidden = chosen(one)
    assert len(one.shorter) == 2
    for without in one.shorter:
        assert sum(without(case.arguments) != case.outcome for case in hidden) >= 2


def test_arguments_as_long_as_a_constant_are_tried():
    hidden = [
        case.arguments[0] for case in chosen(exercise("return n[:$k] + '...' if len(n) > $k else n", "text", k=7))
    ]
    assert {6, 7, 8} <= set(map(len, hidden))


def test_both_answers_are_tried_equally_often():
    """A rare answer must not be missing: few numbers are multiples of 12."""
    outcomes = Counter(case.outcome for case in chosen(exercise("return n % 12 == 0")))
    assert min(outcomes.values()) >= 3
    assert len(chosen(exercise("return n * 2"))) == HIDDEN


def test_shown_examples_are_not_hidden_cases():
    hidden, shown = choose_cases(exercise("return n * 2"), random.Random(1))
    assert shown and not set(shown) & set(hidden)


def test_the_edges_of_what_an_object_is_made_of_are_tried():
    template = next(template for template in catalogue.read_families() if template.key == "withdraw")
    hidden = chosen(fill(template, TRAINING, random.Random(0)))
    assert 0 in [case.arguments[0][0] for case in hidden]
    assert (0,) in [case.arguments[1][0] for case in hidden]


def test_the_share_of_trivial_answers():
    cases = [Case((1, 5), 5), Case((2, 6), 6), Case((3, 7), 0), Case((0, 8), 0)]
    assert trivial_share(cases) == 0.5
    assert trivial_share([*cases, Case((4, 9), 9)]) == 0.6


def test_no_two_drawn_cases_have_the_same_arguments():
    cases = draw_cases(exercise("return n", "small"), 500, random.Random(0))
    assert len(cases) == 10


def test_fingerprints_are_alike_exactly_where_the_same_is_computed():
    double = fingerprint(exercise("return n * 2"))
    assert double == fingerprint(exercise("return n + n"))
    assert double != fingerprint(exercise("return n * 3"))
    assert double != fingerprint(exercise("return n * 2", "natural"))


def test_a_prompt_that_is_there_already_is_drawn_anew(monkeypatch):
    """Else one task would count twice."""
    once, other = exercise("return n * 2"), exercise("return n * $k", k=5)
    other = Exercise(other.template, TRAINING, "g", "Do that.", other.constants, other.names, "plain")
    drawn = iter([once, once, other])
    monkeypatch.setattr(catalogue, "_plan", lambda: [(name, lambda dice: next(drawn)) for name in ("first", "second")])
    assert [task.exercise for task in catalogue.make_tasks()] == [once, other]
