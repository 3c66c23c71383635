"""The walls of Linux, built with ctypes: namespaces, Landlock, a filter of system calls, limits on resources.

`prepare` is called once in the fork server, `lock_in` in each child before it sees its program. No privilege is
needed. Sources: landlock(7), user_namespaces(7), capabilities(7), prctl(2).
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from evaluation.sandbox.allowance import LIMITS, WATCH_SECONDS, Walls, limit, readable_paths
from evaluation.sandbox.seccomp import ARCHITECTURES, Filter, filter_program

libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION = 0x20080522
ASK_PERSONALITY, ADDR_NO_RANDOMIZE = 0xFFFFFFFF, 0x0040000
MOST_THREADS = 512  # of a child; with the stacks that Python gives them, its memory ends at sixty


def _check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


# -- Landlock ----------------------------------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all machines
WRITE_FILE, READ_FILE, READ_DIR = 2, 4, 8
RULE_FOR_PATH, ASK_VERSION = 1, 1
# How many file rights each version of Landlock knows; all are refused but those given.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def landlock_version() -> int:
    """The version of Landlock that the kernel offers. Raises OSError where it offers none."""
    return _check(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION), "landlock")


def landlock_rules(version: int) -> int:
    """A descriptor of rules: `readable_paths` can be read, /dev/null written to; no network. Raises OSError."""
    files = (1 << FILE_RIGHTS[min(version, 5)]) - 1
    network = 3 if version >= 4 else 0  # binding and connecting
    scopes = 3 if version >= 6 else 0  # abstract sockets and signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("QQQ", files, network, scopes)[:size]
    rules = _check(libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0), "landlock_create_ruleset")
    for path in [*readable_paths(), *needed_libraries(), "/etc/ld.so.cache"]:
        if os.path.exists(path):
            _allow(rules, path, READ_FILE | READ_DIR)
    _allow(rules, "/dev/null", READ_FILE | WRITE_FILE)
    return rules


def needed_libraries() -> list[str]:
    """The files of the system that the standard library's extension modules are linked with.

    Found by loading the modules, in a process that ends then: this one stays small. Not whole folders of libraries:
    some systems keep installed packages in them.
    """
    receiving, sending = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            for place in sys.path:
                for module in Path(place).glob("*.so"):
                    with contextlib.suppress(OSError):
                        ctypes.CDLL(str(module))
            lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            paths = {line[line.index("/") :] for line in lines if ".so" in line}
            os.write(sending, os.fsencode("\n".join(paths)))
        finally:
            os._exit(0)
    os.close(sending)
    with open(receiving, "rb") as file:
        paths = os.fsdecode(file.read()).splitlines()
    os.waitpid(process, 0)
    return paths


def _allow(rules: int, path: str, rights: int) -> None:
    """Add a path to what may be reached. Raises OSError."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= READ_FILE | WRITE_FILE
        rule = struct.pack("=Qi", rights, place)
        _check(libc.syscall(ADD_RULE, rules, RULE_FOR_PATH, rule, 0), f"landlock_add_rule {path}")
    finally:
        os.close(place)


# -- namespaces --------------------------------------------------------------------------------------------------------


def enter_namespaces() -> None:
    """Leave the machine's processes, network and names behind, once for each fork server.

    Goes on as process 1 of its own world, and dies with the one that waits outside for it. Raises OSError where this
    is not offered; nothing is lost then (the user namespace comes first, since it is harmless alone).
    """
    user, group = os.getuid(), os.getgid()
    _check(libc.unshare(CLONE_NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", name).write_text(text, encoding="ascii")
    _check(libc.unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "unshare")
    inner = os.fork()
    if inner:
        os.closerange(0, 256)  # so that the inner one alone holds the channel
        _, status = os.waitpid(inner, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """What a child leaves behind becomes a child of this process, which can then end it."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def fix_addresses() -> None:
    """Start this script again without random addresses, where that is not refused.

    Sets of objects are ordered by their addresses, and so is None in one (before Python 3.12): without this a program
    could be right in one run and wrong in the next.
    """
    current = libc.personality(ASK_PERSONALITY)
    if len(sys.argv) == 2 and current >= 0 and libc.personality(current | ADDR_NO_RANDOMIZE) >= 0:
        os.execv(sys.executable, [*sys.orig_argv, "with fixed addresses"])


# -- threads -----------------------------------------------------------------------------------------------------------


def threads_of_children() -> int:
    """How many threads all children of this process have; 0 where that can not be seen."""
    try:
        children = Path("/proc/thread-self/children").read_text(encoding="ascii").split()
        return sum(int(Path(f"/proc/{child}/stat").read_bytes().rpartition(b")")[2].split()[17]) for child in children)
    except OSError:
        return 0


# -- all together ------------------------------------------------------------------------------------------------------


@dataclass
class LinuxWalls(Walls):
    """All that this machine offers."""

    calls: Filter
    rules: int | None  # descriptor of Landlock's rules
    parent: int  # of all children: they do not outlive it

    def lock_in(self, cpu_seconds: int) -> None:
        """Lock this process in, for good. Raises OSError or ValueError where an announced wall does not stand."""
        limit(resource.RLIMIT_CPU, cpu_seconds)
        _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")
        if os.getppid() != self.parent:
            raise OSError(errno.ESRCH, "the fork server is gone")
        if self.rules is not None:
            _check(libc.syscall(RESTRICT_SELF, self.rules, 0), "landlock_restrict_self")
            os.close(self.rules)
        _check(self.calls.apply(libc, os.getpid()), "seccomp")

    def guard(self, control: socket.socket, process: int) -> bool:
        """Kill a child that has too many threads, and return True: they are memory of the kernel's.

        No limit on processes binds root, and threads that share one stack take none of the memory that is limited: a
        program could use up the numbers of processes of the whole machine.
        """
        while not select.select([control], [], [], WATCH_SECONDS)[0]:
            if threads_of_children() > MOST_THREADS:
                os.kill(process, signal.SIGKILL)
                return True
        return False


def prepare(memory_bytes: int, *, namespaces: bool = True, landlock: bool = True) -> LinuxWalls:
    """Find out what this machine offers and make ready what children share. Raises OSError where no filter exists."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOTSUP, f"no table of system calls for {machine}")
    with contextlib.suppress(OSError):  # the C library loads it when a thread ends, which is too late
        ctypes.CDLL("libgcc_s.so.1")
    layers = {"limits": "on", "seccomp": "on", "landlock": "switched off", "namespaces": "switched off"}
    if namespaces:
        try:
            enter_namespaces()
            layers["namespaces"] = "on"
        except OSError as error:
            layers["namespaces"] = f"not offered: {error}"
    rules = None
    if landlock:
        try:
            version = landlock_version()
            rules = landlock_rules(version)
            layers["landlock"] = f"on (version {version})"
        except OSError as error:
            layers["landlock"] = f"not offered: {error}"
    calls = Filter(filter_program(machine, may_open=rules is not None))
    give_up_rights(machine, memory_bytes)
    return LinuxWalls(memory_bytes, layers, rules is not None, calls, rules, os.getpid())


def give_up_rights(machine: str, memory_bytes: int) -> None:
    """What children inherit is given up by the fork server itself, once. Raises OSError or ValueError."""
    for what, most in (LIMITS | {resource.RLIMIT_AS: memory_bytes}).items():
        limit(what, most)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    header, nothing = struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24)
    _check(libc.syscall(CAPSET[machine], header, nothing), "capset")
