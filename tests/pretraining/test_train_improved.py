"""Whole trainings of a tiny model: what a user starts, interrupts, breaks and goes on with.

Runs read a corpus of the repository's own sources and write to a temporary folder; the user's data, checkpoints and
log are never touched.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from pretraining import dataset
from pretraining.checkpoint import load_trained_model
from pretraining.run import Run
from pretraining.settings import ROOT
from pretraining.train_improved import main

TINY = {"n_layers": 2, "n_heads": 2, "hidden_size": 32, "max_seq_len": 64, "dropout": 0.1}
# Dropout is on, so that a resumed run has to restore the random numbers as well.

DRIVER = """
import sys
from pathlib import Path
from pretraining import dataset, train_improved
dataset.PROCESSED = Path(sys.argv[1])
sys.exit(train_improved.main(sys.argv[2:]))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a corpus and a tiny model, away from the user's own."""
    sources = sorted((ROOT / "pretraining").glob("*.py")) + sorted((ROOT / "model" / "architecture").glob("*.py"))
    text = "<|endoftext|>\n".join(path.read_text(encoding="utf-8") for path in sources)
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    (tmp_path / "tiny_config.json").write_text(json.dumps(TINY), encoding="utf-8")
    monkeypatch.setattr(dataset, "PROCESSED", tmp_path / "processed")
    return tmp_path


def flags(place: Path, name: str = "run", **changes) -> list[str]:
    """The command line of a short run in `place`/`name`."""
    settings = {
        "corpus_file": place / "corpus.txt",
        "config_path": place / "tiny_config.json",
        "checkpoint_dir": place / name,
        "log_path": place / f"{name}.json",
        "device": "cpu",
        "max_steps": 12,
        "batch_size": 4,
        "block_size": 32,
        "warmup_steps": 2,
        "eval_interval": 6,
        "checkpoint_interval": 4,
        "log_interval": 1,
    } | changes
    return [part for key, value in settings.items() for part in (f"--{key}", str(value))]


def start(place: Path, arguments: list[str], processes: int = 1) -> subprocess.Popen:
    """Start a training in a process of its own."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    driver = place / "driver.py"
    driver.write_text(DRIVER, encoding="utf-8")
    return subprocess.Popen(
        [*launcher, str(driver), str(place / "processed"), *arguments],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def losses(place: Path, name: str = "run") -> dict[int, float]:
    log = json.loads((place / f"{name}.json").read_text(encoding="utf-8"))
    return {entry["step"]: entry["loss"] for entry in log["train"]}


def modified(path: Path) -> int:
    """When a file was last replaced, in nanoseconds; 0 while there is none."""
    return path.stat().st_mtime_ns if path.is_file() else 0


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


def test_killed_ten_times_a_run_gives_the_losses_of_the_unbroken_one(place):
    # A time limit far away: how long the run is gets decided, and saved, in the middle of it.
    settings = {"max_steps": 60, "max_minutes": 1000, "checkpoint_interval": 7, "eval_interval": 20}
    unbroken = start(place, flags(place, "unbroken", **settings))
    output, _ = unbroken.communicate(timeout=120)
    assert unbroken.returncode == 0, output
    generator, kills = random.Random(5), 0
    while True:
        process = start(place, flags(place, "broken", **settings))
        if kills < 10:  # let it write something, then strike at a moment of no one's choosing
            written = modified(place / "broken.json")
            while modified(place / "broken.json") == written and process.poll() is None:
                time.sleep(0.002)
            time.sleep(generator.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        output, _ = process.communicate(timeout=120)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, output
            break
    assert kills == 10
    assert losses(place, "broken") == losses(place, "unbroken"), "bit for bit, at every step"


def test_ctrl_c_saves_and_the_same_command_goes_on_exactly(place):
    unbroken = start(place, flags(place, "unbroken", max_steps=30))
    output, _ = unbroken.communicate(timeout=60)
    assert unbroken.returncode == 0, output
    process = start(place, flags(place, max_steps=30))
    while not (place / "run.json").is_file() or not losses(place):
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()[0]
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, output
    assert json.loads((place / "run.json").read_text())["status"] == "stopped"
    again = start(place, flags(place, max_steps=30))
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert "Going on after step" in output
    assert losses(place) == losses(place, "unbroken")


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


def test_running_out_of_memory_names_the_setting_to_change(place, monkeypatch, capsys):
    def greedy(self, stop):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Run, "take_step", greedy)
    assert main(flags(place)) == 1
    assert "--batch_size 2 --gradient_accumulation 2" in capsys.readouterr().err


def test_a_second_training_in_the_same_folder_is_turned_away(place):
    first = start(place, flags(place, max_steps=5000, checkpoint_interval=5000, log_interval=50))
    try:
        while not (place / "run.json").is_file():
            time.sleep(0.05)
            assert first.poll() is None, first.communicate()[0]
        second = start(place, flags(place))
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"already running in {place / 'run'} (process {first.pid})" in output
    finally:
        first.kill()
        first.communicate()


def test_another_recipe_starts_afresh_and_archives_what_was_there(place, capsys):
    assert main(flags(place)) == 0
    (earlier,) = {path.read_bytes() for path in (place / "run").glob("best.pt")}
    assert main(flags(place, learning_rate=1e-4)) == 0
    (archived,) = (place / "run" / "archive").iterdir()
    assert (archived / "best.pt").read_bytes() == earlier
    assert (archived / "training_log.json").is_file()
    assert f"What was there before is kept in {archived}" in capsys.readouterr().out


def test_a_finished_run_can_be_lengthened_and_says_so_if_it_can_not(place, capsys):
    assert main(flags(place)) == 0
    assert main(flags(place, resume="last")) == 2
    assert "--resume last --max_steps 24" in capsys.readouterr().err
    assert main(flags(place, resume="last", batch_size=2)) == 2
    assert "recipe.batch_size: 4 there, 2 here" in capsys.readouterr().err
    assert main(flags(place, resume="last", max_steps=24)) == 0
    assert list(losses(place)) == list(range(1, 25))
    assert not (place / "run" / "archive").exists()


def test_an_archived_run_can_go_on_and_spares_the_one_that_took_its_place(place):
    assert main(flags(place)) == 0
    assert main(flags(place, learning_rate=1e-4)) == 0
    (archived,) = (place / "run" / "archive").iterdir()
    newer = {path.name: path.read_bytes() for path in (place / "run").glob("*.pt")}
    assert main(flags(place, resume=archived / "last.pt", max_steps=16)) == 0
    assert list(losses(place)) == list(range(1, 17)), "its own log goes on"
    (kept,) = [folder for folder in (place / "run" / "archive").iterdir() if folder != archived]
    assert {path.name: path.read_bytes() for path in kept.glob("*.pt")} == newer
    assert json.loads((kept / "training_log.json").read_text())["status"] == "finished"


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


def test_a_run_of_a_fixed_time_can_be_lengthened_by_steps(place, capsys):
    timed = {"max_minutes": 0.05, "max_steps": 5000, "eval_interval": 10}
    assert main(flags(place, **timed)) == 0
    done = max(losses(place))
    longer = done + 40  # more than thirteen steps and several validations beyond a limit that has long passed
    assert main(flags(place, **timed | {"max_steps": longer}, resume="last")) == 0
    assert max(losses(place)) == longer


def test_an_interrupted_fine_tuning_goes_on_though_its_source_was_archived(place):
    assert main(flags(place)) == 0
    source = place / "run" / "best.pt"
    tuning = flags(place, init_from=source, max_steps=5000, eval_interval=5000, checkpoint_interval=10)
    process = start(place, tuning)
    while not (place / "run" / "step_000010.pt").is_file():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()[0]
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert not source.is_file(), "the first run, with the weights it began from, is in the archive"
    again = start(place, tuning)
    while again.poll() is None and len(losses(place)) < 40:
        time.sleep(0.05)
    again.kill()
    output, _ = again.communicate()
    assert "Going on after step" in output


def test_fine_tuning_starts_from_given_weights(place):
    assert main(flags(place, max_steps=40, learning_rate=1e-2)) == 0
    source = place / "run" / "best.pt"
    assert main(flags(place, "tuned", init_from=source, max_steps=4)) == 0
    tuned = json.loads((place / "tuned.json").read_text())
    trained = json.loads((place / "run.json").read_text())
    assert tuned["validation"][0]["heldout_own"] == min(
        (entry["heldout_own"] for entry in trained["validation"]), key=lambda result: result["loss"]
    )


def test_weights_alone_are_not_resumed_from(place, capsys):
    assert main(flags(place)) == 0
    assert main(flags(place, "other", resume=place / "run" / "best.pt")) == 2
    assert f"--init_from {place / 'run' / 'best.pt'}" in capsys.readouterr().err


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
