"""Recipes: what to train and how, each trained in a process of its own, once.

A recipe is written as a preset's name with flags of train_improved.py behind it, `nano --optimizer adamw`; `nanogpt` is
the peer of nanogpt.py. scripts/compare_recipes.py trains several of them and shows the difference.
"""

import hashlib
import math
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluation.training import nanogpt
from evaluation.training.learned import Learned, read_learned, started
from pretraining.child_process import run_child
from pretraining.dataset import MADE_CORPORA, PROCESSED, open_training_data
from pretraining.lock import FolderLock
from pretraining.preparation import model_to_train
from pretraining.resume import archive_run, checkpoint_to_resume, differences
from pretraining.settings import PRESETS, ROOT, SettingsError, read_settings, tokens_per_step
from pretraining.settings import recipe as learning_settings
from pretraining.train_improved import CONFIG
from pretraining.training_log import read_log

FOLDER = ROOT / "pretraining" / "checkpoints" / "recipes"  # each run has its log beside its checkpoint
PEER = "nanogpt"
VALIDATIONS = 20  # in a run of known length


@dataclass(frozen=True)
class Budget:
    """How long every recipe may learn: equally many tokens, or equally long on this machine."""

    tokens: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.tokens is None) == (self.minutes is None):
            raise SettingsError("--tokens and --minutes are two ways to say how long: give one of them")
        for name, amount in asdict(self).items():
            if amount is not None and not 0 < amount < math.inf:
                raise SettingsError(f"--{name} is {amount:g}; it must be a number greater than 0")

    def __str__(self) -> str:
        return f"{self.tokens / 1e6:g}M tokens" if self.tokens else f"{self.minutes:g} minutes"

    def flags(self, settings: dict) -> list[str]:
        """The budget as flags of train_improved.py; reports fall on validations, since they tell the time of these."""
        if self.minutes:
            reports = math.gcd(settings["eval_interval"], settings["log_interval"])
            return ["--max_minutes", f"{self.minutes}", "--max_steps", "1000000", "--log_interval", f"{reports}"]
        steps = max(2, round(self.tokens / tokens_per_step(settings)))
        interval = f"{-(-steps // VALIDATIONS)}"
        return [
            *("--max_minutes", "0", "--max_steps", f"{steps}"),
            *("--eval_interval", interval, "--log_interval", interval),
        ]


def run_command(recipe: str, budget: Budget, seed: int, more: list[str]) -> list[str]:
    """What follows `python` to train a recipe; the places of its files come last.

    Raises SettingsError for a recipe that can not be run, or that sets what the comparison sets for all.
    """
    name, *flags = shlex.split(recipe) or [""]
    if name == PEER:
        script = ["evaluation/training/nanogpt.py", *nanogpt.RECIPE]
    elif name in PRESETS:
        script = ["pretraining/train_improved.py", "--preset", name]
    else:
        raise SettingsError(f"there is no recipe {name!r}; it begins with one of {', '.join((PEER, *PRESETS))}")
    folder = FOLDER / _file_name(recipe, shlex.join(more)) / _file_name(f"{budget} seed {seed}")
    given = [*flags, *more]
    # With a time, so that the warm-up is not held against a number of steps that the budget will replace.
    settings = read_settings(CONFIG, [*script[1:], *given, "--max_minutes", "1"])
    ours = [
        *("--seed", f"{seed}", *budget.flags(settings)),
        *("--checkpoint_interval", "1000000", "--resume", "auto"),
        *("--checkpoint_dir", f"{folder}", "--log_path", f"{folder / 'training_log.json'}"),
    ]
    if twice := {_flag(word) for word in given} & {word for word in ours if word.startswith("--")}:
        raise SettingsError(
            f"leave out {', '.join(sorted(twice))}, which a comparison sets itself; --tokens or --minutes say how long "
            "it trains, --seeds how often"
        )
    read_settings(CONFIG, [*script[1:], *given, *ours])
    return [*script, *given, *ours]


def _flag(word: str) -> str:
    """How a flag is spelt here, of `--max-steps=5` as well."""
    return word.partition("=")[0].replace("-", "_").replace("__", "--", 1)


def _file_name(text: str, more: str = "") -> str:
    """A name that can be read, and told from others by a few digits of its hash where letters are not enough."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower())[:60].strip("-")
    return f"{name}-{hashlib.sha256(f'{text} {more}'.encode()).hexdigest()[:6]}" if more or len(text) > 60 else name


def refuse_different_texts(recipes: list[str], budget: Budget, more: list[str]) -> None:
    """Raise SettingsError where recipes would be held against each other by losses on different held-out texts.

    The corpora that are made here share theirs; of any other, the end is held out.
    """
    commands = [run_command(recipe, budget, 0, more) for recipe in recipes]
    corpora = {read_settings(CONFIG, command[1:])["corpus_file"] for command in commands}
    if len(corpora) > 1 and not corpora <= {str(PROCESSED / name) for name in MADE_CORPORA}:
        raise SettingsError(
            f"losses on different texts do not compare, and {', '.join(sorted(corpora))} hold out different ones: give "
            "one --corpus_file to all"
        )


def learn(recipe: str, budget: Budget, seed: int, more: list[str]) -> Learned:
    """Train a recipe, or take what an earlier run left that learnt the same from the same; says so.

    An interrupted run goes on. Raises SettingsError when the recipe can not be run or its training fails; what that
    printed says why. KeyboardInterrupt comes when the training has saved its state.
    """
    command = run_command(recipe, budget, seed, more)
    settings = read_settings(CONFIG, command[1:])
    log_path = Path(settings["log_path"])
    log = read_log(log_path)
    if log and log["status"] == "finished" and _is_the_same(settings, log):
        learned = read_learned(log)
        print(f"Taken from the run of {learned.started}; --again trains anew", flush=True)
        return learned
    if run_child(sys.executable, ROOT / command[0], *command[1:]):
        raise SettingsError(f"training {recipe!r} did not come to its end (see above)")
    return read_learned(read_log(log_path))


def _is_the_same(settings: dict, log: dict) -> bool:
    """Whether the finished run of this log learnt what a run of these settings would; says what differs."""
    checkpoint = checkpoint_to_resume("auto", Path(settings["checkpoint_dir"]))
    if checkpoint is None:
        return False
    run = log["run"]
    there = checkpoint["training"]["identity"] | _means(run["settings"]) | {"model": run.get("model")}
    different = differences(there, _identity(settings) | _means(settings))
    if different:
        print(f"The run of {started(log)} is another one: {', '.join(different)} differ", flush=True)
    return not different


def _means(settings: dict) -> dict:
    """What decides how much is learnt in a time, beside what decides what is learnt."""
    return {key: settings[key] for key in ("device", "compile")}


def _identity(settings: dict) -> dict:
    """What a training of these settings tells its run from others by."""
    config, tokenizer, _ = model_to_train(settings)
    corpus, block_size, seed = Path(settings["corpus_file"]), settings["block_size"], settings["seed"]
    return {
        "model": config.to_dict(),
        "tokenizer": tokenizer.sha256,
        "corpus": open_training_data(corpus, block_size, seed, tokenizer).corpus.corpus_sha256,
        "recipe": learning_settings(settings),
    }


def put_aside(recipe: str, budget: Budget, seed: int, more: list[str]) -> None:
    """Move an earlier run of this recipe to the archive in its folder, so that it is trained anew.

    Raises LockError where it is being trained now, CheckpointError where it can not be moved.
    """
    settings = read_settings(CONFIG, run_command(recipe, budget, seed, more)[1:])
    folder = Path(settings["checkpoint_dir"])
    if not folder.is_dir():
        return
    lock = FolderLock(folder)
    try:
        archived = archive_run(folder, Path(settings["log_path"]))
    finally:
        lock.release()
    if archived:
        print(f"{recipe}, {budget}, seed {seed}: the earlier run is kept in {archived}")
