"""How chains of steps are written: a statement for each step, one expression, a comprehension, a loop.

Steps come numbered, so that no two have a constant in common; constants stay `$k1` and the like.
"""

import ast
import re
import string
from collections.abc import Sequence
from itertools import pairwise

from evaluation.tasks.steps import START, Step

ATOMS = (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.List, ast.ListComp, ast.Constant)  # bind tightly


def chain_bodies(parts: Sequence[Step], argument: str) -> tuple[str, ...]:
    """All the ways to write these steps, applied to an argument one after the other."""
    expression = one_expression(parts, argument)
    bodies = (_statements(parts, argument), f"return {expression}", _fused(parts, argument), _loop(parts, argument))
    return tuple(dict.fromkeys(body for body in bodies if body))


def one_expression(parts: Sequence[Step], value: str) -> str:
    """All steps in one expression; the value itself where there are none."""
    for part in parts:
        value = _apply(part, value)
    return value


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


def _fused(parts: Sequence[Step], argument: str) -> str:
    """One expression, with what is kept and what is made of it in one comprehension. Empty where that can not be."""
    for place, (first, second) in enumerate(pairwise(parts)):
        if first.form == "keep" and second.form == "each" and first.gives == "ints":
            kept, made = (_put(part.expression, "number", "x") for part in (first, second))
            value = f"[{made} for number in {one_expression(parts[:place], argument)} if {kept}]"
            return f"return {one_expression(parts[place + 2 :], value)}"
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
    rest = one_expression(parts[taken + bool(adds_up) :], begin.split(" = ")[0])
    return "\n".join([*lines, f"return {rest}"])
