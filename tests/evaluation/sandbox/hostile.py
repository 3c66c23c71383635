"""Hostile programs from attacks.txt and forgeries.txt, the place where they are let loose, and what must hold after.

    python -m tests.evaluation.sandbox.hostile '{"namespaces": false}'

prints the level and what went wrong as JSON; so a test can have them judged by another user or under another Python.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evaluation.sandbox.doctor import descendants
from evaluation.sandbox.pool import Job, Limits, Sandbox, Verdict, cores

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
HEADING = re.compile(r"^=== (.+)\n", re.MULTILINE)
UNPRINTABLE = {"SURROGATE": "x = '\udc80'", "NUL": "x = 1\0"}
CHECK = "def check(add):\n    assert add(2, 3) == 5\n    assert add(10, -4) == 6\n"
RIGHT = "def add(a, b): return a + b"
# A quarter of the memory that is usual: where a virtual machine has to find each page first, touching all of it took
# more than the second, and the verdict on a program that wants ever more was a timeout.
LIMITS = Limits(cpu_seconds=1, memory_bytes=128 << 20, wall_seconds=1.3)
SHORT = Limits(cpu_seconds=1, wall_seconds=0.8)  # for those that use all the time that they are given


@dataclass(frozen=True)
class Program:
    """A program and the verdicts that are allowed on it."""

    name: str
    source: str
    allowed: tuple[str, ...]
    allowed_without_files: tuple[str, ...]
    slow: bool

    def __str__(self) -> str:
        return self.name


def programs(file: str) -> list[Program]:
    """All programs of a file, in its order."""
    parts = HEADING.split((HERE / file).read_text(encoding="utf-8"))[1:]
    found = []
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        name, verdicts, *more = (word.strip() for word in heading.split("|"))
        source = re.split(r"^# .*\n\Z", text, flags=re.MULTILINE)[0].strip()
        without_files = [word.removeprefix("no files:") for word in more if word.startswith("no files:")]
        allowed = tuple(verdict.strip() for verdict in verdicts.split(","))
        also = tuple(verdict.strip() for verdict in ",".join(without_files).split(",") if verdict)
        found.append(Program(name, UNPRINTABLE.get(source, source), allowed, allowed + also, "slow" in more))
    return found


ALL = programs("attacks.txt") + programs("forgeries.txt")


class Arena:
    """A folder with a canary and a socket, a process that must live on, and a sandbox."""

    def __init__(self, folder: Path, victim: int, canary: socket.socket, sandbox: Sandbox) -> None:
        self.folder, self.victim, self.socket, self.sandbox = folder, victim, canary, sandbox
        self.processes = self._processes()
        self.shared = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()

    def job(self, source: str) -> Job:
        for word, meaning in (("SCRATCH", self.folder), ("REPOSITORY", REPOSITORY), ("VICTIM", self.victim)):
            source = source.replace(word, str(meaning))
        return Job(source, "add", test=CHECK)

    def faults(self, program: Program, verdict: Verdict | None = None) -> list[str]:
        """Run a program, where that has not been done, and say what is wrong with its verdict or its effects."""
        verdict = verdict or next(self.sandbox.judge([self.job(program.source)]))
        found = self.wrong(program, verdict) + self.damage()
        return [f"{program.name}: {fault}" for fault in found]

    def wrong(self, program: Program, verdict: Verdict) -> list[str]:
        """What is wrong with a verdict."""
        allowed = program.allowed_without_files if self.sandbox.description["level"] == "L1" else program.allowed
        found = [] if verdict.verdict in allowed else [f"{verdict.verdict} ({verdict.detail}) is none of {allowed}"]
        return found + ([f"{verdict.strays} strays"] if verdict.strays else [])

    def damage(self) -> list[str]:
        """What has been done that no program may do."""
        found = []
        if (self.folder / "canary").read_text() != "untouched":
            found.append("the canary was changed")
        if sorted(os.listdir(self.folder)) != ["canary", "socket"]:
            found.append(f"files were made: {os.listdir(self.folder)}")
        if os.path.isdir("/dev/shm") and any("made" in name for name in set(os.listdir("/dev/shm")) - self.shared):
            found.append("shared memory was made")
        with contextlib.suppress(BlockingIOError):
            found.append(f"the socket heard {self.socket.recv(100)!r}")
        if not _alive(self.victim):
            found.append("the victim is dead")
        if not (after := next(self.sandbox.judge([Job(RIGHT, "add", test=CHECK)]))).is_pass:
            found.append(f"the next right program: {after}")
        if not wait_until(lambda: len(self._processes()) <= len(self.processes)):
            found.append(f"processes {self._processes()}, before {self.processes}")
        return found

    def _processes(self) -> list[int]:
        return [number for worker in self.sandbox.workers for one in worker.processes
                for number in (one.pid, *descendants(one.pid))]  # fmt: skip


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def arena(workers: int = 1, limits: Limits = LIMITS, **settings: bool) -> Iterator[Arena]:
    """Where programs are let loose. Raises SandboxUnavailable."""
    folder = Path(tempfile.mkdtemp(prefix="hostile"))
    folder.chmod(0o777)
    (folder / "canary").write_text("untouched")
    (folder / "canary").chmod(0o666)
    victim = subprocess.Popen(["sleep", "1000"])
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(str(folder / "socket"))
            (folder / "socket").chmod(0o777)
            listening.setblocking(False)
            with Sandbox(limits, workers=workers, **settings) as sandbox:
                yield Arena(folder, victim.pid, listening, sandbox)
    finally:
        victim.kill()
        victim.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Does something become true in time?"""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def main() -> None:
    tried = [program for program in ALL if not program.slow]
    with arena(workers=cores(), **json.loads(sys.argv[1])) as place:
        verdicts = place.sandbox.judge(place.job(program.source) for program in tried)
        judged = zip(tried, verdicts, strict=True)
        faults = [f"{program.name}: {fault}" for program, verdict in judged for fault in place.wrong(program, verdict)]
        faults += place.damage()
        print(json.dumps({"level": place.sandbox.description["level"], "faults": faults}))


if __name__ == "__main__":
    main()
