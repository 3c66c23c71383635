"""What counts as a function's answer, and the sandbox's job that asks for it.

The expected answers come from running our own references, which are trusted; everything else runs in the sandbox.
"""

import contextlib
import copy
import io
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evaluation.sandbox.pool import Job

BY_OPERATOR = {"__str__": "str", "__len__": "len", "__contains__": "contains", "__getitem__": "getitem"}
HELPERS = """
from operator import contains, getitem

from evaluation.sandbox.comparing import same

def expect(answer, expected):
    assert same(answer, expected), f"{answer!r} is not {expected!r}"

def expect_error(kind, call, *arguments):
    try:
        answer = call(*arguments)
    except kind:
        return
    raise AssertionError(f"{answer!r} came instead of {kind.__name__}")
"""


class Case(NamedTuple):
    """One trial: what a function is called with, and what has to come of it.

    For a method the arguments are those that make the object, then a list of the arguments of each call. An outcome
    that is a type of exception must be raised.
    """

    arguments: tuple
    outcome: object


@dataclass(frozen=True)
class Subject:
    """What is called, and what counts as its answer."""

    entry: str  # a function or a class
    manner: str = "returns"  # see templates.py
    method: str = ""  # of the class, the one to be written
    then: tuple[str, ...] = ()  # methods that are called after it

    def program(self, source: str) -> Callable[[tuple], object]:
        """A trusted source as a function from arguments to their outcome, which leaves the arguments alone."""
        names: dict = {"__name__": "reference"}
        exec(compile(source, "<reference>", "exec"), names)
        return lambda arguments: self._outcome(names[self.entry], copy.deepcopy(arguments))

    def _outcome(self, called: Callable, arguments: tuple) -> object:
        if self.manner == "class":
            thing = called(*arguments[0])
            return [_attempt(call, values) for values in arguments[1] for call, values in self._calls(thing, values)]
        if self.manner == "prints":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                called(*arguments)
            return printed.getvalue()
        returned = _attempt(called, arguments)
        return arguments[0] if self.manner == "changes" else returned

    def _calls(self, thing: object, values: tuple) -> list[tuple[Callable, tuple]]:
        """The calls by which an object is tried once, each with its arguments."""
        return [(_bound(thing, name), values if name == self.method else ()) for name in (self.method, *self.then)]

    def job(self, source: str, cases: Sequence[Case]) -> Job:
        """The sandbox's job that tries a source on these cases."""
        if self.manner == "returns" and not any(isinstance(case.outcome, type) for case in cases):
            return Job(source, self.entry, cases=tuple((case.arguments, case.outcome) for case in cases))
        lines = {"returns": self._call, "prints": self._print, "changes": self._change, "class": self._use}[self.manner]
        body = ["printed = ''"] + [line for case in cases for line in lines(case)]
        return Job(
            source,
            self.entry,
            test="\n    ".join(["def check(candidate):", *body]) + "\n",
            helpers=HELPERS,
            changed=self.manner == "changes",
            printed=self.manner == "prints",
            objects=(self.entry,) if self.manner == "class" else (),
        )

    def _call(self, case: Case) -> list[str]:
        return [_expectation("candidate", case.arguments, case.outcome)]

    def _print(self, case: Case) -> list[str]:
        call = f"candidate({', '.join(map(repr, case.arguments))})"
        return [call, f"printed += {case.outcome!r}", "expect(candidate.printed(), printed)"]

    def _change(self, case: Case) -> list[str]:
        more = "".join(f", {argument!r}" for argument in case.arguments[1:])
        return [f"first = {case.arguments[0]!r}", f"candidate(first{more})", f"expect(first, {case.outcome!r})"]

    def _use(self, case: Case) -> list[str]:
        made, calls = case.arguments
        lines, outcomes = [f"thing = candidate({', '.join(map(repr, made))})"], iter(case.outcome)
        for values in calls:
            for name in (self.method, *self.then):
                arguments = values if name == self.method else ()
                call = f"{BY_OPERATOR[name]}, thing" if name in BY_OPERATOR else f"thing.{name}"
                lines.append(_expectation(call, arguments, next(outcomes)))
        return lines


def _bound(thing: object, name: str) -> Callable:
    """A method of an object; one that an operator stands for through that operator."""
    if name not in BY_OPERATOR:
        return getattr(thing, name)
    outer = getattr(operator, BY_OPERATOR[name], None) or {"str": str, "len": len}[BY_OPERATOR[name]]
    return lambda *values: outer(thing, *values)


def _attempt(call: Callable, arguments: tuple) -> object:
    """What a call returns, or the type of what it raises."""
    try:
        return call(*arguments)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return type(error)


def _expectation(call: str, arguments: tuple, outcome: object) -> str:
    """A line of a check. `call` may already hold a first argument, after a comma."""
    values = [call, *map(repr, arguments)]
    if isinstance(outcome, type):
        return f"expect_error({outcome.__name__}, {', '.join(values)})"
    called, *first = call.split(", ")
    return f"expect({called}({', '.join(first + values[1:])}), {outcome!r})"
