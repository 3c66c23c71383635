"""How a party of the sandbox is started: a Python of its own with nothing inherited, and a channel as descriptor 0."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

START_SECONDS = 20.0  # until a party says that it is ready, on a machine with much other work
OWN_SECONDS = 3.0  # beyond a program's wall time, for a test's own work
# -I would be stricter, but makes Python ignore the fixed hash seed. One arena: each thread would reserve its own.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "1",
}
NEEDED_TO_START = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # by a Python whose own library lies somewhere else


def start(
    script: str, settings: dict, channel: socket.socket, second_channel: socket.socket | None = None
) -> subprocess.Popen:
    """Start a script of this folder with `channel` as its descriptor 0, and a second one as 1 where there is one.

    A session of its own: Ctrl-C and Ctrl-Z are for the user's script, and the parties end when it does.
    """
    kept = {name: os.environ[name] for name in NEEDED_TO_START if name in os.environ}
    return subprocess.Popen(
        [
            sys.executable,
            "-s",
            "-S",
            "-X",
            "utf8",
            str(Path(__file__).resolve().with_name(script)),
            json.dumps(settings),
        ],
        stdin=channel,
        stdout=second_channel or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT | kept,
        cwd="/",
        start_new_session=True,
    )


def reset_signals() -> None:
    """What the user's script has blocked or ignored is not ignored here: alarms and the ends of children are needed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def be_quiet() -> None:
    """Said by a party that is up: nobody reads its stderr any more, and a pipe that nobody reads blocks when full."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def last_words(process: subprocess.Popen) -> str:
    """The last line that a party left on stderr which did not come up; ends it."""
    process.kill()
    lines = process.communicate()[1].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
