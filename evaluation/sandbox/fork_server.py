"""The fork server: a small Python that has loaded the standard library, and forks one child for each program.

Started as `python -s -S -X utf8 fork_server.py SETTINGS` with its channel to the judge as descriptor 0. Never sees a
test or an expected value; a program's source goes past it, over a socket of its own. When the judge is gone, it ends
everything.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

import child
import wire

# What programs import, loaded once. On macOS nothing that loads a system framework: it does not survive a fork.
PRELOADED = """
    abc array ast asyncio base64 bisect builtins calendar cmath collections collections.abc concurrent.futures.thread
    contextlib copy csv dataclasses datetime decimal difflib enum fractions functools hashlib heapq html inspect io
    itertools json keyword linecache locale logging math numbers operator os pathlib pickle pprint queue random re
    secrets shutil statistics string struct textwrap threading time timeit tokenize traceback types typing unittest
    concurrent.futures concurrent.futures.process encodings.idna encodings.latin_1 encodings.utf_16 fileinput fnmatch
    getpass glob gzip ipaddress json.tool multiprocessing optparse argparse platform pdb select selectors shlex socket
    sqlite3 ssl subprocess symtable tempfile token urllib.parse warnings unicodedata uuid weakref
    xml.etree.ElementTree zipfile zlib zoneinfo
""".split()
CHANNEL = 200  # the child's descriptor for its channel, out of the way of those that a program opens
NOBODY_ASKS = 77  # how a child ends that is not needed any more, or could not be locked in
GRACE = 0.05  # seconds that a child which has closed its channel gets to end by itself, so that its end can be told


def main() -> None:
    settings = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    lock_in, describe = prepare(settings)
    for name in PRELOADED:
        importlib.import_module(name)
    sys.path.pop(0)  # this folder: nothing here is for programs
    gc.collect()
    gc.freeze()  # children then copy fewer pages
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the judge, which then closes the channel
    wire.send_frame(control, describe)
    while True:
        message, descriptors, *_ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        process = start_child(control, descriptors[0], lock_in, (wake_read, wake_write))
        finish_child(control, process, wake_read)


def prepare(settings: dict) -> tuple[Callable[[], None], dict]:
    """What a child does to lock itself in, and what is told of it."""
    memory, cpu = settings["memory_bytes"], settings["cpu_seconds"]
    if settings["unsandboxed"]:
        import resource

        def limits_alone() -> None:
            for what, most in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_CORE, 0)):
                resource.setrlimit(what, (most, most))

        return limits_alone, {"layers": {"limits": "processor time alone"}, "process": os.getpid()}
    if sys.platform == "darwin":
        import macos

        walls = macos.prepare()
        return lambda: macos.lock_in(walls, cpu), {"layers": walls.layers, "process": os.getpid()}
    import linux

    walls = linux.prepare(namespaces=settings["namespaces"], landlock=settings["landlock"])
    return lambda: linux.lock_in(walls, memory, cpu), {"layers": walls.layers, "process": os.getpid()}


def start_child(control: socket.socket, descriptor: int, lock_in: Callable[[], None], wake: tuple[int, int]) -> int:
    """Fork a child that speaks over `descriptor`; returns its process number."""
    process = os.fork()
    if process:
        os.close(descriptor)
        return process
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.setsid()
        control.close()
        for end in wake:
            os.close(end)
        null = os.open("/dev/null", os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)
        os.environ.clear()
        os.chdir("/")
        os.dup2(descriptor, CHANNEL)
        os.close(descriptor)
        child.live(socket.socket(fileno=CHANNEL), lock_in)
    finally:
        os._exit(NOBODY_ASKS)


def finish_child(control: socket.socket, process: int, wake_read: int) -> None:
    """Wait until the judge has heard enough, then end the child with all that it may have started, and tell how."""
    ended = None
    while ended is None:
        ready, _, _ = select.select([control, wake_read], [], [])
        if wake_read in ready:
            _drain(wake_read)
        if control in ready:
            order = control.recv(1)
            if not order:
                _kill(process)
                os._exit(0)
            ended = _end(process, grace=order == b"W")
    status, usage, by_us = ended
    strays = sweep()
    report = {
        "status": os.waitstatus_to_exitcode(status),
        "killed": by_us,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "strays": strays,
    }
    wire.send_frame(control, report)


def _end(process: int, grace: bool) -> tuple:
    """Reap a child, killing it where it does not end by itself (within the grace): (status, usage, killed by us)."""
    deadline = time.monotonic() + (GRACE if grace else 0)
    while True:
        reaped, status, usage = os.wait4(process, os.WNOHANG)
        if reaped:
            return status, usage, False
        if time.monotonic() >= deadline:
            break
        time.sleep(0.001)
    _kill(process)
    _, status, usage = os.wait4(process, 0)
    return status, usage, True


def _kill(process: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(process, signal.SIGKILL)


def sweep() -> int:
    """Kill and reap whatever a child has left behind; returns how many that were (none, where fork is refused)."""
    strays = 0
    if os.getpid() == 1:  # of a namespace: everything else in it
        try:
            os.kill(-1, signal.SIGKILL)
        except OSError:
            return 0
    while True:
        if os.getpid() != 1:
            for number in _children():
                _kill(number)
        try:
            reaped, _ = os.waitpid(-1, 0 if strays or os.getpid() == 1 or _children() else os.WNOHANG)
        except ChildProcessError:
            return strays
        if not reaped:
            return strays
        strays += 1


def _children() -> list[int]:
    """Processes that have become ours: orphans come to the nearest subreaper."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(number) for number in file.read().split()]
    except OSError:
        return []


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)


if __name__ == "__main__":
    main()
