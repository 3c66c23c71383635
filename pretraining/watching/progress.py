"""How far a run is and how long it will take, as its log tells: for everything that watches a training.

Standard library alone: `scripts/status.py` and `scripts/monitor_training.py` use it where nothing else is installed.
"""

from dataclasses import dataclass
from pathlib import Path

from pretraining.lock import running_process

RECENT_ENTRIES = 10  # of the log; their speed is the speed that is told


@dataclass(frozen=True)
class Progress:
    """Where a run stands. What is not known yet is None."""

    state: str  # "running", "finished", "stopped" (asked to), "failed", or "interrupted" (ended without a word)
    step: int  # the last one that was logged
    last_step: int | None  # None: a time limit has not been turned into steps yet
    seconds: float  # spent training so far, over all sittings
    seconds_left: float | None
    tokens_per_second: float | None

    @property
    def share(self) -> float | None:
        """How much of the run is done, from 0 to 1."""
        return None if not self.last_step else min(1.0, self.step / self.last_step)


def read_progress(log: dict) -> Progress:
    """The progress of the run that a training log is about."""
    run, train = log["run"], log["train"]
    entries = train + log.get("validation", [])
    step = max((entry["step"] for entry in entries), default=0)
    last_step = run.get("last_step")
    seconds = train[-1]["seconds"] if train else 0.0
    state = log.get("status", "running")
    if state == "running" and running_process(Path(run["checkpoint_dir"])) != run.get("process"):
        state = "interrupted"
    return Progress(
        state=state,
        step=step,
        last_step=last_step,
        seconds=seconds,
        seconds_left=_seconds_left(run, train, step, last_step, seconds),
        tokens_per_second=train[-1]["tokens_per_second"] if train else None,
    )


def _seconds_left(run: dict, train: list[dict], step: int, last_step: int | None, seconds: float) -> float | None:
    """From the time that the latest steps took, validations and savings included; before that from the time limit."""
    recent = train[-RECENT_ENTRIES:]
    if last_step and len(recent) > 1:
        steps, spent = recent[-1]["step"] - recent[0]["step"], recent[-1]["seconds"] - recent[0]["seconds"]
        return (last_step - step) * spent / steps
    limit = run["settings"].get("max_minutes")
    return max(0.0, limit * 60 - seconds) if limit else None
