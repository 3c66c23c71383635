"""The command from a checkpoint to checked files: its exit codes, what it leaves, and what it says."""

import importlib
import json

import pytest
import torch

from evaluation import export_table
from tests.evaluation.conftest import processed, tokenizer  # noqa: F401
from tests.evaluation.exported.conftest import mini  # noqa: F401

pytest.importorskip("safetensors", reason="pip install -r tests/requirements.txt")
pytest.importorskip("gguf", reason="pip install -r tests/requirements.txt")
export_model = importlib.import_module("scripts.export_model")


@pytest.fixture
def run(mini, processed, tmp_path, monkeypatch):  # noqa: F811
    """Calls the script on the small model; everything goes to tmp_path."""
    few = {"code": "def f(x):\n    return <|endoftext|>é\n"}
    monkeypatch.setattr("evaluation.exported.check.encoded_texts", lambda: list(few.values()))
    monkeypatch.setattr("evaluation.exported.check.compared_texts", lambda: few)
    monkeypatch.setattr("evaluation.exported.check.CONTINUED", ("x = ",))
    monkeypatch.setattr("evaluation.export_table.TOKENS", 16)
    places = ["--checkpoint", str(mini.path), "--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    return lambda *arguments: export_model.main([*arguments, *places])


def test_all_formats_are_written_checked_and_listed(run, tmp_path, capsys):
    assert run("--format", "all", "--dtype", "f16") == 0
    folders = {path.name: {file.name for file in path.iterdir()} for path in (tmp_path / "out").iterdir()}
    folder = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"}
    assert folders == {
        "hf-f16": {*folder, "README.md"},
        "mlx-f16": {*folder, "README.md"},
        "gguf-f16": {"gpt_mini-F16.gguf", "Modelfile", "README.md"},
    }
    shown = capsys.readouterr().out
    assert shown.count("It is the same model.") == 3 and "bits per byte" in shown
    rows = json.loads((tmp_path / "results" / "export.json").read_text(encoding="utf-8"))["exports"]
    assert [(row["format"], row["dtype"], row["same"]) for row in rows] == [
        ("hf", "f16", True),
        ("gguf", "f16", True),
        ("mlx", "f16", True),
    ]


def test_another_export_of_the_same_checkpoint_joins_the_table(run, tmp_path, capsys):
    assert run("--format", "gguf", "--dtype", "q8_0") == 0
    assert run("--format", "hf") == 0
    assert run("--format", "gguf", "--dtype", "q8_0") == 0
    rows = json.loads((tmp_path / "results" / "export.json").read_text(encoding="utf-8"))["exports"]
    assert [(row["format"], row["dtype"]) for row in rows] == [("hf", "f32"), ("gguf", "q8_0")]
    capsys.readouterr()
    assert export_table.main(["--results", str(tmp_path / "results")]) == 0
    shown = capsys.readouterr().out
    assert "ours f32" in shown and "hf f32" in shown
    assert max(map(len, shown.partition("Results:")[0].splitlines())) <= 80
    assert run("--format", "gguf", "--dtype", "q8_0") == 0
    kept = json.loads((tmp_path / "results" / "export.json").read_text(encoding="utf-8"))
    assert not any("speed" in values for values in (kept, *kept["exports"])), "those of two runs do not compare"


def test_a_mismatch_keeps_the_files_and_says_where(run, tmp_path, capsys, monkeypatch):
    right = export_model.portable

    def swapped(trained, settings):
        model = right(trained, settings)
        names = ("blocks.0.attention.query.weight", "blocks.0.attention.key.weight")
        model.weights.update(zip(names, [model.weights[name] for name in reversed(names)], strict=True))
        return model

    monkeypatch.setattr(export_model, "portable", swapped)
    assert run("--format", "hf") == 1
    shown = capsys.readouterr().out
    assert "IT IS NOT THE SAME MODEL" in shown
    assert "log-probability in the text 'code', behind token 1" in shown and "ours -" in shown and "there -" in shown
    assert (tmp_path / "out" / "hf-f32" / "model.safetensors").is_file()
    assert "Do not use" in (tmp_path / "out" / "hf-f32" / "README.md").read_text(encoding="utf-8")


def test_a_model_that_gives_no_numbers_is_not_called_the_same(run, tmp_path, capsys, monkeypatch):
    """NaN is neither below a limit nor above it, and JSON does not know it."""
    right = export_model.portable

    def broken(trained, settings):
        model = right(trained, settings)
        model.weights["final_norm.weight"] = torch.full_like(model.weights["final_norm.weight"], float("nan"))
        return model

    monkeypatch.setattr(export_model, "portable", broken)
    assert run("--format", "hf") == 1
    assert "no number" in capsys.readouterr().out


def test_a_program_that_is_not_installed_is_replaced_by_a_plain_reading(run, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xllamacpp", None)
    assert run("--format", "gguf") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "an independent reading of the file (xllamacpp is not installed: python -m pip install -r" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "mlx", "--dtype", "q8_0"], "mlx has no q8_0"),
        (["--format", "hf", "--checkpoint", "nowhere.pt"], "there is no checkpoint nowhere.pt"),
    ],
)
def test_what_can_not_be_done_is_one_line(run, arguments, message, capsys, tmp_path):
    if "--checkpoint" in arguments:
        assert export_model.main(arguments) == 2
    else:
        assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_table_of_nothing_says_what_to_run(tmp_path, capsys):
    assert export_table.main(["--results", str(tmp_path)]) == 2
    assert "python scripts/export_model.py" in capsys.readouterr().err
