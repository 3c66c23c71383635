"""The fork server: a small Python that has loaded the standard library, and forks one child for each program.

Started by parties.py with its channel to the judge as descriptor 0. Never sees a test or an expected value; a program's
source goes past it, over a socket of its own. When the judge is gone, it ends everything.

For each program the judge sends one byte, the processor seconds, with the child's socket, and one byte when it has
heard enough: K to kill the child now, W to wait a moment for its own end first. The answer tells how the child ended.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import socket
import time
from functools import partial

from evaluation.sandbox import allowance, child, parties, wire
from evaluation.sandbox.allowance import Walls

if sys.platform == "darwin":
    from evaluation.sandbox import macos
else:
    from evaluation.sandbox import linux

# What programs import most, loaded once. No more than that: each fork copies the tables of all pages.
COMMON = """
    abc array bisect builtins calendar cmath collections collections.abc contextlib copy dataclasses datetime decimal
    enum fractions functools hashlib heapq io itertools json keyword math numbers operator os queue random re statistics
    string struct sys textwrap threading time traceback types typing unicodedata warnings
""".split()
# The rest, for machines on which a child can open no file, and so not import. On macOS never what loads a system
# framework: it does not survive a fork.
RARE = """
    argparse ast asyncio base64 concurrent.futures concurrent.futures.process concurrent.futures.thread csv difflib
    encodings.idna encodings.latin_1 encodings.utf_16 fileinput fnmatch getpass glob graphlib gzip html inspect
    ipaddress json.tool linecache locale logging.handlers mmap multiprocessing optparse pathlib pdb pickle platform
    pprint secrets select selectors shlex shutil socket sqlite3 ssl subprocess symtable tempfile timeit token tokenize
    unittest urllib.parse uuid weakref xml.dom.minidom zipfile zlib zoneinfo
""".split()
CHANNEL = 200  # the child's descriptor for its channel, out of the way of those that a program opens
NOBODY_ASKS = 77  # how a child ends that is not needed any more, or could not be locked in
GRACE = 0.05  # seconds that a child which has closed its channel gets to end by itself, so that its end can be told


def main() -> None:
    if sys.platform == "linux":
        linux.fix_addresses()
    settings = json.loads(sys.argv[1])
    control = socket.socket(fileno=0)
    parties.reset_signals()
    del sys.path[0]  # nothing of this repository is for programs
    walls = prepare(settings)
    channel_number = min(CHANNEL, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1)
    for name in COMMON if walls.can_import else COMMON + RARE:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "evaluation"]:
        del sys.modules[name]
    sys.argv, sys.orig_argv = [""], [""]
    os.environ.clear()
    parties.be_quiet()
    wire.send_frame(control, {"layers": walls.layers})
    output = child.prepare_streams()
    gc.collect()
    gc.freeze()  # children then copy fewer pages
    while True:
        order, descriptors = next_order(control)
        if not order:
            os._exit(0)
        process = os.fork()
        if process == 0:
            be_a_child(descriptors[0], channel_number, partial(walls.lock_in, order[0]), output)
        os.close(descriptors[0])
        finish_child(control, process, walls)


def prepare(settings: dict) -> Walls:
    """The walls of this system."""
    memory_bytes = settings["memory_bytes"]
    if sys.platform == "linux":
        linux.adopt_orphans()
    if settings["unsandboxed"]:
        return allowance.limits_alone(memory_bytes)
    if sys.platform == "darwin":
        return macos.prepare(memory_bytes)
    return linux.prepare(memory_bytes, namespaces=settings["namespaces"], landlock=settings["landlock"])


def next_order(control: socket.socket) -> tuple[bytes, list[int]]:
    """One byte from the judge, and a descriptor with it; no byte when the judge is gone."""
    try:
        return socket.recv_fds(control, 1, 1)[:2]
    except ConnectionError:
        return b"", []


def be_a_child(descriptor: int, channel_number: int, *details: object) -> None:
    """Go on as a child that speaks over `descriptor`, holds no other one, and never returns."""
    try:
        os.setsid()
        os.dup2(1, 0)  # /dev/null, where the channel to the judge was
        os.dup2(descriptor, channel_number)
        os.close(descriptor)
        child.live(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, channel_number), *details)
    finally:
        os._exit(NOBODY_ASKS)


def finish_child(control: socket.socket, process: int, walls: Walls) -> None:
    """Wait until the judge has heard enough, then end the child with all that it may have started, and tell how."""
    too_large = walls.guard(control, process)
    order = next_order(control)[0]
    status, usage, killed = end(process, GRACE if order == b"W" else 0)
    strays = sweep()
    if not order:
        os._exit(0)
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    report = {
        "status": os.waitstatus_to_exitcode(status),
        "killed": killed,
        "memory_killed": too_large or memory > walls.memory_bytes,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": memory,
        "strays": strays,
    }
    with contextlib.suppress(wire.ChannelClosed):  # then the next order is none
        wire.send_frame(control, report)


def end(process: int, grace: float) -> tuple:
    """Reap a child, killing it where it does not end by itself within the grace: (status, usage, killed by us)."""
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        reaped, status, usage = os.wait4(process, os.WNOHANG)
        if reaped:
            return status, usage, False
        time.sleep(0.001)
    kill(process)
    return *os.wait4(process, 0)[1:], True


def kill(process: int) -> None:
    """Kill a process, with its group where it leads one. It was not reaped yet, so the number is still its own."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            send(process, signal.SIGKILL)


def sweep() -> int:
    """Kill and reap whatever a child has left behind; returns how many that were (none, where fork is refused)."""
    strays = 0
    while True:
        if os.getpid() == 1:  # of a namespace: all others in it
            with contextlib.suppress(OSError):
                os.kill(-1, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                strays += 1
                continue
        except ChildProcessError:
            return strays
        for number in children():
            kill(number)
        time.sleep(0.001)


def children() -> list[int]:
    """Processes that have become ours: orphans come to the nearest subreaper."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(number) for number in file.read().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main()
