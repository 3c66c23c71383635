"""Whole trainings of a tiny model: what a user starts and breaks.

Runs read a corpus of the repository's own sources and write to a temporary folder; the user's data, checkpoints and
log are never touched. What was interrupted is in test_resumed_runs.py.
"""

import hashlib
import json
import time
from unittest.mock import Mock

import pytest
import torch

from pretraining import dataset
from pretraining.checkpoint import load_checkpoint, load_trained_model, save_checkpoint
from pretraining.run import Run
from pretraining.train_improved import main
from tests.pretraining.whole_runs import flags, losses, start


def test_a_run_learns_and_leaves_what_it_promises(place, capsys):
    assert main(flags(place, max_steps=40, learning_rate=1e-2)) == 0
    log = json.loads((place / "run.json").read_text(encoding="utf-8"))
    assert (log["status"], log["run"]["last_step"]) == ("finished", 40)
    assert [entry["step"] for entry in log["train"]] == list(range(1, 41))
    assert log["train"][-1]["loss"] < log["train"][0]["loss"] - 1, "forty steps teach even a tiny model something"
    checked = [entry["heldout_own"]["loss"] for entry in log["validation"]]
    assert [entry["step"] for entry in log["validation"]] == [0, 6, 12, 18, 24, 30, 36, 40]
    assert checked[-1] < checked[0] - 0.5
    kept = sorted(path.name for path in (place / "run").glob("*.pt"))
    assert kept == ["best.pt", "last.pt", *(f"step_{step:06d}.pt" for step in range(4, 41, 4))]
    assert (place / "run.png").is_file(), "the loss curve is drawn at the end"
    printed = capsys.readouterr()
    assert "Step 40: loss = " in printed.out + printed.err
    assert "[Dataset] Loading from corpus file" in printed.out


def test_a_checkpoint_carries_all_that_using_the_model_needs(place):
    assert main(flags(place)) == 0
    trained = load_trained_model(place / "run" / "best.pt")
    assert (trained.step, trained.context_length) in {(6, 32), (12, 32)}
    assert "heldout_own" in trained.losses
    logits = trained.model(torch.tensor([trained.tokenizer.encode("def ")]))
    assert torch.isfinite(logits).all()
    torch.load(place / "run" / "last.pt", weights_only=True)  # raises if anything but plain values and tensors is in it


def test_where_compiling_fails_the_run_goes_on_without_it(place, monkeypatch, capsys):
    error = torch._dynamo.exc.TorchDynamoException(" : ImportError: half.so: file too short\n\nSet")
    monkeypatch.setattr(torch, "compile", lambda function: Mock(side_effect=error))
    assert main(flags(place, compile="on")) == 0
    assert "goes on without it: ImportError: half.so: file too short\n" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoints(place, monkeypatch, capsys):
    take_step = Run.take_step

    def poisoned(self, stop):
        if self.step == 6:
            with torch.no_grad():
                self.model.head.weight.fill_(float("nan"))
        return take_step(self, stop)

    monkeypatch.setattr(Run, "take_step", poisoned)
    assert main(flags(place)) == 1
    message = capsys.readouterr().err
    assert "step 7" in message
    assert "--learning_rate" in message
    assert json.loads((place / "run.json").read_text())["status"] == "failed"
    for path in (place / "run").glob("*.pt"):
        weights = torch.load(path, weights_only=True)["model"]
        assert all(tensor.isfinite().all() for tensor in weights.values()), path.name


@pytest.mark.parametrize(
    ("batch_size", "advice"),
    [
        (4, "--batch_size 2 --gradient_accumulation 2"),
        (9, "--batch_size 3 --gradient_accumulation 3"),
        (1, "--block_size 16"),
    ],
)
def test_running_out_of_memory_names_the_setting_to_change(place, monkeypatch, capsys, batch_size, advice):
    def greedy(self, stop):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Run, "take_step", greedy)
    assert main(flags(place, batch_size=batch_size)) == 1
    assert advice in capsys.readouterr().err


def test_nan_first_seen_on_held_out_text_fails_as_well(place, monkeypatch, capsys):
    def poisoned(self):
        with torch.no_grad():
            self.model.head.weight.fill_(float("nan"))
        return validate(self)

    validate = Run.validate
    monkeypatch.setattr(Run, "validate", poisoned)
    assert main(flags(place, log_interval=100)) == 1
    assert "stopped being a finite number" in capsys.readouterr().err


def test_a_run_that_has_become_worse_than_untrained_is_told(place, capsys):
    """At fifty times the right rate the loss stays finite: nothing else would say what is wrong."""
    assert main(flags(place, max_steps=12, learning_rate=50)) == 0
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert "this run has diverged" in said and "--learning_rate 1.7e+01" in said


def test_fine_tuning_starts_from_given_weights(place):
    assert main(flags(place, max_steps=40, learning_rate=1e-2)) == 0
    source = place / "run" / "best.pt"
    assert main(flags(place, "tuned", init_from=source, max_steps=4)) == 0
    tuned = json.loads((place / "tuned.json").read_text())
    trained = json.loads((place / "run.json").read_text())
    assert tuned["validation"][0]["heldout_own"] == min(
        (entry["heldout_own"] for entry in trained["validation"]), key=lambda result: result["loss"]
    )


def test_every_checkpoint_says_what_it_was_trained_on(place):
    """All of it: a model that was fine-tuned has seen what the first one saw, also when the tuning was interrupted."""
    other = place / "other.txt"
    other.write_text((place / "corpus.txt").read_text(encoding="utf-8") * 2, encoding="utf-8")
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (place / "corpus.txt", other))
    assert main(flags(place)) == 0
    assert load_trained_model(place / "run" / "step_000004.pt").trained_on == [first]
    tuning = {"init_from": place / "run" / "best.pt", "corpus_file": other}
    assert main(flags(place, "tuned", **tuning)) == 0
    assert load_trained_model(place / "tuned" / "best.pt").trained_on == [first, second]
    assert main(flags(place, "tuned", **tuning | {"max_steps": 24}, resume="last")) == 0
    assert load_trained_model(place / "tuned" / "step_000024.pt").trained_on == [first, second]
    unknown = load_checkpoint(place / "run" / "best.pt")
    del unknown["trained_on"]
    save_checkpoint(unknown, place / "unknown.pt")
    assert main(flags(place, "third", init_from=place / "unknown.pt")) == 0
    assert load_trained_model(place / "third" / "best.pt").trained_on is None


def test_two_processes_follow_the_curve_of_one(place):
    alone = start(place, flags(place, "alone", gradient_accumulation=2, precision="float32", dropout=0.0))
    output, _ = alone.communicate(timeout=120)
    assert alone.returncode == 0, output
    pair = start(place, flags(place, "pair", gradient_accumulation=2, precision="float32", dropout=0.0), processes=2)
    output, _ = pair.communicate(timeout=180)
    assert pair.returncode == 0, output
    expected, found = losses(place, "alone"), losses(place, "pair")
    assert list(found) == list(expected)
    assert list(found.values()) == pytest.approx(list(expected.values()), abs=2e-3)


def test_accumulated_batches_make_the_same_step_as_one_large_batch(place):
    assert main(flags(place, "large", precision="float32", dropout=0.0)) == 0
    accumulated = flags(place, "parts", batch_size=1, gradient_accumulation=4, precision="float32", dropout=0.0)
    assert main(accumulated) == 0
    assert list(losses(place, "parts").values()) == pytest.approx(list(losses(place, "large").values()), abs=2e-3)


def test_a_time_limit_is_turned_into_steps_that_the_schedule_ends_with(place):
    assert main(flags(place, max_steps=100_000, max_minutes=0.1, checkpoint_interval=1000, eval_interval=1000)) == 0
    log = json.loads((place / "run.json").read_text(encoding="utf-8"))
    last = log["train"][-1]
    assert 13 < last["step"] < 100_000
    assert log["run"]["last_step"] == last["step"], "whoever watches reads the fitted length here"
    assert last["learning_rate"] < 0.02 * 3e-3, "the rate has come down to nearly nothing at the fitted end"


def test_a_machine_that_becomes_slow_gets_fewer_steps_instead_of_more_time(place, monkeypatch):
    take_step = Run.take_step

    def slowing_down(self, stop):
        if self.step >= 20:
            time.sleep(0.1)
        return take_step(self, stop)

    monkeypatch.setattr(Run, "take_step", slowing_down)
    started = time.monotonic()
    assert main(flags(place, max_steps=100_000, max_minutes=0.1, checkpoint_interval=1000, eval_interval=10)) == 0
    assert time.monotonic() - started < 12, "six seconds were asked for; at twenty steps some hundreds seemed to fit"
    assert json.loads((place / "run.json").read_text())["train"][-1]["learning_rate"] < 0.1 * 3e-3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corpus_file": "no_such_corpus.txt"}, "no_such_corpus.txt"),
        ({"config_path": "no_such_config.json"}, "no_such_config.json"),
        ({"block_size": 128}, "--block_size 64"),
        ({"batch_size": 0, "grad_clip": -1}, "batch_size is 0; it must be greater than 0\n  grad_clip is -1"),
        ({"resume": "nowhere.pt"}, "nowhere.pt"),
        ({"device": "cuda:7"}, "cuda:7"),
    ],
)
def test_what_can_not_run_is_said_in_one_message(place, capsys, changes, said):
    assert main(flags(place, **changes)) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message


def test_an_unwritable_folder_is_named(place, capsys):
    (place / "file").write_text("in the way")
    assert main(flags(place, "file")) == 2
    assert f"{place / 'file'}" in capsys.readouterr().err


def test_a_full_disk_keeps_what_was_saved(place, monkeypatch, capsys):
    from pretraining import checkpoint

    saved, written = checkpoint.os.fsync, []

    def full_after_a_while(descriptor):
        written.append(descriptor)
        if len(written) > 12:
            raise OSError(28, "No space left on device")
        saved(descriptor)

    monkeypatch.setattr(checkpoint.os, "fsync", full_after_a_while)
    assert main(flags(place)) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert not list((place / "run").glob("*.tmp"))
    monkeypatch.undo()
    monkeypatch.setattr(dataset, "PROCESSED", place / "processed")
    assert main(flags(place)) == 0, "with space again the run goes on"
    assert list(losses(place)) == list(range(1, 13))
