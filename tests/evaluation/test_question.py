"""Asking a question: measured, kept, shown, drawn; and one line where it can not be asked."""

from dataclasses import replace

from evaluation.figures import new_figure, save_figure
from evaluation.held_out import read_held_out
from evaluation.question import Question, ask
from evaluation.result_files import load_result


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
