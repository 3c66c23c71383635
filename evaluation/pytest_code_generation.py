"""Does generated code run, and does it do what was asked? Tasks of our own, with hidden tests, judged in the sandbox.

    python evaluation/pytest_code_generation.py --quick
    pytest evaluation/pytest_code_generation.py

The model completes functions of evaluation/tasks; each completion climbs a ladder: parses, defines the function, runs
without an error, answers with the right type, passes some of the hidden cases, passes all. Any passing test is
progress. With --rerank it is also told how often that completion passes which the model itself finds the likeliest.
As a pytest session each of a few tasks is one test, which passes if one of the model's completions does. Where this
machine can not lock programs in, nothing is run: what needs no running is still told.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import shlex
from dataclasses import dataclass
from functools import cache, partial

from evaluation.code_questions.function_completion import cut_body
from evaluation.figures import new_figure, save_figure
from evaluation.generated_code.attempts import Attempt, write
from evaluation.generated_code.attempts_judged import judge, measure_attempts, share
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
from evaluation.question import Effort, Question, ask_as_chosen, options
from evaluation.sandbox.pool import SandboxUnavailable
from evaluation.tasks.catalogue import Task, digest, draw_tasks
from evaluation.tasks.exercises import SIDES
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings

ASKS = "Does the code that it writes run, and do what was asked?"
COMMAND = "python evaluation/pytest_code_generation.py"
SAMPLING = SamplingSettings(max_new_tokens=96, temperature=0.6, top_k=40, top_p=0.95)
CPU_SECONDS = 1
TASKS_IN_PYTEST = 20


@dataclass(frozen=True)
class Size:
    """How much is asked."""

    tasks: int
    samples: int  # of each task


FULL, QUICK = Size(300, 5), Size(60, 2)


# -- measuring ---------------------------------------------------------------------------------------------------------


def complete(trained: TrainedModel, tasks: list[Task], samples: int, seed: int) -> list[Attempt]:
    """Let the model complete each task `samples` times, up to the line that leaves the function."""

    def cut(task: Task, text: str) -> str | None:
        return cut_body(text, task.indentation)

    return write(trained, tasks, samples, seed=seed, settings=SAMPLING, cut=cut)


def measure(trained: TrainedModel, effort: Effort, *, rerank: bool = False, allow_unsandboxed: bool = False) -> dict:
    """Complete, judge and count."""
    size = QUICK if effort.quick else FULL
    tasks = draw_tasks(size.tasks, effort.seed)
    written = complete(trained, tasks, size.samples, effort.seed)
    attempts, counts = measure_attempts(
        trained, written, size.samples, cpu_seconds=CPU_SECONDS, rerank=rerank, allow_unsandboxed=allow_unsandboxed
    )
    return {
        "tasks": {"n": len(tasks), "samples": size.samples, "digest": digest(tasks)},
        "sampling": {"temperature": SAMPLING.temperature, "top_p": SAMPLING.top_p, "tokens": SAMPLING.max_new_tokens},
        **counts,
        **(by_kind(attempts, size.samples) if counts["sandbox"]["level"] else {}),
    }


def by_kind(attempts: list[Attempt], samples: int) -> dict[str, dict[str, dict]]:
    """The share that passes, by what of a task is held out and by its family."""

    def passing(kind: str, names: list[str]) -> dict[str, dict]:
        parts = {name: [a for a in attempts if getattr(a.problem, kind) == name] for name in names}
        return {name: share(part, samples, lambda attempt: attempt.passes) for name, part in parts.items()}

    families = sorted({attempt.problem.family for attempt in attempts})
    return {"by_side": passing("side", list(SIDES)), "by_family": passing("family", families)}


# -- showing -----------------------------------------------------------------------------------------------------------


def table(values: dict, command: str = COMMAND) -> list[str]:
    """The ladder, pass@k, the verdicts, and the best and the worst example; lines of at most 80 characters."""
    tasks, sampling = values["tasks"], values["sampling"]
    lines = wrapped(
        f"{tasks['n']} tasks, {tasks['samples']} completions of each (temperature {sampling['temperature']}, top_p "
        f"{sampling['top_p']}, at most {sampling['tokens']} tokens); intervals are over the tasks."
    )
    lines += [*sandbox_lines(values["sandbox"], command), "", *share_lines(values)]
    if "by_side" in values:
        lines += ["", "passed, by what is unseen of a task:"]
        lines += [share_line(side, found) for side, found in values["by_side"].items() if found["n"]]
    return [*lines, "", *verdict_lines(values["verdicts"]), *example_lines(values)]


def draw(values: dict, folder: Path) -> list[Path]:
    """The ladder, and what passes by what was held out of a task."""
    figure, (ladder_axes, side_axes) = new_figure(columns=2, size=(11, 4.2))
    n = values["tasks"]["n"] * values["tasks"]["samples"]
    best = next((name for name, found in reversed(values["ladder"].items()) if found["score"] > 0), "nothing")
    title = f"{n:,} completions: up to \u201c{best}\u201d"
    draw_shares(ladder_axes, values["ladder"], title, "share of completions (line: 95% interval)")
    sides = {side: found for side, found in values.get("by_side", {}).items() if found["n"]}
    title = "All cases right, by what of a task is unseen" if sides else "Nothing was run"
    draw_shares(side_axes, sides, title, "share of completions (line: 95% interval)")
    return [save_figure(figure, folder / "code_generation.png")]


def question(*, rerank: bool = False, allow_unsandboxed: bool = False, command: str = COMMAND) -> Question:
    """The question, with what the user has chosen; `command` is what was typed."""
    choices = {"rerank": rerank, "allow_unsandboxed": allow_unsandboxed}
    measuring = partial(measure, **choices)
    return Question("code_generation", ASKS, measuring, partial(table, command=command), draw, choices)


QUESTION = question(rerank=True)


def main(arguments: list[str] | None = None) -> int:
    """Ask it. Returns 0, or 2 with one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = options(__doc__)
    add = partial(parser.add_argument, action="store_true")
    add("--rerank", help="also choose the likeliest completion of each task, and tell how often it passes")
    add(UNSANDBOXED, help="run programs with your rights where they can not be locked in: in a machine to throw away")
    chosen = parser.parse_args(given)
    command = f"{COMMAND} {shlex.join(given)}".rstrip()
    asked = question(rerank=chosen.rerank, allow_unsandboxed=chosen.allow_unsandboxed, command=command)
    return ask_as_chosen(asked, chosen)


# -- as a pytest session -----------------------------------------------------------------------------------------------


@cache
def attempts_for_pytest() -> dict[str, list[Attempt]]:
    """What becomes of a few tasks with the best checkpoint of the newest run; all are written and judged at once."""
    from pretraining.generate import load

    trained = load(None, "auto")
    tasks = draw_tasks(TASKS_IN_PYTEST)
    attempts, sandbox = judge(complete(trained, tasks, QUICK.samples, seed=0), cpu_seconds=CPU_SECONDS)
    if sandbox["level"] is None:
        raise SandboxUnavailable(sandbox["reason"])
    return {task.id: [attempt for attempt in attempts if attempt.problem is task] for task in tasks}


def pytest_generate_tests(metafunc: object) -> None:
    """One test for each task."""
    metafunc.parametrize("task", draw_tasks(TASKS_IN_PYTEST), ids=lambda task: task.id)


def test_code_generation(task: Task) -> None:
    """One of the model's completions passes all hidden cases of the task."""
    attempts = attempts_for_pytest()[task.id]
    told = "\n".join(f"{attempt.outcome}:\n{task.prompt}{attempt.completion}" for attempt in attempts)
    assert any(attempt.passes for attempt in attempts), told


if __name__ == "__main__":
    sys.exit(main())
