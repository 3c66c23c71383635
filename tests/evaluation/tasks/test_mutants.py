"""Wrong solutions: every mutant is a program, differs from the reference, and changes only what was to be written."""

import ast

import pytest

from evaluation.tasks.catalogue import draw_tasks
from evaluation.tasks.mutants import mutants
from evaluation.tasks.wrong_solutions import OTHER_TASK, TRIVIAL, more_cases, wrong_solutions

SOURCE = '''def count_above(numbers, limit):
    """Count."""
    count = 0
    for number in numbers:
        if number > limit:
            count += 1
    return count
'''


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("comparison", "if number >= limit:"),
        ("constant", "count += 2"),
        ("constant", "count = 1"),
        ("operator", "count -= 1"),
        ("wrong variable", "if count > limit:"),
        ("left out", "if True:"),
        ("left out", "pass"),
        ("condition", "if not number > limit:"),
        ("early answer", "return numbers"),
        ("early answer", "break"),
    ],
)
def test_a_mistake_is_made(kind, line):
    assert [m for m in mutants(SOURCE, 3) if m.kind == kind and line in m.source.replace("    ", "").splitlines()]


def test_mutants_are_programs_that_differ():
    found = mutants(SOURCE, 3)
    sources = [mutant.source for mutant in found]
    assert len(set(sources)) == len(sources) > 25
    assert ast.unparse(ast.parse(SOURCE)) not in sources
    for source in sources:
        compile(source, "<mutant>", "exec")


def test_only_what_was_to_be_written_changes():
    head = ast.unparse(ast.parse(SOURCE)).splitlines()[:2]
    assert all(mutant.source.splitlines()[:2] == head for mutant in mutants(SOURCE, 3))
    assert not mutants(SOURCE, 99)


def test_wrong_solutions_of_tasks_are_of_all_sorts():
    tasks = draw_tasks(40)
    found = list(wrong_solutions(tasks, most_mutants=5))
    assert found == list(wrong_solutions(tasks, most_mutants=5))
    assert {OTHER_TASK, TRIVIAL, "constant", "left out"} <= {wrong.kind for wrong in found}
    for wrong in found:
        compile(wrong.source, "<wrong>", "exec")
        assert wrong.task.prompt + wrong.task.reference != wrong.source


def test_more_cases_are_many_and_other_ones():
    task = next(task for task in draw_tasks(60) if task.family == "list chains")
    hidden = {repr(case.arguments) for case in task.cases}
    more = more_cases(task, 300)
    assert len([case for case in more if repr(case.arguments) not in hidden]) > 200
