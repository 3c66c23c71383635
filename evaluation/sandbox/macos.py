"""The walls of macOS: a Seatbelt profile, the limits that work there, and memory watched from outside.

Written from Apple's headers and from profiles in use (Chromium, Firefox); **this module has never run on a Mac**. The
probes decide there, as everywhere: what does not hold is not used. What can be tested elsewhere, is. A sandbox inside
another one can not be entered (`sandbox_init` says so), and on macOS nothing ends a child whose fork server was killed
with SIGKILL but the judge, if that lives.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
from dataclasses import dataclass

from evaluation.sandbox.allowance import LIMITS, WATCH_SECONDS, Walls, limit, readable_paths

PROFILE = """(version 1)
(deny default)
; what a denial by default leaves out
(deny process-info*)
(deny nvram*)
(deny iokit-get-properties)
(deny file-map-executable)
(allow signal (target self))
(allow process-info-pidinfo (target self))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-read* file-map-executable
    (subpath "/usr/lib")
    (subpath "/System/Library")
    (subpath "/System/Volumes/Preboot/Cryptexes/OS")
{stdlib})
(allow file-read*
    (subpath "/private/var/db/timezone")
    (literal "/dev/null")
    (literal "/dev/random")
    (literal "/dev/urandom"))
(allow file-write-data (literal "/dev/null"))
; the last rule that fits decides
(deny process-fork)
(deny process-exec*)
(deny network*)
(deny mach-lookup)
"""
RUSAGE_INFO_V4 = 4
UINT64_FIELDS = """
    user_time system_time package_idle_wakeups interrupt_wakeups pageins wired_size resident_size physical_footprint
    start_time exit_time child_user_time child_system_time child_package_idle_wakeups child_interrupt_wakeups
    child_pageins child_elapsed_time disk_bytes_read disk_bytes_written cpu_default cpu_maintenance cpu_background
    cpu_utility cpu_legacy cpu_user_initiated cpu_user_interactive billed_system_time serviced_system_time
    logical_writes largest_physical_footprint instructions cycles billed_energy serviced_energy
    interval_largest_footprint runnable_time
""".split()


class ProcessUsage(ctypes.Structure):
    """`struct rusage_info_v4` of sys/resource.h."""

    _fields_ = (("uuid", ctypes.c_uint8 * 16), *((name, ctypes.c_uint64) for name in UINT64_FIELDS))


def profile(paths: list[str]) -> str:
    """The Seatbelt profile under which a child may read these paths (real ones: a rule does not follow links)."""
    quoted = (path.replace("\\", "\\\\").replace('"', '\\"') for path in paths)
    return PROFILE.format(stdlib="\n".join(f'    (subpath "{path}")' for path in quoted))


@dataclass
class MacWalls(Walls):
    """Seatbelt, limits, and a look at the memory every now and then."""

    library: ctypes.CDLL
    profile: bytes

    def lock_in(self, cpu_seconds: int) -> None:
        """Lock this process in, for good. Raises OSError or ValueError where that fails."""
        limit(resource.RLIMIT_CPU, cpu_seconds)
        limit(resource.RLIMIT_NPROC, 1)
        message = ctypes.c_char_p()
        if self.library.sandbox_init(self.profile, ctypes.c_uint64(0), ctypes.byref(message)) != 0:
            raise OSError(f"Seatbelt: {(message.value or b'no reason given').decode(errors='replace')}")

    def guard(self, control: socket.socket, process: int) -> bool:
        """Watch a child's memory until the judge says something; kills it, and returns True, where it takes too much.

        The largest footprint of its life is asked for last, since a peak between two looks would pass otherwise.
        """
        while not select.select([control], [], [], WATCH_SECONDS)[0]:
            if self.footprint(process) > self.memory_bytes:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
                return True
        return self.footprint(process) > self.memory_bytes

    def footprint(self, process: int) -> int:
        """The most memory that a process has had so far, in bytes; 0 for one that has ended."""
        usage = ProcessUsage()
        failed = self.library.proc_pid_rusage(process, RUSAGE_INFO_V4, ctypes.byref(usage))
        return 0 if failed else usage.largest_physical_footprint


def prepare(memory_bytes: int) -> MacWalls:
    """Make ready what children share. Raises OSError where the system's library lacks what is needed."""
    library = ctypes.CDLL("/usr/lib/libSystem.B.dylib")
    try:
        _ = library.sandbox_init, library.proc_pid_rusage
    except AttributeError as error:
        raise OSError(f"no Seatbelt here: {error}") from None
    for what, most in LIMITS.items():
        limit(what, most)
    layers = {"limits": "on", "seatbelt": "on", "memory": "on (watched)"}
    return MacWalls(memory_bytes, layers, True, library, profile(readable_paths()).encode())
