"""Asks a model everything there is to ask, and writes one page about it: evaluation/results/report.md.

    python scripts/full_evaluation.py --quick

What is known of this checkpoint already, on the same held-out texts and with the same settings, is not measured again
(unless --again): so Ctrl-C stops it, and the same command goes on. A quick look takes full answers where it finds them.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import datetime
import time

from evaluation import (
    benchmark,
    code_tests,
    evaluate_checkpoints,
    generation_quality,
    humaneval,
    language_modelling,
    line_completion,
    pytest_code_generation,
)
from evaluation.benchmarking.before_after import comparison
from evaluation.figures import PLOTS
from evaluation.generated_code.humaneval_problems import HumanEvalError
from evaluation.question import EXPLAINED, Effort, Question, answer, load_answer
from evaluation.report import Answer, write_report
from evaluation.result_files import RESULTS, ResultError, file_sha256, shown_path
from evaluation.targets import target_lines
from pretraining.checkpoint import CheckpointError, TrainedModel
from pretraining.generate import load

# Seconds that a question takes on two CPU cores with the nano model, in full and quick: only to tell the time left.
USUAL_SECONDS = {
    "language_modelling": (156, 16),
    "code_eval": (193, 14),
    "line_completion": (108, 11),
    "code_generation": (60, 20),
    "humaneval": (100, 20),
    "generation_quality": (37, 12),
    "benchmark": (20, 3),
    "before_after_comparison": (35, 16),
}


def questions(results: Path, plots: Path, checkpoint_sha256: str, effort: Effort) -> list[Question]:
    """Everything that is asked, in the order of the page; a comparison comes after what it compares."""
    newest = benchmark.next_version(results, plots)
    return [
        language_modelling.QUESTION,
        code_tests.QUESTION,
        line_completion.QUESTION,
        pytest_code_generation.QUESTION,
        *other_benchmarks(results, checkpoint_sha256, effort),
        generation_quality.QUESTION,
        newest,
        comparison(results, code_tests.QUESTION),
    ]


def other_benchmarks(results: Path, checkpoint_sha256: str, effort: Effort) -> list[Question]:
    """HumanEval, where its package is installed and it is known or there is time; else one line says why it is not.

    Half as many samples as it takes alone: enough for pass@10, and the whole evaluation stays within twenty minutes.
    """
    try:
        asked = humaneval.question(humaneval.Choices(samples=10, rerank=True))
    except HumanEvalError as error:
        print(f"HumanEval is left out: {error}")
        return []
    if effort.quick and known_answer(asked, checkpoint_sha256, effort, results) is None:
        print(f"HumanEval is left out of a quick look; alone: {humaneval.COMMAND} --quick")
        return []
    return [asked]


def known_answer(question: Question, checkpoint_sha256: str, effort: Effort, results: Path) -> dict | None:
    """The answer that was measured before, if it is what would be measured now, or more."""
    path = results / f"{question.name}.json"
    if question.asks == benchmark.ASKS:  # each run is a new version: the newest one may be about this checkpoint
        path = benchmark.newest_version(results)
    try:
        return load_answer(path, question, checkpoint_sha256, effort)
    except ResultError:
        return None


def usual_seconds(name: str, effort: Effort) -> float:
    """About how long a question takes."""
    return USUAL_SECONDS.get(name.partition("_v")[0], (60, 10))[effort.quick]


def ask_all(
    asked: list[Question], trained: TrainedModel, effort: Effort, *, results: Path, plots: Path, again: bool
) -> list[Answer]:
    """Ask each question, or take over what is known; says how far it is."""
    sha256 = file_sha256(trained.path)
    known = {question.name: None if again else known_answer(question, sha256, effort, results) for question in asked}
    left = sum(usual_seconds(question.name, effort) for question in asked if known[question.name] is None)
    spent = expected = 0.0  # on what has been asked: their ratio is this machine's slowness
    answers = []
    for number, question in enumerate(asked, start=1):
        values = known[question.name]
        time_left = spoken(left * (spent / expected if expected else 1.0))
        state = "known already" if values else f"about {time_left} left in all"
        print(f"\n[{number} of {len(asked)}] {question.asks} ({state})", flush=True)
        if values is None:
            values = answer(question, trained, effort, results)
            usual = usual_seconds(question.name, effort)
            left, expected, spent = left - usual, expected + usual, spent + values["about"]["seconds"]
        print("\n".join(question.table(values)))
        answers.append(Answer(question, values, question.draw(values, plots)))
    return answers


def what_improved(folder: Path, effort: Effort, chosen: argparse.Namespace) -> list[tuple[str, Path]]:
    """What improved when, checkpoint by checkpoint of a run, as a title and a picture.

    Every checkpoint takes as long as a quick look, which therefore has this only where nothing is left to measure.
    """
    try:
        paths = evaluate_checkpoints.checkpoints_of(folder)
    except CheckpointError:  # a file that stands alone, under another name
        return []
    if effort.quick and not evaluate_checkpoints.all_known(paths, chosen.results):
        return []
    print("\nWhat improves when, checkpoint by checkpoint", flush=True)
    rows = list(evaluate_checkpoints.measure_all(paths, chosen.device, chosen.results))
    print("\n".join(evaluate_checkpoints.table(rows)))
    return [("What improves when?", evaluate_checkpoints.draw({folder.name: rows}, chosen.plots))]


def spoken(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def main(arguments: list[str] | None = None) -> int:
    """Ask, draw and write the page. Returns 0, 2 with one line on stderr, or 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--checkpoint", type=Path, help="model to ask; without it the best of the newest run")
    add("--device", default="auto", help="auto (default), cpu, cuda or mps")
    add("--quick", action="store_true", help="small samples: a minute or two instead of ten, and wider intervals")
    add("--seed", type=int, default=0, help="which samples are drawn (default: 0)")
    add("--again", action="store_true", help="measure also what is known already")
    add("--results", type=Path, default=RESULTS, help="folder of the results (default: evaluation/results)")
    add("--plots", type=Path, default=PLOTS, help="folder of the pictures (default: evaluation/plots)")
    chosen = parser.parse_args(arguments)
    effort = Effort(chosen.quick, chosen.seed)
    started = time.monotonic()
    try:
        trained = load(chosen.checkpoint, chosen.device)
        asked = questions(chosen.results, chosen.plots, file_sha256(trained.path), effort)
        answers = ask_all(asked, trained, effort, results=chosen.results, plots=chosen.plots, again=chosen.again)
        extras = what_improved(trained.path.parent, effort, chosen)
        page = write_report(chosen.results / "report.md", answers, extras)
    except EXPLAINED as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; what was measured is kept, and the same command goes on", file=sys.stderr)
        return 130
    print("\nThe targets\n")
    print("\n".join(target_lines({found.question.name: found.values for found in answers})))
    taken = datetime.timedelta(seconds=round(time.monotonic() - started))
    print(f"\nThe page to show: {shown_path(page)} (made in {taken})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
