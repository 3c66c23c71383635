"""Completions climb the ladder by what they do, the reference reaches its end, and nothing runs without walls."""

import importlib

import pytest

from evaluation.sandbox.pool import SandboxUnavailable, Verdict
from evaluation.tasks.catalogue import draw_tasks

script = importlib.import_module("evaluation.pytest_code_generation")
TASKS = draw_tasks(5)


def attempts_of(*texts_of_each):
    return [script.look_at(task, text(task)) for task in TASKS for text in texts_of_each]


def broken(task):
    return "\n" + " " * (task.indentation + 4) + "return (\n"


def test_references_reach_the_top_and_broken_programs_the_bottom():
    attempts, sandbox = script.judge(attempts_of(lambda task: task.reference, broken), allow_unsandboxed=False)
    if sandbox["level"] is None:
        pytest.skip(sandbox["reason"])
    values = script.summary(attempts, 2, TASKS) | {"sandbox": sandbox}
    assert [attempt.rung for attempt in attempts] == [len(script.LADDER), 0] * len(TASKS)
    assert values["pass_at_1"]["score"] == pytest.approx(0.5) and values["pass_at_k"]["score"] == 1.0
    assert values["verdicts"] == {"pass": 5, "not run": 5}
    assert values["best"]["verdict"] == "pass" and values["worst"]["verdict"] == "not run"
    assert all(len(line) <= 80 for line in script.table(values))


def test_what_the_model_writes_behind_the_function_is_cut_off():
    """A completion that goes on with other code would else be judged for what it was not asked."""
    task = next(task for task in TASKS if task.indentation == 0)
    attempt = script.look_at(task, task.reference + "\nraise SystemExit\n")
    assert attempt.completion.rstrip() == task.reference.rstrip() and attempt.defines


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
    assert script.Attempt(TASKS[0], "", parses=True, defines=True, verdict=verdict).rung == rung


def test_without_a_sandbox_nothing_is_run_and_the_rest_is_told(monkeypatch):
    def refuse(*arguments, **settings):
        raise SandboxUnavailable("no walls here")

    monkeypatch.setattr(script, "Sandbox", refuse)
    attempts, sandbox = script.judge(attempts_of(lambda task: task.reference), allow_unsandboxed=False)
    values = script.summary(attempts, 1, TASKS) | {"sandbox": sandbox}
    assert list(values["ladder"]) == ["parses", "defines it"] and values["ladder"]["defines it"]["score"] == 1.0
    shown = "\n".join(script.table(values))
    assert "Nothing was run: no walls here" in shown and "--allow-unsandboxed" in shown


def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass():
    """Against counting: of the 10 ways to draw 2 of 5 samples, those that hold one of the 2 that pass."""
    assert script.pass_at_k(5, 2, 2) == pytest.approx(7 / 10)
    assert script.pass_at_k(5, 0, 5) == 0.0 and script.pass_at_k(5, 5, 1) == 1.0


def test_a_model_is_asked_and_the_answer_drawn(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "QUICK", script.Size(3, 2))
    values = script.measure(trained, script.Effort(quick=True))
    assert values["tasks"]["n"] == 3 and values["ladder"]["parses"]["n"] == 6
    assert [path.name for path in script.draw(values, tmp_path)] == ["code_generation.png"]
