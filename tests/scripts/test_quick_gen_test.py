"""The first look at what a model writes: the right model, readable at any width, and a verdict that can be bad."""

import importlib
import importlib.util
import io
import sys

import pytest
import torch

from evaluation.texts.text_signs import Sign
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining import generate
from pretraining.checkpoint import TrainedModel, save_checkpoint
from tokenizer.bpe import Tokenizer

script = importlib.import_module("scripts.quick_gen_test")
PROSE = "Once upon a time in Toronto there was a house by the water, and an old woman lived in it.\n"
CODE = 'def fibonacci(n):\n    """The number before n."""\n    if n < 2:\n        return n\n    return n - 1\n'


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([], vocab_size=260)  # every token is one byte


@pytest.fixture(scope="module")
def model(tokenizer) -> GPT:
    """A model that knows two texts by heart."""
    torch.manual_seed(1)
    model = GPT(ModelConfig(n_layers=2, n_heads=2, hidden_size=32, max_seq_len=128, vocab_size=260))
    rows = [[0, *tokenizer.encode(text), 0] for text in (PROSE, CODE)]
    batch = torch.tensor([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    loss = torch.tensor(1.0)
    while loss > 0.01:
        loss = model.loss(batch[:, :-1], batch[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(autouse=True)
def what_it_knows(monkeypatch):
    """The prompts that the small model has learned, and a terminal of 80 columns."""
    monkeypatch.setattr(script, "PROMPTS", (("Once upon a time in Toronto", False), ("def fibonacci(n):", True)))
    monkeypatch.setenv("COLUMNS", "80")


def saved(path, model, tokenizer, **changed):
    values = {
        "model": model.state_dict(),
        "model_config": model.config.to_dict(),
        "tokenizer": tokenizer.to_json(),
        "step": 1234,
        "losses": {"heldout_code": 3.746, "heldout_books": 6.0},
        "context_length": 128,
        "settings": {"preset": "nano"},
    }
    save_checkpoint(values | changed, path)
    return path


@pytest.fixture
def checkpoint(model, tokenizer, tmp_path):
    return saved(tmp_path / "best.pt", model, tokenizer)


@pytest.fixture
def untrained_checkpoint(model, tokenizer, tmp_path):
    torch.manual_seed(3)
    return saved(tmp_path / "begun.pt", GPT(model.config), tokenizer, step=10, losses={"heldout_code": 7.6})


def run(capsys, checkpoint, *arguments: str) -> tuple[int, str, str]:
    code = script.main(["--checkpoint", str(checkpoint), "--temperature", "0", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_prompts_of_the_first_readme_are_asked():
    fresh = importlib.util.module_from_spec(script.__spec__)
    script.__spec__.loader.exec_module(fresh)
    assert {("Once upon a time in Toronto", False), ("def fibonacci(n):", True)} <= set(fresh.PROMPTS)


def test_it_says_which_model_shows_the_texts_and_judges_them(capsys, checkpoint):
    code, out, _ = run(capsys, checkpoint, "--max_new_tokens", "100")
    assert code == 0
    header, *parts = out.split("── ")
    assert str(checkpoint) in header and "step 1,234" in header and "seed 0" in header
    assert "heldout_code: loss 3.75, perplexity 42.4 (excellent)" in header
    assert "heldout_books: loss 6.00, perplexity 403.4 (poor)" in header
    assert PROSE.replace(" and an old woman", "\n  and an old woman").split("\n")[0] in parts[0]
    assert "  ✓ complete words: 14 of 14 known" in parts[0]
    assert "      if n < 2:\n          return n\n      return n - 1\n\n  ✓ complete words" in parts[1]
    assert "✓ parses: 5 lines, complete" in parts[1]
    assert "This looks like text: 2 of 2 answers look like text, 10 of 10 signs are good." in parts[1]
    assert "python pretraining/generate.py" in parts[1]


def test_an_answer_that_was_cut_is_marked_and_one_that_ended_is_not(capsys, checkpoint):
    assert " …" not in run(capsys, checkpoint, "--max_new_tokens", "100")[1]
    out = run(capsys, checkpoint, "--max_new_tokens", "30")[1]
    assert "Once upon a time in Toronto there was a house by the wate …" in out


def test_gibberish_is_called_so_and_the_way_out_is_named(capsys, untrained_checkpoint):
    """The README's path for "Model outputs gibberish": tokenizer, was it trained, train longer."""
    code, out, _ = run(capsys, untrained_checkpoint, "--temperature", "0.8")
    assert code == 1
    assert "⚠ random characters" in out
    verdict = out[out.index("This is mostly gibberish: 0 of 2 answers") :]
    assert "It was trained for 10 steps and has perplexity 1,998 on heldout_code." in verdict
    commands = [line.strip() for line in verdict.splitlines() if line.strip().startswith("python")]
    assert commands == [
        "python scripts/test_tokenizer_quality.py",
        "python scripts/status.py",
        "python pretraining/train_improved.py",
    ]


def test_two_runs_compare_and_another_seed_writes_something_else(capsys, untrained_checkpoint):
    first, again, other = (
        run(capsys, untrained_checkpoint, "--temperature", "1", "--seed", seed)[1].split("──", 1)[1] for seed in "112"
    )
    assert first == again != other


def test_each_prompt_has_its_own_chance(model, tokenizer, tmp_path, monkeypatch):
    """With one stream of random numbers for all, a model that hardly reads its prompt answers all of them alike."""
    monkeypatch.setattr(script, "PROMPTS", (("def", True), ("def", True)))
    torch.manual_seed(3)
    fresh = TrainedModel(GPT(model.config).eval(), tokenizer, tmp_path, 0, {}, 128)
    texts = [a.continuation for a in script.write_answers(fresh, script.SamplingSettings(max_new_tokens=40), seed=0)]
    assert texts[0][:20] != texts[1][:20]


# How it looks


def test_before_and_after_stand_side_by_side_in_80_columns(capsys, checkpoint):
    code, out, _ = run(capsys, checkpoint, "--before", "--max_new_tokens", "100")
    assert code == 0, "the verdict is about the trained model"
    rows = [line for line in out.splitlines() if "│" in line]
    assert rows[0].split() == ["[before", "training]", "│", "[after", "1,234", "steps]"]
    assert {script.columns_of(line[: line.index("│")]) for line in rows} == {39}
    assert max(map(script.columns_of, out.splitlines()[6:])) == 80
    assert "│ ✓ complete words: 14 of 14 known" in out
    assert "⚠ random characters" in out
    assert "Before training: 0 of 2 answers" in out


def test_in_a_narrow_terminal_they_follow_each_other(capsys, checkpoint, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    out = run(capsys, checkpoint, "--before", "--max_new_tokens", "100")[1]
    assert "│" not in out
    assert out.index("[before training]") < out.index("[after 1,234 steps]") < out.index("2 of 2: def fibonacci")
    shown = out[out.index("──") :].splitlines()
    assert max(map(script.columns_of, (line for line in shown if "python " not in line))) <= 50


def test_where_only_ascii_can_be_shown_the_marks_are_ascii(checkpoint, monkeypatch):
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii"))
    assert script.main(["--checkpoint", str(checkpoint), "--before", "--max_new_tokens", "20"]) == 0
    shown = screen.getvalue().decode("ascii")
    assert "+ complete words" in shown and "! " in shown and " | " in shown


def test_a_command_stays_on_one_line_for_copying(capsys, untrained_checkpoint, monkeypatch):
    command = "python pretraining/train_improved.py --preset nano --resume last --max_steps 1922"
    monkeypatch.setattr(script, "train_longer", lambda trained: command)
    monkeypatch.setenv("COLUMNS", "60")
    assert f"\n   {command}\n" in run(capsys, untrained_checkpoint, "--temperature", "0.8")[1]


def test_no_text_can_move_the_cursor_or_the_columns():
    """A model may write any bytes: escape sequences, tabs, wide and combining characters."""
    assert script.shown("a\x1b[2Jb\r\n\tc\x07\u202e") == "a\ufffd[2Jb\n    c\ufffd\ufffd"
    assert script.columns_of("日本e\u0301") == 5
    assert script.columns_of(script.padded("日本", 10)) == 10
    for line in ("日本語の長い文字列" * 9, "x" * 200, "        deeply indented code goes on and on and on"):
        assert all(script.columns_of(part) <= 38 for part in script.wrapped(line, 38))


def test_wrapped_code_keeps_its_indentation():
    assert script.wrapped("    return first + second + third", 20) == ["    return first +", "    second + third"]
    assert script.wrapped("", 20) == [""]


# What helps


def answer(*bad: str, text: bool = True) -> "script.Answer":
    names = ("words", "spacing", "characters", "repetition", "syntax", "names")
    signs = [Sign(name, name not in bad, "") for name in names]
    return script.Answer("", "", False, signs)


def test_what_is_missing_most_is_named(model, tokenizer, tmp_path):
    trained = TrainedModel(model, tokenizer, tmp_path / "best.pt", 100, {}, 128)
    lines = script.advice([answer("names"), answer("names", "syntax"), answer()], trained)
    assert lines[0].startswith("Missing most (2 of 3 times): keeping to the prompt")
    assert "--temperature 1.0" in script.advice([answer("repetition"), answer()], trained)[0]
    good = TrainedModel(model, tokenizer, tmp_path / "best.pt", 20, {"heldout_code": 3.7}, 128)
    assert not any("only begun" in line for line in script.advice([answer("names"), answer()], good))
    begun = TrainedModel(model, tokenizer, tmp_path / "best.pt", 20, {"heldout_code": 6.7}, 128)
    lines = script.advice([answer("names"), answer()], begun)
    assert "perplexity 812 on heldout_code is poor" in lines[1], "whole words come long before sense"
    first = script.advice([answer("words", "syntax")] * 2, trained)[0]
    assert "its words are in pieces" in first, "of two that are missing equally, the one that is learned first"


def test_training_longer_is_offered_as_the_run_was_begun(model, tokenizer, tmp_path, monkeypatch):
    """Lengthening a run works only with its own preset, and only while its last.pt is there."""
    monkeypatch.setattr(script, "CHECKPOINT_DIR", tmp_path)
    path = saved(tmp_path / "best.pt", model, tokenizer)
    trained = TrainedModel(model, tokenizer, path, 1234, {}, 128)
    assert script.train_longer(trained) == "python pretraining/train_improved.py"
    (tmp_path / "last.pt").touch()
    longer = "python pretraining/train_improved.py --preset nano --resume last --max_steps 2468"
    assert script.train_longer(trained) == longer
    elsewhere = TrainedModel(model, tokenizer, tmp_path / "archive" / "best.pt", 1234, {}, 128)
    assert script.train_longer(elsewhere) == "python pretraining/train_improved.py", "last.pt is another run's"
    saved(path, model, tokenizer, settings={})
    assert "--preset" not in script.train_longer(trained)


# What cannot be done


def test_without_a_model_it_says_what_to_run(capsys, tmp_path, checkpoint, monkeypatch):
    code, out, err = run(capsys, tmp_path / "absent.pt")
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no checkpoint") and err.count("\n") == 1
    monkeypatch.setattr(generate, "best_checkpoint", lambda: checkpoint)
    assert script.main(["--temperature", "0", "--max_new_tokens", "40"]) == 0, "the best of the newest run"


@pytest.mark.parametrize(
    "arguments", [("--temperature", "-1"), ("--max_new_tokens", "0"), ("--max_new_tokens", "5"), ("--device", "tpu")]
)
def test_settings_that_make_no_sense_are_one_line(capsys, checkpoint, arguments):
    code, out, err = run(capsys, checkpoint, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
