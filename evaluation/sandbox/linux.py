"""The walls of Linux, built with ctypes: resource limits, Landlock, a system call filter, and namespaces.

`prepare` is called once in the fork server, `lock_in` in each child before it sees its program. No privilege is
needed. Sources: landlock(7), seccomp(2), linux/filter.h, capabilities(7).
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 15, 22, 38
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30
CLONE_THREAD = 0x00010000

# -- system calls ------------------------------------------------------------------------------------------------------

# What an honest Python program needs once it runs: memory, threads, clocks, its own signals, reading files (Landlock
# decides which) and its own descriptors. Numbers: asm/unistd_64.h, asm-generic/unistd.h.
ALLOWED = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
        "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
        "ioctl_checked": 16, "pread64": 17, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
        "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35,
        "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "sendto": 44, "recvfrom": 45, "sendmsg": 46,
        "recvmsg": 47, "shutdown": 48, "getsockname": 51, "getpeername": 52, "socketpair": 53, "setsockopt": 54,
        "getsockopt": 55, "exit": 60, "uname": 63, "fcntl": 72, "getcwd": 79, "readlink": 89, "gettimeofday": 96,
        "getrlimit": 97, "getrusage": 98, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
        "getppid": 110, "getpgrp": 111, "getgroups": 115, "getpgid": 121, "getsid": 124, "rt_sigpending": 127,
        "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sigaltstack": 131, "gettid": 186, "time": 201, "futex": 202,
        "sched_getaffinity": 204, "epoll_create": 213, "getdents64": 217, "set_tid_address": 218,
        "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
        "epoll_wait": 232, "epoll_ctl": 233, "openat": 257, "newfstatat": 262, "readlinkat": 267, "faccessat": 269,
        "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "get_robust_list": 274, "epoll_pwait": 281,
        "eventfd2": 290, "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295, "getrandom": 318,
        "statx": 332, "rseq": 334, "faccessat2": 439, "open": 2,
    },
    "aarch64": {
        "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24,
        "fcntl": 25, "ioctl_checked": 29, "faccessat": 48, "openat": 56, "close": 57, "pipe2": 59, "getdents64": 61,
        "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "preadv": 69, "pselect6": 72,
        "ppoll": 73, "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94,
        "set_tid_address": 96, "futex": 98, "set_robust_list": 99, "get_robust_list": 100, "nanosleep": 101,
        "getitimer": 102, "setitimer": 103, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
        "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132,
        "rt_sigsuspend": 133, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigpending": 136,
        "rt_sigtimedwait": 137, "rt_sigreturn": 139, "times": 153, "getpgid": 155, "getsid": 156, "getgroups": 158,
        "uname": 160, "getrlimit": 163, "getrusage": 165, "gettimeofday": 169, "getpid": 172, "getppid": 173,
        "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "socketpair": 199,
        "getsockname": 204, "getpeername": 205, "sendto": 206, "recvfrom": 207, "setsockopt": 208, "getsockopt": 209,
        "shutdown": 210, "sendmsg": 211, "recvmsg": 212, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222,
        "mprotect": 226, "madvise": 233, "getrandom": 278, "statx": 291, "rseq": 293, "faccessat2": 439,
    },
}  # fmt: skip
# Calls that are allowed with some arguments only, and what decides.
CHECKED = {
    "x86_64": {"kill": 62, "tgkill": 234, "clone": 56, "clone3": 435, "prctl": 157, "prlimit64": 302},
    "aarch64": {"kill": 129, "tgkill": 131, "clone": 220, "clone3": 435, "prctl": 167, "prlimit64": 261},
}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FIRST_X32_CALL = 0x40000000
OPENING = ("open", "openat", "stat", "lstat", "newfstatat", "statx", "readlink", "readlinkat", "getdents64", "access")

LOAD, EQUAL, GREATER_OR_EQUAL, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
NOT_THERE = 0x00050000 | errno.ENOSYS
FIONBIO, FIOCLEX, FIONCLEX = 0x5421, 0x5451, 0x5450  # set a flag of a descriptor of one's own


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _argument(number: int) -> bytes:
    """Load the low half of an argument of the call; these are the halves that the checks need."""
    return _instruction(LOAD, 16 + 8 * number)


def _when(call: int, *body: bytes) -> bytes:
    """`body`, which must return in each case, for this call alone."""
    return _instruction(EQUAL, call, 0, len(body)) + b"".join(body)


def _only(value: int, otherwise: int = REFUSE) -> tuple[bytes, bytes, bytes]:
    """Allow when what was loaded is `value`."""
    return _instruction(EQUAL, value, 0, 1), _instruction(RETURN, ALLOW), _instruction(RETURN, otherwise)


def filter_program(machine: str, may_open: bool) -> bytes:
    """The classic BPF program of the filter, to be completed for a process by `own_process_filter`.

    An allow list: what is not named gets EPERM, an honest Python exception instead of a death.
    """
    allowed = {name: number for name, number in ALLOWED[machine].items() if may_open or name not in OPENING}
    ioctl = allowed.pop("ioctl_checked")
    checked = CHECKED[machine]
    parts = [
        _instruction(LOAD, 4),
        _instruction(EQUAL, ARCHITECTURES[machine], 1, 0),
        _instruction(RETURN, KILL),
        _instruction(LOAD, 0),
        _instruction(GREATER_OR_EQUAL, FIRST_X32_CALL, 0, 1),
        _instruction(RETURN, REFUSE),
    ]
    parts += [_instruction(EQUAL, number, 0, 1) + _instruction(RETURN, ALLOW) for _, number in sorted(allowed.items())]
    parts += [
        _when(ioctl, _argument(1), *(_instruction(EQUAL, request, 2 - place, 0 if place < 2 else 1)
              for place, request in enumerate((FIONBIO, FIOCLEX, FIONCLEX))),
              _instruction(RETURN, ALLOW), _instruction(RETURN, REFUSE)),
        _when(checked["clone"], _argument(0), _instruction(AND, CLONE_THREAD), *_only(CLONE_THREAD)),
        _when(checked["clone3"], _instruction(RETURN, NOT_THERE)),  # glibc then falls back to clone
        _when(checked["prctl"], _argument(0), *_only(PR_SET_NAME)),
        # prlimit64(who, what, new limit, old limit): a new limit of NULL only reads. Both halves of the pointer.
        _when(checked["prlimit64"], _argument(2), _instruction(EQUAL, 0, 1, 0), _instruction(RETURN, REFUSE),
              _instruction(LOAD, 16 + 8 * 2 + 4), *_only(0)),
    ]  # fmt: skip
    return b"".join(parts)


def own_process_filter(program: bytes, machine: str, process: int) -> bytes:
    """The program with its end: signals to oneself alone, all else refused."""
    to_itself = [_when(CHECKED[machine][name], _argument(0), *_only(process)) for name in ("kill", "tgkill")]
    return program + b"".join(to_itself) + _instruction(RETURN, REFUSE)


def filter_calls(program: bytes) -> None:
    """Put this process behind the filter for good. Raises OSError."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    code = ctypes.create_string_buffer(program, len(program))
    structure = Program(len(program) // 8, ctypes.cast(code, ctypes.c_char_p))
    _check(libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(structure), 0, 0), "seccomp")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


# -- Landlock ----------------------------------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all machines
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
# How many file rights each version of Landlock knows; all are refused but those given.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
READABLE = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/dev/urandom")


def landlock_version() -> int:
    """The version of Landlock that the kernel offers, 0 for none."""
    return max(0, libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1))


def landlock_rules(version: int) -> int:
    """A descriptor of rules: the standard library and shared libraries can be read, nothing else; no network.

    Raises OSError.
    """
    files = (1 << FILE_RIGHTS[min(version, 5)]) - 1
    network = 3 if version >= 4 else 0  # binding and connecting
    scopes = 3 if version >= 6 else 0  # abstract sockets and signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("QQQ", files, network, scopes)[:size]
    rules = _check(libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0), "landlock_create_ruleset")
    library = Path(sysconfig.get_path("stdlib")).resolve()
    for path in dict.fromkeys([str(library), str(Path(sys.base_exec_prefix, "lib").resolve()), *READABLE]):
        _allow(rules, path, READ_FILE | READ_DIR)
    _allow(rules, "/dev/null", READ_FILE | WRITE_FILE)
    return rules


def _allow(rules: int, path: str, rights: int) -> None:
    """Add a path to what may be reached, if it is there."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= READ_FILE | WRITE_FILE
        rule = struct.pack("=Qi", rights, place)
        _check(libc.syscall(ADD_RULE, rules, 1, rule, 0), f"landlock_add_rule {path}")
    finally:
        os.close(place)


# -- namespaces --------------------------------------------------------------------------------------------------------


def enter_namespaces() -> str | None:
    """Leave the machine's processes, network and names behind, once for each fork server; returns why not, or None.

    On success this process goes on as process 1 of its own world, and dies with the one that waits outside for it.
    """
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    if libc.unshare(flags) != 0:
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text, encoding="ascii")
    except OSError as error:  # without a map this process is nobody; the walls below hold all the same
        return f"user map: {error.strerror}"
    inner = os.fork()
    if inner:
        os.closerange(0, 256)  # so that the inner one alone holds the channel
        _, status = os.waitpid(inner, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return None


def drop_capabilities() -> None:
    """Give up every capability (version 3 of the call has 64 bits in two halves). Raises OSError."""
    header = struct.pack("Ii", 0x20080522, 0)
    call = {"x86_64": 126, "aarch64": 91}[platform.machine()]
    _check(libc.syscall(call, header, bytes(24)), "capset")


# -- all together ------------------------------------------------------------------------------------------------------


@dataclass
class Walls:
    """What the fork server has made ready for its children, and why anything is missing."""

    machine: str
    program: bytes
    rules: int | None  # descriptor of Landlock's rules
    layers: dict[str, str]  # name: "on", or why not


def prepare(*, namespaces: bool = True, landlock: bool = True) -> Walls:
    """Find out what this machine offers and make ready what children share. Raises OSError where no filter exists."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOTSUP, f"no table of system calls for {machine}")
    layers = {"namespaces": "switched off", "landlock": "switched off", "seccomp": "on", "limits": "on"}
    if namespaces:
        layers["namespaces"] = enter_namespaces() or "on"
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    rules = None
    if landlock:
        version = landlock_version()
        layers["landlock"] = f"on (version {version})" if version else "not offered by this kernel"
        rules = landlock_rules(version) if version else None
    return Walls(machine, filter_program(machine, may_open=rules is not None), rules, layers)


def limit_resources(memory_bytes: int, cpu_seconds: int) -> None:
    """Limits that the kernel keeps, soft and hard alike. Raises OSError or ValueError."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_STACK, 8 << 20),
    ):
        hard = resource.getrlimit(what)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


def lock_in(walls: Walls, memory_bytes: int, cpu_seconds: int) -> None:
    """Lock this process in, for good. Raises OSError or ValueError where a wall that is announced does not stand."""
    limit_resources(memory_bytes, cpu_seconds)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    drop_capabilities()
    if walls.rules is not None:
        _check(libc.syscall(RESTRICT_SELF, walls.rules, 0), "landlock_restrict_self")
        os.close(walls.rules)
    filter_calls(own_process_filter(walls.program, walls.machine, os.getpid()))
