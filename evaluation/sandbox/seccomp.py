"""The filter of system calls, as classic BPF: an allow list, and EPERM (an honest Python exception) for all else.

Needs no privilege, works in containers, and binds root too. Sources: seccomp(2), linux/filter.h; numbers from
asm/unistd_64.h and asm-generic/unistd.h.
"""

import ctypes
import errno
import struct

# What an honest Python program needs once it runs: memory, threads, clocks, its own signals, reading files (Landlock
# decides which) and its own descriptors.
ALLOWED = {
    "x86_64": {
        "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
        "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
        "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35,
        "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "shutdown": 48, "getsockname": 51,
         "getpeername": 52, "getsockopt": 55, "exit": 60, "uname": 63, "getcwd": 79,
        "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "times": 100, "getuid": 102, "getgid": 104,
        "geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111, "getgroups": 115, "getpgid": 121,
        "getsid": 124, "rt_sigpending": 127, "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sigaltstack": 131,
        "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "epoll_create": 213, "getdents64": 217,
        "set_tid_address": 218, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "openat": 257,
        "newfstatat": 262, "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273,
        "get_robust_list": 274, "epoll_pwait": 281, "eventfd2": 290, "epoll_create1": 291, "dup3": 292, "pipe2": 293,
        "preadv": 295, "getrandom": 318, "statx": 332, "rseq": 334, "close_range": 436, "faccessat2": 439,
    },
    "aarch64": {
        "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24,
        "faccessat": 48, "openat": 56, "close": 57, "pipe2": 59, "getdents64": 61, "lseek": 62, "read": 63,
        "write": 64, "readv": 65, "writev": 66, "pread64": 67, "preadv": 69, "pselect6": 72, "ppoll": 73,
        "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "set_tid_address": 96, "futex": 98,
        "set_robust_list": 99, "get_robust_list": 100, "nanosleep": 101, "getitimer": 102, "setitimer": 103,
        "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123,
        "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigsuspend": 133, "rt_sigaction": 134,
        "rt_sigprocmask": 135, "rt_sigpending": 136, "rt_sigtimedwait": 137, "rt_sigreturn": 139, "times": 153,
        "getpgid": 155, "getsid": 156, "getgroups": 158, "uname": 160, "getrlimit": 163, "getrusage": 165,
        "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176,
        "getegid": 177, "gettid": 178, "getsockname": 204, "getpeername": 205, "getsockopt": 209,
         "shutdown": 210, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226,
        "madvise": 233, "getrandom": 278, "statx": 291, "rseq": 293, "close_range": 436, "faccessat2": 439,
    },
}  # fmt: skip
# Calls that are allowed with some arguments only; `filter_program` says with which.
CHECKED = {
    "x86_64": {
        "ioctl": 16, "sendto": 44, "recvfrom": 45, "socketpair": 53, "clone": 56, "kill": 62, "fcntl": 72, "prctl": 157,
        "tgkill": 234, "prlimit64": 302, "clone3": 435,
    },
    "aarch64": {
        "fcntl": 25, "ioctl": 29, "kill": 129, "tgkill": 131, "prctl": 167, "socketpair": 199, "sendto": 206,
        "recvfrom": 207, "clone": 220, "prlimit64": 261, "clone3": 435,
    },
}  # fmt: skip
OPENING = ("open", "openat", "stat", "lstat", "newfstatat", "statx", "getdents64", "access", "faccessat", "faccessat2")
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FIRST_X32_CALL = 0x40000000

LOAD, EQUAL, GREATER_OR_EQUAL, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
NOT_THERE = 0x00050000 | errno.ENOSYS

FIONBIO, FIOCLEX, FIONCLEX = 0x5421, 0x5451, 0x5450  # set a flag of a descriptor of one's own
# Never F_SETOWN and F_SETSIG: with them the kernel sends any signal to any process of the user.
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
AF_UNIX, SOCK_STREAM, SOCK_TYPE_MASK, MSG_OOB = 1, 1, 0xF, 1
CLONE_THREAD, CLONE_NEW_ANYTHING = 0x00010000, 0x7E020080
PR_SET_NAME, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 15, 22, 2
OWN_PROCESS = 0xFFFFFFFF  # stands for the number of the process, until that is known


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _argument(number: int, *, upper_half: bool = False) -> bytes:
    """Load one half of an argument of the call, the lower one where nothing else is said."""
    return _instruction(LOAD, 16 + 8 * number + 4 * upper_half)


def _one_of(*values: int) -> bytes:
    """Allow when what was loaded is one of these, refuse otherwise."""
    tests = [_instruction(EQUAL, value, len(values) - place) for place, value in enumerate(values)]
    return b"".join(tests) + _instruction(RETURN, REFUSE) + _instruction(RETURN, ALLOW)


def _go_on_with(value: int) -> bytes:
    """Refuse unless what was loaded is this."""
    return _instruction(EQUAL, value, 1) + _instruction(RETURN, REFUSE)


def _when(call: int, *body: bytes) -> bytes:
    """`body`, which returns in each case, for this call alone."""
    return _instruction(EQUAL, call, 0, sum(map(len, body)) // 8) + b"".join(body)


def filter_program(machine: str, *, may_open: bool) -> bytes:
    """The program for a machine; without `may_open` files can not even be looked for."""
    checked = CHECKED[machine]
    allowed = sorted(number for name, number in ALLOWED[machine].items() if may_open or name not in OPENING)
    head = [
        _instruction(LOAD, 4),
        _instruction(EQUAL, ARCHITECTURES[machine], 1),
        _instruction(RETURN, KILL),  # the calls of another architecture have other numbers
        _instruction(LOAD, 0),
        _instruction(GREATER_OR_EQUAL, FIRST_X32_CALL, 0, 1),
        _instruction(RETURN, REFUSE),
    ]
    tail = [
        _when(checked["ioctl"], _argument(1), _one_of(FIONBIO, FIOCLEX, FIONCLEX)),
        _when(checked["fcntl"], _argument(1),
              _one_of(F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC)),
        # Streams alone: a datagram can be sent to any socket on the disk, the system's log for one.
        _when(checked["socketpair"], _argument(0), _go_on_with(AF_UNIX),
              _argument(1), _instruction(AND, SOCK_TYPE_MASK), _one_of(SOCK_STREAM)),
        # Bytes out of band: nobody needs them, and the kernel's part for them has had holes (CVE-2025-38236).
        _when(checked["sendto"], _argument(3), _instruction(AND, MSG_OOB), _one_of(0)),
        _when(checked["recvfrom"], _argument(3), _instruction(AND, MSG_OOB), _one_of(0)),
        _when(checked["clone"], _argument(0), _instruction(AND, CLONE_THREAD | CLONE_NEW_ANYTHING),
              _one_of(CLONE_THREAD)),
        _when(checked["clone3"], _instruction(RETURN, NOT_THERE)),  # the C library then falls back to clone
        _when(checked["prctl"], _argument(0), _one_of(PR_SET_NAME)),
        # prlimit64(who, what, new limit, old limit): without a new limit it only reads.
        _when(checked["prlimit64"], _argument(2), _go_on_with(0), _argument(2, upper_half=True), _one_of(0)),
        _when(checked["kill"], _argument(0), _one_of(OWN_PROCESS)),
        _when(checked["tgkill"], _argument(0), _one_of(OWN_PROCESS)),
        _instruction(RETURN, REFUSE),
    ]  # fmt: skip
    return b"".join(head + [_between(first, last) for first, last in _runs(allowed)] + tail)


def _between(first: int, last: int) -> bytes:
    """Allow the calls from first to last."""
    return (
        _instruction(GREATER_OR_EQUAL, first, 0, 2)
        + _instruction(GREATER_OR_EQUAL, last + 1, 1)
        + _instruction(RETURN, ALLOW)
    )


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs without a gap: the kernel goes through a short program sooner."""
    firsts = [number for number in numbers if number - 1 not in numbers]
    lasts = [number for number in numbers if number + 1 not in numbers]
    return list(zip(firsts, lasts, strict=True))


class Filter:
    """A program made ready for the kernel: only the number of the process is missing, which a fork decides."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    def __init__(self, program: bytes) -> None:
        self.code = ctypes.create_string_buffer(program, len(program))
        self.structure = self.Program(len(program) // 8, ctypes.addressof(self.code))
        own = struct.pack("I", OWN_PROCESS)
        self.places = [at for at in range(4, len(program), 8) if program[at : at + 4] == own]

    def apply(self, libc: ctypes.CDLL, process: int) -> int:
        """Put this process behind the filter for good; returns less than zero, and sets errno, where that fails."""
        for place in self.places:
            struct.pack_into("I", self.code, place, process)
        return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(self.structure), 0, 0)
