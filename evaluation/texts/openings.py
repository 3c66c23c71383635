"""Places of held-out text from which a model is asked to go on: functions with their docstring, sentences of books."""

import ast
import random
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from evaluation.held_out import Document, Origin, origin_of

LONGEST_PROMPT = 500  # characters: what a context of 256 tokens holds beside 100 tokens of answer
LEAST_FOLLOWING = 400  # characters of real text behind a prompt, so that there is something to compare with
MOST_FOLLOWING = 4000
SENTENCE_START = re.compile(r"(?:[.!?]['\")]*\s|\n\n)\s*([A-Z]\w*(?: \w+,?){5})(?= )")  # its first six words


@dataclass(frozen=True)
class Opening:
    """A prompt of held-out text and how it really goes on."""

    source: str  # package or book
    path: str
    prompt: str
    following: str

    @property
    def origin(self) -> Origin:
        """The package and the file, or the book and the part."""
        return origin_of(self.source, self.path)


def function_openings(document: Document) -> list[Opening]:
    """The functions of a module that have a docstring and more: from `def` to the end of the docstring.

    Methods are left out, since a text that starts with an indented line is no Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences in old code
            statements = ast.parse(document.text).body
    except (SyntaxError, ValueError):  # Python of another version
        return []
    lines = document.text.split("\n")
    functions = [node for node in statements if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    openings = []
    for node in functions:
        if ast.get_docstring(node, clean=False) is not None and len(node.body) > 1:
            end = node.body[0].end_lineno
            prompt, following = "\n".join(lines[node.lineno - 1 : end]), "\n" + "\n".join(lines[end:])
            if prompt.rstrip().endswith(("'", '"')):  # else a statement stands behind the docstring
                openings.append(Opening(document.source, document.path, prompt, following[:MOST_FOLLOWING]))
    return openings


def sentence_openings(document: Document) -> list[Opening]:
    """The first six words of each sentence that has them on one line."""
    return [
        Opening(
            document.source, document.path, start.group(1), document.text[start.end() : start.end() + MOST_FOLLOWING]
        )
        for start in SENTENCE_START.finditer(document.text)
    ]


def draw_openings(openings: Iterable[Opening], count: int, seed: int = 0) -> list[Opening]:
    """`count` of the usable ones at random, equally many from each source as far as it reaches."""
    by_source: dict[str, list[Opening]] = defaultdict(list)
    for opening in openings:
        if len(opening.prompt) <= LONGEST_PROMPT and len(opening.following) >= LEAST_FOLLOWING:
            by_source[opening.source].append(opening)
    for source, found in by_source.items():
        random.Random(f"{seed} {source}").shuffle(found)
    in_turn = (opening for turn in zip_longest(*by_source.values()) for opening in turn if opening is not None)
    return [opening for opening, _ in zip(in_turn, range(count), strict=False)]
