"""The monitor on a real (pseudo-)terminal, in a pipe, without a run, with a damaged one, and without any package."""

import contextlib
import fcntl
import importlib
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from pretraining.lock import FolderLock
from pretraining.settings import ROOT
from tests.pretraining.watching.training_logs import a_log, write_log

monitor_training = importlib.import_module("scripts.monitor_training")
SCRIPT = str(ROOT / "scripts" / "monitor_training.py")
ENTERED, LEFT = "\x1b[?1049h\x1b[?25l", "\x1b[0m\x1b[?25h\x1b[?1049l"
BARE = [sys.executable, "-s", "-S"]  # no site-packages: the standard library alone
# The script as it is, in a terminal that is its own, so that Ctrl-C means this process.
RUN = "import fcntl, os, runpy, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
START = "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"


@pytest.fixture
def running(tmp_path):
    """The log of a run that is in progress, in this process."""
    lock = FolderLock(tmp_path)
    log = a_log(tmp_path, status="running")
    write_log(log)
    yield log
    with contextlib.suppress(ValueError):
        lock.release()


class Terminal:
    """The script in a terminal of its own, and what it has written there."""

    def __init__(
        self, *arguments: str, columns: int = 80, lines: int = 24, first: str = "", **environment: str
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.written = ""
        self.process = subprocess.Popen(
            [*BARE, "-c", RUN + first + START, SCRIPT, *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"} | environment,
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read_until(self, wanted: str, begin: int = 0) -> str:
        """Everything written so far, once `wanted` is part of it, after `begin`."""
        deadline = time.monotonic() + 20
        while wanted not in self.written[begin:]:
            assert time.monotonic() < deadline, f"{wanted!r} never came; there was {self.written[begin:]!r}"
            self._read(0.1)
        return self.written

    def _read(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            self.written += os.read(self.master, 65536).decode(errors="replace")

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        """The exit code, once it has ended."""
        deadline = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end; there was {self.written[-500:]!r}"
            self._read(0.05)
        self._read(0.2)
        return self.process.returncode

    def as_it_was(self) -> bool:
        """Whether the cursor is there, the usual screen is shown, and typing works as before."""
        balanced = self.written.count(ENTERED) == self.written.count(LEFT) == 1
        return balanced and termios.tcgetattr(self.slave) == self.before

    @property
    def live(self) -> str:
        """What was drawn in place."""
        return self.written.partition(ENTERED)[2].partition(LEFT)[0]

    @property
    def kept(self) -> str:
        """What stays in the terminal."""
        return self.written.partition(LEFT)[2]


@pytest.fixture
def terminal():
    """Starts the script in a terminal; ends it with the test."""
    opened = []

    def start(*arguments: str, **settings) -> Terminal:
        opened.append(Terminal(*map(str, arguments), **settings))
        return opened[-1]

    yield start
    for one in opened:
        one.process.kill()
        one.process.wait()
        os.close(one.master)
        os.close(one.slave)


def in_a_pipe(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*BARE, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | environment,
    )


# -- in a terminal -----------------------------------------------------------------------------------------------------


def test_it_watches_until_the_run_ends_and_leaves_the_result(running, tmp_path, terminal):
    screen = terminal("--log", tmp_path)
    assert screen.read_until("Ctrl-C leaves").count("step 200 of 1,000") == 1
    longer = a_log(tmp_path, steps=250, status="running")
    write_log(longer)
    screen.read_until("step 250 of 1,000")
    write_log(longer | {"status": "finished"})
    assert screen.end() == 0 and screen.as_it_was()
    assert "finished" in screen.kept and "step 250 of 250" in screen.kept and "held-out books" in screen.kept
    assert "Ctrl-C" not in screen.kept, "it is over"


@pytest.mark.parametrize("keys", [b"\x03", b"q"])
def test_ctrl_c_and_q_leave_at_once_and_say_that_the_training_goes_on(running, tmp_path, terminal, keys):
    screen = terminal("--log", tmp_path)
    screen.read_until("Ctrl-C leaves")
    screen.type(b"typed by mistake\r")
    screen.type(keys)
    assert screen.end() == 0 and screen.as_it_was()
    assert "The training goes on after step 200" in screen.kept
    assert "typed" not in screen.written, "what is typed would spoil the picture"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(running, tmp_path, terminal, number):
    """A session that is closed, a `kill`: without care the next prompt has no cursor and shows no typing."""
    screen = terminal("--log", tmp_path)
    screen.read_until("Ctrl-C leaves")
    screen.process.send_signal(number)
    assert screen.end() == 128 + number and screen.as_it_was()


def test_an_error_leaves_the_terminal_as_it_was(running, tmp_path, terminal):
    """Whatever goes wrong in the middle of it."""
    broken = "def broken(*what): raise RuntimeError('broken on purpose')\nimport select; select.select = broken\n"
    screen = terminal("--log", tmp_path, first=broken)
    assert screen.end() == 1 and screen.as_it_was(), screen.written
    assert "broken on purpose" in screen.kept, "and the error can be read"


def test_ctrl_z_gives_the_terminal_back_until_it_is_continued(running, tmp_path, terminal):
    screen = terminal("--log", tmp_path)
    screen.read_until("Ctrl-C leaves")
    # The only process of a session is not stopped by the system, so here it goes on at once.
    screen.type(b"\x1a")
    screen.read_until("step 200 of 1,000", begin=len(screen.read_until(LEFT).partition(LEFT)[0]))
    screen.type(b"q")
    assert screen.end() == 0 and termios.tcgetattr(screen.slave) == screen.before
    assert screen.written.count(ENTERED) == screen.written.count(LEFT) == 2


def test_a_resized_terminal_is_drawn_anew(running, tmp_path, terminal):
    screen = terminal("--log", tmp_path, columns=100, lines=30)
    screen.read_until("Ctrl-C leaves")
    begin = len(screen.written)
    screen.resize(45, 16)
    drawn = screen.read_until("\x1b[16H", begin)[begin:].partition("\x1b[2J")[2]
    rows = re.findall(r"\x1b\[(\d+)H\x1b\[2K((?:[^\x1b]|\x1b\[[\d;]*m)*)", drawn)
    assert max(int(number) for number, _ in rows) == 16
    assert all(len(re.sub(r"\x1b\[[\d;]*m", "", row)) <= 45 for _, row in rows)
    screen.type(b"q")
    assert screen.end() == 0 and screen.as_it_was()


def test_a_run_that_is_over_is_shown_once(tmp_path, terminal):
    """There is nothing to watch; its end is what one wants to see."""
    write_log(a_log(tmp_path))
    screen = terminal("--log", tmp_path)
    assert screen.end() == 0
    assert "finished" in screen.written and "step 200 of 200" in screen.written


def test_without_a_run_it_waits_for_one(tmp_path, terminal):
    screen = terminal("--log", tmp_path / "training_log.json")
    screen.read_until("python pretraining/train_improved.py --preset nano")
    lock = FolderLock(tmp_path)
    write_log(a_log(tmp_path, status="running"))
    screen.read_until("step 200 of 1,000")
    lock.release()
    assert screen.end() == 0 and screen.as_it_was()
    assert "interrupted" in screen.kept, "a run whose process is gone is over, whatever its log says"


def test_colour_and_its_absence(running, tmp_path, terminal):
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        screen = terminal("--log", tmp_path, **environment)
        screen.read_until("Ctrl-C leaves")
        assert bool(re.search(r"\x1b\[3[1-6]m", screen.live or screen.written)) is coloured


def test_a_dumb_terminal_gets_lines(running, tmp_path, terminal):
    screen = terminal("--log", tmp_path, TERM="dumb")
    screen.read_until("running: step 200 of 1,000 |")
    screen.type(b"\x03")
    assert screen.end() == 0 and "\x1b" not in screen.written


# -- in a pipe ---------------------------------------------------------------------------------------------------------


def test_in_a_pipe_each_news_is_a_line_and_the_end_is_the_end(running, tmp_path):
    process = subprocess.Popen(
        [*BARE, SCRIPT, "--log", str(tmp_path)], stdout=subprocess.PIPE, text=True, env={"LANG": "C.UTF-8"}
    )
    assert "held-out code loss 4.200, perplexity 66.7 (good)" in process.stdout.readline()
    write_log(a_log(tmp_path, steps=220, status="running"))
    line = process.stdout.readline()
    assert line.startswith("running: step 220 of 1,000 | training loss") and "held-out" not in line, "nothing new there"
    write_log(a_log(tmp_path, steps=260))
    rest = process.stdout.read()
    assert "finished  step 260 of 260" in rest and "\x1b" not in rest and "\r" not in rest
    assert process.wait(10) == 0


def test_the_summary_is_plain_where_it_can_not_be_coloured(tmp_path):
    write_log(a_log(tmp_path))
    shown = in_a_pipe("--summary", "--log", tmp_path, COLUMNS="70")
    assert shown.returncode == 0 and "\x1b" not in shown.stdout and not shown.stderr
    lines = shown.stdout.splitlines()
    assert 15 < len(lines) <= 30 and all(len(line) <= 70 for line in lines)
    plain = in_a_pipe("--summary", "--log", tmp_path, PYTHONIOENCODING="ascii", LANG="C")
    assert plain.returncode == 0 and plain.stdout.isascii() and "held-out code" in plain.stdout


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    write_log(a_log(tmp_path))
    command = f"{sys.executable} -I -S {SCRIPT} --summary --log {tmp_path} | head -c 1"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=False)
    assert shown.stderr == b""


@pytest.mark.parametrize("options", [(), ("--summary",), ("--plot",)])
def test_nothing_to_show_is_one_line_with_the_next_command(tmp_path, options):
    shown = in_a_pipe(*options, "--log", tmp_path / "training_log.json")
    assert shown.returncode == 2 and shown.stdout == ""
    assert shown.stderr.startswith("error: there is no training log") and shown.stderr.count("\n") == 1
    assert "python pretraining/train_improved.py" in shown.stderr


@pytest.mark.parametrize("options", [(), ("--summary",), ("--plot",)])
def test_a_damaged_log_is_one_line_too(tmp_path, options):
    path = write_log(a_log(tmp_path))
    for content in (path.read_text()[:500], json.dumps(a_log(tmp_path) | {"train": [{"step": "x"}]})):
        path.write_text(content)
        shown = in_a_pipe(*options, "--log", tmp_path)
        assert shown.returncode == 2 and "damaged" in shown.stderr and shown.stderr.count("\n") == 1


def test_the_image_needs_matplotlib_and_says_so(tmp_path):
    write_log(a_log(tmp_path))
    shown = in_a_pipe("--plot", "--log", tmp_path)
    assert shown.returncode == 2 and "matplotlib" in shown.stderr and "pip install -r requirements.txt" in shown.stderr
    assert shown.stderr.count("\n") == 1


# -- in this process ---------------------------------------------------------------------------------------------------


def test_the_image_of_an_archived_run_does_not_replace_that_of_the_latest(tmp_path, capsys):
    write_log(a_log(tmp_path))
    assert monitor_training.main(["--plot", "--log", str(tmp_path)]) == 0
    assert (tmp_path / "training_log.png").is_file()
    assert f"up to step 200 are in {tmp_path / 'training_log.png'}" in capsys.readouterr().out
    assert (
        monitor_training.main(["--plot", "--summary", "--log", str(tmp_path), "--output", str(tmp_path / "a.png")]) == 0
    )
    assert (tmp_path / "a.png").is_file() and "held-out code" in capsys.readouterr().out
    assert monitor_training.main(["--plot", "--log", str(tmp_path), "--output", "/dev/null/a.png"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_usual_image_is_the_one_in_the_readme(tmp_path, monkeypatch):
    write_log(a_log(tmp_path))
    monkeypatch.setattr(monitor_training, "USUAL_LOG", tmp_path / "training_log.json")
    monkeypatch.setattr(monitor_training, "TRAINING_CURVE", ROOT / tmp_path / "training_curve.png")
    monkeypatch.setattr(monitor_training, "ROOT", tmp_path)
    assert monitor_training.main(["--plot"]) == 0 and (tmp_path / "training_curve.png").is_file()


def test_a_training_that_is_getting_ready_is_said_so(tmp_path, monkeypatch, capsys):
    """The first run prepares its data for minutes, and someone watching would think that nothing happens."""
    monkeypatch.setattr(monitor_training, "USUAL_LOG", tmp_path / "training_log.json")
    monkeypatch.setattr(monitor_training, "USUAL_CHECKPOINTS", tmp_path)
    lock = FolderLock(tmp_path)
    assert monitor_training.main(["--summary"]) == 2
    assert f"A training is getting ready (process {os.getpid()})" in capsys.readouterr().err
    write_log(a_log(tmp_path) | {"run": a_log(tmp_path)["run"] | {"process": 1}})
    assert monitor_training.main(["--summary"]) == 0
    assert "finished" in (text := capsys.readouterr().out) and "A training is getting ready" in text
    lock.release()


def test_an_archived_run_says_how_to_go_on_with_it(tmp_path, capsys):
    """The command that it was started with would begin a new run, or go on with another."""
    write_log(a_log(tmp_path, status="stopped"))
    archive = tmp_path / "archive"
    archive.mkdir()
    (tmp_path / "training_log.json").rename(archive / "training_log.json")
    (archive / "last.pt").touch()
    assert monitor_training.main(["--summary", "--log", str(archive)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "stopped step 200 of 1,000" in text and "This run is archived." in text and "--resume" in text


def test_the_log_is_read_only_when_it_has_changed(tmp_path, monkeypatch):
    """Watching must not take the processor from the training: looking is a question for the file's date."""
    path = write_log(a_log(tmp_path, status="stopped"))
    watched, reads = monitor_training.Watched(path), []
    read = monitor_training.read_facts
    monkeypatch.setattr(monitor_training, "read_facts", lambda path: reads.append(path) or read(path))
    for _ in range(5):
        watched.look()
        watched._not_before = 0.0
    assert len(reads) == 1
    write_log(a_log(tmp_path, steps=300))
    watched.look()
    assert len(reads) == 2 and watched.facts.progress.step == 300


def test_a_very_long_log_is_read_less_often(tmp_path, monkeypatch):
    path = write_log(a_log(tmp_path))
    read = monitor_training.read_facts
    monkeypatch.setattr(monitor_training, "read_facts", lambda path: time.sleep(0.1) or read(path))
    watched = monitor_training.Watched(path)
    watched.look()
    assert watched._not_before - time.monotonic() > 4, "a tenth of a second of reading, then seconds of rest"


def test_a_run_that_lets_go_of_its_lock_is_not_over_before_its_log_says_so(tmp_path, monkeypatch):
    """The training releases the lock a moment before it writes its last word."""
    lock = FolderLock(tmp_path)
    watched = monitor_training.Watched(write_log(a_log(tmp_path, status="running")))
    watched.look()
    assert not watched.ended
    lock.release()
    watched.look()
    assert watched.facts.progress.state == "interrupted" and not watched.ended
    now = time.monotonic()
    monkeypatch.setattr(monitor_training.time, "monotonic", lambda: now + 60)
    assert watched.ended, "it was killed after all"


def test_paths_are_taken_from_here_and_from_the_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor_training, "ROOT", tmp_path / "repository")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_log(a_log(tmp_path / "here"))
    assert monitor_training.log_path(Path("training_log.json")).is_file()
    assert monitor_training.log_path(Path()).name == "training_log.json", "the folder of an archived run will do"
    assert monitor_training.log_path(Path("logs/x.json")) == tmp_path / "repository" / "logs" / "x.json"


def test_characters_follow_the_output(monkeypatch):
    def look_of(encoding: str):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        return monitor_training.choose_look(plain=False)

    monkeypatch.setenv("TERM", "xterm")
    assert look_of("utf-8") is monitor_training.UNICODE_LOOK
    assert look_of("latin-1") is look_of("ascii") is look_of("cp437") is monitor_training.ASCII_LOOK
    assert monitor_training.choose_look(plain=True) is monitor_training.ASCII_LOOK
    monkeypatch.setenv("TERM", "linux")
    assert look_of("utf-8") is monitor_training.ASCII_LOOK, "the console has no braille"
