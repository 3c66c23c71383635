"""What the tests of this room share: a small tokenizer, a tiny model, and a stand-in for data/processed."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining import dataset
from pretraining.settings import ROOT
from tokenizer.bpe import Tokenizer

WORDS = "def return value for index in range while if else print open close naïve größe 日本 🙂 x y z 0 1 2".split()
TINY = {"n_layers": 2, "n_heads": 2, "hidden_size": 32, "max_seq_len": 64, "dropout": 0.1}
# Dropout is on, so that a resumed run has to restore the random numbers as well.


def _random_text(lines: int, seed: int = 0) -> str:
    """Indented lines of words of one to four bytes a character: where a cut could go wrong, it will."""
    dice = random.Random(seed)
    return "".join(
        "    " * dice.randrange(3) + " ".join(dice.choices(WORDS, k=dice.randint(1, 12))) + "\n" for _ in range(lines)
    )


@pytest.fixture(scope="session")
def random_text() -> Callable[[int, int], str]:
    return _random_text


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A vocabulary of 320 tokens, so that characters of several bytes come in several tokens."""
    return Tokenizer.train([_random_text(300, seed=99)], vocab_size=320)


@pytest.fixture(scope="session")
def config(tokenizer) -> ModelConfig:
    return ModelConfig(n_layers=2, n_heads=2, hidden_size=16, max_seq_len=64, vocab_size=tokenizer.vocab_size)


@pytest.fixture
def model(config) -> GPT:
    """A tiny model with every weight random: the real start, with zeros in it, would hide what is not connected."""
    model = GPT(config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + (parameter.ndim == 1))
    return model


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Three documents in a file of the user's own."""
    path = tmp_path / "my_corpus.txt"
    path.write_text("<|endoftext|>\n".join(_random_text(60, seed) for seed in (1, 2, 3)), encoding="utf-8")
    return path


@pytest.fixture
def processed(tmp_path, monkeypatch) -> Path:
    """An empty folder in the place of data/processed."""
    folder = tmp_path / "processed"
    folder.mkdir()
    monkeypatch.setattr(dataset, "PROCESSED", folder)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a corpus and a tiny model, away from the user's own."""
    sources = sorted((ROOT / "pretraining").glob("*.py")) + sorted((ROOT / "model" / "architecture").glob("*.py"))
    text = "<|endoftext|>\n".join(path.read_text(encoding="utf-8") for path in sources)
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    (tmp_path / "tiny_config.json").write_text(json.dumps(TINY), encoding="utf-8")
    monkeypatch.setattr(dataset, "PROCESSED", tmp_path / "processed")
    return tmp_path
