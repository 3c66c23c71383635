"""Completions of programs as a model writes them, what can be seen of them, and the ladder that they climb when run.

What is to be completed and which tests decide is the caller's: tasks of our own (pytest_code_generation.py), HumanEval
(humaneval.py). They are run and counted in attempts_judged.py. Attempts always stand in the order of their problems,
equally many of each.
"""

import ast
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from evaluation.code_questions.function_completion import UNREADABLE
from evaluation.sandbox.pool import Job, Verdict
from evaluation.writing import write_texts
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings

CONSTANT_BODIES = ("pass", "return None", "return True", "return False", "return 0", 'return ""', "return []")
LADDER = ("parses", "defines it", "runs", "right type", "some cases", "all cases")
SEEN_WITHOUT_RUNNING = LADDER[:2]
TOP = len(LADDER)


class Problem(Protocol):
    """What is to be completed."""

    id: str
    prompt: str
    entry: str  # the function or class that the whole has to define
    indentation: int  # of `def`, in spaces

    def job(self, completion: str) -> Job:
        """What the sandbox has to do to judge a completion."""


@dataclass(frozen=True)
class Attempt:
    """One completion of a problem, how it looks, and what became of it when it was run (None: it was not)."""

    problem: Problem
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
            return TOP
        return 5 if self.verdict.passed else 4 if self.verdict.right_type else 3

    @property
    def passes(self) -> bool:
        """All that was asked of it was right."""
        return self.rung == TOP

    @property
    def outcome(self) -> str:
        """The verdict on it in a word."""
        return self.verdict.verdict if self.verdict else "not run"


def write(
    trained: TrainedModel,
    problems: Sequence[Problem],
    samples: int,
    *,
    seed: int,
    settings: SamplingSettings,
    cut: Callable[[Problem, str], str | None] = lambda problem, text: None,
) -> list[Attempt]:
    """Let the model complete each problem `samples` times.

    `cut` gives what of a text is the completion, once something follows that is none; None until then.
    """
    asked = [problem for problem in problems for _ in range(samples)]
    written = write_texts(
        trained,
        [problem.prompt for problem in asked],
        settings=settings,
        seed=seed,
        finished=lambda number, text: cut(asked[number], text) is not None,
        unit=" programs",
    )
    kept = [cut(problem, found.text) for problem, found in zip(asked, written, strict=True)]
    return [
        look_at(problem, found.text if completion is None else completion)
        for problem, found, completion in zip(asked, written, kept, strict=True)
    ]


def look_at(problem: Problem, completion: str) -> Attempt:
    """See what can be seen of a completion without running it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in strings
        try:
            tree = compile(problem.prompt + completion, "<program>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        except UNREADABLE:
            return Attempt(problem, completion, parses=False, defines=False)
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}
    return Attempt(problem, completion, parses=True, defines=problem.entry in names)


def constant_attempts(problems: Sequence[Problem]) -> list[Attempt]:
    """Each of CONSTANT_BODIES as an attempt at each problem: what a guesser writes who reads nothing."""
    indented = [(problem, " " * (problem.indentation + 4)) for problem in problems]
    return [look_at(problem, f"{margin}{body}\n") for problem, margin in indented for body in CONSTANT_BODIES]
