"""A script of the project, run in a process of its own by another one. Standard library alone."""

import os
import subprocess
from pathlib import Path

from pretraining.settings import ROOT


def run_child(*command: str | Path) -> int:
    """Run a command from the repository root and return its exit code; the terminal is its own.

    Ctrl-C reaches the command as well, and it is given the time to save, which `subprocess.run` would end after a
    quarter of a second. Raises KeyboardInterrupt when it has ended.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # its lines appear at once, also in a file
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, env=environment)
    interrupted = False
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return code
