"""What all questions of this room share: how one is asked of a checkpoint, from the command line or by another script.

A question measures, shows a table, and draws. Its answer is one file in results/ and its pictures lie in plots/.
"""

import argparse
import json
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.figures import PLOTS
from evaluation.generated_code.humaneval_problems import HumanEvalError
from evaluation.held_out import HeldOutError, corpora_sha256, why_doubtful
from evaluation.result_files import RESULTS, ResultError, describe, load_result, save_result, shown_path
from evaluation.sandbox.pool import SandboxBroken
from model.architecture.config import ConfigError
from pretraining.checkpoint import CheckpointError, TrainedModel
from pretraining.device import DeviceError
from pretraining.generate import load
from pretraining.sampling import SamplingError
from tokenizer.bpe import TokenizerError

EXPLAINED = (
    CheckpointError,
    ConfigError,
    DeviceError,
    HeldOutError,
    HumanEvalError,
    ResultError,
    SamplingError,
    SandboxBroken,
    TokenizerError,
)


@dataclass(frozen=True)
class Effort:
    """How much to measure. Equal efforts measure the same things, so that their results compare."""

    quick: bool = False  # a small sample: seconds instead of minutes, and wider intervals
    seed: int = 0  # which sample is drawn, and what is generated


@dataclass(frozen=True)
class Question:
    """One question that is asked of a model."""

    name: str  # of its results file and its pictures
    asks: str  # one sentence: what the answer says about a model
    measure: Callable[[TrainedModel, Effort], dict]  # values that JSON can hold; shows its progress with tqdm
    table: Callable[[dict], list[str]]  # the answer as lines of at most 80 characters
    draw: Callable[[dict, Path], list[Path]]  # the answer as pictures in a folder
    choices: Mapping = field(default_factory=dict)  # what can be chosen for this question alone, such as a temperature


def answer(question: Question, trained: TrainedModel, effort: Effort, results: Path = RESULTS) -> dict:
    """Measure, and keep what was measured in the question's results file."""
    started = time.monotonic()
    measured = question.measure(trained, effort)
    seconds = round(time.monotonic() - started, 1)
    facts = {"quick": effort.quick, **settings_of(question, effort), "seconds": seconds}
    about = describe(trained, **facts, doubt=why_doubtful(trained))
    values = {"question": question.asks, "about": about, **measured}
    save_result(results / f"{question.name}.json", values)
    return values


def settings_of(question: Question, effort: Effort) -> dict:
    """What an answer depends on besides the checkpoint and how much is asked, in the form that JSON gives back."""
    settings = {"seed": effort.seed, "choices": dict(question.choices), "corpora": corpora_sha256()}
    return json.loads(json.dumps(settings))


def load_answer(path: Path, question: Question, checkpoint_sha256: str, effort: Effort) -> dict:
    """The answer that `path` holds, if it is what the question would be answered now; a full one serves a quick look.

    Raises ResultError that says what is different.
    """
    values, shown = load_result(path), shown_path(path)
    try:
        about = values["about"]
        sha256, place = about["checkpoint"]["sha256"], about["checkpoint"]["path"]
    except (KeyError, TypeError):
        raise ResultError(f"{shown} does not say which checkpoint it is about") from None
    if sha256 != checkpoint_sha256:
        raise ResultError(f"{shown} is about another checkpoint ({place})")
    if about.get("quick", True) and not effort.quick:
        raise ResultError(f"{shown} is a quick look")
    if "doubt" not in about:
        raise ResultError(f"{shown} does not say what the model was trained on: it is older than that")
    if different := [name for name, value in settings_of(question, effort).items() if about.get(name) != value]:
        raise ResultError(f"{shown} was measured with other {', '.join(different)}")
    return values


def ask(
    question: Question | Callable[[Path, Path], Question], description: str | None, arguments: list[str] | None
) -> int:
    """The command line of a question. Returns 0, or 2 with one line on stderr when it can not be asked.

    A question that depends on earlier answers is given as a function of the folders of results and of pictures.
    """
    return ask_as_chosen(question, options(description).parse_args(arguments))


def options(description: str | None) -> argparse.ArgumentParser:
    """What can be chosen for any question; a script may add its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--checkpoint", type=Path, help="model to ask; without it the best of the newest run")
    add("--device", default="auto", help="auto (default), cpu, cuda or mps")
    add("--quick", action="store_true", help="a small sample: seconds instead of minutes, and wider intervals")
    add("--seed", type=int, default=0, help="which sample is drawn (default: 0)")
    add("--results", type=Path, default=RESULTS, help="folder of the results file (default: evaluation/results)")
    add("--plots", type=Path, default=PLOTS, help="folder of the pictures (default: evaluation/plots)")
    return parser


def ask_as_chosen(question: Question | Callable[[Path, Path], Question], chosen: argparse.Namespace) -> int:
    """Ask, show and draw. Returns 0, or 2 with one line on stderr when it can not be asked."""
    try:
        if not isinstance(question, Question):
            question = question(chosen.results, chosen.plots)
        trained = load(chosen.checkpoint, chosen.device)
        values = answer(question, trained, Effort(chosen.quick, chosen.seed), chosen.results)
        print("\n".join(question.table(values)))
        if doubt := values["about"]["doubt"]:
            print("\n" + textwrap.fill(f"Of this model: {doubt}", 80))
        print(f"\nResults: {shown_path(chosen.results / f'{question.name}.json')}")
        for path in question.draw(values, chosen.plots):
            print(f"Plot: {shown_path(path)}")
    except EXPLAINED as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; earlier results are untouched", file=sys.stderr)
        return 130
    return 0
