"""Does generated code run, and does it do what was asked? Tasks of our own, with hidden tests, judged in the sandbox.

    python evaluation/pytest_code_generation.py --quick
    pytest evaluation/pytest_code_generation.py

The model completes functions of evaluation/tasks; each completion climbs a ladder: parses, defines the function, runs
without an error, answers with the right type, passes some of the hidden cases, passes all. Any passing test is
progress. As a pytest session each of a few tasks is one test, which passes if one of the model's completions does.
Where this machine can not lock programs in, nothing is run: what needs no running is still told.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import ast
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from tqdm import tqdm

from evaluation.figures import bars_with_intervals, new_figure, save_figure
from evaluation.function_completion import UNREADABLE, cut_body
from evaluation.question import Effort, Question, ask
from evaluation.sandbox.pool import Limits, Sandbox, SandboxUnavailable, Verdict
from evaluation.statistics import Interval, share_with_interval
from evaluation.tasks.catalogue import Task, digest, draw_tasks
from evaluation.tasks.exercises import SIDES
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts

ASKS = "Does the code that it writes run, and do what was asked?"
UNSANDBOXED = "--allow-unsandboxed"
SAMPLING = SamplingSettings(max_new_tokens=96, temperature=0.6, top_k=40, top_p=0.95)
BATCH_ROWS = 64
LADDER = ("parses", "defines it", "runs", "right type", "some cases", "all cases")
TASKS_IN_PYTEST = 20


@dataclass(frozen=True)
class Size:
    """How much is asked."""

    tasks: int
    samples: int  # of each task


FULL, QUICK = Size(300, 5), Size(60, 2)


@dataclass(frozen=True)
class Attempt:
    """One completion of a task, how it looks, and what became of it when it was run (None: it was not)."""

    task: Task
    completion: str
    parses: bool
    defines: bool
    verdict: Verdict | None = None

    @property
    def rung(self) -> int:
        """How many rungs of the ladder it has climbed."""
        if not self.defines:
            return int(self.parses)
        ran = self.verdict is not None and self.verdict.calls > 0 and self.verdict.verdict in ("pass", "wrong")
        if not ran:
            return 2
        if self.verdict.is_pass:
            return len(LADDER)
        return 5 if self.verdict.passed else 4 if self.verdict.right_type else 3


# -- writing -----------------------------------------------------------------------------------------------------------


def complete(trained: TrainedModel, tasks: Sequence[Task], samples: int, seed: int) -> list[Attempt]:
    """Let the model complete each task `samples` times, up to the line that leaves the function."""
    asked = [task for task in tasks for _ in range(samples)]
    texts = [""] * len(asked)
    with tqdm(total=len(asked), desc="writing", unit=" functions", leave=False, disable=None) as progress:
        for first in range(0, len(asked), BATCH_ROWS):
            rows = range(first, min(first + BATCH_ROWS, len(asked)))

            def left(row: int, first: int = first) -> bool:
                return cut_body(texts[first + row], asked[first + row].indentation) is not None

            pieces = generate_texts(
                trained.model,
                trained.tokenizer,
                [asked[row].prompt for row in rows],
                generators=[sample_generator(seed, row) for row in rows],
                settings=SAMPLING,
                context_length=trained.context_length,
                finished=left,
            )
            for row, text in pieces:
                texts[first + row] += text
            progress.update(len(rows))
    return [look_at(task, text) for task, text in zip(asked, texts, strict=True)]


def look_at(task: Task, text: str) -> Attempt:
    """Cut a completion where it leaves the function, and see what can be seen without running it."""
    body = cut_body(text, task.indentation)
    completion = text if body is None else body
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in strings
        try:
            tree = compile(task.prompt + completion, "<program>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        except UNREADABLE:
            return Attempt(task, completion, parses=False, defines=False)
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}
    return Attempt(task, completion, parses=True, defines=task.entry in names)


# -- judging -----------------------------------------------------------------------------------------------------------


def judge(attempts: Sequence[Attempt], allow_unsandboxed: bool) -> tuple[list[Attempt], dict]:
    """Run what defines its function; returns the attempts with their verdicts, and what is told of the sandbox."""
    try:
        with Sandbox(Limits(cpu_seconds=1), allow_unsandboxed=allow_unsandboxed) as sandbox:
            told = sandbox.description
            jobs = (attempt.task.job(attempt.completion) for attempt in attempts if attempt.defines)
            total = sum(attempt.defines for attempt in attempts)
            progress = tqdm(sandbox.judge(jobs), total, "judging", unit=" programs", leave=False, disable=None)
            verdicts = iter(list(progress))
    except SandboxUnavailable as error:
        return list(attempts), {"level": None, "reason": str(error)}
    judged = [
        Attempt(a.task, a.completion, a.parses, a.defines, next(verdicts) if a.defines else None) for a in attempts
    ]
    return judged, told


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of the chance that one of k samples passes, from n of which some did (Chen et al. 2021)."""
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def measure(trained: TrainedModel, effort: Effort, allow_unsandboxed: bool = False) -> dict:
    """Complete, judge and count."""
    size = QUICK if effort.quick else FULL
    tasks = draw_tasks(size.tasks, effort.seed)
    attempts, sandbox = judge(complete(trained, tasks, size.samples, effort.seed), allow_unsandboxed)
    return summary(attempts, size.samples, tasks) | {"sandbox": sandbox}


def summary(attempts: Sequence[Attempt], samples: int, tasks: Sequence[Task]) -> dict:
    """All counts of a results file; `attempts` are in the order of the tasks, `samples` of each."""
    rungs = [attempt.rung for attempt in attempts]
    ran = any(attempt.verdict for attempt in attempts) or not any(attempt.defines for attempt in attempts)
    passed = [
        sum(rung == len(LADDER) for rung in rungs[first : first + samples]) for first in range(0, len(rungs), samples)
    ]
    verdicts = Counter(attempt.verdict.verdict if attempt.verdict else "not run" for attempt in attempts)
    ordered = sorted(range(len(attempts)), key=rungs.__getitem__)
    return {
        "tasks": {"n": len(tasks), "samples": samples, "digest": digest(tasks)},
        "sampling": {"temperature": SAMPLING.temperature, "top_p": SAMPLING.top_p, "tokens": SAMPLING.max_new_tokens},
        "ladder": {
            name: share_with_interval(sum(rung >= step for rung in rungs), len(rungs))
            for step, name in enumerate(LADDER, start=1)
            if ran or step <= 2
        },
        "pass_at_1": {
            "score": sum(pass_at_k(samples, count, 1) for count in passed) / len(passed),
            "n": len(passed),
            "interval": list(share_with_interval(round(sum(passed) / samples), len(passed))["interval"]),
        },
        "pass_at_k": {"k": samples} | share_with_interval(sum(map(bool, passed)), len(passed)),
        "by_side": {side: _share(attempts, lambda a, side=side: a.task.side == side) for side in SIDES},
        "by_family": {
            family: _share(attempts, lambda a, family=family: a.task.family == family)
            for family in sorted({task.family for task in tasks})
        },
        "verdicts": dict(verdicts.most_common()),
        "best": _example(attempts[ordered[-1]]),
        "worst": _example(attempts[ordered[0]]),
    }


def _share(attempts: Iterable[Attempt], chosen: Callable[[Attempt], bool]) -> dict:
    """How many of the chosen attempts pass all cases."""
    found = [attempt.rung == len(LADDER) for attempt in attempts if chosen(attempt)]
    return share_with_interval(sum(found), len(found))


def _example(attempt: Attempt) -> dict:
    verdict = attempt.verdict
    return {
        "task": attempt.task.id,
        "program": attempt.task.prompt + attempt.completion,
        "verdict": verdict.verdict if verdict else "not run",
        "detail": verdict.detail if verdict else "",
    }


# -- showing -----------------------------------------------------------------------------------------------------------


def table(values: dict) -> list[str]:
    """The ladder, pass@k, the verdicts, and the best and the worst example; lines of at most 80 characters."""
    tasks, sandbox = values["tasks"], values["sandbox"]
    lines = [f"{tasks['n']} tasks, {tasks['samples']} completions of each; sandbox: {sandbox['level'] or 'none'}"[:80]]
    if sandbox["level"] is None:
        lines += ["Nothing was run: " + sandbox["reason"], f"In a machine to throw away: {_command()} {UNSANDBOXED}"]
    lines += ["", f"{'':14}{'share':>7}   95% interval"]
    lines += [_line(name, found) for name, found in values["ladder"].items()]
    if "all cases" in values["ladder"]:
        lines += ["", _line("pass@1", values["pass_at_1"])]
        lines += [
            _line(f"pass@{values['pass_at_k']['k']}", values["pass_at_k"]),
            "",
            "passed, by what is unseen of a task:",
        ]
        lines += [_line(side, found) for side, found in values["by_side"].items() if found["n"]]
    counts = ", ".join(f"{name} {count}" for name, count in values["verdicts"].items())
    lines += ["", f"verdicts: {counts}"[:80]]
    for title in ("best", "worst"):
        shown = values[title]
        lines += ["", f"{title}: {shown['verdict']} {shown['detail']}"[:80]]
        lines += [f"    {line}"[:80] for line in shown["program"].rstrip().splitlines()[:14]]
    return lines


def _line(name: str, found: dict) -> str:
    low, high = found["interval"]
    return f"{name:14}{found['score']:7.1%}   {low:.1%} to {high:.1%} (n = {found['n']:,})"


def _command() -> str:
    return "python evaluation/pytest_code_generation.py"


def draw(values: dict, folder: Path) -> list[Path]:
    """The ladder, and what passes by what was held out of a task."""
    figure, (ladder_axes, side_axes) = new_figure(columns=2, size=(11, 4.2))
    n = values["tasks"]["n"] * values["tasks"]["samples"]
    best = next((name for name, found in reversed(values["ladder"].items()) if found["score"] > 0), "nothing")
    _bars(ladder_axes, values["ladder"], f"{n:,} completions: up to \u201c{best}\u201d")
    ladder_axes.set_xlabel("share of completions (line: 95% interval)")
    _bars(
        side_axes, {side: found for side, found in values["by_side"].items() if found["n"]}, "All cases right, by side"
    )
    side_axes.set_xlabel("share of completions; the side says what of a task training never sees")
    return [save_figure(figure, folder / "code_generation.png")]


def _bars(axes: object, shares: dict, title: str) -> None:
    labels, found = list(shares), list(shares.values())
    bars_with_intervals(axes, labels, [f["score"] for f in found], [Interval(*f["interval"]) for f in found])
    axes.set_xlim(0, 1.1)
    axes.set_title(title)


def question(allow_unsandboxed: bool = False) -> Question:
    """The question, with what the user allows."""
    return Question("code_generation", ASKS, partial(measure, allow_unsandboxed=allow_unsandboxed), table, draw)


QUESTION = question()


def main(arguments: list[str] | None = None) -> int:
    """Ask it. Returns 0, or 2 with one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    left = [argument for argument in given if argument != UNSANDBOXED]
    return ask(question(allow_unsandboxed=UNSANDBOXED in given), __doc__, left)


# -- as a pytest session -----------------------------------------------------------------------------------------------


@cache
def verdicts_for_pytest() -> dict[str, list[Attempt]]:
    """What becomes of a few tasks with the best checkpoint of the newest run; all are written and judged at once."""
    from pretraining.generate import load

    trained = load(None, "auto")
    tasks = draw_tasks(TASKS_IN_PYTEST)
    attempts, sandbox = judge(complete(trained, tasks, QUICK.samples, seed=0), allow_unsandboxed=False)
    if sandbox["level"] is None:
        raise SandboxUnavailable(sandbox["reason"])
    return {task.id: [attempt for attempt in attempts if attempt.task is task] for task in tasks}


def pytest_generate_tests(metafunc: object) -> None:
    """One test for each task."""
    metafunc.parametrize("task", draw_tasks(TASKS_IN_PYTEST), ids=lambda task: task.id)


def test_code_generation(task: Task) -> None:
    """One of the model's completions passes all hidden cases of the task."""
    attempts = verdicts_for_pytest()[task.id]
    told = "\n".join(f"{a.verdict.verdict if a.verdict else 'not run'}:\n{task.prompt}{a.completion}" for a in attempts)
    assert any(attempt.rung == len(LADDER) for attempt in attempts), told


if __name__ == "__main__":
    sys.exit(main())
