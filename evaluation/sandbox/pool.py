"""What the rest of the project uses: a pool of judges that gives a verdict on each program, in order.

with Sandbox() as sandbox:
    verdicts = list(sandbox.judge([Job(source="def add(a, b): return a + b", entry="add", cases=[((2, 3), 5)])]))
"""

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from evaluation.sandbox import parties, wire
from evaluation.sandbox.parties import OWN_SECONDS, START_SECONDS

TRIES = 3  # of a program whose sandbox failed
LONGEST_SOURCE = 1 << 16  # characters; each may take a dozen bytes on its way
MOST_CPU_SECONDS = 255
LEAST_MEMORY = 64 << 20


class SandboxUnavailable(ValueError):
    """This machine can not lock a program in; the message lists what was tried and says what can be done."""


class SandboxBroken(ValueError):
    """The sandbox failed again and again on one program: the run stops, since no verdict may be invented."""


@dataclass(frozen=True)
class Limits:
    """What one program may use."""

    cpu_seconds: int = 2
    memory_bytes: int = 512 << 20
    wall_seconds: float | None = None  # None: three times the processor time and a second, for those that only sleep

    def __post_init__(self) -> None:
        if not 1 <= self.cpu_seconds <= MOST_CPU_SECONDS or self.memory_bytes < LEAST_MEMORY:
            raise ValueError(f"{self}: 1 to {MOST_CPU_SECONDS} whole seconds and at least {LEAST_MEMORY:,} bytes")

    @property
    def wall(self) -> float:
        return 3.0 * self.cpu_seconds + 1 if self.wall_seconds is None else self.wall_seconds


@dataclass(frozen=True)
class Job:
    """A program and how to test it: `cases`, each arguments and the expected answer, or `test` with `check(candidate)`.

    `helpers` is trusted code that the test needs. With `changed` lists, dictionaries and sets that the program changes
    in place change in the test too; with `printed` the test can ask `candidate.printed()`: all that was printed so far.

    Answers are plain data. `objects` names what may answer with an object instead, which stays with the program while
    the test uses it as if it were here: a class (its own name: it makes objects), a method, an attribute, an operator:

        Job(source, "Vector", objects=("Vector", "__add__", "scaled"), test='''
        def check(Vector):
            total = Vector(1, 2) + Vector(3, 4).scaled(2)
            assert total.x == 7 and total == Vector(7, 10) and str(total) == "(7, 10)"
        ''')
    """

    source: str
    entry: str
    cases: tuple = ()
    test: str = ""
    helpers: str = ""
    changed: bool = False
    printed: bool = False
    objects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.cases) == bool(self.test):
            raise ValueError(f"the job for {self.entry!r} needs either cases or a test")

    def message(self) -> dict:
        """As plain JSON. Raises WireError for cases that can not cross."""
        cases = [[wire.encode(list(arguments)), wire.encode(expected)] for arguments, expected in self.cases]
        return vars(self) | {"cases": cases}


@dataclass(frozen=True)
class Verdict:
    """What became of a program."""

    # pass, wrong, error:NAME, timeout, memory, crash:SIGNAL, exit:CODE, protocol (the answer was missing, too large, or
    # not plain data), invalid-test; sandbox-error never leaves the pool
    verdict: str
    passed: int = 0  # cases that it answered rightly, of `total`
    total: int = 1
    right_type: int = 0  # cases in which at least the type was right
    calls: int = 0
    detail: str = ""
    cpu: float = 0.0  # seconds
    seconds: float = 0.0
    memory: int = 0  # bytes, at its largest
    strays: int = 0  # processes that it left behind, killed
    by_wall: bool = False  # stopped by the clock, not for the processor time that it used

    @property
    def is_pass(self) -> bool:
        return self.verdict == "pass"


class Worker:
    """A judge and a fork server, which speak with each other."""

    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.channel, to_pool = socket.socketpair()
        to_server, to_judge = socket.socketpair()
        self.processes: list[subprocess.Popen] = []
        try:
            with to_pool, to_server, to_judge:
                self.processes.append(parties.start("fork_server.py", settings, to_judge))
                self.processes.append(parties.start("judge.py", settings, to_pool, to_server))
            self.description = wire.receive_frame(self.channel, time.monotonic() + 2 * START_SECONDS)
        except (wire.ChannelClosed, wire.DeadlinePassed, wire.WireError, OSError) as error:
            self.description = {"failed": f"the sandbox did not start: {error}"}
        except BaseException:
            self.close()
            raise
        if "failed" in self.description:
            words = " / ".join(map(parties.last_words, self.processes))
            self.close()
            raise SandboxUnavailable(f"{self.description['failed']}: {words}")
        for process in self.processes:
            process.stderr.close()

    def judge(self, job: Job, *, cpu_seconds: int | None = None) -> Verdict:
        """The verdict on one program; "sandbox-error" where there is none, after which this worker is closed."""
        if len(job.source) > LONGEST_SOURCE:
            return Verdict("protocol", detail=f"a program of {len(job.source):,} characters")
        longest = 2 * START_SECONDS + self.settings["wall_seconds"] + 2 * OWN_SECONDS
        try:
            message = job.message() | {"cpu_seconds": cpu_seconds or self.settings["cpu_seconds"]}
            wire.send_frame(self.channel, message)
        except wire.WireError as error:
            return Verdict("invalid-test", detail=str(error))
        except wire.ChannelClosed:
            verdict = Verdict("sandbox-error", detail="the judge is gone")
        else:
            verdict = self._answer(time.monotonic() + longest)
        if verdict.verdict == "sandbox-error":
            self.close()
        return verdict

    def _answer(self, deadline: float) -> Verdict:
        """What the judge says, or what its silence means."""
        try:
            return Verdict(**wire.receive_frame(self.channel, deadline))
        except (wire.DeadlinePassed, wire.WireError) as error:
            return Verdict("sandbox-error", detail=f"the judge does not answer: {error}")
        except wire.ChannelClosed:
            self.close()
        if self.processes[1].returncode in (-signal.SIGALRM, -signal.SIGPROF):
            return Verdict("timeout", detail="what it answered held up the test")
        return Verdict("sandbox-error", detail="the judge is gone")

    @property
    def closed(self) -> bool:
        return self.channel.fileno() < 0

    def close(self) -> None:
        """End the judge, and with it the fork server and any child."""
        with contextlib.suppress(OSError):  # a fork of the user's script may hold another copy of the channel
            self.channel.shutdown(socket.SHUT_RDWR)
        self.channel.close()
        for process in reversed(self.processes):  # without its judge the fork server ends by itself
            try:
                process.wait(timeout=1.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stderr.close()


class Sandbox:
    """A pool of workers, one for each core but the caller's, that has shown what it holds before it runs anything.

    `description` belongs into every results file.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        workers: int | None = None,
        allow_unsandboxed: bool = False,
        namespaces: bool = True,
        landlock: bool = True,
    ) -> None:
        self.limits = limits or Limits()
        self.settings = {
            "cpu_seconds": self.limits.cpu_seconds,
            "memory_bytes": self.limits.memory_bytes,
            "wall_seconds": self.limits.wall,
            "namespaces": namespaces,
            "landlock": landlock,
            "unsandboxed": False,
        }
        self.count = workers or max(1, cores() - 1)
        self.allow_unsandboxed = allow_unsandboxed
        self.workers: list[Worker] = []
        self.free: SimpleQueue[Worker] = SimpleQueue()
        self.alone = threading.Lock()
        self.description: dict = {}

    def __enter__(self) -> "Sandbox":
        """Start the workers. Raises SandboxUnavailable with the reasons where this machine can not lock programs in."""
        self.refuse_windows()
        try:
            self.description = self._start() | {"limits": asdict(self.limits), "python": platform.python_version()}
            for _ in range(self.count - 1):
                self._add_worker()
        except BaseException:
            self.close()
            raise
        return self

    @staticmethod
    def refuse_windows() -> None:
        """Raises SandboxUnavailable there, before anything is started."""
        if sys.platform == "win32":
            raise SandboxUnavailable("Windows can not lock programs in. Run this inside WSL2 (Linux), which can")

    def _start(self) -> dict:
        """Start the first worker and probe it; returns what holds here."""
        from evaluation.sandbox.probes import level_of, probe

        try:
            first = self._add_worker()
            tried = probe(first, self.limits.memory_bytes)
            failures = [f"{one.name}: got {verdict.verdict} {verdict.detail}".strip() for one, verdict in tried.failed]
            level = level_of(first.description["layers"]) if not failures else None
            if level is None:
                raise SandboxUnavailable("; ".join(failures) or f"only {first.description['layers']}")
            return {"level": level, "layers": first.description["layers"], "probes": tried.share}
        except SandboxUnavailable as error:
            if not self.allow_unsandboxed:
                raise SandboxUnavailable(explain(str(error))) from None
            reasons = str(error)
        self.close()
        print(f"warning: --allow-unsandboxed: programs run with your rights here ({reasons})", file=sys.stderr)
        self.settings["unsandboxed"] = True
        layers = self._add_worker().description["layers"]
        return {"level": "none, allowed by --allow-unsandboxed", "layers": layers, "probes": reasons}

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started."""
        for worker in self.workers:
            worker.close()
        self.workers, self.free = [], SimpleQueue()

    def _add_worker(self) -> Worker:
        worker = Worker(self.settings)
        self.workers.append(worker)
        self.free.put(worker)
        return worker

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """The verdicts on programs, in their order; programs are run a few ahead of what is asked for.

        A program that only the clock stopped is run once more, with no other one beside it, where the machine had more
        to do than it has cores: it may have been waiting. Raises SandboxBroken when the sandbox itself keeps failing.
        """
        if not self.workers:
            raise ValueError("this sandbox is not open: with Sandbox() as sandbox: ...")
        with ThreadPoolExecutor(len(self.workers)) as threads:
            ahead: deque[Future[Verdict]] = deque()
            try:
                for job in jobs:
                    ahead.append(threads.submit(self._verdict, job))
                    if len(ahead) > 4 * len(self.workers):
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()

    def _verdict(self, job: Job) -> Verdict:
        verdict = self._try(job)
        if verdict.by_wall and machine_is_loaded():
            verdict = self._try(job, alone=True)
        return verdict

    def _try(self, job: Job, alone: bool = False) -> Verdict:
        """Judge a program on a free worker, again where the sandbox failed; alone: while all others rest."""
        with self.alone if alone else contextlib.nullcontext():
            taken = [self.free.get() for _ in range(len(self.workers) if alone else 1)]
        try:
            for _ in range(TRIES):
                try:
                    if taken[0].closed:
                        taken[0] = self._replace(taken[0])
                    verdict = taken[0].judge(job)
                except SandboxUnavailable as error:
                    verdict = Verdict("sandbox-error", detail=str(error))
                if verdict.verdict != "sandbox-error":
                    return verdict
        finally:
            for worker in taken:
                self.free.put(worker)
        raise SandboxBroken(f"the sandbox failed {TRIES} times on one program, so the run stops: {verdict.detail}")

    def _replace(self, worker: Worker) -> Worker:
        fresh = Worker(self.settings)
        self.workers[self.workers.index(worker)] = fresh
        return fresh


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_is_loaded() -> bool:
    """Has the machine more to do than cores to do it with, over the last minute or at this moment?"""
    to_do = os.getloadavg()[0]
    with contextlib.suppress(OSError):  # Linux alone says how many are running now
        to_do = max(to_do, int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[0]))
    return to_do > cores()


def explain(reason: str) -> str:
    """Why there is no sandbox here, and what the user can do."""
    return (
        f"this machine can not lock programs in ({reason}). What holds and what does not: "
        "python evaluation/sandbox/doctor.py. In a container that you trust to throw away: --allow-unsandboxed"
    )
