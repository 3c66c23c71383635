"""What the sandbox says of right, wrong and dishonest programs, for each manner in which a task counts."""

import pytest

from evaluation.tasks.catalogue import evaluation_tasks
from evaluation.tasks.hidden_tests import Case, Subject
from evaluation.tasks.tricks import TRICKS, tricked


def one_of_each_manner():
    found = {}
    for task in evaluation_tasks():
        subject = task.exercise.subject
        raises = any(isinstance(part, type) for case in task.cases for part in [case.outcome, *as_list(case.outcome)])
        found.setdefault((subject.manner, subject.method[:2] == "__", raises), task)
    return list(found.values())


def as_list(value):
    return value if isinstance(value, list) else []


@pytest.fixture(scope="module")
def tasks():
    chosen = one_of_each_manner()
    assert {task.exercise.subject.manner for task in chosen} == {"returns", "prints", "changes", "class"}
    return chosen


def verdicts(sandbox, tasks, completions):
    jobs = [task.job(completion) for task, completion in zip(tasks, completions, strict=True)]
    return {task.id: verdict.verdict for task, verdict in zip(tasks, sandbox.judge(jobs), strict=True)}


def test_references_pass(sandbox, tasks):
    found = verdicts(sandbox, tasks, [task.reference for task in tasks])
    assert set(found.values()) == {"pass"}, found


@pytest.mark.parametrize("body", ["pass", "return True", "return 0", "return []", 'return ""', "print()"])
def test_bodies_that_fit_everything_do_not_pass(sandbox, tasks, body):
    found = verdicts(sandbox, tasks, [f"{task.exercise.indentation}    {body}\n" for task in tasks])
    assert "pass" not in found.values(), found


@pytest.mark.parametrize("trick", TRICKS, ids=range(len(TRICKS)))
def test_no_trick_passes_and_none_is_laid_to_the_test(sandbox, tasks, trick):
    """Equal to everything, gone before it is asked, looking for the answer, writing the verdict itself."""
    sources = [tricked(task.prompt, task.entry, task.exercise.indentation, trick) for task in tasks]
    jobs = [task.exercise.subject.job(source, task.cases) for task, source in zip(tasks, sources, strict=True)]
    for task, verdict in zip(tasks, sandbox.judge(jobs), strict=True):
        assert verdict.verdict not in ("pass", "invalid-test", "error:SyntaxError"), (task.id, verdict)


def test_an_answer_of_another_type_is_wrong(sandbox):
    """1.0 and True equal 1, and are not what was asked for."""
    subject = Subject("f")
    cases = [Case((1,), 1), Case((2,), 2)]
    jobs = [subject.job(f"def f(n): return {answer}", cases) for answer in ("n", "float(n)", "n if n > 1 else True")]
    assert [verdict.verdict for verdict in sandbox.judge(jobs)] == ["pass", "wrong", "wrong"]


def test_an_answer_of_another_type_is_wrong_deep_inside_too(sandbox):
    """In sets and as keys as well, where Python itself finds no difference, and whatever a task looks at."""
    for outcome, other in (([1], "[True]"), ({1: "a"}, "{True: 'a'}"), ({1}, "{1.0}"), ((1, [2]), "(1, [2.0])")):
        for extra in ([], [Case((-1,), ValueError)]):
            cases = [Case((1,), outcome), *extra]
            source = "def f(n):\n    if n < 0: raise ValueError\n    return "
            jobs = [Subject("f").job(source + answer, cases) for answer in (repr(outcome), other)]
            assert [verdict.verdict for verdict in sandbox.judge(jobs)] == ["pass", "wrong"]


def test_an_expected_exception_must_be_raised_and_no_other(sandbox):
    subject = Subject("f")
    cases = [Case((1,), 1), Case((-1,), ValueError)]
    bodies = ("if n < 0: raise ValueError\n    return n", "return n", "if n < 0: raise KeyError\n    return n")
    found = [v.verdict for v in sandbox.judge(subject.job(f"def f(n):\n    {body}", cases) for body in bodies)]
    assert found == ["pass", "wrong", "error:KeyError"]


def test_printed_text_counts_to_the_last_character(sandbox):
    subject = Subject("f", "prints")
    cases = [Case(("a",), "a\n"), Case(("b",), "b\n")]
    jobs = [
        subject.job(f"def f(s): {body}", cases) for body in ("print(s)", "print(s, end='')", "print(s, s)", "return s")
    ]
    assert [verdict.verdict for verdict in sandbox.judge(jobs)] == ["pass", "wrong", "wrong", "wrong"]


def test_a_list_must_be_changed_itself(sandbox):
    subject = Subject("f", "changes")
    cases = [Case(([2, 1],), [1, 2]), Case(([3],), [3])]
    jobs = [
        subject.job(f"def f(items): {body}", cases) for body in ("items.sort()", "return sorted(items)", "items = [1]")
    ]
    assert [verdict.verdict for verdict in sandbox.judge(jobs)] == ["pass", "wrong", "wrong"]


def test_in_process_outcomes_leave_the_arguments_alone():
    """Else later cases of the same arguments would expect something else."""
    program = Subject("f", "changes").program("def f(items): items.clear()")
    arguments = ([1, 2],)
    assert program(arguments) == []
    assert arguments == ([1, 2],)
