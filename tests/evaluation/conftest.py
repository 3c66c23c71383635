"""What the tests of this room share: a small tokenizer, a tiny trained model, and a stand-in for held-out data."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from evaluation.result_files import file_sha256
from model.architecture.config import ModelConfig
from model.architecture.model import GPT
from pretraining import dataset
from pretraining.checkpoint import TrainedModel, save_checkpoint
from tokenizer.bpe import Tokenizer

PACKAGES = ("alpha", "beta", "gamma")


def python_source(seed: int, functions: int = 6) -> str:
    """A module of small functions: brackets, keywords, indentation, strings, comments, and names that return."""
    dice = random.Random(seed)
    lines = ['"""A module."""', "", "import os", ""]
    for number in range(functions):
        first, second = dice.sample(["value", "items", "total", "größe", "index", "name"], 2)
        lines += [
            "",
            f"def function_{dice.randrange(1000)}({first}, {second}=None):",
            f'    """Return what {first} gives."""',
            f"    if {first} is None or not {second}:",
            f"        return [{first}, ({second}, {number})]  # early",
            f"    for part in {first}:",
            "        while part:",
            f'            part = {{"key": part[{number}], "other": len({second})}}',
            f"    return {first} + {second}",
            "",
        ]
    return "\n".join(lines) + "\n"


def hold_out(folder: Path, name: str, documents: Sequence[tuple[str, str, str]]) -> None:
    """Write a held-out set of documents (source, path, text), and what the manifest says of it."""
    corpus, manifest_path = folder / f"{name}.txt", folder / "manifest.json"
    corpus.write_text("<|endoftext|>\n".join(text for *_, text in documents), encoding="utf-8")
    manifest = json.loads(manifest_path.read_text(encoding="utf-8")) if manifest_path.is_file() else {"corpora": {}}
    manifest["corpora"][name] = {"sha256": file_sha256(corpus)}
    manifest[name] = {"documents": [{"source": source, "path": path} for source, path, _ in documents]}
    manifest_path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([python_source(seed) for seed in range(20)], vocab_size=420)


@pytest.fixture(scope="session")
def trained(tokenizer, tmp_path_factory) -> TrainedModel:
    """A tiny model with every weight random, as if loaded from a checkpoint (which is there)."""
    config = ModelConfig(n_layers=2, n_heads=2, hidden_size=16, max_seq_len=64, vocab_size=tokenizer.vocab_size)
    model = GPT(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + (parameter.ndim == 1))
    path = tmp_path_factory.mktemp("checkpoints") / "best.pt"
    values = {
        "model": model.state_dict(),
        "model_config": config.to_dict(),
        "tokenizer": tokenizer.to_json(),
        "context_length": 32,
        "step": 7,
        "losses": {"heldout_code": 5.5},
        "settings": {"preset": "nano"},
    }
    save_checkpoint(values, path)
    return TrainedModel(model.eval(), tokenizer, path, 7, {"heldout_code": 5.5}, 32)


@pytest.fixture
def processed(tmp_path, monkeypatch) -> Path:
    """A folder in the place of data/processed, with held-out code of three packages and one held-out book."""
    folder = tmp_path / "processed"
    folder.mkdir()
    code = [
        (package, f"{package}/m{n}.py", python_source(50 + n + 9 * i))
        for i, package in enumerate(PACKAGES)
        for n in range(4)
    ]
    book = [("a book", f"book.txt#{n}", "Once upon a time in Toronto there was a small house.\n" * 20) for n in (1, 2)]
    hold_out(folder, "heldout_code", code)
    hold_out(folder, "heldout_books", book)
    monkeypatch.setattr(dataset, "PROCESSED", folder)
    return folder
