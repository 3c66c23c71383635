"""What a training log says about its run, checked once and summed up: latest, best and trend of every curve.

For whatever shows a run to people. A log may be damaged, edited by hand or of an earlier version: reading it gives
facts that can be shown without further care, or one LogError. Standard library alone.
"""

import statistics
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pretraining.lock import running_process
from pretraining.training_curve import NAMES, whole_intervals
from pretraining.training_log import read_log
from pretraining.watching.progress import Progress, read_progress
from pretraining.watching.reference import band_of, judge, read_references

MOST_POINTS = 2_000  # kept of a long run's training losses; a screen shows fewer
TREND_EVALUATIONS = 4
SMALLEST_TREND = 0.01  # nats per token, one percent of the perplexity: less is called flat
LARGEST_NUMBER = 1e12  # of parameters, steps, seconds
STATES = ("running", "finished", "stopped", "failed", "interrupted")

Points = list[tuple[int, float]]  # (step, loss)


class LogError(ValueError):
    """There is no log, or it can not be read; the message says which."""


@dataclass(frozen=True)
class Trend:
    """Where a curve is going: the change over its last evaluations, and over how many steps that was."""

    word: str  # "falling", "flat", "rising"
    change: float
    steps: int


@dataclass(frozen=True)
class Curve:
    """The losses on one text, in nats per token."""

    key: str  # "heldout_code"
    points: Points
    bits_per_byte: float

    @property
    def name(self) -> str:
        """What people call the text."""
        return NAMES.get(self.key, self.key)

    @property
    def latest(self) -> float:
        return self.points[-1][1]

    @property
    def best(self) -> tuple[int, float]:
        """Step and loss of the best evaluation; the one before the first step counts only while it is alone."""
        return min(self.points[1:] if self.points[0][0] == 0 and len(self.points) > 1 else self.points, key=_loss)

    @property
    def trend(self) -> Trend | None:
        """None before two evaluations are there."""
        recent = self.points[-TREND_EVALUATIONS:]
        if len(recent) < 2:
            return None
        moves = [later[1] - earlier[1] for earlier, later in pairwise(recent)]
        change = recent[-1][1] - recent[0][1]
        against = max((abs(move) for move in moves if move * change < 0), default=0.0)
        falls_or_rises = "falling" if change < 0 else "rising"
        # No trend if a single move in the other direction undoes as much. (nan is no trend either.)
        word = falls_or_rises if abs(change) > max(SMALLEST_TREND, against) else "flat"
        return Trend(word, change, recent[-1][0] - recent[0][0])


@dataclass(frozen=True)
class RunFacts:
    """A run as its log tells it."""

    log: dict  # what it was read from
    log_path: Path  # where its run writes it; elsewhere it is a copy, or archived
    checkpoint_dir: Path
    process: int | None
    title: list[str]  # model, size, preset, device: the most important first
    training: Points
    held_out: list[Curve]  # the first one decides which checkpoint is the best
    tokens: int  # seen so far
    learning_rates: list[float]
    speeds: list[float]  # tokens per second
    progress: Progress
    band: list[Points]  # lowest and highest loss of our own runs of this size, up to here; may be empty
    verdict: tuple[bool, list[str]] | None  # whether the run is in that band, in words; None where there is none

    @property
    def last_step(self) -> int | None:
        """The step that the run is to end with, or has ended with."""
        return self.progress.step if self.progress.state == "finished" else self.progress.last_step

    @property
    def typical_speed(self) -> float | None:
        return statistics.median(self.speeds) if self.speeds else None


def read_facts(path: Path) -> RunFacts:
    """Read the log at `path`. Raises LogError."""
    if not path.is_file():
        raise LogError(f"there is no training log {path}")
    log = read_log(path)
    if log is None:
        raise LogError(f"{path} can not be read: it is damaged, half written, or not a training log")
    try:
        return _facts(log)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:  # whatever a file may hold
        raise LogError(f"{path} is damaged: {type(error).__name__}: {error}") from None


def preparing_process(path: Path, facts: RunFacts | None, folder: Path | None) -> int | None:
    """The process of a training that is going to write the log at `path` and has not done so yet; None if none is.

    It holds the lock of the checkpoint folder, and is not the one that the log tells of. `folder` is where to look
    as long as there is no log, if that is known. An archived log is nobody's to write.
    """
    if facts is None:
        return running_process(folder) if folder else None
    if facts.log_path.resolve() != path.resolve():
        return None
    holder = running_process(facts.checkpoint_dir)
    return None if holder == facts.process else holder


def _facts(log: dict) -> RunFacts:
    run, train, checked = log["run"], log["train"], log["validation"]
    progress, references = read_progress(log), read_references()
    if progress.state not in STATES:
        raise ValueError(f"status is {progress.state!r}")
    told = [
        run["parameters"],
        run["tokens_per_step"],
        progress.step,
        progress.last_step,
        progress.seconds,
        progress.seconds_left,
        progress.tokens_per_second,
    ]
    if not all(abs(_number(value)) < LARGEST_NUMBER for value in told if value is not None):
        raise ValueError(f"these are no sizes, steps and seconds: {told}")
    return RunFacts(
        log=log,
        log_path=Path(run["settings"]["log_path"]),
        checkpoint_dir=Path(run["checkpoint_dir"]),
        process=run.get("process"),
        title=[
            _printable(run["config"]),
            f"{_number(run['parameters']) / 1e6:,.1f}M parameters",
            f"preset {_printable(run['preset'])}",
            _printable(run["device"]),
        ],
        training=_thinned([(_step(step), _number(loss)) for step, loss in whole_intervals(log)]),
        held_out=[_curve(key, checked) for key in (checked[-1] if checked else {}) if key != "step"],
        tokens=round(progress.step * _number(run["tokens_per_step"])),
        learning_rates=[_number(entry["learning_rate"]) for entry in train],
        speeds=[_number(entry["tokens_per_second"]) for entry in train],
        progress=progress,
        band=band_of(log, references),
        verdict=judge(log, references),
    )


def _curve(key: str, checked: list[dict]) -> Curve:
    entries = [entry for entry in checked if key in entry]
    points = [(_step(entry["step"]), _number(entry[key]["loss"])) for entry in entries]
    _number(entries[0][key]["perplexity"]), _number(entries[-1][key]["perplexity"])  # told by the picture's title
    return Curve(_printable(key), points, _number(entries[-1][key]["bits_per_byte"]))


def _thinned(points: Points) -> Points:
    """Means of neighbours where there are very many points."""
    size = -(-len(points) // MOST_POINTS)
    if size < 2:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], statistics.fmean(loss for _, loss in group)) for group in groups]


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _step(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < LARGEST_NUMBER:
        raise ValueError(f"{value!r} is no step")
    return value


def _printable(value: object) -> str:
    """Text from a file, without what would move the cursor."""
    return "".join(character for character in str(value) if character.isprintable())


def _loss(point: tuple[float, float]) -> float:
    return point[1]
