"""Trainings that end before their end, and what goes on from where: killed, stopped, lengthened, archived."""

import json
import os
import random
import shutil
import signal
import time
from unittest.mock import Mock

import pytest
import torch

from pretraining.run import Run
from pretraining.train_improved import main
from tests.pretraining.whole_runs import flags, losses, modified, start


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


def test_a_second_training_in_the_same_folder_or_on_the_same_log_is_turned_away(place):
    first = start(place, flags(place, max_steps=5000, checkpoint_interval=5000, log_interval=50))
    try:
        while not (place / "run.json").is_file():
            time.sleep(0.05)
            assert first.poll() is None, first.communicate()[0]
        second = start(place, flags(place))
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"writes its checkpoints to {place / 'run'} (process {first.pid})" in output
        elsewhere = start(place, flags(place, "elsewhere", log_path=place / "run.json"))
        output, _ = elsewhere.communicate(timeout=60)
        assert elsewhere.returncode == 2
        assert f"writes its log to {place} (process {first.pid})" in output
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


def test_weights_alone_are_not_resumed_from(place, capsys):
    assert main(flags(place)) == 0
    assert main(flags(place, "other", resume=place / "run" / "best.pt")) == 2
    assert f"--init_from {place / 'run' / 'best.pt'}" in capsys.readouterr().err


def test_what_can_not_go_on_is_refused_before_anything_is_moved(place, capsys):
    assert main(flags(place)) == 0
    assert main(flags(place, learning_rate=1e-4)) == 0
    (archived,) = (place / "run" / "archive").iterdir()
    before = sorted((place / "run").rglob("*"))
    assert main(flags(place, resume=archived / "last.pt", max_steps=8)) == 2
    assert "--max_steps 8 does not lengthen it" in capsys.readouterr().err
    assert sorted((place / "run").rglob("*")) == before


def test_going_on_from_another_file_in_the_folder_spares_its_last(place):
    assert main(flags(place)) == 0
    last = place / "run" / "last.pt"
    backup = last.with_name("backup.pt")
    shutil.copy(last, backup)
    assert main(flags(place, resume="last", max_steps=14)) == 0
    newer, log = last.read_bytes(), json.loads((place / "run.json").read_text())
    assert main(flags(place, resume=backup, max_steps=16)) == 0
    (kept,) = (place / "run" / "archive").iterdir()
    assert (kept / "last.pt").read_bytes() == newer
    assert json.loads((kept / "training_log.json").read_text()) == log
    assert list(losses(place)) == list(range(1, 17))


@pytest.mark.parametrize(
    ("resume", "told"),
    [("auto", "the same command goes on from there"), ("none", "give --resume auto instead of --resume none")],
)
def test_who_stops_is_told_the_command_that_goes_on(place, monkeypatch, capsys, resume, told):
    take_step = Run.take_step

    def stopped_during_the_step(self, stop):
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, stop)

    monkeypatch.setattr(Run, "take_step", stopped_during_the_step)
    assert main(flags(place, resume=resume)) == 128 + signal.SIGTERM
    assert f"Stopped after step 4; {told}" in capsys.readouterr().out.replace("to go on from there, ", "")
    assert list(losses(place)) == [1, 2, 3, 4], "not one step more"


def test_a_manager_may_say_twice_that_it_is_time_to_stop(place, monkeypatch):
    """As torchrun does, or a service manager that tells every process of a group."""
    take_step = Run.take_step

    def told_twice(self, stop):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, stop)

    monkeypatch.setattr(Run, "take_step", told_twice)
    earlier = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("killed without saving"))
    try:
        assert main(flags(place)) == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, earlier)
    assert (place / "run" / "last.pt").is_file()


def test_how_it_was_computed_holds_only_where_nothing_else_is_asked_for(place, monkeypatch, capsys):
    compiled = Mock(side_effect=lambda function: function)
    monkeypatch.setattr(torch, "compile", compiled)
    assert main(flags(place, compile="on")) == 0
    assert main(flags(place, compile="auto", resume="last", max_steps=14)) == 0
    assert "torch.compile on: as before" in capsys.readouterr().out and compiled.call_count == 2
    assert main(flags(place, compile="off", resume="last", max_steps=16)) == 0
    assert "torch.compile off: chosen with --compile" in capsys.readouterr().out and compiled.call_count == 2


def test_speed_after_going_on_counts_the_steps_of_this_sitting(place, monkeypatch):
    """The loss that is told next is of ten steps, of which nine were taken earlier."""
    settings = {"log_interval": 10, "checkpoint_interval": 9, "eval_interval": 1000}
    take_step, clock = Run.take_step, Mock(return_value=0.0)
    monkeypatch.setattr("pretraining.run.time.monotonic", clock)

    def a_second_long(self, stop):
        clock.return_value += 1.0
        return take_step(self, stop or self.step == 8)

    monkeypatch.setattr(Run, "take_step", a_second_long)
    assert main(flags(place, **settings)) == 128 + signal.SIGTERM
    assert main(flags(place, **settings)) == 0
    entries = json.loads((place / "run.json").read_text())["train"]
    assert [entry["tokens_per_second"] for entry in entries] == [128.0, 128.0]


def test_a_limit_that_has_passed_is_refused(place, capsys):
    assert main(flags(place, max_minutes=0.02, max_steps=5000)) == 0
    assert main(flags(place, max_minutes=0.01, max_steps=5000, resume="last")) == 2
    assert "--max_minutes 0.01 counts from its beginning" in capsys.readouterr().err
