"""A template filled in: one function with its name, its docstring, its constants, and the ways to write it.

What may be filled in depends on the side. A held-out exercise has exactly one thing that training never sees, the one
that its side names; all else is as training has it.
"""

import random
import re
import string
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from evaluation.tasks import layout
from evaluation.tasks.hidden_tests import Case, Subject
from evaluation.tasks.inputs import KINDS, draw_arguments, parts_of
from evaluation.tasks.templates import Template

TRAINING, CONSTANTS = "training side", "unseen constants"
WORDING, COMPOSITION, FAMILY = "unseen wording", "unseen composition", "unseen family"
SIDES = (TRAINING, CONSTANTS, WORDING, COMPOSITION, FAMILY)
LAYOUTS = ("plain", "plain", "opened", "annotated", "example")
CALLS = 3  # of a method, on each object
ANNOTATED_BY = 40  # answers


@dataclass(frozen=True)
class Exercise:
    """A function to write."""

    template: Template
    side: str
    name: str
    text: str  # of the docstring
    constants: Mapping[str, object]
    names: Mapping[str, str]  # what the parameters are called, by what the template calls them
    layout: str

    @property
    def subject(self) -> Subject:
        """What a test calls, and what counts."""
        template = self.template
        if template.manner == "class":
            return Subject(template.class_name, "class", self.name, template.then)
        return Subject(self.name, template.manner)

    @property
    def indentation(self) -> str:
        """Of `def`."""
        return "    " if self.template.class_name else ""

    def prompt(self, examples: Sequence[Case]) -> str:
        """What a model completes: what stands above, the line with `def`, the docstring, perhaps with examples."""
        inner, opened = self.indentation + "    ", self.layout == "opened"
        annotated = self.layout == "annotated" and not self.template.class_name
        head = self._signature(self._answer_annotation() if annotated else "")
        return self._above() + head + layout.docstring(self.text, self._shown(examples), inner, opened=opened)

    def body(self, number: int = 0) -> str:
        """One of the ways to write it, as it stands behind the prompt."""
        return self._written(self.template.bodies[number])

    @cached_property
    def reference(self) -> Callable[[tuple], object]:
        """The trusted function from arguments to their outcome."""
        return self._trusted(self.template.bodies[0])

    @cached_property
    def shorter(self) -> list[Callable[[tuple], object]]:
        """Functions that leave out one of its steps, and so are wrong."""
        return [self._trusted(body) for body in self.template.shorter]

    def draw(self, dice: random.Random, given: Mapping[str, object] = MappingProxyType({})) -> tuple:
        """Arguments to try it on; those of some parameters may be given."""
        constants = tuple(self.constants.values())
        template = self.template
        if not template.class_name:
            return draw_arguments(template.parameters, constants, dice, given)
        made = draw_arguments(template.class_parameters, constants, dice, given)
        near = (*constants, *parts_of(made))
        return made, [draw_arguments(template.parameters, near, dice, given) for _ in range(CALLS)]

    def _trusted(self, body: str) -> Callable[[tuple], object]:
        return self.subject.program(self._above() + self._signature() + self._written(body))

    def _written(self, body: str) -> str:
        text = layout.rename(self._filled(body), self.names)
        return textwrap.indent(text, self.indentation + "    ") + "\n"

    def _above(self) -> str:
        blank_lines = "\n" if self.template.class_name else "\n\n"
        return self._filled(self.template.above) + blank_lines if self.template.above else ""

    def _signature(self, answer: str = "") -> str:
        """The line with `def`, annotated where the annotation of the answer is given."""
        annotations = [KINDS[kind].annotation for kind in self.template.parameters.values()]
        parameters = ["self"] * bool(self.template.class_name) + list(self.names.values())
        return self.indentation + layout.signature(self.name, parameters, annotations, answer)

    def _answer_annotation(self) -> str:
        """What the answers to some random arguments are."""
        dice = random.Random(0)
        outcomes = [self.reference(self.draw(dice)) for _ in range(ANNOTATED_BY)]
        return layout.annotation_of(outcomes) if self.template.manner == "returns" else "None"

    def _filled(self, text: str) -> str:
        known = {name: layout.literal(value) for name, value in self.constants.items()}
        return string.Template(text).substitute(known, self=self.name)

    def _shown(self, examples: Sequence[Case]) -> list[str]:
        """One or two examples as a docstring shows them."""
        if self.layout != "example" or self.template.manner != "returns":
            return []
        lines = [
            f">>> {self.name}({', '.join(map(layout.literal, case.arguments))})\n{layout.stable(case.outcome)}"
            for case in examples
            if case.outcome is not None and not isinstance(case.outcome, type)
        ]
        return [line for line in lines if len(line) <= layout.LONGEST_EXAMPLE and "\\" not in line][:2]


def fill(template: Template, side: str, dice: random.Random) -> Exercise:
    """An exercise of a side, everything that the side leaves open drawn."""
    wordings = template.unseen if side == WORDING else template.seen
    wording = dice.choice(wordings)
    name = wording.name if side == WORDING else dice.choice(wordings).name
    constants = {
        constant: dice.choice(values.unseen if side == CONSTANTS else values.seen)
        for constant, values in template.constants.items()
    }
    names = _names(template, dice)
    known = {constant: layout.literal(value) for constant, value in constants.items()} | names
    text = string.Template(wording.text).substitute(known)
    text = text if side == WORDING else layout.begun_otherwise(text, dice)
    return Exercise(template, side, name, text, constants, names, dice.choice(LAYOUTS))


def _names(template: Template, dice: random.Random) -> dict[str, str]:
    """What to call the parameters: as the template does, or otherwise as real code might; two of a kind stay a pair."""
    if len(set(template.parameters.values())) < len(template.parameters):
        return {name: name for name in template.parameters}
    taken = set(re.findall(r"\w+", " ".join((*template.bodies, template.above, template.class_name))))
    taken |= set(template.parameters) | {wording.name for wording in (*template.seen, *template.unseen)}
    names: dict[str, str] = {}
    for name, kind in template.parameters.items():
        free = [other for other in KINDS[kind].names if other not in taken]
        names[name] = dice.choice([name] * max(1, len(free)) + free)
        taken.add(names[name])
    return names
