"""Checkpoint after checkpoint: in the order of training, each file measured once, the best one named."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from evaluation import evaluate_checkpoints
from evaluation.evaluate_checkpoints import SCORES, checkpoints_of, main, named_runs
from evaluation.question import Question
from pretraining.checkpoint import CheckpointError, save_checkpoint
from tests.evaluation.conftest import hold_out, python_source


@pytest.fixture
def run_folder(trained, tmp_path):
    """A run of three checkpoints: the tiny model, and two that training has made worse and better on held-out text."""
    folder = tmp_path / "run"
    folder.mkdir()
    values = torch.load(trained.path, weights_only=True)
    values["settings"] = {"batch_size": 2, "block_size": 16, "gradient_accumulation": 3}
    for step, scale in ((100, 3.0), (200, 0.0)):
        model = {name: tensor * (scale if name == "head.weight" else 1) for name, tensor in values["model"].items()}
        save_checkpoint({**values, "model": model, "step": step}, folder / f"step_{step:06d}.pt")
    save_checkpoint({**values, "step": 300}, folder / "last.pt")
    return folder


@pytest.fixture
def asked(monkeypatch):
    """The steps of the models that code_tests was asked about, in a stand-in for it."""
    steps = []

    def measure(trained, effort):
        assert effort.quick, "many checkpoints, a small sample of each"
        steps.append(trained.step)
        return {name: {"score": trained.step / 1000} for name in SCORES}

    question = Question("code_eval", "?", measure, lambda values: [], lambda values, folder: [])
    monkeypatch.setattr(evaluate_checkpoints, "code_tests", replace_module(question))
    return steps


def replace_module(question):
    return type("StandIn", (), {"QUESTION": replace(question)})


def test_all_are_measured_once_and_the_best_is_named(run_folder, asked, processed, tmp_path, capsys):
    arguments = [str(run_folder), "--device", "cpu", "--results", str(tmp_path / "r"), "--plots", str(tmp_path / "p")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert asked == [100, 200, 300]
    assert "Fewest bits per byte on held-out code: step_000200.pt (step 200)" in printed, "even scores beat wild ones"
    assert all(len(line) <= 80 for line in printed.splitlines() if "/" not in line)
    assert (tmp_path / "p" / "checkpoints.png").is_file()
    kept = json.loads((tmp_path / "r" / "checkpoints.json").read_text(encoding="utf-8"))["measured"]
    assert sorted(values["tokens"] for values in kept.values()) == [100 * 96, 200 * 96, 300 * 96]
    shutil.copy(run_folder / "step_000100.pt", run_folder / "step_000400.pt")  # another name, the same file
    assert main(arguments) == 0
    assert asked == [100, 200, 300], "what was measured is not measured again"


def test_rows_of_other_held_out_texts_are_measured_again(run_folder, asked, processed, tmp_path):
    """Else old and new checkpoints would be ranked by what they were asked."""
    arguments = [str(run_folder), "--device", "cpu", "--results", str(tmp_path), "--plots", str(tmp_path)]
    assert main(arguments) == 0
    hold_out(processed, "heldout_code", [("own", "x.py", python_source(3))])
    assert main(arguments) == 0
    assert asked == [100, 200, 300] * 2


def test_runs_in_folders_of_the_same_name_stay_apart(run_folder, asked, processed, tmp_path, capsys):
    other = tmp_path / "elsewhere" / "run"
    shutil.copytree(run_folder, other)
    (other / "step_000200.pt").unlink()
    places = ["--device", "cpu", "--results", str(tmp_path), "--plots", str(tmp_path)]
    assert main([str(run_folder), str(other), str(other), *places]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("/")]
    assert headings == [str(run_folder), str(other)]
    assert list(named_runs([run_folder, tmp_path / "archive"])) == ["run", "archive"]


def test_a_folder_without_checkpoints_is_one_line(tmp_path, capsys):
    with pytest.raises(CheckpointError, match=r"there is no checkpoint in .*train_improved.py"):
        checkpoints_of(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: there is no checkpoint")


def test_best_and_last_come_after_the_steps(run_folder):
    assert [path.name for path in checkpoints_of(run_folder)] == ["step_000100.pt", "step_000200.pt", "last.pt"]
