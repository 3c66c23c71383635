"""Steps put together: functions that do two or three small things one after the other.

steps.txt has the steps in the form of templates.py; the head says what goes in and what comes out. A step `keep`s the
elements `$x` for which something is true, makes something of `each` element, or of the value `$v` as a whole. A second
body says how a loop adds up what it yields. Some pairs of steps are held out: training never sees both in one chain.
"""

import ast
import hashlib
import random
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

from evaluation.tasks import layout
from evaluation.tasks.exercises import COMPOSITION, Exercise, fill
from evaluation.tasks.inputs import KINDS
from evaluation.tasks.templates import FOLDER, Template, Values, Wording, read_blocks, read_values



class Start(NamedTuple):
    """How chains that begin with a kind are called."""

    family: str
    argument: str
    element: str = ""


STEPS = FOLDER / "steps.txt"
START = {
    "integer": Start("number chains", "number"),
    "ints": Start("list chains", "numbers", "number"),
    "text": Start("string chains", "text", "char"),
    "words": Start("word chains", "words", "word"),
}
HELD_OUT_ONE_IN = 4  # pairs of steps
DEEPEST = 3
PROBES = 60  # arguments on which a chain is compared with a shorter one
OPENINGS = (  # how a docstring strings the steps together; $first is the first with a capital letter
    "Take $argument: $all. Return the result.",
    "$first, and return the result.",
    "Return $argument after these steps: $all.",
)
ATOMS = (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.List, ast.ListComp, ast.Constant)  # bind tightly


@dataclass(frozen=True)
class Step:
    """One small thing that can be done to a value."""

    takes: str
    gives: str
    form: str  # "keep", "each" or "all"
    seen: tuple[Wording, ...]
    unseen: tuple[Wording, ...]
    expression: str
    loop: tuple[str, ...]  # how it begins and what it does with each element `$x`, where it adds something up
    constants: dict[str, Values]

    @property
    def key(self) -> str:
        """Its name."""
        return self.seen[0].name

    def numbered(self, number: int) -> "Step":
        """The same, with constants that no other step of a chain has."""
        slots = {name: f"{name}{number}" for name in self.constants}

        def renamed(text: str) -> str:
            return string.Template(text).safe_substitute({name: f"${slot}" for name, slot in slots.items()})

        wordings = [tuple(Wording(w.name, renamed(w.text)) for w in part) for part in (self.seen, self.unseen)]
        constants = {slots[name]: values for name, values in self.constants.items()}
        loop = tuple(map(renamed, self.loop))
        return Step(self.takes, self.gives, self.form, *wordings, renamed(self.expression), loop, constants)


def read_steps(path: Path = STEPS) -> list[Step]:
    """All steps."""
    steps = []
    for head, seen, unseen, _, bodies in read_blocks(path):
        takes, _, gives, form = head[0].split()
        constants = dict(part.split(" = ") for part in head[1:])
        steps.append(
            Step(
                takes, gives, form, seen, unseen, bodies[0], tuple("\n".join(bodies[1:]).splitlines()),
                {name: read_values(text) for name, text in constants.items()},
            )  # fmt: skip
        )
    return steps


def is_held_out(keys: Sequence[str]) -> bool:
    """Whether any two of these steps are a pair that training never sees in one chain, in whatever order."""
    return any(_drawn(" ".join(sorted(pair))) for pair in combinations(keys, 2))


def _drawn(pair: str) -> bool:
    return hashlib.sha256(pair.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def draw_chain(steps: Sequence[Step], start: str, depth: int, side: str, dice: random.Random) -> Exercise:
    """A random chain of so many steps, none of them idle, the first of which takes `start`. Those of an unseen
    composition include a pair that is held out.
    """
    while True:
        drawn = _draw_steps(steps, start, depth, dice)
        keys = [step.key for step in drawn]
        if is_held_out(keys) == (side == COMPOSITION):
            exercise = fill(chain_template(drawn, dice), side, dice)
            if not is_poor(drawn, exercise.constants):
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
        expression = _expression(kept, "value").removeprefix("return ") if kept else "value"
        function = eval(f"lambda value: {string.Template(expression).substitute(known)}")
        return [repr(function(probe)) for probe in probes]

    whole = answers(parts)
    if len(set(whole)) == 1:
        return True
    for place in range(len(parts)):
        rest = parts[:place] + parts[place + 1 :]
        types = [parts[0].takes, *(part.gives for part in rest)]
        if [part.takes for part in rest] == types[: len(rest)] and answers(rest) == whole:
            return True
    return False


def chain_template(steps: Sequence[Step], dice: random.Random) -> Template:
    """A template for a chain: how its docstring is worded is drawn, what it computes is not."""
    parts = [step.numbered(number) for number, step in enumerate(steps, 1)]
    family, argument = START[steps[0].takes][:2]
    bodies = [write(parts, argument) for write in (_statements, _expression, _fused, _loop)]
    opening = dice.choice(OPENINGS)
    return Template(
        family,
        {argument: steps[0].takes},
        tuple(_wording(opening, argument, [dice.choice(part.seen) for part in parts]) for _ in range(2)),
        (_wording(opening, argument, [dice.choice(part.unseen) for part in parts]),),
        tuple(dict.fromkeys(body for body in bodies if body)),
        constants={name: values for part in parts for name, values in part.constants.items()},
        steps=tuple(step.key for step in steps),
    )


def _wording(opening: str, argument: str, wordings: Sequence[Wording]) -> Wording:
    """The function's name and docstring, of those of the steps."""
    texts = [wording.text for wording in wordings]
    every = ", then ".join(texts)
    known = {"argument": f"${argument}", "all": every, "first": every[0].upper() + every[1:]}
    return Wording("_".join(wording.name for wording in wordings), string.Template(opening).safe_substitute(known))


def _apply(part: Step, value: str) -> str:
    """A step's expression for a value."""
    element = START[part.takes].element
    if part.form == "all":
        return _put(part.expression, value)
    inner = _put(part.expression, element, "x")
    taken = f"{element} for {element} in" if part.form == "keep" else f"{inner} for {element} in"
    elements = f"{taken} {value}" + f" if {inner}" * (part.form == "keep")
    return f'"".join({elements})' if part.gives == "text" else f"[{elements}]"


def _put(expression: str, value: str, place: str = "v") -> str:
    """An expression with a value in it, in parentheses where it needs them; no list where a function takes any."""
    node = ast.parse(value.replace("$", ""), mode="eval").body
    is_argument = re.search(rf"(\(|, )\${place}(\)|,)", expression)
    if isinstance(node, ast.ListComp) and re.search(rf"\b(sum|max|min|sorted|join)\(\${place}\)", expression):
        value = value[1:-1]
    elif not isinstance(node, ATOMS) and not is_argument:
        value = f"({value})"
    return string.Template(expression).safe_substitute({place: value})


def _statements(parts: Sequence[Step], argument: str) -> str:
    """One statement for each step."""
    lines, value = [], argument
    for part in parts[:-1]:
        lines.append(f"{part.key} = {_apply(part, value)}")
        value = part.key
    return "\n".join([*lines, f"return {_apply(parts[-1], value)}"])


def _expression(parts: Sequence[Step], argument: str) -> str:
    """All steps in one expression."""
    value = argument
    for part in parts:
        value = _apply(part, value)
    return f"return {value}"


def _fused(parts: Sequence[Step], argument: str) -> str:
    """As `_expression`, with what is kept and what is made of it in one comprehension. Empty where that can not be."""
    for place, (first, second) in enumerate(pairwise(parts)):
        if first.form == "keep" and second.form == "each" and first.gives == "ints":
            before = _expression(parts[:place], argument).removeprefix("return ") if place else argument
            kept, made = (_put(part.expression, "number", "x") for part in (first, second))
            value = f"[{made} for number in {before} if {kept}]"
            for part in parts[place + 2 :]:
                value = _apply(part, value)
            return f"return {value}"
    return ""


def _loop(parts: Sequence[Step], argument: str) -> str:
    """A loop for the first steps, as far as they look at one element after the other. Empty where none does."""
    taken = next((place for place, part in enumerate(parts) if part.form == "all"), len(parts))
    adds_up = parts[taken].loop if taken < len(parts) else ()
    if not taken and not adds_up:
        return ""
    is_text = taken and parts[taken - 1].gives == "text"
    begin, update = adds_up or (('kept = ""', "kept += $x") if is_text else ("kept = []", "kept.append($x)"))
    element = START[parts[0].takes].element
    lines, margin = [begin, f"for {element} in {argument}:"], "    "
    for part in parts[:taken]:
        inner = _put(part.expression, element, "x")
        if part.form == "keep":
            lines.append(f"{margin}if {inner}:")
            margin += "    "
        else:
            element = START[part.gives].element
            lines.append(f"{margin}{element} = {inner}")
    lines.append(margin + _put(update, element, "x"))
    value = begin.split(" = ")[0]
    for part in parts[taken + bool(adds_up) :]:
        value = _apply(part, value)
    return "\n".join([*lines, f"return {value}"])
