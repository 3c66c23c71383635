"""A file of Python taken apart: its tokens, its tree and its functions' variables, with their places in the text.

For tests that are built from held-out code. All places are counted in characters from the beginning of the file.
"""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from evaluation.held_out import Document

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
STRING_STARTS, STRING_ENDS = (
    {number for number, name in tokenize.tok_name.items() if name in (f"FSTRING_{edge}", f"TSTRING_{edge}")}
    for edge in ("START", "END")
)


class Word(NamedTuple):
    """One of Python's tokens, with its place in the text in characters."""

    kind: int  # of the tokenize module
    text: str
    begin: int
    end: int


class NamePlace(NamedTuple):
    """Where a function's variable stands in the text."""

    begin: int
    name: str
    is_read: bool  # used, not given a value

    @property
    def end(self) -> int:
        """Behind the name."""
        return self.begin + len(self.name)


class Function(NamedTuple):
    """A function of a file, or a method of one of its classes."""

    node: FunctionNode
    variables: list[NamePlace]  # as `variable_places` says


@dataclass(frozen=True)
class Code:
    """A file of Python, taken apart."""

    document: Document
    tree: ast.Module
    words: list[Word]
    line_starts: list[int]

    @property
    def text(self) -> str:
        """The file."""
        return self.document.text

    @cached_property
    def functions(self) -> list[Function]:
        """The functions of the file and the methods of its classes; none that lie within another function."""
        nested = [node.body if isinstance(node, ast.ClassDef) else [node] for node in self.tree.body]
        nodes = [node for body in nested for node in body if isinstance(node, FunctionNode)]
        return [Function(node, variable_places(self, node)) for node in nodes]

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node of the tree begins and ends, in characters (ast counts bytes of UTF-8)."""
        return self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)

    def _place(self, line: int, byte_column: int) -> int:
        start = self.line_starts[line - 1]
        if self.text.isascii():
            return start + byte_column
        return start + len(self.text[start : start + byte_column].encode()[:byte_column].decode())


def read_code(document: Document) -> Code | None:
    """Take a file apart; None where this version of Python can not read it."""
    text = document.text
    if "\r" in text:  # a line break for the parser, but not for the tokenizer
        return None
    line_starts = [0, *(found.end() for found in re.finditer("\n", text)), len(text)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in other people's strings
            return Code(document, ast.parse(text), list(_words(text, line_starts)), line_starts)
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError, MemoryError):
        return None


def _words(text: str, line_starts: list[int]) -> Iterator[Word]:
    """Python's tokens; an f-string is one, also where Python (3.12 and later) makes many of it."""
    inside, string_begin = 0, 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (line_starts[row - 1] + column for row, column in (token.start, token.end))
        if token.type in STRING_STARTS:
            string_begin = string_begin if inside else begin
            inside += 1
        elif token.type in STRING_ENDS:
            inside -= 1
            if not inside:
                yield Word(tokenize.STRING, text[string_begin:end], string_begin, end)
        elif not inside:
            yield Word(token.type, token.string, begin, end)


def walk_code(node: ast.AST) -> list[ast.AST]:
    """A node and all below it, but nothing inside of f-strings: before Python 3.12 their places are not known."""
    nodes = [node]
    for found in nodes:
        if not isinstance(found, ast.JoinedStr):
            nodes += ast.iter_child_nodes(found)
    return nodes


def argument_nodes(function: FunctionNode) -> list[ast.arg]:
    """All arguments of a function, `self` too."""
    own = function.args
    return [*own.posonlyargs, *own.args, *own.kwonlyargs, *filter(None, (own.vararg, own.kwarg))]


def variable_places(code: Code, function: FunctionNode) -> list[NamePlace]:
    """All places of a function's arguments and variables, in the order of the text, but for `self` and `cls`.

    Left out are names that other things of the function bear too (imports, inner functions, exceptions, globals), so
    that renaming what is returned renames the variable everywhere but in strings.
    """
    nodes = [*argument_nodes(function), *(found for statement in function.body for found in walk_code(statement))]
    given, others = set(), {"self", "cls"}
    for node in nodes:
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                given.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                others.update(names)
            case ast.alias(name=name, asname=other_name):
                others.add(other_name or name.split(".")[0])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                others.add(name)
            case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
                others.add(name)
            case ast.MatchMapping(rest=name):
                others.add(name)
    places = []
    for node in nodes:
        name = getattr(node, "id", None) or getattr(node, "arg", None)
        if isinstance(node, ast.Name | ast.arg) and name in given - others:
            places.append(NamePlace(code.span(node)[0], name, isinstance(getattr(node, "ctx", None), ast.Load)))
    return sorted(places)
