"""How an exercise looks on the page: names, annotations, docstrings as libraries write them."""

import random
import re
import textwrap
from collections.abc import Mapping, Sequence

WIDTH = 88  # characters of a docstring's line
LONGEST_EXAMPLE = 60  # characters
BEGINNINGS = (  # of docstrings: those of a row say the same; a text is begun otherwise by the first row that fits
    ("Return True if ", "Returns True if ", "Return whether ", "Check whether ", "Check if ", "Test whether "),
    ("Return how many ", "Count how many ", "Find out how many "),
    ("Return how often ", "Count how often ", "Find out how often "),
    ("Return the number of ", "Returns the number of ", "Count the ", "Get the number of "),
    ("Return a list of ", "Returns a list of ", "Make a list of ", "List "),
    ("Return a dictionary ", "Returns a dictionary ", "Build a dictionary ", "Make a dictionary "),
    ("Return the ", "Returns the ", "Get the ", "Give the "),
    ("Compute the ", "Calculate the ", "Work out the ", "Return the "),
    ("Find the ", "Look for the ", "Get the ", "Return the "),
    ("Return ", "Returns "),
    ("Remove ", "Delete "),
    ("Add up ", "Sum up "),
    ("Print ", "Prints "),
)


def begun_otherwise(text: str, dice: random.Random) -> str:
    """A docstring that says the same with another beginning, or as it is."""
    for row in BEGINNINGS:
        for beginning in row:
            if text.startswith(beginning):
                return dice.choice(row) + text.removeprefix(beginning)
    return text


def stable(value: object) -> str:
    """The same as `repr`, but a set in order: its own depends on how this run of Python hashes strings."""
    if isinstance(value, set) and value:
        return f"{{{', '.join(map(stable, sorted(value)))}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(part, (list, tuple, set)) for part in value):
        inner = ", ".join(map(stable, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def literal(value: object) -> str:
    """A value as code has it."""
    plain = isinstance(value, str) and value.isprintable() and not set(value) & set("\"'\\")
    return f'"{value}"' if plain else stable(value)


def rename(text: str, names: Mapping[str, str]) -> str:
    """Code in which parameters are called otherwise. Attributes of that name stay."""
    pattern = re.compile(rf"(?<![\w.])({'|'.join(names)})(?!\w)")
    return pattern.sub(lambda found: names[found[1]], text) if names else text


def signature(name: str, parameters: Sequence[str], annotations: Sequence[str], answer: str) -> str:
    """The line with `def`; annotated where `answer`, the annotation of what is returned, is given."""
    if answer:
        typed = dict(zip(parameters[-len(annotations) or len(parameters) :], annotations, strict=True))
        parameters = [f"{name}: {typed[name]}" if name in typed else name for name in parameters]
    return f"def {name}({', '.join(parameters)}){f' -> {answer}' if answer else ''}:\n"


def docstring(text: str, examples: Sequence[str], indentation: str, *, opened: bool) -> str:
    """A docstring: on one line, on several, or `opened` by a line of its own, with examples below."""
    lines = textwrap.wrap(text, WIDTH - len(indentation) - 6)
    if len(lines) == 1 and not examples and not opened:
        return f'{indentation}"""{text}"""\n'
    shown = [line for example in examples for line in example.splitlines()]
    inner = ([""] if opened else []) + lines + (["", *shown] if shown else []) + [""]
    return textwrap.indent('"""' + "\n".join(inner) + '"""\n', indentation)


def annotation_of(values: Sequence[object]) -> str:
    """What all of these values are, as an annotation."""
    names = sorted({_name_of(value) for value in values if value is not None and not isinstance(value, type)})
    names = [name for name in names if not any(other.startswith(f"{name}[") for other in names)]
    if not names:
        return "None"
    known = "float" if names == ["float", "int"] else names[0] if len(names) == 1 else "object"
    return f"{known} | None" if None in values else known


def _name_of(value: object) -> str:
    """The annotation of one value; without its elements' where they are none or of several kinds."""
    name = type(value).__name__
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_name_of, value))}]" if len(value) < 4 else "tuple"
    parts = [list(value.keys()), list(value.values())] if isinstance(value, dict) else [value]
    if not isinstance(value, (list, set, dict)) or not value:
        return name
    known = [annotation_of(list(part)) for part in parts]
    return name if any(part in ("None", "object") or "|" in part for part in known) else f"{name}[{', '.join(known)}]"
