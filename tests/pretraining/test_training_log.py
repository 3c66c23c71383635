"""The training log: whoever reads it, whenever, finds valid JSON that tells the story of one run."""

import json
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pretraining import training_log
from pretraining.training_log import TrainingLog, read_log

RUN = {"started": "20260101-000000", "config": "gpt_nano"}


def entry(step: int, loss: float = 3.0) -> dict:
    return {"step": step, "loss": loss}


@pytest.fixture
def log(tmp_path, monkeypatch) -> TrainingLog:
    """A log that writes at every entry."""
    monkeypatch.setattr(training_log, "SECONDS_BETWEEN_WRITES", 0.0)
    return TrainingLog(tmp_path / "logs" / "training_log.json", RUN)


def test_it_holds_what_was_added_in_order(log):
    log.add("validation", {"step": 0, "heldout_code": {"loss": 9.0}})
    for step in (10, 20):
        log.add("train", entry(step))
    log.set_status("finished")
    assert read_log(log.path) == {
        "run": RUN,
        "train": [entry(10), entry(20)],
        "validation": [{"step": 0, "heldout_code": {"loss": 9.0}}],
        "status": "finished",
    }


def test_it_is_valid_at_every_moment(log):
    """A reader that is as fast as it can be never sees half a file."""
    log.write()
    done = threading.Event()

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            seen.append(len(json.loads(log.path.read_text(encoding="utf-8"))["train"]))
        return seen

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        for step in range(300):
            log.add("train", entry(step))
        done.set()
        seen = reader.result()
    assert seen == sorted(seen) and len(set(seen)) > 1
    assert [path.name for path in log.path.parent.iterdir()] == ["training_log.json"]


def test_writes_are_rare_but_never_for_validations_and_the_end(tmp_path, monkeypatch):
    """Fast steps would otherwise spend their time on the disk."""
    now = 1000.0
    monkeypatch.setattr(training_log.time, "monotonic", lambda: now)
    log = TrainingLog(tmp_path / "log.json", RUN)

    def written() -> int:
        return len(read_log(log.path)["train"])

    log.add("train", entry(1))
    log.add("train", entry(2))
    assert written() == 1, "the second came at once"
    now += training_log.SECONDS_BETWEEN_WRITES
    log.add("train", entry(3))
    assert written() == 3
    log.add("train", entry(4))
    log.add("validation", entry(4))
    assert written() == 4
    log.add("train", entry(5))
    log.set_status("stopped")
    assert written() == 5


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_not_a_number_never_reaches_the_file(log, number):
    """NaN is no JSON: browsers and other languages refuse the whole file."""
    log.add("train", entry(1))
    with pytest.raises(ValueError):
        log.add("train", entry(2, loss=number))
    assert read_log(log.path)["train"] == [entry(1)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is a thing of Linux")
def test_a_full_disk_keeps_the_old_log(log):
    log.add("train", entry(1))
    log.path.with_name("training_log.json.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        log.add("train", entry(2))
    assert read_log(log.path)["train"] == [entry(1)]
    assert [path.name for path in log.path.parent.iterdir()] == ["training_log.json"]


def test_a_resumed_run_forgets_what_will_happen_again(log):
    """Two entries for one step would draw the curve backwards."""
    for step in (10, 20, 30):
        log.add("train", entry(step))
        log.add("validation", entry(step))
    log.set_status("stopped")
    resumed = TrainingLog(log.path, RUN)
    resumed.continue_from(read_log(log.path), step=20)
    resumed.add("train", entry(30, loss=2.0))
    content = read_log(log.path)
    assert content["train"] == [entry(10), entry(20), entry(30, loss=2.0)]
    assert [e["step"] for e in content["validation"]] == [10, 20] and content["status"] == "running"


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    """Processes beside the main one must not write over its log, nor replace /dev/null, which root can."""
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("a file was replaced"))
    log = TrainingLog(None, RUN)
    log.add("train", entry(1))
    log.set_status("finished")
    assert log.content["train"] == [entry(1)]


@pytest.mark.parametrize(
    "content", [b"", b'{"run": {}, "train": [', b"[]", b'{"train": []}', b'{"run": 3, "train": []}', b"\xff\xfe"]
)
def test_what_is_no_log_is_none(tmp_path, content):
    (tmp_path / "log.json").write_bytes(content)
    assert read_log(tmp_path / "log.json") is None


def test_a_log_that_is_not_there_is_none(tmp_path):
    assert read_log(tmp_path / "log.json") is None and read_log(tmp_path) is None
