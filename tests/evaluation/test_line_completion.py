"""Line completion: an oracle scores 1, guessers score what their column says, the model is asked as it was trained."""

import json
import random

import pytest

from evaluation import line_completion, writing
from evaluation.held_out import read_held_out
from evaluation.line_completion import complete_lines, draw, fitting_contexts, measure, score, score_task, table
from evaluation.lines.line_guessers import guess_best_constant, guess_longest_match, guess_newest_alike
from evaluation.lines.line_items import LineItem, draw_items
from evaluation.question import Effort
from evaluation.result_files import load_result
from tests.evaluation.conftest import hold_out


def item(before, start, rest, kind="call"):
    return LineItem("package", "module.py", 1, kind, before, start, rest)


@pytest.fixture
def items(processed):
    return draw_items(read_held_out("heldout_code"), 40)


def test_an_oracle_scores_one_and_silence_nothing(items):
    scored = score_task(items, [item.rest for item in items])
    groups = [scored, *scored["by_kind"].values(), *scored["by_package"].values()]
    assert all(group["exact_match"]["score"] == group["edit_similarity"]["score"] == 1 for group in groups)
    assert sum(group["exact_match"]["n"] for group in scored["by_kind"].values()) == len(items)
    scored = score_task(items, [""] * len(items))
    assert scored["exact_match"]["score"] == scored["edit_similarity"]["score"] == 0


def test_guessers_that_answer_as_a_model_would_score_what_their_column_says(items):
    column = score_task(items, [""] * len(items))["guessers"]
    for name, guess in (("longest_match", guess_longest_match), ("newest_alike", guess_newest_alike)):
        as_model = score_task(items, [guess(item) for item in items])
        assert as_model["exact_match"] == column[name]["exact_match"]
        assert as_model["edit_similarity"] == column[name]["edit_similarity"]
    assert column["longest_match"]["exact_match"]["score"] > 0.1, "these modules repeat themselves"


def test_no_constant_answer_beats_the_best_constant(items):
    column = score_task(items, [""] * len(items))["guessers"]["best_constant"]
    for answer in {item.rest for item in items}:
        assert score(items, [answer] * len(items))["exact_match"]["score"] <= column["exact_match"]["score"]
    for answer, measured in zip(column["answers"], ("exact_match", "edit_similarity"), strict=True):
        assert score(items, [answer] * len(items))[measured] == column[measured]


def test_lines_of_one_package_are_no_trials_of_their_own():
    """Seven packages that differ say less than 700 lines would: the interval is that of seven numbers."""
    items, answers = [], []
    for package in range(7):
        for number in range(100):
            items.append(LineItem(f"package {package}", f"{number}.py", 1, "call", "", "", "x"))
            answers.append("x" if number < 10 * (package + 1) else "")
    found = score(items, answers)
    for share in found.values():
        low, high = share["interval"]
        assert share["score"] == pytest.approx(0.4) and 0.3 < high - low < 0.45
    assert found["exact_match"]["n"] == 700


def test_copying_finds_the_longest_match_and_the_newest_line_alike():
    before = "total = first(a)\nother = second(b)\ntotal = third(c)\n\n"
    assert guess_newest_alike(item(before, "    total", "")) == " = third(c)"
    assert guess_newest_alike(item(before, "", "")) == "total = third(c)", "asked for all, the line above"
    assert guess_newest_alike(item(before, "nothing", "")) == ""
    assert guess_longest_match(item(before, "x = second(", "")) == "b)"
    assert guess_longest_match(item("a = b\nc = d\na = b\n", "", "")) == "c = d"
    assert guess_longest_match(item("", "", "")) == guess_longest_match(item("abc", "", "")) == ""


def test_the_longest_match_is_that_of_a_slow_search():
    dice = random.Random(0)
    for _ in range(200):
        context = "".join(dice.choices("ab\n", k=dice.randrange(40)))
        endings = [length for length in range(1, len(context)) if context[-length:] in context[:-1]]
        guess = guess_longest_match(item(context, "", ""))
        if not endings:
            assert guess == ""
        else:
            place = context.rfind(context[-max(endings) :], 0, len(context) - 1) + max(endings)
            assert guess == context[place:].split("\n")[0]


def test_the_most_frequent_answer_is_the_best_constant():
    items = [item("", "", rest) for rest in ("pass", " pass", "x", "y")]
    assert guess_best_constant(items)[0] == "pass"


def test_contexts_fit_and_begin_with_a_line(trained):
    text = "".join(f"value_{n} = items({n})\n" for n in range(200))
    long, whole_line, short, one_line = fitting_contexts(
        trained, [text + "x =", text, "y = 1\nx =", "x = 1 + " * 90], 40
    )
    assert text.endswith(long.removesuffix("x =")) and long.startswith("value_")
    assert 20 < len(trained.tokenizer.encode(long)) <= 40
    assert whole_line.startswith("value_") and whole_line.endswith("\n")
    assert short == "y = 1\nx ="
    assert len(trained.tokenizer.encode(one_line)) <= 41, "a line that is too long is cut within"


def test_answers_do_not_depend_on_the_batch_and_end_with_the_line(trained, items, monkeypatch):
    usual = complete_lines(trained, items[:12])
    assert not any("\n" in answer for answer in usual)
    assert len(set(usual)) > 3
    monkeypatch.setattr(writing, "BATCH_ROWS", 1)
    assert complete_lines(trained, items[:12]) == usual


def test_each_task_is_scored_with_its_own_answers(trained, processed, monkeypatch):
    monkeypatch.setattr(line_completion, "complete_lines", lambda trained, items: [item.rest for item in items])
    values = measure(trained, Effort(quick=True))
    assert values["rest_of_line"]["exact_match"]["score"] == values["whole_line"]["exact_match"]["score"] == 1


def test_the_question_is_answered_tabled_and_drawn(trained, processed, tmp_path):
    values = json.loads(json.dumps(measure(trained, Effort(quick=True))))
    assert values["packages"] == ["alpha", "beta", "gamma"]
    for task in ("rest_of_line", "whole_line"):
        assert values[task]["exact_match"]["n"] == 3 * line_completion.QUICK_LINES_PER_PACKAGE
        assert {sort: len(found) for sort, found in values[task]["examples"].items()}["worst"] == line_completion.SHOWN
    low, _ = values["rest_of_line"]["exact_match"]["interval"]
    assert low <= values["rest_of_line"]["guessers"]["best_constant"]["exact_match"]["score"], "it has learned nothing"
    lines = table(values)
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("py150: LSTM") and "23.8" in line for line in lines)
    assert any(line.startswith("this model") for line in lines)
    (picture,) = draw(values, tmp_path)
    assert picture.name == "line_completion.png" and picture.stat().st_size > 10_000


def test_the_script_keeps_its_answer_and_says_in_one_line_what_is_missing(trained, processed, tmp_path, capsys):
    places = ["--results", str(tmp_path / "r"), "--plots", str(tmp_path / "p"), "--device", "cpu"]
    arguments = ["--checkpoint", str(trained.path), "--quick", *places]
    assert line_completion.main(arguments) == 0
    assert load_result(tmp_path / "r" / "line_completion.json")["question"] == line_completion.QUESTION.asks
    hold_out(processed, "heldout_code", [("package", f"{n}.py", "# nothing\n") for n in range(12)])
    assert line_completion.main(arguments) == 2
    (processed / "heldout_code.txt").unlink()
    assert line_completion.main(arguments) == 2
    nothing, missing = capsys.readouterr().err.splitlines()
    assert "no line of Python" in nothing and "there is no held-out set" in missing
