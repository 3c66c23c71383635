"""Unfinished lines of held-out code, cut as CodeXGLUE cuts them.

CodeXGLUE (Lu et al. 2021, task CodeCompletion-line) cuts a file at random between two tokens of Python; what is asked
for is the rest of the line. So here, among lines that hold code: not blank ones, comments, closing brackets or strings
alone, nor those with a comment behind the code or a part of a longer string, of which CodeXGLUE's texts have none.
Asking a model is elsewhere (line_completion.py).
"""

import io
import random
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from tokenize import TokenInfo
from typing import NamedTuple

from evaluation.held_out import Document, Origin, origin_of

LONGEST_CONTEXT = 20_000  # characters in front of a line that are kept
LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
STRING_STARTS, STRING_ENDS = (
    {number for number, name in tokenize.tok_name.items() if name in (f"FSTRING_{edge}", f"TSTRING_{edge}")}
    for edge in ("START", "END")
)
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")
ASSIGNMENTS = frozenset("= += -= *= /= //= %= **= @= &= |= ^= >>= <<=".split())
KIND_OF_WORD = {
    "def": "def",
    "class": "class",
    "import": "import",
    "from": "import",
    "return": "return",
    "if": "if, elif, else",
    "elif": "if, elif, else",
    "else": "if, elif, else",
    "for": "for, while",
    "while": "for, while",
}
OTHER_STATEMENTS = frozenset("assert await break continue del except finally raise try with yield".split())
KINDS = (*dict.fromkeys(KIND_OF_WORD.values()), "assignment", "call", "inside brackets", "other")


@dataclass(frozen=True)
class LineItem:
    """One line of a file, cut at one place: `before`, `start` and `rest` together are the file up to the line's end."""

    source: str  # package
    path: str
    line: int  # from 1
    kind: str  # one of KINDS
    before: str  # the lines in front of it
    start: str  # the line up to the cut
    rest: str  # what is asked for

    @property
    def origin(self) -> Origin:
        """The package and the file."""
        return origin_of(self.source, self.path)

    def whole(self) -> "LineItem":
        """The same line, all of it asked for."""
        return replace(self, start="", rest=self.start + self.rest)


class CodeLine(NamedTuple):
    """A line that can be asked for."""

    number: int  # from 1
    kind: str  # one of KINDS
    ends: tuple[int, ...]  # the column behind each of its tokens


def draw_items(documents: list[Document], per_source: int, seed: int = 0) -> list[LineItem]:
    """`per_source` cuts from each source (fewer where it has fewer), each place between tokens as likely as any other.

    So a long line is drawn more often than a short one, as in CodeXGLUE, whose answers have 6.6 tokens on average.
    """
    places: dict[str, list[tuple[Document, CodeLine, int]]] = defaultdict(list)
    for document in documents:
        for line in code_lines(document.text):
            places[document.source] += [(document, line, cut) for cut in range(len(line.ends))]
    items = []
    for source, found in places.items():
        chosen = random.Random(f"{seed} {source}").sample(range(len(found)), min(per_source, len(found)))
        items += [cut_line(*found[number]) for number in sorted(chosen)]
    return items


def cut_line(document: Document, line: CodeLine, cut: int) -> LineItem:
    """Cut a line in front of its token number `cut`, right behind the token before it where there is one.

    So the space between two tokens belongs to what is asked for, as it belongs to the second one in the model's own
    tokens; and so does the indentation.
    """
    lines = document.text.split("\n", line.number)
    text = lines[line.number - 1]
    column = line.ends[cut - 1] if cut else 0
    before = "\n".join([*lines[: line.number - 1], ""])[-LONGEST_CONTEXT:]
    return LineItem(document.source, document.path, line.number, line.kind, before, text[:column], text[column:])


def code_lines(text: str) -> list[CodeLine]:
    """The lines that can be asked for; none where this version of Python can not read the text."""
    rows: dict[int, list[TokenInfo]] = defaultdict(list)
    open_brackets, depth = {}, 0
    try:
        for token in _tokens(text):
            for row in range(token.start[0], token.end[0] + 1):
                open_brackets.setdefault(row, depth)
                rows[row].append(token)
            depth += (token.string in OPENING) - (token.string in CLOSING)
    except (tokenize.TokenError, SyntaxError):
        return []
    return [
        CodeLine(row, kind_of_line(tokens, open_brackets[row]), tuple(token.end[1] for token in tokens))
        for row, tokens in rows.items()
        if _is_code(tokens)
    ]


def _tokens(text: str) -> Iterator[TokenInfo]:
    """Python's tokens and comments without layout; an f-string is one token, also where Python (3.12) has many."""
    nested, begin = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in STRING_STARTS:
            begin = begin if nested else token.start
            nested += 1
        elif token.type in STRING_ENDS:
            nested -= 1
            if not nested:
                yield token._replace(type=tokenize.STRING, start=begin)
        elif not nested and token.type not in LAYOUT:
            yield token


def _is_code(tokens: list[TokenInfo]) -> bool:
    types = {token.type for token in tokens}
    return (
        tokenize.COMMENT not in types
        and types != {tokenize.STRING}
        and any(token.string not in ")]},:;" for token in tokens)
        and all(token.start[0] == token.end[0] for token in tokens)
    )


def kind_of_line(tokens: list[TokenInfo], open_brackets: int = 0) -> str:
    """What a line is, one of KINDS, told by its words and the brackets that are open in front of it."""
    words = [token.string for token in tokens]
    first = words[words[0] == "async" and len(words) > 1]
    if open_brackets:
        return "inside brackets"
    if first in KIND_OF_WORD:
        return KIND_OF_WORD[first]
    if not ASSIGNMENTS.isdisjoint(_outside_brackets(words)):
        return "assignment"
    is_call = "(" in words and tokens[0].type == tokenize.NAME and first not in OTHER_STATEMENTS
    return "call" if is_call else "other"


def _outside_brackets(words: list[str]) -> Iterator[str]:
    depth = 0
    for word in words:
        if depth == 0:
            yield word
        depth += (word in OPENING) - (word in CLOSING)
