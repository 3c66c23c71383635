"""The whole comparison, with two tiny trainings: what a user types, sees and finds afterwards."""

import importlib
import json

import pytest

from evaluation.result_files import load_result
from evaluation.training import recipes
from pretraining.settings import ROOT

compare_recipes = importlib.import_module("scripts.compare_recipes")


@pytest.fixture
def flags(tmp_path, monkeypatch) -> list[str]:
    """Everything small, and in a temporary folder."""
    monkeypatch.setattr(recipes, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(compare_recipes, "FOLDER", tmp_path / "runs")
    config = {"n_layers": 1, "n_heads": 2, "hidden_size": 16, "max_seq_len": 32, "dropout": 0.0}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "pretraining").glob("*.py")))
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    places = ["--config_path", str(tmp_path / "config.json"), "--corpus_file", str(tmp_path / "corpus.txt")]
    sizes = ["--batch_size", "2", "--block_size", "16", "--warmup_steps", "1", "--device", "cpu", "--compile", "off"]
    return [*places, *sizes, "--results", str(tmp_path), "--plots", str(tmp_path)]


def test_two_recipes_are_trained_compared_and_drawn(flags, tmp_path, capfd):
    arguments = ["nanogpt", "default --optimizer adamw", "--tokens", "320", *flags]
    assert compare_recipes.main(arguments) == 0
    values = load_result(tmp_path / "recipes.json")
    assert [row["recipe"] for row in values["rows"]] == ["nanogpt", "default --optimizer adamw"]
    assert all(row["runs"][0]["points"][-1]["tokens"] == 320 for row in values["rows"])
    assert values["rows"][0]["runs"][0]["parameters"] != values["rows"][1]["runs"][0]["parameters"]
    assert values["rows"][1]["command"].startswith("python pretraining/train_improved.py --preset default --optimizer")
    assert (tmp_path / "recipes.png").stat().st_size > 10_000
    assert "Step 10" in capfd.readouterr().out
    assert compare_recipes.main(arguments) == 0
    assert "Step 10" not in capfd.readouterr().out  # trained once


def test_a_misspelt_flag_is_one_line_before_anything_is_trained(flags, tmp_path, capfd):
    assert compare_recipes.main(["nano", "nano --optimiser adamw", *flags]) == 2
    assert "--optimiser" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()
