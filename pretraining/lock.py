"""One training in a checkpoint folder at a time, and the question whether one is running there now.

Standard library alone: `scripts/status.py` asks it where nothing is installed.
"""

import os
import time
from pathlib import Path
from typing import IO

LOCK_NAME = "training.lock"
SECONDS_TO_WAIT = 0.5  # whoever only asks holds the lock for a moment


class LockError(ValueError):
    """Another training is at work in the folder, or it can not be written; the message says what to do."""


class FolderLock:
    """Keeps a second training out of a checkpoint folder; the system lets go of it however this process ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 - held open as long as the lock
        except OSError as error:
            raise LockError(
                f"checkpoints can not be written to {folder} ({error.strerror}). "
                "Give --checkpoint_dir a folder that you may write to"
            ) from None
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while not _try_lock(self._file):
            if time.monotonic() > deadline:
                owner = _owner(self._file)
                self._file.close()
                raise LockError(
                    f"a training is already running in {folder} (process {owner or 'unknown'}). Watch it: "
                    f"python scripts/monitor_training.py; stop it: {_stop_command(owner)}; "
                    "or give this one another --checkpoint_dir and --log_path"
                )
            time.sleep(0.02)
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let the next training in."""
        self._file.close()


def running_process(folder: Path) -> int | None:
    """The process that is training in `folder` now, or None; 0 where it can not be told which one it is."""
    try:
        with open(folder / LOCK_NAME, "r+", encoding="utf-8") as file:
            return None if _try_lock(file) else _owner(file)
    except OSError:  # no such file: nothing was ever trained there
        return None


def _owner(file: IO[str]) -> int:
    """The process number that the holder of a lock wrote into it; 0 where it can not be read."""
    try:
        file.seek(0)
        return int(file.read())
    except (OSError, ValueError):
        return 0


def _stop_command(owner: int) -> str:
    return f"kill -INT {owner}" if owner and os.name == "posix" else "Ctrl-C in its window"


def _try_lock(file: IO[str]) -> bool:
    """Take the lock if it is free, at once; closing the file gives it back."""
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            file.seek(1 << 30)  # far behind the number, which others could not read in a locked place
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
