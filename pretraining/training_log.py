"""`logs/training_log.json`: the story of a run, valid JSON at every moment, for people and scripts to read.

{"run": {...}, "train": [{"step", "loss", "perplexity", "learning_rate", "tokens", "tokens_per_second", "seconds"}],
 "validation": [{"step", "heldout_code": {"loss", "perplexity", "bits_per_byte"}, ...}],
 "status": "running" | "finished" | "stopped" | "failed"}
"""

import json
import os
import time
from pathlib import Path

SECONDS_BETWEEN_WRITES = 3.0


class TrainingLog:
    """Collects entries and writes the whole file anew, at most every few seconds, by replacing it.

    Without a path nothing is written: processes beside the main one keep their log to themselves.
    """

    def __init__(self, path: Path | None, run: dict) -> None:
        self.path = path
        self.content = {"run": run, "train": [], "validation": [], "status": "running"}
        self._written = 0.0

    def continue_from(self, earlier: dict, step: int) -> None:
        """Take over the entries of the same run up to `step`; what came after it will happen again."""
        for kind in ("train", "validation"):
            self.content[kind] = [entry for entry in earlier.get(kind, []) if entry["step"] <= step]

    def describe(self, **values: object) -> None:
        """Add to what the log says about the run as a whole."""
        self.content["run"] |= values

    def add(self, kind: str, entry: dict) -> None:
        """Append to "train" or "validation"."""
        self.content[kind].append(entry)
        self.write(now=kind == "validation")

    def set_status(self, status: str) -> None:
        """Say how the run stands, at once."""
        self.content["status"] = status
        self.write()

    def write(self, now: bool = True) -> None:
        """Replace the file, unless that was done a moment ago and it is not needed `now`."""
        if self.path is None or (not now and time.monotonic() - self._written < SECONDS_BETWEEN_WRITES):
            return
        temporary = self.path.with_name(self.path.name + ".tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self.content, allow_nan=False) + "\n", encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        self._written = time.monotonic()


def read_log(path: Path) -> dict | None:
    """A log's content, or None where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_log = isinstance(content, dict) and isinstance(content.get("run"), dict) and "train" in content
    return content if is_log else None
