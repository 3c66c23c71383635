"""What watchers say about a run: its state is the truth, its time left is that of its latest speed."""

import os

import pytest

from pretraining.lock import FolderLock
from pretraining.watching.progress import read_progress


def a_log(folder, *, status="running", steps=(10, 20, 30), last_step=100, max_minutes=None, seconds_per_step=2.0):
    return {
        "run": {
            "checkpoint_dir": str(folder),
            "process": os.getpid(),
            "last_step": last_step,
            "settings": {"max_minutes": max_minutes},
        },
        "train": [{"step": step, "seconds": step * seconds_per_step, "tokens_per_second": 1000.0} for step in steps],
        "validation": [{"step": 0}],
        "status": status,
    }


def test_a_run_whose_process_is_gone_does_not_count_as_running(tmp_path):
    """After kill -9 the log still says "running"; only the lock knows better."""
    assert read_progress(a_log(tmp_path)).state == "interrupted"
    held = FolderLock(tmp_path)
    assert read_progress(a_log(tmp_path)).state == "running"
    other = a_log(tmp_path)
    other["run"]["process"] = os.getpid() + 1  # another training has started since and is still preparing
    assert read_progress(other).state == "interrupted"
    held.release()
    assert read_progress(a_log(tmp_path, status="finished")).state == "finished"


def test_the_time_left_follows_the_latest_speed(tmp_path):
    """A laptop that has become hot or busy does not finish at the speed of its first minutes."""
    log = a_log(tmp_path, steps=range(10, 310, 10), last_step=1000)
    assert read_progress(log).seconds_left == pytest.approx(700 * 2)
    for number, entry in enumerate(log["train"][-10:]):
        entry["seconds"] = 400 + number * 50  # five seconds a step
    assert read_progress(log).seconds_left == pytest.approx(700 * 5)
    assert read_progress(log).share == 0.3


def test_before_the_length_is_known_the_time_limit_says_what_is_left(tmp_path):
    progress = read_progress(a_log(tmp_path, steps=(10,), last_step=None, max_minutes=5.0))
    assert progress.seconds_left == pytest.approx(300 - 20)
    assert progress.last_step is None and progress.share is None


def test_a_run_that_has_only_begun_knows_nothing_and_says_so(tmp_path):
    progress = read_progress(a_log(tmp_path, steps=()))
    assert (progress.step, progress.seconds_left, progress.tokens_per_second) == (0, None, None)
