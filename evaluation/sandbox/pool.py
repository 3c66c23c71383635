"""What the rest of the project uses: a pool of judges that gives a verdict on each program, in order.

with Sandbox() as sandbox:
    verdicts = list(sandbox.judge([Job(source="def add(a, b): return a + b", entry="add", cases=[((2, 3), 5)])]))
"""

import os
import platform
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from queue import SimpleQueue

from evaluation.sandbox import parties, wire
from evaluation.sandbox.parties import OWN_SECONDS, START_SECONDS

TRIES = 3  # of a program whose sandbox failed
LONGEST_SOURCE = 1 << 18  # characters


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

    @property
    def wall(self) -> float:
        return 3.0 * self.cpu_seconds + 1 if self.wall_seconds is None else self.wall_seconds


@dataclass(frozen=True)
class Job:
    """A program and how to test it: `cases`, each arguments and the expected answer, or `test` with `check(candidate)`.

    `helpers` is trusted code that the test needs. With `changed` lists, dictionaries and sets that the program changes
    in place change in the test too; with `printed` a test can ask `candidate.printed()`; with `methods` objects of the
    program can be used through these methods.
    """

    source: str
    entry: str
    cases: tuple = ()
    test: str = ""
    helpers: str = ""
    changed: bool = False
    printed: bool = False
    methods: tuple[str, ...] | None = None

    def message(self) -> dict:
        """As plain JSON."""
        cases = [[wire.encode(list(arguments)), wire.encode(expected)] for arguments, expected in self.cases]
        values = asdict(self) | {"cases": cases, "handles": self.methods is not None, "methods": self.methods or ()}
        return values


@dataclass(frozen=True)
class Verdict:
    """What became of a program."""

    verdict: str  # pass, wrong, error:NAME, timeout, memory, crash:SIGNAL, exit:CODE, protocol, invalid-test
    passed: int = 0  # cases that it answered rightly, of `total`
    total: int = 1
    right_type: int = 0  # cases in which at least the type was right
    calls: int = 0
    detail: str = ""
    cpu: float = 0.0
    seconds: float = 0.0
    memory: int = 0  # bytes, at its largest
    strays: int = 0  # processes that it left behind, killed
    by_wall: bool = False

    @property
    def is_pass(self) -> bool:
        return self.verdict == "pass"


class Worker:
    """A judge with its fork server."""

    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.process, self.channel = parties.start("judge.py", settings)
        try:
            self.description = wire.receive_frame(self.channel, time.monotonic() + 2 * START_SECONDS)
        except (wire.ChannelClosed, wire.DeadlinePassed, wire.WireError):
            self.process.kill()
            self.description = {"failed": f"the judge did not start: {parties.last_words(self.process)}"}
        if "failed" in self.description:
            self.close()
            raise SandboxUnavailable(self.description["failed"])

    def judge(self, job: Job) -> Verdict:
        """The verdict on one program; "sandbox-error" where there is none. After that, and after a judge that was
        held up, this worker is closed.
        """
        if len(job.source) > LONGEST_SOURCE:
            return Verdict("protocol", detail=f"a program of {len(job.source):,} characters")
        longest = self.settings["wall_seconds"] + OWN_SECONDS + START_SECONDS
        try:
            wire.send_frame(self.channel, job.message())
            verdict = Verdict(**wire.receive_frame(self.channel, time.monotonic() + longest))
        except wire.DeadlinePassed:
            verdict = Verdict("timeout", detail="the judge itself was held up by an answer")
        except (wire.ChannelClosed, OSError):
            verdict = Verdict("sandbox-error", detail="the judge is gone")
        else:
            if verdict.verdict != "sandbox-error":
                return verdict
        self.close()
        return verdict

    @property
    def closed(self) -> bool:
        return self.channel.fileno() < 0

    def close(self) -> None:
        """End the judge, and with it the fork server and any child."""
        self.channel.close()
        try:
            self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()


class Sandbox:
    """A pool of workers, one for each core but the caller's, that has shown what it holds before it runs anything."""

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
        self.count = workers or max(1, (os.cpu_count() or 2) - 1)
        self.allow_unsandboxed = allow_unsandboxed
        self.workers: list[Worker] = []
        self.description: dict = {}

    def __enter__(self) -> "Sandbox":
        """Start the workers. Raises SandboxUnavailable with the reasons where this machine can not lock programs in."""
        from evaluation.sandbox.probes import level_of, probe

        try:
            first = Worker(self.settings)
            self.workers.append(first)
            failures = probe(first)
            level = level_of(first.description["layers"], failures)
            if level is None:
                raise SandboxUnavailable("; ".join(failures))
        except SandboxUnavailable as error:
            self.close()
            if not self.allow_unsandboxed:
                raise SandboxUnavailable(explain(str(error))) from None
            self.settings["unsandboxed"] = True
            self.workers = [Worker(self.settings)]
            level, failures = "NONE (allowed by --allow-unsandboxed)", [str(error)]
        self.description = {
            "level": level,
            "layers": self.workers[0].description["layers"],
            "failed_probes": failures,
            "limits": asdict(self.limits),
            "python": platform.python_version(),
        }
        self.workers += [Worker(self.settings) for _ in range(self.count - 1)]
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started."""
        for worker in self.workers:
            worker.close()
        self.workers = []

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """The verdicts on programs, in their order, a few ahead of what is asked for.

        A program that only the clock stopped, while it used little of the processor, is run once more: on a machine
        with other work it may have been waiting. Raises SandboxBroken when the sandbox itself keeps failing.
        """
        free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.workers:
            free.put(worker)

        def run(job: Job) -> Verdict:
            worker = free.get()
            try:
                worker, verdict = self._verdict(worker, job)
            finally:
                free.put(worker)
            return verdict

        with ThreadPoolExecutor(len(self.workers)) as threads:
            ahead: deque[Future[Verdict]] = deque()
            try:
                for job in jobs:
                    ahead.append(threads.submit(run, job))
                    if len(ahead) > 4 * len(self.workers):
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()

    def _verdict(self, worker: Worker, job: Job) -> tuple[Worker, Verdict]:
        """Judge a program, again on a fresh worker where the sandbox failed; returns the worker that is left."""
        waited = False
        for _ in range(TRIES):
            if worker.closed:
                worker = self._replace(worker)
            verdict = worker.judge(job)
            if verdict.by_wall and not waited and verdict.cpu < self.limits.cpu_seconds / 2:
                waited, verdict = True, worker.judge(job)
            if verdict.verdict != "sandbox-error":
                return self._replace(worker) if worker.closed else worker, verdict
        raise SandboxBroken(
            f"the sandbox failed {TRIES} times on one program: {verdict.detail}. No verdict was invented"
        )

    def _replace(self, worker: Worker) -> Worker:
        fresh = Worker(self.settings)
        self.workers[self.workers.index(worker)] = fresh
        return fresh


def explain(reason: str) -> str:
    """Why there is no sandbox here, and what the user can do."""
    if sys.platform == "win32":
        return "Windows can not lock programs in. Run this inside WSL2 (Linux), which can"
    return (
        f"this machine can not lock programs in ({reason}). What holds and what does not: "
        "python evaluation/sandbox/doctor.py. In a container that you trust to throw away: --allow-unsandboxed"
    )
