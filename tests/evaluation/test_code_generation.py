"""Tasks of our own: the references reach the top, what follows the function is cut off, and the answer is shown."""

import importlib

import pytest

from evaluation.generated_code import attempts_judged
from evaluation.generated_code.attempts import look_at
from evaluation.sandbox.pool import SandboxUnavailable
from evaluation.tasks.catalogue import draw_tasks

script = importlib.import_module("evaluation.pytest_code_generation")
TASKS = draw_tasks(5)


@pytest.fixture
def writes_references(monkeypatch):
    """Instead of what a model writes: the reference of each task, then a broken program."""

    def complete(trained, tasks, samples, seed):
        broken = [f"\n{' ' * (task.indentation + 4)}return (\n" for task in tasks]
        pairs = zip(tasks, broken, strict=True)
        return [look_at(task, text) for task, bad in pairs for text in (task.reference, bad)]

    monkeypatch.setattr(script, "complete", complete)
    monkeypatch.setattr(script, "QUICK", script.Size(5, 2))


def test_references_reach_the_top_and_broken_programs_the_bottom(trained, writes_references):
    values = script.measure(trained, script.Effort(quick=True), rerank=True)
    if values["sandbox"]["level"] is None:
        pytest.skip(values["sandbox"]["reason"])
    assert values["pass_at"]["1"]["score"] == pytest.approx(0.5) and values["pass_at"]["2"]["score"] == 1.0
    assert values["verdicts"] == {"pass": 5, "not run": 5} and values["constant_guess"]["score"] == 0.0
    assert sum(found["n"] for found in values["by_side"].values()) == 5
    shown = script.table(values)
    assert all(len(line) <= 80 for line in shown) and any(line.startswith("likeliest of 2") for line in shown)


def test_without_a_sandbox_the_next_command_is_what_was_typed_and_the_flag(
    trained, writes_references, monkeypatch, tmp_path, capsys
):
    def refuse(*arguments, **settings):
        raise SandboxUnavailable(
            "no walls here, and this reason is longer than any one line of a table may ever be long"
        )

    monkeypatch.setattr(attempts_judged, "Sandbox", refuse)
    places = ["--results", str(tmp_path), "--plots", str(tmp_path)]
    assert script.main(["--checkpoint", str(trained.path), "--device", "cpu", "--quick", *places]) == 0
    shown = capsys.readouterr().out
    assert "Nothing was run: no walls here" in shown and "defines it" in shown and "pass@" not in shown
    command = next(line for line in shown.splitlines() if line.endswith("--allow-unsandboxed"))
    assert command.split()[:4] == ["python", "evaluation/pytest_code_generation.py", "--checkpoint", str(trained.path)]
    assert (tmp_path / "code_generation.png").is_file()


def test_what_the_model_writes_behind_the_function_is_cut_off(trained, monkeypatch):
    """A completion that goes on with other code would else be judged for what it was not asked."""
    task = next(task for task in TASKS if task.indentation == 0)
    monkeypatch.setattr(script, "write", lambda *_, cut, **__: cut(task, task.reference + "\nraise SystemExit\n"))
    assert script.complete(trained, [task], 1, 0).rstrip() == task.reference.rstrip()


def test_a_model_is_asked_and_the_answer_drawn(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "QUICK", script.Size(3, 2))
    values = script.measure(trained, script.Effort(quick=True))
    assert values["tasks"]["n"] == values["ladder"]["parses"]["n"] == 3
    assert [path.name for path in script.draw(values, tmp_path)] == ["code_generation.png"]


def test_answers_to_other_choices_are_told_apart():
    """The full evaluation asks with `rerank`: an answer without it, or from outside of the sandbox, is not its own."""
    others = [script.question(), script.question(rerank=True, allow_unsandboxed=True)]
    assert all(other.choices != script.QUESTION.choices for other in others)
    assert script.question(rerank=True).choices == script.QUESTION.choices
