"""Generation as its user meets it: one function and one command line, on a model that knows one text by heart."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining import generate as script
from pretraining import sampling
from pretraining.checkpoint import CheckpointError, save_checkpoint
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts
from tokenizer.bpe import Tokenizer, TokenizerError

KNOWN = 'def hi():\n    return "né 🎉"\n\nprint(hi())\n'
CONTEXT = 48


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Every token is one byte, so that each character beyond ASCII takes several."""
    return Tokenizer.train([], vocab_size=260)


@pytest.fixture(scope="module")
def model(tokenizer) -> GPT:
    """A model that has learned KNOWN by heart: greedy generation must give it back, and then end."""
    torch.manual_seed(1)
    model = GPT(ModelConfig(n_layers=2, n_heads=2, hidden_size=32, max_seq_len=64, vocab_size=260))
    text = torch.tensor([[tokenizer.end_of_text_id, *tokenizer.encode(KNOWN), tokenizer.end_of_text_id]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    loss = torch.tensor(1.0)
    while loss > 0.01:
        loss = model.loss(text[:, :-1], text[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def checkpoint(model, tokenizer, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "best.pt"
    save_checkpoint(
        {
            "model": model.state_dict(),
            "model_config": model.config.to_dict(),
            "tokenizer": tokenizer.to_json(),
            "step": 1234,
            "losses": {"heldout_code": 3.214, "heldout_books": 4.0},
            "context_length": CONTEXT,
        },
        path,
    )
    return path


def generate(model, tokenizer, **settings) -> str:
    return script.generate(model, tokenizer, "cpu", **({"temperature": 0, "context_length": 64} | settings))


# The function


def test_the_prompt_and_what_follows_are_one_string(model, tokenizer):
    assert generate(model, tokenizer, prompt="def hi():") == KNOWN
    assert generate(model, tokenizer, prompt="def hi():", max_new_tokens=7) == "def hi():\n    re"


def test_an_empty_prompt_starts_a_text_as_training_did(model, tokenizer):
    assert generate(model, tokenizer, prompt="") == KNOWN


@pytest.mark.parametrize("stop", ["return", "  return", "🎉", "\n\n", ("zzz", '"', "return"), "print(hi())\n"])
def test_the_text_ends_before_the_first_stop_string(model, tokenizer, stop):
    ends = min(KNOWN.index(one) for one in ([stop] if isinstance(stop, str) else stop) if one in KNOWN)
    assert generate(model, tokenizer, prompt="def hi():", stop=stop) == KNOWN[:ends]


def test_a_stop_string_in_the_prompt_stops_nothing(model, tokenizer):
    assert generate(model, tokenizer, prompt="def hi():", stop="def") == KNOWN


def test_a_half_written_character_is_left_out(model, tokenizer):
    start = KNOWN[: KNOWN.index("🎉")]
    for cut in (1, 2, 3):
        assert generate(model, tokenizer, prompt=start, max_new_tokens=cut) == start
    assert generate(model, tokenizer, prompt=start, max_new_tokens=4) == start + "🎉"


def test_streaming_never_shows_half_a_character(model, tokenizer):
    pieces = generate_texts(
        model,
        tokenizer,
        ["def hi():"],
        generators=[sample_generator(0)],
        settings=SamplingSettings(temperature=0),
        context_length=64,
    )
    shown = [text for _, text in pieces if text]
    assert shown == list(KNOWN.removeprefix("def hi():"))


def test_a_seed_repeats_a_text_and_another_seed_does_not(model, tokenizer):
    def write(seed):
        return generate(model, tokenizer, prompt="def", temperature=5.0, top_k=0, top_p=1.0, seed=seed)

    assert write(1) == write(1)
    assert len({write(1), write(2), write(None), write(None)}) == 4


def test_writing_goes_on_past_what_the_model_can_read_at_once(model, tokenizer):
    torch.manual_seed(2)
    untrained = GPT(model.config).eval()
    pieces = generate_texts(
        untrained,
        tokenizer,
        [""],
        generators=[sample_generator(0)],
        settings=SamplingSettings(max_new_tokens=300, temperature=0),
        context_length=64,
    )
    assert len(list(pieces)) == 300


def test_a_prompt_longer_than_the_context_keeps_its_end_and_says_so(model, tokenizer, capsys):
    long_prompt = "# something else\n" * 20
    text = generate(model, tokenizer, prompt=long_prompt + "\n" + KNOWN[:40], max_new_tokens=4, context_length=41)
    assert text.startswith(long_prompt), "the whole prompt is returned, though not read"
    printed = capsys.readouterr().out
    assert f"{len(tokenizer.encode(long_prompt + chr(10) + KNOWN[:40])) + 1:,} tokens" in printed
    assert "reads the last 41" in printed
    same_end = generate(model, tokenizer, prompt="!" * 500 + "\n" + KNOWN[:40], max_new_tokens=4, context_length=41)
    assert same_end[-4:] == text[-4:]
    capsys.readouterr()
    generate(model, tokenizer, prompt="short", max_new_tokens=1)
    assert capsys.readouterr().out == ""


def test_a_model_in_training_writes_without_dropout_and_goes_on_training(tokenizer):
    model = GPT(ModelConfig(n_layers=1, n_heads=2, hidden_size=32, max_seq_len=64, vocab_size=260, dropout=0.5)).train()
    assert generate(model, tokenizer, prompt="a") == generate(model, tokenizer, prompt="a")
    assert model.training


def test_a_prompt_that_is_not_unicode_is_refused(model, tokenizer):
    with pytest.raises(TokenizerError, match="surrogate"):
        generate(model, tokenizer, prompt="\ud800")


# The command line


@pytest.fixture(autouse=True)
def nothing_is_piped(monkeypatch):
    """Standard input is there and empty, as under cron or in CI."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


def run(capsys, *arguments: str | Path) -> tuple[int, str, str]:
    code = script.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_says_which_model_it_is_and_writes(capsys, checkpoint):
    code, out, _ = run(capsys, "--checkpoint", checkpoint, "--prompt", "def hi():", "--temperature", "0")
    assert code == 0
    header = out.splitlines()[0]
    assert str(checkpoint) in header
    assert "step 1,234" in header
    assert "heldout_code 3.21" in header
    assert KNOWN in out
    assert "tokens/s" in out


def test_the_block_of_settings_is_what_runs_without_flags(capsys, checkpoint, monkeypatch):
    monkeypatch.setitem(script.SETTINGS, "prompt", "def hi():\n")
    monkeypatch.setitem(script.SETTINGS, "temperature", 0)
    monkeypatch.setitem(script.SETTINGS, "max_new_tokens", 10)
    code, out, _ = run(capsys, "--checkpoint", checkpoint)
    assert code == 0
    assert "def hi():\n    return\n[10 tokens" in out


def test_both_spellings_of_a_flag_are_accepted(capsys, checkpoint):
    for flag in ("--max_new_tokens", "--max-new-tokens"):
        _, out, _ = run(capsys, "--checkpoint", checkpoint, "--prompt", "def hi():", "--temperature", "0", flag, "3")
        assert "def hi():\n  \n[3 tokens" in out


def test_the_printed_seed_repeats_the_answer(capsys, checkpoint):
    options = ("--checkpoint", checkpoint, "--prompt", "def", "--temperature", "5", "--top_k", "0", "--top_p", "1")
    _, first, _ = run(capsys, *options)
    seed = first.rsplit("--seed ", 1)[1].strip(" ]\n")
    _, again, _ = run(capsys, *options, "--seed", seed)
    _, other, _ = run(capsys, *options)
    assert first.rsplit("\n[", 1)[0] == again.rsplit("\n[", 1)[0]
    assert first.rsplit("\n[", 1)[0] != other.rsplit("\n[", 1)[0]


def test_more_samples_begin_with_the_one_that_comes_alone(capsys, checkpoint):
    options = ("--checkpoint", checkpoint, "--prompt", "def", "--temperature", "2", "--seed", "5")
    _, alone, _ = run(capsys, *options)
    _, three, _ = run(capsys, *options, "--num_samples", "3")
    texts = [part.partition("\n")[2] for part in three.rsplit("\n[", 1)[0].split("--- sample ")[1:]]
    assert len(set(texts)) == 3
    assert texts[0].rstrip("\n") == alone.rsplit("\n[", 1)[0].split("\n\n", 1)[1].rstrip("\n")


def test_stop_strings_come_from_the_command_line_with_newlines(capsys, checkpoint):
    options = ("--checkpoint", checkpoint, "--prompt", "def hi():", "--temperature", "0")
    _, out, _ = run(capsys, *options, "--stop", r"\n\n", "--stop", "never")
    assert KNOWN[: KNOWN.index("\n\n")] + "\n[" in out


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("temperature", "-1"),
        ("temperature", "nan"),
        ("top_p", "0"),
        ("top_p", "1.5"),
        ("top_k", "-3"),
        ("max_new_tokens", "0"),
        ("max_new_tokens", "-7"),
        ("num_samples", "0"),
        ("stop", ""),
    ],
)
def test_nonsense_settings_are_one_clear_line_before_any_work(capsys, monkeypatch, flag, value):
    monkeypatch.setattr(script, "load", lambda *_: pytest.fail("the model was loaded before the settings were checked"))
    code, out, err = run(capsys, f"--{flag}={value}")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {flag} is ")
    assert err.count("\n") == 1


def test_a_missing_checkpoint_says_what_to_run(capsys, tmp_path):
    code, _, err = run(capsys, "--checkpoint", tmp_path / "none.pt")
    assert code == 2
    assert "none.pt" in err
    assert "train_improved.py" in err


def test_without_a_checkpoint_flag_the_best_of_the_newest_run_is_taken(capsys, checkpoint, monkeypatch):
    monkeypatch.setattr(script, "best_checkpoint", lambda: checkpoint)
    _, out, _ = run(capsys, "--prompt", "def hi():", "--temperature", "0")
    assert KNOWN in out

    def nothing_trained():
        raise CheckpointError("there is no checkpoint; train one")

    monkeypatch.setattr(script, "best_checkpoint", nothing_trained)
    assert run(capsys)[::2] == (2, "error: there is no checkpoint; train one\n")


def test_a_device_that_is_not_here_is_one_clear_line(capsys, checkpoint):
    code, _, err = run(capsys, "--checkpoint", checkpoint, "--device", "tpu")
    assert code == 2
    assert "'tpu'" in err


# At a terminal


@pytest.fixture
def terminal(monkeypatch):
    """A terminal at which somebody types the given lines, then Ctrl-D."""

    def sit_down(*lines: str) -> None:
        typed = iter(lines)

        def answer(question: str) -> str:
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", answer)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))

    return sit_down


def test_after_the_first_answer_it_asks_for_more_until_the_end_of_input(capsys, checkpoint, terminal, monkeypatch):
    monkeypatch.setitem(script.SETTINGS, "temperature", 0)
    terminal("def hi()", "print")
    code, out, _ = run(capsys, "--checkpoint", checkpoint, "--max_new_tokens", "60")
    assert code == 0
    assert out.count("tokens/s") == 3  # the block's prompt and the two typed ones
    assert KNOWN in out


def test_an_empty_line_ends_the_program(capsys, checkpoint, terminal):
    terminal("", "never answered")
    code, out, _ = run(capsys, "--checkpoint", checkpoint)
    assert code == 0
    assert out.count("tokens/s") == 1


def test_a_prompt_flag_or_a_pipe_asks_for_nothing_more(capsys, checkpoint, terminal, monkeypatch):
    terminal("never answered")
    assert run(capsys, "--checkpoint", checkpoint, "--prompt", "x")[1].count("tokens/s") == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("def"))
    assert run(capsys, "--checkpoint", checkpoint)[1].count("tokens/s") == 1


@pytest.mark.parametrize("piped", ["def hi():", "def hi():\n", "def hi():\r\n"])
def test_what_is_piped_in_is_the_prompt(capsys, checkpoint, monkeypatch, piped):
    """`echo "def hi():" | generate.py` was answered with the block's own prompt, without a word."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
    code, out, err = run(capsys, "--checkpoint", checkpoint, "--temperature", "0")
    assert (code, err) == (0, "")
    assert f"\n\n{KNOWN}" in out
    monkeypatch.setattr(sys, "stdin", io.StringIO("print"))
    assert KNOWN in run(capsys, "--checkpoint", checkpoint, "--temperature", "0", "--prompt", "def hi():")[1]


@pytest.mark.parametrize("stdin", [None, io.StringIO(""), io.StringIO("\n")])
def test_without_anything_piped_the_block_s_prompt_is_answered(capsys, checkpoint, monkeypatch, stdin):
    """As under cron, with < /dev/null, or where standard input is closed."""
    monkeypatch.setitem(script.SETTINGS, "prompt", "def hi():")
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, _ = run(capsys, "--checkpoint", checkpoint, "--temperature", "0")
    assert code == 0
    assert KNOWN in out


def test_piped_bytes_that_are_no_text_are_one_clear_line(capsys, checkpoint, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))
    code, out, err = run(capsys, "--checkpoint", checkpoint)
    assert (code, out) == (2, "")
    assert err == "error: what is piped in is not utf-8 text; save it as that, or use --prompt\n"


def test_a_pipe_into_which_nothing_comes_is_not_waited_for_in_silence(capsys, checkpoint, monkeypatch):
    """Some editors start programs with such a pipe; it must be seen what the program waits for."""
    stdin = SimpleNamespace(isatty=lambda: False, read=lambda: time.sleep(1.2) or "def hi():")
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, err = run(capsys, "--checkpoint", checkpoint, "--temperature", "0")
    assert code == 0
    assert "Reading the prompt from standard input" in err
    assert KNOWN in out


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_what_is_known_by_heart_survives_rounded_weights(capsys, checkpoint, monkeypatch, weights):
    """And the flag must arrive: all three would write the same text without it."""
    made = []
    fast_model = sampling.FastModel
    monkeypatch.setattr(sampling, "FastModel", lambda *given: made.append(given[2]) or fast_model(*given))
    options = ("--checkpoint", checkpoint, "--prompt", "def hi():", "--temperature", "0", "--weights", weights)
    code, out, _ = run(capsys, *options)
    assert (code, made) == (0, [weights])
    assert KNOWN in out


def test_a_reader_that_has_seen_enough_ends_it_quietly(checkpoint):
    """`generate.py | head -1` ended with "Broken pipe" and exit code 2."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, script.__file__, "--checkpoint", str(checkpoint), "--prompt", "def hi():"]
    with os.fdopen(write_end, "wb") as nobody_reads:
        result = subprocess.run(command, stdout=nobody_reads, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("num_samples", ["1", "2"])
def test_ctrl_c_stops_the_answer_and_not_the_program(capsys, checkpoint, terminal, monkeypatch, num_samples):
    monkeypatch.setitem(script.SETTINGS, "prompt", "def hi():")
    terminal("def hi():")
    complete = script.generate_texts
    answers = []

    def interrupted_once(*arguments, **options):
        answers.append(1)
        for count, piece in enumerate(complete(*arguments, **options)):
            if len(answers) == 1 and count == 4:
                raise KeyboardInterrupt
            yield piece

    monkeypatch.setattr(script, "generate_texts", interrupted_once)
    options = ("--checkpoint", checkpoint, "--temperature", "0", "--num_samples", num_samples)
    code, out, _ = run(capsys, *options)
    assert code == 0
    assert "stopped with Ctrl-C after 4 tokens" in out
    assert KNOWN in out.split("Ctrl-C")[1], "the next prompt is answered as ever"


def test_it_runs_as_a_script_from_any_folder(checkpoint, tmp_path):
    """With a terminal that knows ASCII alone, which must cost the emoji and not the answer."""
    result = subprocess.run(
        [sys.executable, script.__file__, "--checkpoint", checkpoint, "--prompt", "def hi():", "--temperature", "0"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert KNOWN.replace("é", "?").replace("🎉", "?") in result.stdout
