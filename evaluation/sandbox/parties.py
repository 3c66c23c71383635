"""How a party of the sandbox is started: a Python of its own with nothing inherited, and a channel as descriptor 0."""

import json
import os
import socket
import subprocess
import sys

START_SECONDS = 20.0  # until a party says that it is ready
OWN_SECONDS = 3.0  # beyond a program's wall time, for a test's own work
# -I would be stricter, but makes Python ignore the fixed hash seed.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def start(script: str, settings: dict) -> tuple[subprocess.Popen, socket.socket]:
    """Start a script of this folder; returns its process and our end of the channel."""
    ours, theirs = socket.socketpair()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), script)
    process = subprocess.Popen(
        [sys.executable, "-s", "-S", "-X", "utf8", path, json.dumps(settings)],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
    )
    theirs.close()
    return process, ours


def last_words(process: subprocess.Popen) -> str:
    """The last line that an ended party left on stderr."""
    lines = process.stderr.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
