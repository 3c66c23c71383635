"""Asking a question: measured, kept, shown, drawn; and one line where it can not be asked."""

import json
from dataclasses import replace

import pytest

from evaluation.figures import new_figure, save_figure
from evaluation.held_out import read_held_out
from evaluation.question import Effort, Question, answer, ask, load_answer
from evaluation.result_files import ResultError, file_sha256, load_result
from tests.evaluation.conftest import hold_out


def draw(values, folder):
    return [save_figure(new_figure()[0], folder / "answer.png")]


def a_question(measure):
    return Question("answer", "How much is it?", measure, lambda values: [f"It is {values['score']}"], draw)


def test_an_answer_is_kept_shown_and_drawn(trained, tmp_path, capsys):
    question = a_question(lambda model, effort: {"score": 0.5 if effort.quick else 1.0})
    places = ["--results", str(tmp_path / "results"), "--plots", str(tmp_path / "plots"), "--device", "cpu"]
    assert ask(question, "Ask.", ["--checkpoint", str(trained.path), "--quick", "--seed", "4", *places]) == 0
    kept = load_result(tmp_path / "results" / "answer.json")
    assert (kept["score"], kept["about"]["quick"], kept["about"]["seed"]) == (0.5, True, 4)
    assert kept["about"]["checkpoint"]["step"] == 7
    assert (tmp_path / "plots" / "answer.png").is_file()
    printed = capsys.readouterr().out
    assert "It is 0.5" in printed and "answer.json" in printed and "answer.png" in printed


def test_an_answer_says_where_the_model_may_have_seen_what_it_is_asked_about(trained, processed, tmp_path, capsys):
    manifest = json.loads((processed / "manifest.json").read_text(encoding="utf-8"))
    manifest["corpora"] |= {"mixed_corpus": {"sha256": "a"}, "code_corpus": {"sha256": "b"}}
    (processed / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    held_out = manifest["corpora"]["heldout_code"]["sha256"]
    question = a_question(lambda model, effort: {"score": 1.0})
    for seen, doubt in (
        (["a"], None),
        (["b", "a"], None),
        (["a", "c"], "other text than that of data/processed"),
        ([held_out], "other text than that of data/processed"),
        (None, "does not say what it was trained on"),
    ):
        about = answer(question, replace(trained, trained_on=seen), Effort(), tmp_path)["about"]
        assert about["trained_on"] == seen
        assert (doubt in about["doubt"]) if doubt else about["doubt"] is None
    assert (
        ask(question, "Ask.", ["--checkpoint", str(trained.path), "--results", str(tmp_path), "--device", "cpu"]) == 0
    )
    said = [line for line in capsys.readouterr().out.splitlines() if "/" not in line]
    assert "Of this model: its checkpoint does not say" in " ".join(said) and max(map(len, said)) <= 80


def test_what_is_missing_is_one_line_and_exit_code_2(trained, tmp_path, processed, capsys):
    question = a_question(lambda model, effort: {"score": len(read_held_out("heldout_music"))})
    assert ask(question, "Ask.", ["--checkpoint", str(tmp_path / "none.pt")]) == 2
    assert ask(question, "Ask.", ["--checkpoint", str(trained.path), "--results", str(tmp_path)]) == 2
    first, second = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert "there is no checkpoint" in first and "there is no held-out set" in second
    assert not list(tmp_path.glob("*.json"))


def test_a_question_may_depend_on_earlier_answers(trained, tmp_path):
    """Such as one that is kept under the next free name: it is given the folders that were chosen."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "answer.json").write_text("an earlier one")

    def question_in(results, plots):
        assert plots == tmp_path
        return replace(a_question(lambda model, effort: {"score": 1.0}), name=f"answer{len(list(results.iterdir()))}")

    places = ["--results", str(tmp_path / "results"), "--plots", str(tmp_path), "--device", "cpu"]
    assert ask(question_in, "Ask.", ["--checkpoint", str(trained.path), *places]) == 0
    assert (tmp_path / "results" / "answer.json").read_text() == "an earlier one"
    assert load_result(tmp_path / "results" / "answer1.json")["score"] == 1.0


def test_an_answer_of_before_is_asked_again_where_it_does_not_say_what_the_model_was_trained_on(trained, tmp_path):
    question = a_question(lambda model, effort: {"score": 1.0})
    answer(question, trained, Effort(), tmp_path)
    path, sha256 = tmp_path / "answer.json", file_sha256(trained.path)
    kept = load_answer(path, question, sha256, Effort())
    del kept["about"]["doubt"]
    path.write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(ResultError, match="does not say what the model was trained on"):
        load_answer(path, question, sha256, Effort())


WARM = {"temperature": 0.8, "stop": ("\n",)}


@pytest.fixture
def asked_before(trained, processed, tmp_path):
    """Asks a question with an effort, and gives it back with a function that loads the answer."""

    def ask_it(effort):
        question = replace(a_question(lambda model, effort: {"score": 0.5}), choices=WARM)
        answer(question, trained, effort, tmp_path)
        return question, load

    def load(question, effort, sha256=None):
        return load_answer(tmp_path / "answer.json", question, sha256 or file_sha256(trained.path), effort)

    return ask_it


@pytest.mark.parametrize(
    ("kept", "effort", "choices", "reason"),
    [
        (Effort(seed=4), Effort(seed=4), WARM, None),
        (Effort(seed=4), Effort(quick=True, seed=4), WARM, None),
        (Effort(quick=True), Effort(quick=True), WARM, None),
        (Effort(quick=True), Effort(), WARM, "is a quick look"),
        (Effort(seed=4), Effort(seed=5), WARM, "other seed"),
        (Effort(), Effort(), {**WARM, "temperature": 0.2}, "other choices"),
        (Effort(), Effort(), {}, "other choices"),
    ],
)
def test_an_answer_serves_where_the_same_was_asked_or_less(asked_before, kept, effort, choices, reason):
    question, load = asked_before(kept)
    if reason is None:
        assert load(question, effort)["score"] == 0.5
        return
    with pytest.raises(ResultError, match=f"answer.json .*{reason}"):
        load(replace(question, choices=choices), effort)


def test_an_answer_about_another_checkpoint_or_other_texts_does_not_serve(asked_before, processed):
    question, load = asked_before(Effort())
    with pytest.raises(ResultError, match="is about another checkpoint"):
        load(question, Effort(), sha256="0")
    hold_out(processed, "heldout_code", [("own", "x.py", "x = 1\n")])
    with pytest.raises(ResultError, match="other corpora"):
        load(question, Effort())
