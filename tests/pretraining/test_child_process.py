"""A child process has its terminal, its exit code, and after Ctrl-C its time. That it really saves then is tried in
tests/scripts/test_quickstart.py."""

import sys

import pytest

from pretraining import child_process
from pretraining.child_process import run_child
from pretraining.settings import ROOT


def test_the_exit_code_comes_back_and_lines_appear_at_once_from_the_root(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    program = "import os; print(os.getcwd()); os._exit(3)"  # as a crash does it: nothing is flushed
    assert run_child(sys.executable, "-c", program) == 3
    assert capfd.readouterr().out == f"{ROOT}\n"


class Slow:
    """A process that two Ctrl-C reach while it saves."""

    def __init__(self, command: list[str], **settings: object) -> None:
        self.interruptions = 2

    def wait(self) -> int:
        if self.interruptions:
            self.interruptions -= 1
            raise KeyboardInterrupt
        return 130


def test_an_interrupted_child_is_waited_for_and_never_killed(monkeypatch):
    started = []
    monkeypatch.setattr(child_process.subprocess, "Popen", lambda *a, **s: started.append(Slow(*a, **s)) or started[0])
    with pytest.raises(KeyboardInterrupt):
        run_child("train")
    assert not started[0].interruptions, "it was left before its end"
