"""Wrong solutions of a task: mutants of its reference, solutions of other tasks, trivial answers, and tricks.

Which of them are really wrong is found out by trying them on many more inputs than the hidden cases (`more_cases`).
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from evaluation.tasks.cases import draw_cases
from evaluation.tasks.catalogue import Task
from evaluation.tasks.hidden_tests import Case
from evaluation.tasks.layout import stable
from evaluation.tasks.mutants import mutants
from evaluation.tasks.tricks import TRICKS, tricked

NEIGHBOURS = 4  # other tasks whose solution is tried
TRICKS_OF_EACH = 5
OTHER_TASK, TRIVIAL, TRICK = "another task's", "trivial answer", "trick"


class Wrong(NamedTuple):
    """A program that should not pass."""

    task: Task
    kind: str
    source: str


def wrong_solutions(tasks: Sequence[Task], most_mutants: int) -> Iterator[Wrong]:
    """The wrong solutions of each task, at most so many mutants of its reference among them."""
    alike: dict[tuple, list[Task]] = defaultdict(list)
    for task in tasks:
        alike[_call(task)].append(task)
    for task in tasks:
        dice = random.Random(f"wrong {task.id}")
        changed = mutants(task.prompt + task.reference, task.prompt.count("\n") + 1)
        for mutant in dice.sample(changed, min(most_mutants, len(changed))):
            yield Wrong(task, *mutant)
        others = [other for other in alike[_call(task)] if other is not task]
        for other in dice.sample(others, min(NEIGHBOURS, len(others))):
            yield Wrong(task, OTHER_TASK, task.prompt + _translated(other, task))
        for body in _trivial_bodies(task):
            yield Wrong(task, TRIVIAL, f"{task.prompt}{task.exercise.indentation}    {body}\n")
        for trick in dice.sample(TRICKS, TRICKS_OF_EACH):
            yield Wrong(task, TRICK, tricked(task.prompt, task.entry, task.exercise.indentation, trick))


def _call(task: Task) -> tuple:
    """What tasks have in common that are called in the same way."""
    template = task.exercise.template
    return template.manner, template.class_name, template.above, tuple(template.parameters.values())


def _translated(other: Task, task: Task) -> str:
    """The body of another task's reference, with this task's names."""
    names = dict(zip(other.exercise.names, task.exercise.names.values(), strict=True))
    return replace(other.exercise, names=names, name=task.exercise.name).body()


def _trivial_bodies(task: Task) -> list[str]:
    """Bodies that compute nothing; where what is returned counts, also the most frequent answer."""
    returned = [case.outcome for case in task.cases if task.exercise.template.manner == "returns"]
    answers = [stable(outcome) for outcome in returned if not isinstance(outcome, type)]
    often = [max(answers, key=answers.count)] if answers else []
    values = ["None", "True", "False", "0", "1", '""', "[]", *task.exercise.names.values(), *often]
    return [f"return {value}" for value in dict.fromkeys(values)]


def more_cases(task: Task, count: int) -> list[Case]:
    """Many more cases of a task, other ones than the hidden."""
    return draw_cases(task.exercise, count, random.Random(f"more {task.id}"))
