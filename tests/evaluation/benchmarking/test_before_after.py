"""Before and after: what is compared with what, from which file, and that nobody can misread it."""

import json
import re

import matplotlib as mpl
import pytest

from evaluation.benchmarking import before_after, before_after_picture
from evaluation.benchmarking.before_after import comparison
from evaluation.benchmarking.before_after_picture import PAIRS
from evaluation.question import Effort, Question, answer, ask
from evaluation.result_files import ResultError, load_result, save_result


def score(value: float, guess: float = 0.3) -> dict:
    interval = [max(0.0, value - 0.03), min(1.0, value + 0.03)]
    return {"score": value, "n": 1000, "interval": interval, "best_constant_guess": guess}


def code_tests(calls: list) -> Question:
    """A stand-in for evaluation/code_tests.py: results of its shape, and a note of each time it was asked."""

    def measure(trained, effort):
        calls.append((trained.step, effort))
        scores = (0.2, 0.02, 0.3, 0.0) if trained.step == 0 else (0.9, 0.4, 0.6, 0.2)
        found = {"average_perplexity": 42.4, "interval": [38.0, 47.0], "bits_per_byte": 1.5, "n": 100}
        return {"code_perplexity": found} | {
            name: score(value) for (_, name), value in zip(PAIRS.values(), scores, strict=True)
        }

    return Question("code_eval", "Code?", measure, lambda values: [], lambda values, folder: [])


@pytest.fixture
def calls() -> list:
    return []


@pytest.fixture(autouse=True)
def held_out_code(processed):
    """What the untrained model's perplexity is measured on."""


@pytest.fixture
def question(tmp_path, calls) -> Question:
    return comparison(tmp_path, code_tests(calls))


def test_scores_are_read_where_they_were_kept_and_only_the_untrained_model_is_measured(
    trained, tmp_path, question, calls, capsys
):
    answer(code_tests([]), trained, Effort(seed=3), tmp_path)
    values = answer(question, trained, Effort(seed=3), tmp_path)
    assert calls == [(0, Effort(quick=True, seed=3))], "on the sample that the kept scores are from"
    assert values["now"]["bracket_completion"]["score"] == 0.9
    assert values["untrained"]["bracket_completion"]["score"] == 0.2
    assert values["baseline"]["perplexity"] == 247.96
    assert values["untrained"]["code_perplexity"]["average_perplexity"] == pytest.approx(420, rel=0.1), (
        "all tokens alike"
    )
    assert "measuring" not in capsys.readouterr().out


def change(path, checkpoint):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"about": {"checkpoint": checkpoint}}))


@pytest.mark.parametrize(
    "spoiled",
    [
        (lambda path: path.unlink(), "there is no results file"),
        (lambda path: path.write_text("half a"), "can not be read"),
        (lambda path: path.write_text('{"format": 99}'), "has format 99"),
        (lambda path: path.write_text('{"format": 1}'), "does not say which checkpoint"),
        (lambda path: change(path, {"sha256": "0", "path": "other.pt"}), r"is about another checkpoint \(other.pt\)"),
    ],
)
def test_what_is_missing_or_foreign_is_said_and_measured(trained, tmp_path, calls, capsys, spoiled):
    spoil, reason = spoiled
    answer(code_tests([]), trained, Effort(), tmp_path)
    spoil(tmp_path / "code_eval.json")
    values = answer(comparison(tmp_path, code_tests(calls)), trained, Effort(quick=True, seed=5), tmp_path)
    assert calls == [(7, Effort(quick=True, seed=5)), (0, Effort(quick=True, seed=5))]
    assert values["now"]["keyword_completion"]["score"] == 0.4
    assert load_result(tmp_path / "code_eval.json")["about"]["checkpoint"]["step"] == 7
    line, *others = [line for line in capsys.readouterr().out.splitlines() if "measuring now" in line]
    assert re.search(reason, line) and "python evaluation/code_tests.py" in line and not others


@pytest.mark.parametrize(
    "case",
    [
        (Effort(quick=True), Effort(), True),
        (Effort(seed=1), Effort(), True),
        (Effort(), Effort(quick=True), False),
        (Effort(), Effort(), False),
    ],
)
def test_a_quick_look_stands_for_no_full_comparison_but_the_reverse(trained, tmp_path, calls, case):
    kept, asked, measures = case
    answer(code_tests([]), trained, kept, tmp_path)
    answer(comparison(tmp_path, code_tests(calls)), trained, asked, tmp_path)
    assert ((7, asked) in calls) == measures
    assert load_result(tmp_path / "code_eval.json")["about"]["quick"] is False


def test_scores_of_an_older_shape_are_measured_anew(trained, tmp_path, question, calls, capsys):
    kept = answer(code_tests([]), trained, Effort(), tmp_path)
    del kept["function_completion"]
    save_result(tmp_path / "code_eval.json", kept)
    answer(question, trained, Effort(), tmp_path)
    assert "lacks function_completion" in capsys.readouterr().out and len(calls) == 2


def test_missing_first_results_are_one_line_before_anything_is_measured(trained, question, calls, monkeypatch):
    def missing():
        raise ResultError("there is no baseline_v0.json")

    monkeypatch.setattr(before_after, "read_baseline", missing)
    with pytest.raises(ResultError, match="there is no baseline_v0"):
        question.measure(trained, Effort())
    assert not calls


def test_the_table_says_what_compares_and_what_does_not(trained, question):
    lines = question.table(question.measure(trained, Effort(quick=True)))
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert re.search(r"perplexity 247.96 3\d\d.\d 42.4", text)
    assert re.search(r"bits per byte unknown \d.\d+ 1.500", text)
    assert "Perplexities under different tokenizers do not compare" in text and "those of v0 are unknown" in text
    assert "not measured here" in text
    assert "Brackets 0% 20% 90%" in text and "Functions 0% 0% 20%" in text
    assert "v0: In the c it y of T or on to , b in ent i re system..." in text
    assert "now: In the city of Toronto," in text, "the same prompt"
    assert "ideally < 50" in text, "the targets stand below"


def test_the_picture_says_the_same(trained, question, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(before_after_picture, "save_figure", lambda figure, path: seen.update({path: figure}) or path)
    path = tmp_path / "before_after_comparison.png"
    assert question.draw(question.measure(trained, Effort(quick=True)), tmp_path) == [path]
    text = " ".join(" ".join(part.get_text() for part in seen[path].findobj(mpl.text.Text)).split())
    for part in ("247.96", "42.4", "unknown", "1.50", "do not compare", "those of v0 are unknown"):
        assert part in text, part
    for part in ("Brackets", "Keywords", "Indentation", "Functions", "not measured here", "best simple guess"):
        assert part in text, part
    assert "In the c it y of T or on to" in text and "spaces inside words" in text
    assert "3 of 5 targets reached" in text


def test_the_targets_show_the_first_results_as_the_file_holds_them(trained, question, tmp_path, monkeypatch):
    """Whoever puts their own baseline_v0.json there sees its numbers, nowhere those that this repository came with."""
    seen = []
    monkeypatch.setattr(before_after_picture, "save_figure", lambda figure, path: seen.append(figure) or path)
    values = question.measure(trained, Effort(quick=True))
    values["baseline"] |= {"perplexity": 111.5, "bracket_test": 0.75}
    question.draw(values, tmp_path)
    text = " ".join(part.get_text() for part in seen[0].findobj(mpl.text.Text))
    assert "111.5" in text and "75%" in text and "19%" in text and "247.96" not in text


def test_the_picture_is_drawn_whatever_an_untrained_model_writes(trained, question, tmp_path):
    values = question.measure(trained, Effort(quick=True))
    values["untrained"]["sample"] = "$ \\frac{ \x03 ^_{ $ 日本 " + "x" * 500
    assert question.draw(values, tmp_path)[0].is_file()


def test_from_the_command_line(trained, tmp_path, calls, capsys):
    places = ["--results", str(tmp_path), "--plots", str(tmp_path), "--device", "cpu", "--quick"]
    arguments = ["--checkpoint", str(trained.path), *places]
    assert ask(lambda results, _: comparison(results, code_tests(calls)), "Compare.", arguments) == 0
    assert (tmp_path / "before_after_comparison.png").is_file()
    assert load_result(tmp_path / "before_after_comparison.json")["now"]["sample"].startswith("In the city of Toronto,")
    assert "before_after_comparison.png" in capsys.readouterr().out
