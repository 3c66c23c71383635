"""The tasks that evaluation asks, the same in every run: for each template what training may have seen, and beside it
the same with an unseen wording and with unseen constants; chains of steps that never met; families never seen.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice, product, zip_longest

from evaluation.sandbox.pool import Job
from evaluation.tasks.cases import choose_cases
from evaluation.tasks.chains import DEEPEST, draw_chain
from evaluation.tasks.exercises import COMPOSITION, CONSTANTS, FAMILY, SIDES, TRAINING, WORDING, Exercise, fill
from evaluation.tasks.hidden_tests import Case
from evaluation.tasks.layout import stable
from evaluation.tasks.steps import START, read_steps
from evaluation.tasks.templates import HELD_OUT_FAMILIES, TaskError, Template, read_families

TRIES = 20
CHAINS = {TRAINING: 4, CONSTANTS: 3, WORDING: 3, COMPOSITION: 10}  # for each start and depth


@dataclass(frozen=True)
class Task:
    """A prompt to complete and the hidden cases that decide."""

    id: str
    exercise: Exercise
    prompt: str
    reference: str  # a completion that is right
    cases: tuple[Case, ...]

    @property
    def side(self) -> str:
        """What of it training never sees: one of exercises.SIDES."""
        return self.exercise.side

    @property
    def family(self) -> str:
        """What kind of thing it is about."""
        return self.exercise.template.family

    @property
    def depth(self) -> int:
        """How many steps are put together in it."""
        return max(1, len(self.exercise.template.steps))

    @property
    def entry(self) -> str:
        """The name that the program has to define: a function or a class."""
        return self.exercise.subject.entry

    @property
    def indentation(self) -> int:
        """Of `def`, in spaces: a line that is not indented deeper ends the completion."""
        return len(self.exercise.indentation)

    def job(self, completion: str) -> Job:
        """What the sandbox has to do to judge a completion."""
        return self.exercise.subject.job(self.prompt + completion, self.cases)


@cache
def evaluation_tasks() -> tuple[Task, ...]:
    """All tasks. Takes some seconds the first time."""
    return tuple(make_tasks())


def make_tasks() -> Iterator[Task]:
    """The tasks one by one, no two with the same prompt. Raises TaskError."""
    prompts: set[str] = set()
    for name, draw in _plan():
        dice = random.Random(name)
        task = _make_task(name, draw, dice)
        while task.prompt in prompts:
            task = _make_task(name, draw, dice)
        prompts.add(task.prompt)
        yield task


def _plan() -> Iterator[tuple[str, Callable[[random.Random], Exercise]]]:
    """The name of each task, and how its exercise is drawn."""
    for template in read_families():
        for side in _sides(template):
            yield f"{template.family}/{template.key}/{side}", partial(fill, template, side)
    steps = read_steps()
    for start, depth in product(START, range(1, DEEPEST + 1)):
        for side, count in CHAINS.items():
            if depth > 1 or side != COMPOSITION:
                for number in range(1, count + 1):
                    name = f"{START[start].family}/{depth} steps, number {number}/{side}"
                    yield name, partial(draw_chain, steps, start, depth, side)


def _sides(template: Template) -> list[str]:
    """The sides on which a template is asked."""
    if template.family in HELD_OUT_FAMILIES:
        return [FAMILY]
    return [TRAINING, WORDING] + [CONSTANTS] * bool(template.constants)


def _make_task(name: str, draw: Callable[[random.Random], Exercise], dice: random.Random) -> Task:
    """A task; where a trivial answer would do, another is drawn, and at last a TaskError raised."""
    for tries_left in reversed(range(TRIES)):
        exercise = draw(dice)
        try:
            hidden, shown = choose_cases(exercise, dice)
            break
        except TaskError:
            if not tries_left:
                raise
    return Task(name, exercise, exercise.prompt(shown), exercise.body(), tuple(hidden))


def draw_tasks(count: int, seed: int = 0) -> list[Task]:
    """About `count` tasks, equally many of each side as far as they reach."""
    by_side = [[task for task in evaluation_tasks() if task.side == side] for side in SIDES]
    dice = random.Random(f"tasks {seed}")
    shuffled = [dice.sample(part, len(part)) for part in by_side]
    in_turn = (task for turn in zip_longest(*shuffled) for task in turn if task)
    return list(islice(in_turn, count))


def digest(tasks: Sequence[Task]) -> str:
    """A sha256 that tells these tasks and their hidden cases from any others: scores compare only where it is equal."""
    text = "\n".join(f"{task.id}\n{task.prompt}\n{stable([*task.cases])}" for task in tasks)
    return hashlib.sha256(text.encode()).hexdigest()
