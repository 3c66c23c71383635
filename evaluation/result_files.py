"""`evaluation/results/*.json`: what was measured, on which checkpoint, with what; written whole or not at all.

Every file opens with the same facts (`about`), so that a number found later can be traced; scores are shares from 0 to
1. The user's first results, `baseline_v0.json`, are only ever read.
"""

import datetime
import hashlib
import json
import os
from pathlib import Path

from evaluation.machine import versions
from pretraining.checkpoint import TrainedModel

FORMAT = 1
PACKAGES = ("torch", "tokenizers", "numpy")  # that numbers may depend on
RESULTS = Path(__file__).resolve().parent / "results"
BASELINE = RESULTS / "baseline_v0.json"
PRESERVED = ("baseline_v0.json", "benchmark_v0.png")  # the user's; nothing overwrites them


class ResultError(ValueError):
    """A results file is missing, damaged, of another version, or not to be written; the message says what to do."""


def describe(trained: TrainedModel, **more: object) -> dict:
    """The facts that say what a result is about: checkpoint, model, versions, machine; `more` is added."""
    return {
        "made": now(),
        "checkpoint": {"path": shown_path(trained.path), "sha256": file_sha256(trained.path), "step": trained.step},
        "parameters": trained.model.parameter_count(),
        "context_length": trained.context_length,
        "tokenizer_sha256": trained.tokenizer.sha256,
        "trained_on": trained.trained_on,
        "device": str(next(trained.model.parameters()).device),
        "versions": versions(PACKAGES),
        **more,
    }


def now() -> str:
    """The present in universal time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def shown_path(path: Path) -> str:
    """A path as a reader types it: from the repository root where it lies inside."""
    root, path = RESULTS.parents[1], Path(path).resolve()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, which tells a checkpoint from its successor of the same name."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_result(path: Path, values: dict) -> Path:
    """Write a results file by replacing it; returns its path.

    Raises ResultError for the user's own files, ValueError for a number that JSON does not know (NaN, infinity).
    """
    refuse_preserved(path)
    text = json.dumps({"format": FORMAT, **values}, indent=2, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResultError(f"{path} could not be written: {error}. What was there is untouched") from None
    return path


def load_result(path: Path) -> dict:
    """Read a results file. Raises ResultError when it is missing, damaged or of another version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultError(f"there is no results file {shown_path(path)}") from None
    except (OSError, ValueError) as error:
        raise ResultError(f"{shown_path(path)} can not be read ({error}). Delete it and measure again") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format", "none") if isinstance(values, dict) else "none"
        raise ResultError(f"{shown_path(path)} has format {found}, this version reads {FORMAT}. Measure again")
    return values


def refuse_preserved(path: Path) -> None:
    """Raise ResultError for a file that holds the user's first results."""
    if path.name in PRESERVED:
        raise ResultError(f"{path.name} holds the first results and is never overwritten; choose another name")
