"""Recipes: what to train and how, each trained in a process of its own, and what its log says afterwards.

A recipe is written as a preset's name with flags of train_improved.py behind it, `nano --optimizer adamw`; `nanogpt` is
the peer of nanogpt.py. scripts/compare_recipes.py trains several of them and shows the difference.
"""

import hashlib
import itertools
import json
import re
import shlex
import subprocess
import sys
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from evaluation.training import nanogpt
from pretraining.settings import PRESETS, ROOT, SettingsError, read_settings, tokens_per_step
from pretraining.train_improved import CONFIG
from pretraining.training_log import read_log
from pretraining.watching.reference import LEARNING, REFERENCES, Reference, read_references

FOLDER = ROOT / "pretraining" / "checkpoints" / "recipes"  # each run has its log beside its checkpoint
PEER = "nanogpt"
VALIDATIONS = 20  # in a run of known length
PLACES = ("resume", "checkpoint_dir", "log_path", "eval_interval", "checkpoint_interval", "log_interval")


@dataclass(frozen=True)
class Budget:
    """How long every recipe may learn: equally many tokens, or equally long on this machine."""

    tokens: float | None = None
    minutes: float | None = None

    def __str__(self) -> str:
        return f"{self.tokens / 1e6:g}M tokens" if self.tokens else f"{self.minutes:g} minutes"

    def flags(self, tokens_per_step: int) -> list[str]:
        """The budget as flags of train_improved.py."""
        if not self.tokens:
            return ["--max_minutes", f"{self.minutes}", "--max_steps", "1000000"]
        steps = max(2, round(self.tokens / tokens_per_step))
        return ["--max_minutes", "0", "--max_steps", f"{steps}", "--eval_interval", f"{-(-steps // VALIDATIONS)}"]


@dataclass(frozen=True)
class Point:
    """How well held-out code was predicted at one moment of a run."""

    tokens: float  # seen so far
    minutes: float  # since the first step, other runs not counted
    loss: float  # nats per token
    bits_per_byte: float


@dataclass(frozen=True)
class Learned:
    """What one run of a recipe came to."""

    parameters: int
    corpus_tokens: int
    points: list[Point]  # from before the first step to after the last


def run_command(recipe: str, budget: Budget, seed: int, more: list[str]) -> list[str]:
    """What follows `python` to train a recipe. Raises SettingsError for a recipe that can not be run."""
    name, *flags = shlex.split(recipe) or [""]
    if name == PEER:
        script = ["evaluation/training/nanogpt.py", *nanogpt.RECIPE]
    elif name in PRESETS:
        script = ["pretraining/train_improved.py", "--preset", name]
    else:
        raise SettingsError(f"there is no recipe {name!r}; it begins with one of {', '.join((PEER, *PRESETS))}")
    folder = FOLDER / _file_name(recipe, shlex.join(more)) / _file_name(f"{budget} seed {seed}")
    places = ["--checkpoint_dir", str(folder), "--log_path", str(folder / "training_log.json")]
    flags = [*script[1:], *flags, *more, "--seed", str(seed), *places]
    flags += [*budget.flags(tokens_per_step(read_settings(CONFIG, flags))), "--checkpoint_interval", "1000000"]
    read_settings(CONFIG, flags)
    return [script[0], *flags]


def _file_name(text: str, more: str = "") -> str:
    """A name that can be read, and told from others by a few digits of its hash where letters are not enough."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower())[:60].strip("-")
    return f"{name}-{hashlib.sha256(f'{text} {more}'.encode()).hexdigest()[:6]}" if more or len(text) > 60 else name


def learn(recipe: str, budget: Budget, seed: int, more: list[str], again: bool = False) -> Learned:
    """Train a recipe, or take what an earlier run of the very same settings left, unless asked to do it `again`.

    An interrupted run goes on. Raises SettingsError when the recipe can not be run or its training fails; what that
    printed says why.
    """
    command = run_command(recipe, budget, seed, more)
    settings = read_settings(CONFIG, command[1:])
    log = read_log(Path(settings["log_path"]))
    if again or not log or log["status"] != "finished" or _learning(log["run"]["settings"]) != _learning(settings):
        resume = ["--resume", "none"] if again else []
        if subprocess.run([sys.executable, str(ROOT / command[0]), *command[1:], *resume], check=False).returncode:
            raise SettingsError(f"training {recipe!r} did not come to its end (see above)")
        log = read_log(Path(settings["log_path"]))
    return read_learned(log)


def _learning(settings: dict) -> dict:
    """The settings that two runs must share to be the same."""
    return {key: value for key, value in settings.items() if key not in PLACES}


def read_learned(log: dict) -> Learned:
    """The validations on the deciding held-out text of a run's log, with the time of each."""
    per_step, reports = log["run"]["tokens_per_step"], log["train"]
    points = []
    for entry in log["validation"]:
        name = next(key for key in entry if key != "step")
        # Reports are more frequent than validations; the last one before it tells the time well enough.
        seconds = max((report["seconds"] for report in reports if report["step"] <= entry["step"]), default=0.0)
        result = entry[name]
        points.append(Point(entry["step"] * per_step, seconds / 60, result["loss"], result["bits_per_byte"]))
    return Learned(log["run"]["parameters"], log["run"]["corpus_tokens"], points)


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

    The seeds must have been looked at after the same numbers of tokens, which runs of equal tokens are.
    """
    settings = read_settings(CONFIG, ["--preset", preset])
    points = list(zip(*(run.points for run in runs), strict=True))
    if any(len({point.tokens for point in together}) > 1 for together in points):
        raise SettingsError("runs can only be kept as a reference when they saw equally many tokens: give --tokens")
    reference = Reference(
        preset=preset,
        parameters=runs[0].parameters,
        corpus_tokens=runs[0].corpus_tokens,
        settings={key: settings[key] for key in LEARNING},
        seeds=len(runs),
        tokens=[together[0].tokens for together in points],
        lowest=[min(point.loss for point in together) for together in points],
        highest=[max(point.loss for point in together) for together in points],
    )
    others = [other for other in read_references(path) if other.parameters != reference.parameters]
    entries = sorted(map(asdict, [*others, reference]), key=lambda entry: entry["parameters"])
    path.write_text(json.dumps({"references": entries}, indent=1) + "\n", encoding="utf-8")
