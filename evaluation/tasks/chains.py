"""Steps put together: functions that do up to three small things one after the other.

Some pairs of steps are held out: training never sees both in one chain, though it sees each of them in others.
"""

import hashlib
import random
import string
from collections.abc import Mapping, Sequence
from itertools import combinations

from evaluation.tasks import layout
from evaluation.tasks.chain_bodies import chain_bodies, one_expression
from evaluation.tasks.exercises import COMPOSITION, CONSTANTS, Exercise, fill
from evaluation.tasks.inputs import KINDS
from evaluation.tasks.steps import START, Step
from evaluation.tasks.templates import Template, Wording

HELD_OUT_ONE_IN = 4  # pairs of steps
DEEPEST = 3
PROBES = 60  # arguments on which a chain is compared with a shorter one
OPENINGS = (  # how a docstring strings the steps together; $first is $all with a capital letter
    "Take $argument: $all. Return the result.",
    "$first, and return the result.",
    "Return $argument after $steps: $all.",
)


def is_held_out(keys: Sequence[str]) -> bool:
    """Whether any two of these steps are a pair that training never sees in one chain, in whatever order."""
    return any(_drawn(" ".join(sorted(pair))) for pair in combinations(keys, 2))


def _drawn(pair: str) -> bool:
    return hashlib.sha256(pair.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def draw_chain(steps: Sequence[Step], start: str, depth: int, side: str, dice: random.Random) -> Exercise:
    """An exercise of so many random steps, none of them idle, the first of which takes `start`.

    It has a pair of steps that is held out if its side is that of unseen compositions, and only then.
    """
    while True:
        drawn = _draw_steps(steps, start, depth, dice)
        keys = [step.key for step in drawn]
        if is_held_out(keys) == (side == COMPOSITION):
            exercise = fill(chain_template(drawn, dice), side, dice)
            has_what_it_asks = exercise.constants or side != CONSTANTS
            if has_what_it_asks and not is_poor(drawn, exercise.constants):
                return exercise


def _draw_steps(steps: Sequence[Step], start: str, depth: int, dice: random.Random) -> list[Step]:
    while True:
        drawn: list[Step] = []
        while len(drawn) < depth:
            fitting = [s for s in steps if s.takes == (drawn[-1].gives if drawn else start) and s not in drawn]
            if not fitting:
                break
            drawn.append(dice.choice(fitting))
        if len(drawn) == depth:
            return drawn


def is_poor(steps: Sequence[Step], constants: Mapping[str, object]) -> bool:
    """Whether a chain always comes to the same, or to the same with one step less."""
    parts = [step.numbered(number) for number, step in enumerate(steps, 1)]
    dice = random.Random(f"probes {steps[0].takes}")
    probes = [KINDS[steps[0].takes].draw(dice, ()) for _ in range(PROBES)]
    known = {name: layout.literal(value) for name, value in constants.items()}

    def answers(kept: list[Step]) -> list[str]:
        function = eval(f"lambda value: {string.Template(one_expression(kept, 'value')).substitute(known)}")
        return [layout.stable(function(probe)) for probe in probes]

    whole = answers(parts)
    return len(set(whole)) == 1 or any(answers(rest) == whole for rest in one_less(parts))


def one_less(parts: list[Step]) -> list[list[Step]]:
    """The chains with one step less that fit together."""
    found = []
    for place in range(len(parts)):
        rest = parts[:place] + parts[place + 1 :]
        types = [parts[0].takes, *(part.gives for part in rest)]
        if [part.takes for part in rest] == types[: len(rest)]:
            found.append(rest)
    return found


def chain_template(steps: Sequence[Step], dice: random.Random) -> Template:
    """A template for a chain: how its docstring is worded is drawn, what it computes is not."""
    parts = [step.numbered(number) for number, step in enumerate(steps, 1)]
    family, argument = START[steps[0].takes][:2]
    opening = dice.choice(OPENINGS)
    return Template(
        family,
        {argument: steps[0].takes},
        tuple(_wording(opening, argument, [dice.choice(part.seen) for part in parts]) for _ in range(2)),
        (_wording(opening, argument, [dice.choice(part.unseen) for part in parts]),),
        chain_bodies(parts, argument),
        constants={name: values for part in parts for name, values in part.constants.items()},
        steps=tuple(step.key for step in steps),
        shorter=tuple(f"return {one_expression(rest, argument)}" for rest in one_less(parts)),
    )


def _wording(opening: str, argument: str, wordings: Sequence[Wording]) -> Wording:
    """The function's name and docstring, of those of the steps."""
    every = ", then ".join(wording.text for wording in wordings)
    steps = "these steps" if len(wordings) > 1 else "this step"
    known = {"argument": f"${argument}", "all": every, "first": every[0].upper() + every[1:], "steps": steps}
    return Wording("_".join(wording.name for wording in wordings), string.Template(opening).safe_substitute(known))
