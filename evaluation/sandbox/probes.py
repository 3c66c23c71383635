"""What a sandbox must do before it may run anything: honest programs pass, and each way out is shut, tried for real.

The probes go the way that programs go. What a machine's kernel claims is not believed; what the probes find counts.
"""

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.sandbox.pool import Worker

RIGHT = "def add(a, b): return a + b\n"


@dataclass(frozen=True)
class Probe:
    """A program, and the verdicts that show that the sandbox holds."""

    name: str
    source: str
    allowed: tuple[str, ...]


def probes(secret: Path, port: int, parent: int) -> list[Probe]:
    """All probes; `secret` is a file that must stay unread and unchanged, `port` one that must not be reached."""
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
        Probe("no file is written", f"open({str(secret)!r}, 'w')", refused),
        Probe("no file is read", f"open({str(secret)!r}).read()", refused),
        Probe("no file is removed", f"import os\nos.unlink({str(secret)!r})", refused),
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
        Probe("memory is limited", "x = bytearray(3 * 10**9)", ("memory",)),
        Probe("time is limited", "while True: pass", ("timeout",)),
        Probe("the next right program passes", RIGHT, ("pass",)),
    ]


def probe(worker: "Worker") -> list[str]:
    """Run all probes; returns what failed, in words."""
    from evaluation.sandbox.pool import Job

    failures = []
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        secret = Path(folder, "secret")
        secret.write_text("unread", encoding="ascii")
        secret.chmod(0o666)
        for tried in probes(secret, listener.getsockname()[1], os.getpid()):
            verdict = worker.judge(Job(tried.source, "add", cases=(((2, 3), 5), ((10, -4), 6))))
            if verdict.verdict not in tried.allowed:
                failures.append(f"{tried.name}: got {verdict.verdict} {verdict.detail}".strip())
                if worker.closed:
                    return failures
        if not secret.exists() or secret.read_text(encoding="ascii") != "unread":
            failures.append("a file was changed")
    return failures


def level_of(layers: dict[str, str], failures: list[str]) -> str | None:
    """How well programs are locked in, None where it is not enough: every probe must have held."""
    if failures:
        return None
    on = {name for name, state in layers.items() if state.startswith("on")}
    if "seatbelt" in on:
        return "M (Seatbelt)"
    if {"seccomp", "landlock", "namespaces"} <= on:
        return "L3 (system calls, files, namespaces)"
    if {"seccomp", "landlock"} <= on:
        return "L2 (system calls, files)"
    return "L1 (system calls, no files at all)" if "seccomp" in on else None
