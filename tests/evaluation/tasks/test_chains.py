"""Chains: written in several ways that agree, none of their steps idle, held-out pairs apart."""

import random
from itertools import permutations

import pytest

from evaluation.tasks.cases import draw_cases
from evaluation.tasks.chain_bodies import chain_bodies, one_expression
from evaluation.tasks.chains import draw_chain, is_held_out, is_poor
from evaluation.tasks.exercises import COMPOSITION, TRAINING
from evaluation.tasks.steps import START, read_steps

STEPS = read_steps()


def step(key, takes):
    return next(step for step in STEPS if (step.key, step.takes) == (key, takes))


def test_a_chain_is_written_as_a_person_might():
    parts = [step("evens", "ints"), step("squares", "ints"), step("total", "ints")]
    assert chain_bodies(parts, "numbers") == (
        "evens = [number for number in numbers if number % 2 == 0]\n"
        "squares = [number ** 2 for number in evens]\n"
        "return sum(squares)",
        "return sum(number ** 2 for number in [number for number in numbers if number % 2 == 0])",
        "return sum(number ** 2 for number in numbers if number % 2 == 0)",
        "total = 0\nfor number in numbers:\n    if number % 2 == 0:\n"
        "        number = number ** 2\n        total += number\nreturn total",
    )


def test_values_stand_in_parentheses_where_they_have_to():
    parts = [step("plus", "integer").numbered(1), step("times", "integer").numbered(2), step("absolute", "integer")]
    assert one_expression(parts, "n") == "abs((n + $k1) * $k2)"


@pytest.mark.parametrize("start", START)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_all_ways_to_write_a_chain_compute_the_same(start, depth):
    dice = random.Random(f"{start}{depth}")
    for _ in range(25):
        exercise = draw_chain(STEPS, start, depth, TRAINING, dice)
        cases = draw_cases(exercise, 30, dice)
        for number in range(len(exercise.template.bodies)):
            program = exercise.subject.program(exercise.prompt(cases) + exercise.body(number))
            assert all(program(case.arguments) == case.outcome for case in cases), exercise.body(number)


def test_a_chain_with_an_idle_step_is_poor():
    """Sorting what is sorted would call for one step and claim to test two."""
    twice = [step("descending", "ints"), step("ascending", "ints")]
    assert is_poor(twice, {})
    assert not is_poor(twice[:1], {})
    assert is_poor([step("remainder", "integer"), step("is_over", "integer")], {"k1": 3, "k2": 10})


def test_held_out_pairs_are_held_out_in_any_order_and_in_any_chain():
    keys = sorted({step.key for step in STEPS})
    pair = next(pair for pair in permutations(keys, 2) if is_held_out(pair))
    assert is_held_out(pair[::-1])
    third = next(key for key in keys if not is_held_out([key, pair[0]]) and not is_held_out([key, pair[1]]))
    assert is_held_out([pair[0], third, pair[1]])


def test_training_meets_every_step_alone():
    """A composition is unseen only if its steps are not."""
    assert not any(is_held_out([step.key]) for step in STEPS)


def test_chains_are_on_the_side_that_was_asked_for():
    dice = random.Random(5)
    for _ in range(20):
        assert not is_held_out(draw_chain(STEPS, "ints", 3, TRAINING, dice).template.steps)
        assert is_held_out(draw_chain(STEPS, "ints", 3, COMPOSITION, dice).template.steps)
