"""Check our tasks: do all reference solutions pass, and how many wrong solutions do the hidden tests let through?

python evaluation/tasks/check_tasks.py --tasks 100
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from evaluation.sandbox.pool import Job, Limits, Sandbox, SandboxBroken, SandboxUnavailable, Verdict
from evaluation.statistics import share_with_interval
from evaluation.tasks.catalogue import Task, digest, draw_tasks, evaluation_tasks
from evaluation.tasks.templates import TaskError
from evaluation.tasks.wrong_solutions import TRICK, TRIVIAL, Wrong, more_cases, wrong_solutions

LIMITS = Limits(cpu_seconds=1)
MORE_CASES = 300  # on which a wrong solution that passed has to do as the reference does, to count as no wrong one
SHOWN = 10
ASIDE = (TRIVIAL, TRICK)


@dataclass
class Tally:
    """What became of wrong solutions."""

    refused: int = 0
    answered: int = 0  # of the refused: those that gave answers, only wrong ones
    let_through: int = 0
    equivalent: int = 0  # not wrong after all, and not counted

    def row(self, name: str) -> str:
        """As a line of a table."""
        wrong = self.refused + self.let_through
        share = share_with_interval(self.let_through, wrong)
        low, high = share["interval"]
        answering = self.let_through / max(1, self.let_through + self.answered)
        return (
            f"{name:24}{wrong:8,}{self.let_through:6}{share['score']:8.2%}  [{low:.2%}, {high:.2%}]".ljust(64)
            + f"{answering:9.2%}{self.equivalent:8}"
        )


HEAD = f"{'':24}{'wrong':>8}{'let':>6}{'share':>8}  95% interval".ljust(64) + f"{'of those':>9}{'equiva-':>8}"
HEAD += "\n" + f"{'':24}{'ones':>8}{'pass':>6}".ljust(64) + f"{'running':>9}{'lent':>8}"


def judge(sandbox: Sandbox, jobs: Iterable[Job], total: int, label: str) -> Iterable[Verdict]:
    """The verdicts, with a progress bar."""
    return tqdm(sandbox.judge(jobs), total=total, desc=label, unit=" programs", leave=False, disable=None)


def failing_references(sandbox: Sandbox, tasks: Sequence[Task]) -> list[str]:
    """What the sandbox says against the references and the other ways to write them."""
    bodies = [(task, number) for task in tasks for number in range(len(task.exercise.template.bodies))]
    jobs = (task.job(task.exercise.body(number)) for task, number in bodies)
    verdicts = judge(sandbox, jobs, len(bodies), "references")
    return [
        f"{task.id}, body {number + 1}: {verdict.verdict} {verdict.detail}"
        for (task, number), verdict in zip(bodies, verdicts, strict=True)
        if not verdict.is_pass
    ]


def try_wrong_solutions(sandbox: Sandbox, wrongs: Sequence[Wrong]) -> tuple[dict[str, Tally], dict[str, Tally], list]:
    """Tallies by family and by kind of mistake, and the wrong solutions that were let through.

    What is ASIDE is much and easily refused: it would make the families' shares look better than they are.
    """
    families, kinds = defaultdict(Tally), defaultdict(Tally)

    def tallies_of(wrong: Wrong) -> list[Tally]:
        return [kinds[wrong.kind]] + [families[wrong.task.family]] * (wrong.kind not in ASIDE)

    passed, let_through = [], []
    jobs = (wrong.task.exercise.subject.job(wrong.source, wrong.task.cases) for wrong in wrongs)
    for wrong, verdict in zip(wrongs, judge(sandbox, jobs, len(wrongs), "wrong solutions"), strict=True):
        if verdict.is_pass:
            passed.append(wrong)
            continue
        for tally in tallies_of(wrong):
            tally.refused += 1
            tally.answered += verdict.verdict == "wrong"
    jobs = (wrong.task.exercise.subject.job(wrong.source, more_cases(wrong.task, MORE_CASES)) for wrong in passed)
    for wrong, verdict in zip(passed, judge(sandbox, jobs, len(passed), "those that passed"), strict=True):
        for tally in tallies_of(wrong):
            tally.equivalent += verdict.is_pass
            tally.let_through += not verdict.is_pass
        if not verdict.is_pass:
            let_through.append((wrong, verdict))
    return families, kinds, let_through


def total_of(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    columns = zip(*((t.refused, t.answered, t.let_through, t.equivalent) for t in tallies), strict=True)
    return Tally(*map(sum, columns))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, help="how many tasks, equally many of each side (default: all)")
    parser.add_argument("--mutants", type=int, default=20, help="at most so many of each reference (default: 20)")
    parser.add_argument("--allow-unsandboxed", action="store_true", help="where this machine can not lock programs in")
    chosen = parser.parse_args(arguments)
    try:
        tasks = draw_tasks(chosen.tasks) if chosen.tasks else list(evaluation_tasks())
        sides = Counter(task.side for task in tasks)
        print(f"{len(tasks)} tasks: {', '.join(f'{count} {side}' for side, count in sides.items())}")
        print(f"digest {digest(tasks)[:16]}")
        with Sandbox(LIMITS, allow_unsandboxed=chosen.allow_unsandboxed) as sandbox:
            print(f"sandbox: {sandbox.description['level']}")
            failing = failing_references(sandbox, tasks)
            print("\n".join(failing) or "references: all pass, and so do the other ways to write them")
            families, kinds, let_through = try_wrong_solutions(sandbox, list(wrong_solutions(tasks, chosen.mutants)))
    except (SandboxUnavailable, SandboxBroken, TaskError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    aside = {kind: kinds.pop(kind) for kind in ASIDE}
    for title, tallies in (("by family", families), ("by kind of mistake", kinds)):
        print(f"\nWrong solutions, {title}\n{HEAD}")
        print("\n".join(tallies[name].row(name) for name in sorted(tallies)))
        print(total_of(tallies.values()).row("all"))
    for kind, tally in aside.items():
        print(tally.row(f"beside them: {kind}"))
    for wrong, verdict in let_through[:SHOWN]:
        print(f"\nlet through: {wrong.task.id} ({wrong.kind}): {verdict.detail}\n{wrong.source}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
