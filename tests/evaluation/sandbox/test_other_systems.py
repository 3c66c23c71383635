"""Windows is refused; what of the walls of macOS can be tested without a Mac is. Nothing here needs Linux."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from evaluation.sandbox import pool
from evaluation.sandbox.pool import Sandbox, SandboxUnavailable
from evaluation.sandbox.probes import level_of
from tests.evaluation.sandbox.hostile import REPOSITORY

if sys.platform != "win32":
    from evaluation.sandbox import macos


def test_windows_is_refused_before_anything_starts_and_wsl2_is_named(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(pool.parties, "start", lambda *details: pytest.fail("something was started"))
    for allowed in (False, True):
        with pytest.raises(SandboxUnavailable, match="WSL2"), Sandbox(allow_unsandboxed=allowed):
            pass


def test_what_users_import_needs_nothing_that_windows_lacks():
    program = """
import os, signal, subprocess, sys
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
for name in ("SIGKILL", "SIGALRM", "SIGCHLD", "SIGHUP", "setitimer", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "getloadavg", "sched_getaffinity", "wait4", "getuid"):
    delattr(os, name)
import evaluation.sandbox.pool, evaluation.sandbox.probes, evaluation.sandbox.doctor
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


# -- macOS -------------------------------------------------------------------------------------------------------------


class StandIn:
    """In the place of the system's library: a process whose memory grows with each look."""

    def __init__(self, *footprints: int) -> None:
        self.footprints = list(footprints)
        self.refusal = b""

    def proc_pid_rusage(self, process: int, flavour: int, usage: object) -> int:
        assert flavour == 4
        if not self.footprints:
            return -1  # no such process
        usage._obj.largest_physical_footprint = self.footprints.pop(0)
        return 0

    def sandbox_init(self, profile: bytes, flags: object, message: object) -> int:
        assert flags.value == 0, "the profile is a text, not a name"
        message._obj.value = self.refusal or None
        return -1 if self.refusal else 0


@pytest.fixture
def walls():
    def made(*footprints: int) -> "macos.MacWalls":
        return macos.MacWalls(1000, {}, True, StandIn(*footprints), b"(version 1)")

    return made


@pytest.fixture
def child():
    process = subprocess.Popen(["sleep", "100"])
    yield process
    process.kill()
    process.wait()


def balanced(text: str) -> bool:
    bare = "".join(line.partition(";")[0] for line in text.splitlines())
    return bare.count("(") == bare.count(")")


def test_the_profile_denies_by_default_and_denies_last_what_must_never_be():
    text = macos.profile(["/a/lib/python3.12/json"])
    rules = [line for line in text.splitlines() if line.startswith("(")]
    assert rules[:2] == ["(version 1)", "(deny default)"] and balanced(text)
    assert {"(deny process-fork)", "(deny process-exec*)", "(deny network*)"} <= set(rules[-4:]), "the last one decides"
    assert '(subpath "/a/lib/python3.12/json")' in text


def test_the_profile_lets_nothing_be_written_but_to_dev_null():
    writing = [line for line in macos.profile([]).splitlines() if "write" in line]
    assert writing == ['(allow file-write-data (literal "/dev/null"))']


def test_a_path_can_not_add_rules_to_the_profile():
    text = macos.profile(['/a "b"\\c) (allow default'])
    assert r'(subpath "/a \"b\"\\c) (allow default")' in text


def test_the_structure_has_the_size_and_places_of_apples_header():
    """struct rusage_info_v4: 16 bytes of uuid, then 35 numbers of 64 bits; the peak is the 29th of them."""
    assert ctypes.sizeof(macos.ProcessUsage) == 16 + 35 * 8
    assert macos.ProcessUsage.physical_footprint.offset == 16 + 7 * 8
    assert macos.ProcessUsage.largest_physical_footprint.offset == 16 + 28 * 8


def test_a_child_that_takes_too_much_memory_is_killed_while_it_runs(walls, child):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert walls(500, 900, 1001).guard(ours, child.pid)
    assert child.wait(5) == -9


def test_a_peak_between_two_looks_is_found_afterwards(walls, child):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"K")
        assert walls(1001).guard(ours, child.pid)
        assert child.poll() is None, "the judge has heard enough; the fork server ends it anyway"


def test_a_child_within_its_memory_is_left_alone_until_the_judge_speaks(walls, child):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(0.1, theirs.send, (b"K",)).start()
        started = time.monotonic()
        assert not walls(*[1000] * 1000).guard(ours, child.pid)
        assert time.monotonic() - started > 0.05 and child.poll() is None


def test_the_memory_of_a_process_that_has_ended_is_not_too_much(walls):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"W")
        assert not walls().guard(ours, os.getpid())


def test_a_seatbelt_that_does_not_close_is_an_error_with_its_reason(walls, monkeypatch):
    monkeypatch.setattr(macos, "limit", lambda what, most: None)
    closed = walls()
    closed.lock_in(1)
    closed.library.refusal = b"forbidden-sandbox-reinit"
    with pytest.raises(OSError, match="Seatbelt: forbidden-sandbox-reinit"):
        closed.lock_in(1)


def test_macos_is_a_level_of_its_own():
    assert level_of({"seatbelt": "on", "limits": "on"}) == "macOS"
    assert level_of({"limits": "on"}) is None
