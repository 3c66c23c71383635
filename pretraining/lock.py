"""One training at a time in a checkpoint folder and on a log, and the question whether one is running there now.

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


class _Lock:
    """A file that one process holds; the system lets go of it however that process ends.

    `contents` and `flag` are for people: what is written there, and where to say that it should be elsewhere.
    """

    def __init__(self, path: Path, contents: str, flag: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held open as long as the lock
        except OSError as error:
            raise LockError(
                f"{contents} can not be written to {path.parent} ({error.strerror}). "
                f"Give {flag} a folder that you may write to"
            ) from None
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while not _try_lock(self._file):
            if time.monotonic() > deadline:
                owner = _owner(self._file)
                self._file.close()
                raise LockError(
                    f"a training is already running that writes its {contents} to {path.parent} "
                    f"(process {owner or 'unknown'}). Watch it: python scripts/monitor_training.py; "
                    f"stop it: {_stop_command(owner)}; or give this one another --checkpoint_dir and --log_path"
                )
            time.sleep(0.02)
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let the next training in."""
        self._file.close()


class FolderLock(_Lock):
    """Keeps a second training out of a checkpoint folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / LOCK_NAME, "checkpoints", "--checkpoint_dir")


class LogLock(_Lock):
    """Keeps a second training, in a folder of its own, from writing the log of the first."""

    def __init__(self, log_path: Path) -> None:
        super().__init__(log_path.with_name(log_path.name + ".lock"), "log", "--log_path")


def running_process(folder: Path) -> int | None:
    """The process that is training in `folder` now, or None; 0 where it can not be told which one it is."""
    try:
        # Reading is enough for a lock on POSIX, so that it is also told of another user's training.
        with open(folder / LOCK_NAME, "r" if os.name == "posix" else "r+", encoding="utf-8") as file:
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
