"""benchmark_speed.py: what it measures, prints and keeps, with a model that takes no time."""

import importlib
import json

import pytest
import torch

from evaluation.training import training_speed
from model.architecture.config import ConfigError, ModelConfig

script = importlib.import_module("scripts.benchmark_speed")
SMALL = ModelConfig(n_layers=1, n_heads=2, hidden_size=16, max_seq_len=32, vocab_size=64)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small models and products, and a processor with bfloat16 units."""
    monkeypatch.setattr(script.ModelConfig, "load", classmethod(lambda cls, path: SMALL))
    monkeypatch.setattr(script, "PRESETS", {"default": script.PRESETS["default"] | {"block_size": 16}, "nano": {}})
    monkeypatch.setattr(script, "choose_precision", lambda device: (torch.bfloat16, ""))
    monkeypatch.setattr(training_speed, "PRODUCTS", ((64, 64, 64),))
    monkeypatch.setattr(
        script, "compare_with_transformers", lambda *_: {"ours": 1.0, "theirs": 1.5, "times_longer": 1.5}
    )


def test_a_quick_run_prints_a_table_and_keeps_the_numbers(tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert script.main(["--quick", "--device", "cpu", "--output", str(path)]) == 0
    shown, kept = capsys.readouterr().out, json.loads(path.read_text())
    assert "Fastest bfloat16 matrix product" in shown and "take 1.50 times as long" in shown
    assert [(row["precision"], row["compiled"]) for row in kept["training"]] == 2 * [
        ("float32", False),
        ("bfloat16", False),
    ]
    assert kept["about"]["quick"] is True and kept["about"]["versions"]["torch"] == torch.__version__
    assert kept["peaks"].keys() == {"float32", "bfloat16"} and kept["generation"] == []
    for row in kept["training"]:
        assert f"{row['tokens_per_second']:,.0f}" in shown


def test_a_full_run_compiles_where_that_is_possible(monkeypatch):
    device = torch.device("cpu")
    for possible, kinds in ((True, [False, True]), (False, [False])):
        monkeypatch.setattr(script, "choose_compile", lambda *_, possible=possible: (possible, ""))
        assert [case.compiled for case in script.cases(device, quick=False)] == 4 * kinds
    assert {case.batch_size for case in script.cases(device, quick=False)} == {16}


def test_what_can_not_be_measured_is_told_in_a_line(monkeypatch, capsys):
    assert script.main(["--device", "abacus"]) == 2

    def missing(path):
        raise ConfigError("there is no model config")

    monkeypatch.setattr(script.ModelConfig, "load", missing)
    assert script.main(["--device", "cpu"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "'abacus' is not here" in errors[0] and errors[1] == "error: there is no model config"
