"""The lock: never two trainings in one folder, never a lock left behind, and asking disturbs nobody."""

import os
import signal
import subprocess
import sys

import pytest

from pretraining import lock
from pretraining.lock import FolderLock, LockError, LogLock, running_process
from pretraining.settings import ROOT


def test_a_second_training_is_kept_out_until_the_first_is_gone_however_it_went(tmp_path):
    """After SIGKILL nobody tidies up: a lock that is a mere file would keep everybody out for ever."""
    program = (
        "import sys, time; from pathlib import Path; from pretraining.lock import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        for _ in range(2):
            with pytest.raises(LockError, match=rf"writes its checkpoints to .*\(process {holder.pid}\)"):
                FolderLock(tmp_path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    FolderLock(tmp_path).release()


def test_a_released_lock_lets_the_next_one_in(tmp_path):
    first = FolderLock(tmp_path / "new" / "folder")
    with pytest.raises(LockError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path / "new" / "folder")
    FolderLock(tmp_path / "other").release()
    first.release()
    FolderLock(tmp_path / "new" / "folder").release()


def test_a_folder_that_can_not_be_written_is_one_message(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LockError, match=r"can not be written to .*Give --checkpoint_dir a folder"):
        FolderLock(tmp_path / "file" / "checkpoints")

    def forbidden(*arguments, **settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lock, "open", forbidden, raising=False)
    with pytest.raises(LockError, match=r"\(Permission denied\)"):
        FolderLock(tmp_path)


def test_who_is_training_is_told_while_it_trains_and_not_after(tmp_path):
    """A status that takes an old process number for a running training sends its reader waiting for nothing."""
    assert running_process(tmp_path) is None, "never trained here"
    held = FolderLock(tmp_path)
    assert running_process(tmp_path) == os.getpid()
    held.release()
    assert running_process(tmp_path) is None
    assert (tmp_path / "training.lock").read_text() == f"{os.getpid()}\n", "the number alone says nothing"


def test_asking_keeps_no_training_out(tmp_path, monkeypatch):
    """The question takes the lock for a moment; a training that starts in that moment waits it out."""
    FolderLock(tmp_path).release()
    asked = open(tmp_path / "training.lock", "r+")  # noqa: SIM115 - closed in the middle of the next call
    assert lock._try_lock(asked)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: asked.close())
    FolderLock(tmp_path).release()


def test_a_log_has_one_writer_whatever_the_folders(tmp_path):
    held = LogLock(tmp_path / "training_log.json")
    LogLock(tmp_path / "other_log.json").release()
    with pytest.raises(LockError, match=r"writes its log to .* --log_path"):
        LogLock(tmp_path / "training_log.json")
    held.release()
    LogLock(tmp_path / "training_log.json").release()
