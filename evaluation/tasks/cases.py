"""What a solution is tried on: hidden cases at which trivial answers fail, and examples that may be shown."""

import random
from collections.abc import Sequence
from itertools import chain, zip_longest

from evaluation.tasks.exercises import Exercise
from evaluation.tasks.hidden_tests import Case
from evaluation.tasks.inputs import KINDS, draw_arguments, parts_of
from evaluation.tasks.layout import stable
from evaluation.tasks.templates import TaskError

HIDDEN, SHOWN, DRAWN = 24, 4, 200
MOST_TRIVIAL = 0.8  # of the hidden cases may have one and the same answer, or an argument as the answer
PROBES = 60


def draw_cases(exercise: Exercise, count: int, dice: random.Random) -> list[Case]:
    """Random cases, no two of the same arguments."""
    drawn = {stable(arguments): arguments for arguments in (exercise.draw(dice) for _ in range(count))}
    return [Case(arguments, exercise.reference(arguments)) for arguments in drawn.values()]


def at_constants(exercise: Exercise, cases: Sequence[Case]) -> list[Case]:
    """For each number among the constants, a case with it or an argument as long, and for either neighbour."""
    numbers = [value + more for value in exercise.constants.values() if type(value) is int for more in (-1, 0, 1)]
    holding = [next((case for case in cases if number in parts_of(case.arguments)), None) for number in numbers]
    as_long = [next((case for case in cases if number in _lengths(case.arguments)), None) for number in numbers]
    return [case for case in (*holding, *as_long) if case]


def with_each_step(exercise: Exercise, cases: Sequence[Case]) -> list[Case]:
    """For each step of a chain two cases in which it matters: some, like a limit, seldom do."""
    matters = [
        [case for case in cases if stable(without(case.arguments)) != stable(case.outcome)]
        for without in exercise.shorter
    ]
    return [case for part in matters for case in part[:2]]


def _lengths(arguments: tuple) -> list[int]:
    """Of the arguments, and of the texts in a list of them."""
    texts = [part for argument in arguments if isinstance(argument, list) for part in argument]
    return [len(value) for value in (*arguments, *texts) if isinstance(value, str | list)]


def edge_cases(exercise: Exercise, dice: random.Random) -> list[Case]:
    """Cases in which one argument is a value at which solutions often fail."""
    kinds = {**exercise.template.class_parameters, **exercise.template.parameters}
    drawn = [exercise.draw(dice, {name: edge}) for name, kind in kinds.items() for edge in KINDS[kind].edges]
    return [Case(arguments, exercise.reference(arguments)) for arguments in drawn]


def choose_cases(exercise: Exercise, dice: random.Random) -> tuple[list[Case], list[Case]]:
    """The hidden cases of an exercise, and others that may be shown.

    Hidden are edges, those with each step, the constants and their neighbours, then as many different answers as can
    be. Raises TaskError where a trivial answer would do for most of them.
    """
    drawn = draw_cases(exercise, DRAWN, dice)
    telling = (*edge_cases(exercise, dice), *with_each_step(exercise, drawn), *at_constants(exercise, drawn))
    edges = {stable(case.arguments): case for case in telling}
    others = _varied([case for case in drawn if stable(case.arguments) not in edges])
    kept = list(edges.values())[: HIDDEN // 2]
    left = HIDDEN - len(kept)
    hidden, shown = kept + others[:left], others[left:][:SHOWN]
    if (share := trivial_share(hidden)) > MOST_TRIVIAL:
        name = f"{exercise.template.family}/{exercise.name}"
        raise TaskError(f"{name}: a trivial answer is right in {share:.0%} of cases")
    return hidden, shown or hidden[-SHOWN:]


def _varied(cases: Sequence[Case]) -> list[Case]:
    """Cases in such an order that answers differ, and that every second answer is an argument, where that can be.

    Frequent answers come first: an answer that often comes is a way of its own through a function, such as a limit.
    """
    by_outcome: dict[str, list[Case]] = {}
    for case in cases:
        by_outcome.setdefault(stable(case.outcome), []).append(case)
    frequent = sorted(by_outcome.values(), key=len, reverse=True)
    in_turn = [case for turn in zip_longest(*frequent) for case in turn if case]
    parts = [[case for case in in_turn if _answers_itself(case) is trivial] for trivial in (False, True)]
    return [case for turn in zip_longest(*parts) for case in turn if case]


def _answers_itself(case: Case) -> bool:
    """Whether the answer is one of the arguments as it is."""
    return any(stable(argument) == stable(case.outcome) for argument in case.arguments)


def trivial_share(cases: Sequence[Case]) -> float:
    """In how many cases the best of the trivial answers is right: a constant, or an argument as it is."""
    outcomes = [stable(case.outcome) for case in cases]
    best = max(map(outcomes.count, outcomes))
    for place in range(max(len(case.arguments) for case in cases)):
        best = max(best, sum(stable(case.arguments[place]) == stable(case.outcome) for case in cases))
    return best / len(cases)


def fingerprint(exercise: Exercise) -> tuple | None:
    """What an exercise computes, alike for all that compute the same from the same kinds of arguments.

    None for methods: two classes are never the same.
    """
    template = exercise.template
    if template.class_name:
        return None
    kinds = tuple(template.parameters.values())
    dice = random.Random(f"probes {kinds}")
    edges = ((edge,) for edge in KINDS[kinds[0]].edges) if len(kinds) == 1 else ()
    probes = chain((draw_arguments(template.parameters, (), dice) for _ in range(PROBES)), edges)
    return template.manner, kinds, tuple(stable(exercise.reference(probe)) for probe in probes)
