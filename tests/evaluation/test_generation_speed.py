"""The benchmark of generation on a tiny model: every way is measured, and rounding is weighed on real text."""

import json

import pytest
import torch

from evaluation import generation_speed as script
from evaluation.generation_speed import loss_of_weights, measure, table
from evaluation.held_out import Document
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining.checkpoint import TrainedModel, save_checkpoint
from tokenizer.bpe import Tokenizer

TINY = ModelConfig(n_layers=2, n_heads=2, hidden_size=32, max_seq_len=160, vocab_size=8192)
TEXT = "def add(a, b):\n    return a + b\n\n\n" * 20


@pytest.fixture
def trained(monkeypatch, tmp_path) -> TrainedModel:
    """A random model, of the kind that measures nothing but itself, with held-out code to read."""
    monkeypatch.setattr(script, "read_held_out", lambda name: [Document("a", "a.py", TEXT), Document("b", "b.py", "x")])
    torch.manual_seed(1)
    model = GPT(TINY).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.1)
    return TrainedModel(model, Tokenizer.load(), tmp_path / "best.pt", step=3, losses={}, context_length=16)


def test_every_way_of_writing_is_timed(monkeypatch):
    monkeypatch.setattr(script, "_peers", lambda model, folder: {("a peer", "F32", 1): lambda: (0.5, 2.5)})
    monkeypatch.setattr(script, "NEW_TOKENS", 5)
    rows = measure(TINY, rounds=1)
    ways = [(row["program"], row["weights"], row["rows"]) for row in rows]
    assert ways[1:] == [("ours", weights, 1) for weights in ("float32", "bfloat16", "int8")] + [
        ("ours", "float32", 64),
        ("ours", "bfloat16", 64),
        ("a peer", "F32", 1),
    ]
    assert all(row["tokens_per_second"] > 0 and row["first_token_milliseconds"] > 0 for row in rows)
    assert rows[-1]["tokens_per_second"] == 2.0, "four tokens after the first, in two seconds"
    assert rows[-1]["first_token_milliseconds"] == 500


def test_the_loss_is_that_of_the_model_and_rounding_costs_a_little(trained):
    exact, *rounded = loss_of_weights(trained)
    tokens = [trained.tokenizer.end_of_text_id, *trained.tokenizer.encode(TEXT)[:15]]
    with torch.no_grad():
        expected = trained.model.loss(torch.tensor([tokens[:-1]]), torch.tensor([tokens[1:]])).item()
    assert exact["nats_per_token"] == pytest.approx(expected, rel=1e-5)
    assert exact["tokens"] == 15, "the file that is too short is left out"
    size = len(trained.tokenizer.decode(tokens[1:]).encode())
    assert exact["bits_per_byte"] == pytest.approx(expected * 15 / 0.693147 / size, rel=1e-5)
    for row in rounded:
        assert 0 < abs(row["nats_per_token"] - expected) < 0.05
    assert "+0.0000" in table([], [exact])[-1]


def test_the_command_keeps_what_it_prints(trained, monkeypatch, tmp_path, capsys):
    row = {
        "program": "ours",
        "weights": "int8",
        "rows": 1,
        "first_token_milliseconds": 30.0,
        "tokens_per_second": 999.0,
    }
    monkeypatch.setattr(script, "measure", lambda config, rounds, device: [row])
    values = {"model": trained.model.state_dict(), "model_config": TINY.to_dict(), "step": 3, "losses": {}}
    save_checkpoint(values | {"tokenizer": trained.tokenizer.to_json(), "context_length": 16}, trained.path)
    output = tmp_path / "speed.json"
    assert script.main(["--checkpoint", str(trained.path), "--output", str(output)]) == 0
    kept = json.loads(output.read_text())
    assert kept["speed"] == [row] and kept["loss_of"]["checkpoint"]["step"] == 3
    assert kept["about"]["config"] == "model/config/gpt_tiny_config.json"
    assert "999" in capsys.readouterr().out


def test_files_are_taken_from_the_whole_set(trained, monkeypatch):
    """It is sorted by package, and packages are not alike."""
    read = []
    encode = trained.tokenizer.encode
    documents = [Document("a", f"{number}.py", f"x{number:03d} = 1\n" * 20) for number in range(100)]
    monkeypatch.setattr(script, "read_held_out", lambda name: documents)
    monkeypatch.setattr(script, "WEIGHTS", ("float32",))
    monkeypatch.setattr(
        script.FastModel,
        "next_scores",
        lambda self, tokens, cache: read.append(tokens) or torch.zeros(len(tokens), 8192),
    )
    loss_of_weights(trained)
    first = [encode(document.text)[:14] for document in documents]
    texts = [list(text) for text in zip(*read[1:], strict=True)]
    assert len(texts) == 64 and texts[0] == first[0] and texts[-1] in first[98:]


def test_a_missing_checkpoint_is_one_line(tmp_path, capsys):
    assert script.main(["--checkpoint", str(tmp_path / "none.pt")]) == 2
    assert capsys.readouterr().err.startswith("error: there is no checkpoint")
