"""The tasks that evaluation asks: enough of each kind, the same in every run, and none that a trivial answer passes."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evaluation.tasks.catalogue import digest, draw_tasks, evaluation_tasks
from evaluation.tasks.exercises import CONSTANTS, FAMILY, SIDES, WORDING
from evaluation.tasks.layout import literal
from evaluation.tasks.templates import HELD_OUT_FAMILIES

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tasks():
    return evaluation_tasks()


def test_there_are_enough_of_each_side(tasks):
    sides = Counter(task.side for task in tasks)
    assert len(tasks) >= 300
    assert set(sides) == set(SIDES)
    assert min(sides.values()) >= 40


def test_no_two_tasks_are_the_same(tasks):
    assert len({task.id for task in tasks}) == len({task.prompt for task in tasks}) == len(tasks)


def test_prompts_are_python_and_end_where_the_body_begins(tasks):
    for task in tasks:
        tree = ast.parse(task.prompt + task.reference)
        assert task.entry in {getattr(node, "name", None) for node in tree.body}, task.id
        assert task.prompt.endswith('"""\n')
        assert "$" not in task.prompt + task.reference, task.id
        assert f"\n{' ' * task.indentation}def " in "\n" + task.prompt


def test_references_pass_their_hidden_cases(tasks):
    for task in tasks:
        program = task.exercise.subject.program(task.prompt + task.reference)
        assert all(program(case.arguments) == case.outcome for case in task.cases), task.id


def test_no_constant_and_no_argument_is_the_answer_to_all_cases(tasks):
    """Such a body could be learned without reading the prompt."""
    for task in tasks:
        outcomes = {repr(case.outcome) for case in task.cases}
        assert len(outcomes) > 1, task.id
        for place in range(len(task.cases[0].arguments)):
            assert any(repr(case.arguments[place]) != repr(case.outcome) for case in task.cases), task.id


def test_what_a_prompt_shows_does_not_pass_for_the_answer(tasks):
    """A body that knows only the examples of the docstring fails some hidden case."""
    for task in tasks:
        if ">>>" in task.prompt:
            calls = [f">>> {task.entry}({', '.join(map(literal, case.arguments))})\n" for case in task.cases]
            assert not all(call in task.prompt for call in calls), task.id


def test_held_out_families_are_asked_as_such_only(tasks):
    assert {task.family for task in tasks if task.side == FAMILY} == set(HELD_OUT_FAMILIES)
    assert not [task for task in tasks if task.family in HELD_OUT_FAMILIES and task.side != FAMILY]


def test_a_held_out_task_has_one_thing_that_is_unseen(tasks):
    for task in tasks:
        exercise, template = task.exercise, task.exercise.template
        values = [value in template.constants[name].unseen for name, value in exercise.constants.items()]
        assert all(values) and values if task.side == CONSTANTS else not any(values), task.id
        names = {wording.name for wording in (template.unseen if task.side == WORDING else template.seen)}
        assert exercise.name in names, task.id


def test_tasks_are_the_same_in_every_run(tasks):
    """Also where Python hashes strings otherwise: a set's order must not leak into what is drawn, shown or hidden."""
    program = "from evaluation.tasks.catalogue import digest, evaluation_tasks; print(digest(evaluation_tasks()))"
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(tasks)


def test_the_digest_notices_a_changed_case(tasks):
    assert digest(tasks[:3]) != digest(tasks[:2])
    assert digest(tasks[:3]) == digest(list(tasks[:3]))


def test_a_drawn_part_has_equally_many_of_each_side():
    drawn = draw_tasks(50)
    assert Counter(task.side for task in drawn) == dict.fromkeys(SIDES, 10)
    assert drawn == draw_tasks(50)
    assert drawn != draw_tasks(50, seed=1)
