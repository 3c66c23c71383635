"""Exercises for training: as many as are wanted, from the training side of the tables alone, each run in the sandbox.

They are written as documents of a corpus: prompt and solution, and sometimes asserts. What computes the same as a
held-out task stays out even if its words are others; of the tasks on the training side training may see everything.
"""

import hashlib
import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from data.corpus import CorpusWriter
from evaluation.sandbox.pool import Job, Sandbox
from evaluation.tasks import layout
from evaluation.tasks.cases import draw_cases, edge_cases, fingerprint
from evaluation.tasks.catalogue import evaluation_tasks
from evaluation.tasks.chains import DEEPEST, draw_chain
from evaluation.tasks.exercises import COMPOSITION, CONSTANTS, FAMILY, TRAINING, Exercise, fill
from evaluation.tasks.hidden_tests import Case
from evaluation.tasks.steps import START, read_steps
from evaluation.tasks.templates import HELD_OUT_FAMILIES, TaskError, read_families

CHAIN_SHARE = 0.4  # of the exercises; the others are from families
ASSERTS_SHARE = 0.3  # of the documents end in asserts
MOST_ASSERTS = 3
LONGEST_ASSERT = 88  # characters
TRIED = 12  # cases on which each exercise is run
FRUITLESS = 2000  # exercises in a row that were there already: there are no others


@dataclass
class Report:
    """What was written."""

    families: Counter = field(default_factory=Counter)
    repeated: int = 0  # drawn again and left out
    like_held_out: int = 0  # left out because they compute the same as a held-out task


@dataclass(frozen=True)
class Document:
    """An exercise with one of its solutions, as it stands in a corpus."""

    exercise: Exercise
    text: str
    job: Job


def draw_exercises(seed: int) -> Iterator[Exercise]:
    """Exercises of the training side, without end."""
    dice = random.Random(f"exercises {seed}")
    templates = [template for template in read_families() if template.family not in HELD_OUT_FAMILIES]
    steps = read_steps()
    while True:
        if dice.random() < CHAIN_SHARE:
            depth = dice.randint(1, DEEPEST)
            yield draw_chain(steps, dice.choice(list(START)), depth, TRAINING, dice)
        else:
            yield fill(dice.choice(templates), TRAINING, dice)


def documents(seed: int, report: Report) -> Iterator[Document]:
    """Documents without end, no two of them equal, none of an exercise that computes what a held-out task computes.

    Raises TaskError when no others can be found.
    """
    held_out = {
        fingerprint(task.exercise) for task in evaluation_tasks() if task.side in (CONSTANTS, COMPOSITION, FAMILY)
    }
    held_out.discard(None)
    dice = random.Random(f"documents {seed}")
    seen: set[bytes] = set()
    fruitless = 0
    for exercise in draw_exercises(seed):
        cases = (edge_cases(exercise, dice) + draw_cases(exercise, TRIED, dice))[:TRIED]
        number = dice.randrange(len(exercise.template.bodies))
        function = exercise.prompt(cases[-4:]) + exercise.body(number)
        key = hashlib.sha256(function.encode()).digest()
        if key in seen:
            report.repeated += 1
            fruitless += 1
            if fruitless > FRUITLESS:
                raise TaskError(f"there are no more than {len(seen):,} different exercises; ask for fewer with --count")
            continue
        fruitless = 0
        seen.add(key)
        if fingerprint(exercise) in held_out:
            report.like_held_out += 1
            continue
        text = function + (_asserts(exercise, cases) if dice.random() < ASSERTS_SHARE else "")
        yield Document(exercise, text, exercise.subject.job(text, cases))


def _asserts(exercise: Exercise, cases: Sequence[Case]) -> str:
    """Some cases as asserts below the function; nothing where a plain call does not say it all."""
    if exercise.template.manner != "returns":
        return ""
    lines = [
        f"assert {exercise.name}({', '.join(map(layout.literal, case.arguments))}) == {layout.literal(case.outcome)}\n"
        for case in cases
        if case.outcome is not None and not isinstance(case.outcome, bool | type)
    ]
    short = [line for line in lines if len(line) <= LONGEST_ASSERT][-MOST_ASSERTS:]
    return "\n\n" + "".join(short) if short else ""


def write_exercises(path: Path, count: int, seed: int, sandbox: Sandbox) -> Report:
    """Write `count` exercises as a corpus; the file appears only when all are there.

    Raises TaskError for a solution that the sandbox does not pass, or when there are not so many; CorpusError.
    """
    report = Report()
    source = documents(seed, report)
    waiting: deque[Document] = deque()

    def jobs() -> Iterator[Job]:
        for document in source:
            waiting.append(document)
            yield document.job

    with CorpusWriter(path) as corpus, tqdm(total=count, desc="exercises", unit=" exercises", disable=None) as progress:
        verdicts = sandbox.judge(jobs())
        while corpus.documents < count:
            verdict, document = next(verdicts), waiting.popleft()
            if not verdict.is_pass:
                raise TaskError(f"a solution of ours fails ({verdict.verdict}: {verdict.detail}):\n{document.text}")
            corpus.write(document.text)
            report.families[document.exercise.template.family] += 1
            progress.update()
        verdicts.close()
    return report
