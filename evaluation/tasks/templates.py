"""A template: one thing that a function can be for, in several wordings and ways to write it; read from a table.

A table is a text file of blocks like this one, with an empty line before the next `===`:

    === numbers: ints; limit = 2, 3, 5 | 4, 7
    count_above: Return how many of the numbers are greater than $limit.
    count_greater: Count the values in $numbers that are greater than $limit.
    * how_many_exceed: Find out how many of $numbers exceed $limit.
    ---
    return sum(1 for number in numbers if number > $limit)
    ---
    count = 0
    ...

The head has the parameters with their kinds (inputs.py), then constants: values that training may see `|` values that
it may not. A wording is a name and what the docstring says; training never sees those marked `*`. Each `---` begins a
body; the first is the reference, all compute the same. `+++` begins what stands above the function: imports, or a class
whose method is to be written. In the head `prints` says that what is printed counts, `changes` that the first
argument as it is left behind does, `class NAME(parameters)` and `then METHOD` how an object of the class is made and
looked at. `$name` stands for a constant or for what a parameter is called, `$self` for the function's own name. Lines
that begin with `##` are headings.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from evaluation.tasks.inputs import KINDS

FOLDER = Path(__file__).resolve().parent
HELD_OUT_FAMILIES = ("clocks", "matrices", "sets")  # training never sees any of their templates


class TaskError(ValueError):
    """A table, or what it says, can not be made into tasks; the message says where and why."""


class Wording(NamedTuple):
    """What a function is called and what its docstring says."""

    name: str
    text: str


class Values(NamedTuple):
    """The values of a constant: those that training may see, and those that it may not."""

    seen: tuple
    unseen: tuple = ()


@dataclass(frozen=True)
class Template:
    """What a function is for and how it can be written."""

    family: str
    parameters: Mapping[str, str]  # name: kind, as the bodies call them
    seen: tuple[Wording, ...]
    unseen: tuple[Wording, ...]
    bodies: tuple[str, ...]
    constants: Mapping[str, Values] = field(default_factory=dict)
    above: str = ""  # what stands above the function
    manner: str = "returns"  # what counts: what it "returns", "prints" or "changes", or what its "class" does
    class_name: str = ""
    class_parameters: Mapping[str, str] = field(default_factory=dict)
    then: tuple[str, ...] = ()  # methods without parameters by which an object is looked at
    steps: tuple[str, ...] = ()  # of which it is put together
    shorter: tuple[str, ...] = ()  # bodies that leave one of the steps out

    @property
    def key(self) -> str:
        """Its name in ids, unlike any other in its family."""
        return self.seen[0].name


class Block(NamedTuple):
    """A block of a table, not yet understood."""

    head: list[str]  # split at the semicolons
    seen: tuple[Wording, ...]
    unseen: tuple[Wording, ...]
    above: str
    bodies: tuple[str, ...]


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a table. Raises TaskError for a block that has no wording or no body."""
    text = re.sub(r"^## .*\n", "", path.read_text(encoding="utf-8"), flags=re.M)
    return [_block(block, path.name) for block in re.split(r"^=== ", text, flags=re.M)[1:]]


def _block(text: str, place: str) -> Block:
    sections = re.split(r"^(\+\+\+|---)\n", text, flags=re.M)
    head, *wordings = sections[0].strip().splitlines()
    parts = list(zip(sections[1::2], (section.strip("\n") for section in sections[2::2]), strict=True))
    bodies = tuple(section for mark, section in parts if mark == "---")
    above = "".join(section + "\n" for mark, section in parts if mark == "+++")
    seen = tuple(_wording(line) for line in wordings if not line.startswith("*"))
    unseen = tuple(_wording(line.lstrip("* ")) for line in wordings if line.startswith("*"))
    if not seen or not unseen or not bodies:
        raise TaskError(f"{place}: the block `{head}` needs wordings with and without `*`, and a body below `---`")
    return Block([part.strip() for part in head.split("; ")], seen, unseen, above, bodies)


def _wording(line: str) -> Wording:
    name, _, text = line.partition(": ")
    return Wording(name, text)


def read_values(text: str) -> Values:
    """`2, 3 | 4` as the values of a constant."""
    return Values(*(ast.literal_eval(f"({part.strip()},)") for part in text.split("|")))


def read_parameters(text: str) -> dict[str, str]:
    """`numbers: ints, n: small` as name: kind. Raises TaskError for an unknown kind."""
    parameters = dict(part.strip().split(": ") for part in text.split(",") if part.strip())
    unknown = set(parameters.values()) - set(KINDS)
    if unknown:
        raise TaskError(f"{text!r}: there is no kind of argument {', '.join(sorted(unknown))} in inputs.py")
    return parameters


def read_family(path: Path) -> list[Template]:
    """The templates of a family. Raises TaskError."""
    return [_template(path.stem, block) for block in read_blocks(path)]


def _template(family: str, block: Block) -> Template:
    known: dict = {"constants": {}, "above": block.above}
    for part in block.head[1:]:
        if part in ("prints", "changes"):
            known["manner"] = part
        elif creator := re.fullmatch(r"class (\w+)\((.*)\)", part):
            known |= {"manner": "class", "class_name": creator[1], "class_parameters": read_parameters(creator[2])}
        elif part.startswith("then "):
            known["then"] = tuple(part.removeprefix("then ").split())
        else:
            name, _, values = part.partition(" = ")
            known["constants"][name] = read_values(values)
    return Template(family, read_parameters(block.head[0]), block.seen, block.unseen, block.bodies, **known)


def read_families() -> list[Template]:
    """All templates, family by family."""
    return [template for path in sorted((FOLDER / "families").glob("*.txt")) for template in read_family(path)]
