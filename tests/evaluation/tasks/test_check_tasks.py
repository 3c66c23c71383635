"""The check of the tasks: what it counts, and when it says no."""

import importlib

import pytest

from evaluation.tasks.catalogue import draw_tasks
from evaluation.tasks.wrong_solutions import Wrong

check_tasks = importlib.import_module("evaluation.tasks.check_tasks")


@pytest.fixture
def shared(sandbox, monkeypatch):
    """The check with the sandbox that is there already."""

    class Shared:
        description = sandbox.description

        def __init__(self, *settings, **more):
            pass

        def __enter__(self):
            return sandbox

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(check_tasks, "Sandbox", Shared)


def test_all_references_pass_and_little_is_let_through(shared, capsys):
    assert check_tasks.main(["--tasks", "5", "--mutants", "3"]) == 0
    shown = capsys.readouterr().out
    assert "5 tasks: 1 training side" in shown
    assert "references: all pass" in shown
    assert "by kind of mistake" in shown


def test_a_failing_reference_ends_with_1(shared, monkeypatch, capsys):
    monkeypatch.setattr(check_tasks, "failing_references", lambda sandbox, tasks: ["lists/total, body 1: wrong"])
    assert check_tasks.main(["--tasks", "1", "--mutants", "1"]) == 1
    assert "lists/total, body 1: wrong" in capsys.readouterr().out


def test_wrong_solutions_are_told_from_equal_ones_and_those_let_through(sandbox):
    """Three programs on a task with too few hidden cases: one is refused, one is right after all, one slips in."""
    task = next(task for task in draw_tasks(200) if task.exercise.template.key == "count_above")
    cases = [case for case in task.cases if case.outcome == 0]
    thin = type(task)(task.id, task.exercise, task.prompt, task.reference, tuple(cases))
    bodies = {"refused": "    return 1\n", "equal": task.exercise.body(1), "slips in": "    return 0\n"}
    wrongs = [Wrong(thin, kind, task.prompt + body) for kind, body in bodies.items()]
    families, kinds, let_through = check_tasks.try_wrong_solutions(sandbox, wrongs)
    assert (kinds["refused"].refused, kinds["equal"].equivalent, kinds["slips in"].let_through) == (1, 1, 1)
    total = families[task.family]
    assert (total.refused, total.equivalent, total.let_through) == (1, 1, 1)
    assert [wrong.kind for wrong, _ in let_through] == ["slips in"]
