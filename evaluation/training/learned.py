"""What a training came to: how well held-out text was predicted over its tokens and minutes, read from its log."""

import datetime
import itertools
import json
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from pretraining.settings import SettingsError
from pretraining.watching.reference import DECIDING, REFERENCES, Reference, learning, read_references


@dataclass(frozen=True)
class Point:
    """How well held-out text was predicted at one moment of a run."""

    tokens: float  # seen so far
    minutes: float  # that the run had taken: compiling and earlier validations count, pauses between sittings do not
    loss: float  # nats per token
    bits_per_byte: float


@dataclass(frozen=True)
class Learned:
    """What one run of a recipe came to."""

    started: str  # local date and time
    parameters: int
    corpus_tokens: int
    tokenizer: str  # its sha256
    settings: dict  # those that decide how much is learnt from a token
    held_out: str  # the text that was predicted, as the log names it
    points: list[Point]  # from before the first step to after the last


def read_learned(log: dict) -> Learned:
    """The validations on the deciding held-out text of a run's log, with the time of each."""
    run, reports = log["run"], log["train"]
    name = next(key for key in log["validation"][0] if key != "step")
    points = []
    for entry in log["validation"]:
        # The report of a step comes before its validation.
        seconds = max((report["seconds"] for report in reports if report["step"] <= entry["step"]), default=0.0)
        result = entry[name]
        points.append(
            Point(entry["step"] * run["tokens_per_step"], seconds / 60, result["loss"], result["bits_per_byte"])
        )
    return Learned(
        started=started(log),
        parameters=run["parameters"],
        corpus_tokens=run["corpus_tokens"],
        tokenizer=run["tokenizer"],
        settings=learning(run),
        held_out=name,
        points=points,
    )


def started(log: dict) -> str:
    """When the run of a log began, as people write it."""
    return datetime.datetime.strptime(log["run"]["started"], "%Y%m%d-%H%M%S").isoformat(" ")


def first_reaching(points: list[Point], loss: float) -> Point | None:
    """Where a run first came down to `loss`, on a straight line between validations; None if it never did."""
    for before, after in itertools.pairwise(points):
        if after.loss <= loss < before.loss:
            share = (before.loss - loss) / (before.loss - after.loss)
            pairs = zip(astuple(before), astuple(after), strict=True)
            return Point(*(start + share * (end - start) for start, end in pairs))
    return None


def keep_as_reference(preset: str, runs: list[Learned], path: Path = REFERENCES) -> None:
    """Make these runs, one for each seed, the band that later runs of their size are held against.

    Raises SettingsError where they were not looked at on the same text, after the same numbers of tokens.
    """
    if len({tuple(point.tokens for point in run.points) for run in runs}) > 1:
        raise SettingsError("runs make a reference when they were looked at after equally many tokens: give --tokens")
    if any(run.held_out != DECIDING for run in runs):
        raise SettingsError(f"runs make a reference when {DECIDING} decided, and {runs[0].held_out} did")
    points = list(zip(*(run.points for run in runs), strict=True))
    reference = Reference(
        preset=preset,
        parameters=runs[0].parameters,
        corpus_tokens=runs[0].corpus_tokens,
        tokenizer=runs[0].tokenizer,
        settings=runs[0].settings,
        seeds=len(runs),
        tokens=[together[0].tokens for together in points],
        lowest=[min(point.loss for point in together) for together in points],
        highest=[max(point.loss for point in together) for together in points],
    )
    others = [other for other in read_references(path) if other.parameters != reference.parameters]
    entries = sorted(map(asdict, [*others, reference]), key=lambda entry: entry["parameters"])
    path.write_text(json.dumps({"references": entries}, indent=1) + "\n", encoding="utf-8")
