"""What a training run is to do: presets, the user's edits and the command line, made into one checked dictionary.

Strength, from weak to strong: the preset that `preset` names, an edited value of CONFIG in train_improved.py, a flag.
A value of CONFIG counts as edited when it differs from the preset `default`, which CONFIG repeats so that the user
sees numbers and not references.
"""

import argparse
import difflib
import math
from pathlib import Path
from typing import NoReturn

from pretraining.schedule import SCHEDULES

ROOT = Path(__file__).resolve().parents[1]

PRESETS: dict[str, dict] = {
    # The 20.48 million tokens of the original README, spent in fewer and larger steps.
    "default": {
        "corpus_file": "data/processed/mixed_corpus.txt",
        "config_path": "model/config/gpt_tiny_config.json",
        "max_steps": 2_500,
        "batch_size": 16,
        "block_size": 512,
        "gradient_accumulation": 1,
        "learning_rate": 3e-3,
        "optimizer": "muon",
        "schedule": "linear",
        "warmup_steps": 50,
        "weight_decay": 0.1,
        "grad_clip": 1.0,
        "dropout": None,
        "eval_interval": 50,
        "checkpoint_interval": 250,
        "log_interval": 10,
    },
    # The recipe of the original README as it stands there.
    "original": {
        "max_steps": 20_000,
        "batch_size": 8,
        "block_size": 128,
        "learning_rate": 1e-4,
        "optimizer": "adamw",
        "schedule": "cosine",
        "warmup_steps": 200,
        "dropout": 0.1,
        "eval_interval": 500,
        "checkpoint_interval": 2_000,
        "log_interval": 100,
    },
    # Ten minutes on a laptop's processor.
    "nano": {
        "config_path": "model/config/gpt_nano_config.json",
        "max_steps": 5_000,
        "max_minutes": 10.0,
        "batch_size": 16,
        "block_size": 256,
        "warmup_steps": 20,
        "eval_interval": 100,
        "checkpoint_interval": 500,
    },
}
# The same in every preset: where things are and what runs them.
PRESETS["default"] |= {
    "max_minutes": None,
    "seed": 1337,
    "device": "auto",
    "precision": "auto",
    "compile": "auto",
    "tokenizer_path": "tokenizer/tokenizer_8k.json",
    "checkpoint_dir": "pretraining/checkpoints",
    "log_path": "logs/training_log.json",
    "resume": "auto",
    "init_from": None,
}

CHOICES = {
    "optimizer": ("muon", "adamw"),
    "schedule": SCHEDULES,
    "precision": ("auto", "float32", "bfloat16"),
    "compile": ("auto", "on", "off"),
}
WHOLE_NUMBERS = (
    "max_steps batch_size block_size gradient_accumulation warmup_steps eval_interval checkpoint_interval "
    "log_interval seed"
).split()
NUMBERS = ("learning_rate", "weight_decay", "grad_clip", "dropout", "max_minutes")
RESUME_WORDS = ("auto", "none", "last")  # anything else is a path
MAY_BE_NONE = ("dropout", "max_minutes", "init_from")
MAY_BE_ZERO = ("warmup_steps", "weight_decay", "grad_clip", "dropout", "seed", "max_minutes")  # 0 minutes: no limit
PATHS = ("corpus_file", "config_path", "tokenizer_path", "checkpoint_dir", "log_path")
TEXTS = (*PATHS, "device", "resume", "init_from")

# What makes two runs the same run. The rest (how often to look, on what device, where to) does not change what is
# learnt, or is a place.
RECIPE = (
    "max_steps max_minutes batch_size block_size gradient_accumulation learning_rate optimizer schedule warmup_steps "
    "weight_decay grad_clip dropout precision seed init_from"
).split()


class SettingsError(ValueError):
    """Settings that can not be run; the message lists all that is wrong with them at once."""


def read_settings(config: dict, arguments: list[str] | None = None, description: str = "") -> dict:
    """Merge preset, edited CONFIG and flags into a full dictionary of settings. Raises SettingsError.

    Paths are taken from the repository root, so that the scripts do the same from any folder.
    """
    _refuse_unknown_keys(config)
    flags = {key: value for key, value in vars(_parser(description).parse_args(arguments)).items() if value is not None}
    preset = flags.get("preset", config.get("preset", "default"))
    if preset not in PRESETS:
        raise SettingsError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    default = PRESETS["default"]
    edited = {key: value for key, value in config.items() if key != "preset" and value != default[key]}
    settings = {**default, **PRESETS[preset], **edited, **flags, "preset": preset}
    if problems := _problems(settings):
        raise SettingsError("these settings can not be run:\n  " + "\n  ".join(problems))
    for key in PATHS:
        settings[key] = str(ROOT / settings[key])
    if settings["resume"] not in RESUME_WORDS:
        settings["resume"] = str(ROOT / settings["resume"])
    if settings["init_from"] is not None:
        settings["init_from"] = str(ROOT / settings["init_from"])
    return settings


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a flag in one line, as everything else that is wrong with a setting."""

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError instead of printing all flags and leaving."""
        raise SettingsError(f"{message}. All flags: --help")


def _parser(description: str) -> argparse.ArgumentParser:
    """One flag for each key, spelt with underscores or hyphens; the defaults shown are those of CONFIG."""
    parser = _Parser(
        description=description,
        allow_abbrev=False,  # --max_step would be taken for --max_steps, and --log for one of two
        epilog="The settings and when to change them are explained at the top of pretraining/train_improved.py.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", metavar="NAME", help=f"one of {', '.join(PRESETS)}")
    for key in PRESETS["default"]:
        names = dict.fromkeys((f"--{key}", f"--{key.replace('_', '-')}"))
        kind = int if key in WHOLE_NUMBERS else float if key in NUMBERS else str
        presets = ", ".join(f"{name} {PRESETS[name][key]}" for name in PRESETS if key in PRESETS[name])
        parser.add_argument(
            *names, type=kind, choices=CHOICES.get(key), metavar=kind.__name__.upper(), help=f"({presets})", dest=key
        )
    return parser


def _refuse_unknown_keys(config: dict) -> None:
    """A misspelt key of CONFIG would otherwise be ignored without a word."""
    known = ["preset", *PRESETS["default"]]
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise SettingsError(
                f"CONFIG has an unknown key {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}")
            )


def _problems(settings: dict) -> list[str]:
    """Everything that is wrong with the settings, each in one line."""
    problems = []
    for key, value in settings.items():
        if value is None and key in MAY_BE_NONE:
            continue
        if key in WHOLE_NUMBERS and (not isinstance(value, int) or isinstance(value, bool)):
            problems.append(f"{key} is {value!r}; it must be a whole number")
        elif key in NUMBERS and (
            not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value)
        ):
            problems.append(f"{key} is {value!r}; it must be a number")
        elif key in WHOLE_NUMBERS + list(NUMBERS) and (value < 0 or (value == 0 and key not in MAY_BE_ZERO)):
            problems.append(f"{key} is {value}; it must be {'0 or more' if key in MAY_BE_ZERO else 'greater than 0'}")
        elif key in CHOICES and value not in CHOICES[key]:
            problems.append(f"{key} is {value!r}; choose one of {', '.join(CHOICES[key])}")
        elif key in TEXTS and not isinstance(value, str):
            problems.append(f"{key} is {value!r}; it must be a text")
    if not problems and not settings["max_minutes"] and settings["warmup_steps"] >= settings["max_steps"]:
        problems.append(
            f"warmup_steps {settings['warmup_steps']} leaves nothing of max_steps {settings['max_steps']}; "
            f"try --warmup_steps {settings['max_steps'] // 10}"
        )
    if not problems and settings["dropout"] is not None and settings["dropout"] >= 1:
        problems.append(f"dropout is {settings['dropout']}; it must be below 1")
    return problems


def recipe(settings: dict) -> dict:
    """The settings that decide what a run learns; equal recipes on equal data are one run."""
    return {key: settings[key] for key in RECIPE}


def tokens_per_step(settings: dict) -> int:
    """Training tokens that one optimizer step sees."""
    return settings["batch_size"] * settings["block_size"] * settings["gradient_accumulation"]
