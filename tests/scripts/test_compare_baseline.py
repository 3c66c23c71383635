"""The script that compares before and after, as its user meets it: with the real tests, on a tiny model."""

import importlib

from evaluation.result_files import load_result
from tests.evaluation.conftest import processed, tokenizer, trained  # noqa: F401 - fixtures of the room below

compare_baseline = importlib.import_module("scripts.compare_baseline")


def arguments(checkpoint, folder):
    return [
        "--checkpoint",
        str(checkpoint),
        "--device",
        "cpu",
        "--quick",
        "--results",
        str(folder),
        "--plots",
        str(folder),
    ]


def test_one_command_measures_what_is_missing_and_compares(trained, processed, tmp_path, capsys):  # noqa: F811
    assert compare_baseline.main(arguments(trained.path, tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "there is no results file" in printed and "python evaluation/code_tests.py" in printed
    assert "247.96" in printed and "unknown" in printed and "do not compare" in printed
    assert "ideally  < 50" in printed and "now: In the city of Toronto," in printed
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "code_eval.json",
        "before_after_comparison.json",
        "before_after_comparison.png",
    }
    compared = load_result(tmp_path / "before_after_comparison.json")
    code = load_result(tmp_path / "code_eval.json")
    assert compared["now"]["code_perplexity"] == code["code_perplexity"]
    for model in ("now", "untrained"):
        assert {"score", "n", "interval", "best_constant_guess"} <= compared[model]["function_completion"].keys()


def test_what_can_not_be_compared_is_one_line_and_exit_code_2(trained, processed, tmp_path, capsys):  # noqa: F811
    assert compare_baseline.main(arguments(tmp_path / "none.pt", tmp_path)) == 2
    (processed / "heldout_code.txt").unlink()
    assert compare_baseline.main(arguments(trained.path, tmp_path)) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(errors) == 2
    assert "there is no checkpoint" in errors[0] and "there is no held-out set" in errors[1]
