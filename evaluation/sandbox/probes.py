"""What a sandbox must do before it may run anything: honest programs pass, and each way out is shut, tried for real.

The probes go the way that programs go. What a machine's kernel claims is not believed; what the probes find counts.
They leave no file behind, and change none where the sandbox does not hold.
"""

import os
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.sandbox.pool import Verdict, Worker

RIGHT = "def add(a, b): return a + b\n"
LEVELS = {
    "L3": "system calls, files, and a world of its own (namespaces)",
    "L2": "system calls and files",
    "L1": "system calls; no file can be opened at all",
    "macOS": "Seatbelt; memory is watched, not walled",
}


@dataclass(frozen=True)
class Probe:
    """A program, and the verdicts that show that the sandbox holds."""

    name: str
    source: str
    allowed: tuple[str, ...]


@dataclass
class Tried:
    """What the probes found, one by one."""

    results: list[tuple[Probe, "Verdict"]] = field(default_factory=list)
    written: bool = False  # a file that no program may make is there

    @property
    def failed(self) -> list[tuple[Probe, "Verdict"]]:
        return [(one, verdict) for one, verdict in self.results if verdict.verdict not in one.allowed]

    @property
    def share(self) -> str:
        return f"{len(self.results) - len(self.failed)}/{len(self.results)}"


def probes(new: Path, port: int, parent: int, memory_bytes: int) -> list[Probe]:
    """All probes. `new` is a file that must not come to be, `port` one that must not be reached."""
    refused = ("error:PermissionError",)
    return [
        Probe("a right program passes", RIGHT, ("pass",)),
        Probe("a wrong one does not", "def add(a, b): return a - b", ("wrong",)),
        Probe("an early exit is no pass", "import os\ndef add(a, b): os._exit(0)", ("exit:0",)),
        Probe(
            "an object equal to everything is no pass",
            "class Equal:\n def __eq__(self, other): return True\ndef add(a, b): return Equal()",
            ("protocol",),
        ),
        Probe("no file is written", f"open({str(new)!r}, 'w')", refused),
        Probe("no file is removed", f"import os\nos.unlink({str(new)!r})", refused),
        Probe("no file of this repository is read", f"open({__file__!r}).read()", refused),
        Probe("no password file is read", "open('/etc/passwd').read()", refused),
        Probe(
            "no network",
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 0.3)",
            (*refused, "error:ConnectionRefusedError", "error:OSError"),
        ),
        Probe("no other process is started", "import os\nos.fork()", (*refused, "error:BlockingIOError")),
        Probe("no program is started", "import os\nos.execv('/bin/true', ['true'])", refused),
        Probe(
            "no other process is ended",
            f"import os\nos.kill({parent}, 0)",
            (*refused, "error:ProcessLookupError"),
        ),
        Probe("memory is limited", f"x = bytearray({memory_bytes})\nx[::4096] = x[::4096]", ("memory",)),
        Probe("time is limited", "while True: pass", ("timeout",)),
        Probe("the next right program passes", RIGHT, ("pass",)),
    ]


def temporary_folder() -> str:
    """A folder in which everybody may write, as a rule; on a full disk Python finds none."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return "/tmp"


@contextmanager
def listener() -> Iterator[int]:
    """A port of this machine at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def probe(worker: "Worker", memory_bytes: int, tell: Callable[[Probe, "Verdict"], None] | None = None) -> Tried:
    """Run all probes, and stop where the sandbox itself has ended; `tell` hears of each."""
    from evaluation.sandbox.pool import Job, Verdict

    tried = Tried()
    new = Path(temporary_folder(), f"sandbox-probe-{uuid.uuid4().hex}")
    with listener() as port:
        for one in probes(new, port, os.getpid(), memory_bytes):
            verdict = worker.judge(Job(one.source, "add", cases=(((2, 3), 5), ((10, -4), 6))), cpu_seconds=1)
            if new.exists():
                new.unlink()
                verdict = Verdict("wrong", detail="a file was written")
            tried.results.append((one, verdict))
            if tell:
                tell(one, verdict)
            if worker.closed:
                break
    return tried


def level_of(layers: dict[str, str]) -> str | None:
    """How well programs are locked in, by the layers that stand; None where it is not enough."""
    on = {name for name, state in layers.items() if state.startswith("on")}
    if "seatbelt" in on:
        return "macOS"
    if {"seccomp", "landlock", "namespaces"} <= on:
        return "L3"
    if {"seccomp", "landlock"} <= on:
        return "L2"
    return "L1" if "seccomp" in on else None
