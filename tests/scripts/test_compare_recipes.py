"""The whole comparison, with two tiny trainings: what a user types, sees and finds afterwards."""

import importlib
import json

import pytest

from evaluation.result_files import load_result
from evaluation.training import recipes
from evaluation.training.learned import keep_as_reference
from pretraining.settings import ROOT
from tests.evaluation.training.conftest import learned

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
    said = capfd.readouterr().out
    assert "Step 10" not in said  # trained once
    assert said.count("--again trains anew") == 2
    again = load_result(tmp_path / "recipes.json")
    assert [row["runs"][0]["started"] for row in again["rows"]] == [row["runs"][0]["started"] for row in values["rows"]]
    assert "loss, your held-out text" in said

    (tmp_path / "corpus.txt").write_text((tmp_path / "corpus.txt").read_text(encoding="utf-8")[5_000:])
    assert compare_recipes.main(["nanogpt", *arguments[2:]]) == 0
    said = capfd.readouterr().out
    assert "is another one: corpus differ" in said
    assert "Step 10" in said


def test_a_misspelt_flag_is_one_line_before_anything_is_trained(flags, tmp_path, capfd):
    assert compare_recipes.main(["nano", "nano --optimiser adamw", *flags]) == 2
    assert "--optimiser" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "wrong, said",
    [
        (["nano", "--minutes", "0"], "--minutes is 0"),
        (["nano", "--tokens", "0"], "--tokens is 0"),
        (["nano", "--tokens", "nan"], "--tokens is nan"),
        (["nano", "--tokens", "1e6", "--minutes", "10"], "give one of them"),
        (["nano", "--seeds", "0"], "--seeds is 0"),
        (["nano", "--max_minutes", "3"], "leave out --max_minutes"),
        (["nano", "nano --corpus_file my.txt"], "different texts"),
        (["nano", "--seeds", "3", "--keep_as_reference"], "give --tokens"),
        (["nano --batch_size 8", "--tokens", "1e6", "--seeds", "2", "--keep_as_reference"], "presets as they are"),
        (["nano", "--tokens", "1e6", "--seeds", "2", "--keep_as_reference", "--device", "cpu"], "without --device cpu"),
    ],
)
def test_what_can_not_be_compared_is_one_line_before_anything_is_trained(monkeypatch, capfd, wrong, said):
    monkeypatch.setattr(compare_recipes, "learn", None)
    assert compare_recipes.main(wrong) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize("held_out, code", [("heldout_code", 0), ("heldout_own", 2)])
def test_results_are_saved_and_shown_before_a_reference_is_kept(monkeypatch, tmp_path, capfd, held_out, code):
    """A refusal then costs no hours."""
    kept = []
    monkeypatch.setattr(compare_recipes, "learn", lambda *what: learned(9, 5, held_out=held_out))
    monkeypatch.setattr(
        compare_recipes,
        "keep_as_reference",
        lambda *what: kept.append(what) or keep_as_reference(*what, tmp_path / "r"),
    )
    places = ["--results", str(tmp_path), "--plots", str(tmp_path)]
    arguments = ["nano", "nano --batch_size 8", "--tokens", "1e6", "--seeds", "2", "--keep_as_reference"]
    assert compare_recipes.main([*arguments, *places]) == code
    assert [name for name, _ in kept] == ["nano"]
    assert (tmp_path / "recipes.json").is_file()
    assert "as good as the first after" in capfd.readouterr().out


@pytest.mark.parametrize("again", [False, True])
def test_after_ctrl_c_the_command_that_goes_on_is_told(monkeypatch, capfd, again):
    """With --again all is put aside first, in one go, and the command without it trains what is left."""
    happened = []

    def learn(recipe, budget, seed, more):
        happened.append(f"train {recipe}")
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_recipes, "learn", learn)
    monkeypatch.setattr(compare_recipes, "put_aside", lambda recipe, *more: happened.append(f"put aside {recipe}"))
    assert compare_recipes.main(["nano", "default", *(["--again"] if again else [])]) == 130
    assert happened == [*(["put aside nano", "put aside default"] if again else []), "train nano"]
    command = "The same command, without --again, goes on" if again else "The same command goes on"
    assert command in capfd.readouterr().err
