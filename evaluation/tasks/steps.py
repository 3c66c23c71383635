"""The steps of which chains are made, as steps.txt has them.

The table is in the form of templates.py; a head says what goes in, what comes out, and of which form the step is: it
`keep`s the elements `$x` for which something is true, makes something of `each` element, or of the value `$v` as a
whole (`all`). A second body says how a loop adds up what it yields.
"""

import string
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evaluation.tasks.templates import FOLDER, Values, Wording, read_blocks, read_values


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
        constants = {name: read_values(text) for name, text in (part.split(" = ") for part in head[1:])}
        loop = tuple("\n".join(bodies[1:]).splitlines())
        steps.append(Step(takes, gives, form, seen, unseen, bodies[0], loop, constants))
    return steps
