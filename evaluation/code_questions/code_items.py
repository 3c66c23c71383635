"""Places in Python files where a model can be asked what comes next: brackets, keywords, indentation.

Pure functions from source text to items, which `forced_choice.py` draws and asks. Strings and comments never give an
item. Which files are read, and how many items are drawn, is decided elsewhere (code_tests.py).
"""

import keyword
import re
import tokenize
from collections.abc import Iterator
from itertools import pairwise

from evaluation.code_questions.forced_choice import Item
from evaluation.code_questions.python_code import Code, Word

OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")
KEYWORDS = tuple(keyword.kwlist)
DEPTHS, DISTANCES = (1, 2, 3), (1, 10, 30, 100)  # of nesting, and in characters: where ranges begin
STEPS = ("same", "deeper", "back 1", "back 2", "back 3+")
GAPS = ("on the next line", "after a blank line")


def bracket_items(code: Code) -> Iterator[Item]:
    """Which bracket closes, wherever one does with something in it: the kind is the bracket."""
    opened: list[Word] = []
    for word in code.words:
        if word.kind == tokenize.OP and word.text in OPENING:
            opened.append(word)
        elif word.kind == tokenize.OP and word.text in CLOSING:
            opening, depth = opened.pop(), len(opened) + 1
            if code.text[opening.end : word.begin].strip():
                facts = {
                    "depth": range_name(depth, DEPTHS),
                    "distance": range_name(word.begin - opening.end, DISTANCES),
                }
                yield Item(code.document, word.begin, CLOSING, CLOSING.index(word.text), word.text, facts)


def range_name(value: int, begins: tuple[int, ...]) -> str:
    """Which of the ranges that begin at these numbers holds a value: `5-9` for 7 of 1, 5 and 10."""
    return range_names(begins)[sum(value >= begin for begin in begins) - 1]


def range_names(begins: tuple[int, ...]) -> list[str]:
    """The names of all ranges, in order."""
    names = [f"{begin}" if begin + 1 == end else f"{begin}-{end - 1}" for begin, end in pairwise(begins)]
    return [*names, f"{begins[-1]}+"]


def keyword_items(code: Code) -> Iterator[Item]:
    """Which of all keywords stands here, wherever one does: the kind is the keyword.

    The fact `place` says whether a line begins with it: so much even one knows who does not read.
    """
    for word in code.words:
        if keyword.iskeyword(word.text):
            line = code.text[code.text.rfind("\n", 0, word.begin) + 1 : word.begin]
            facts = {"place": "within a line" if line.strip() else "first of a line"}
            yield Item(code.document, word.begin, KEYWORDS, KEYWORDS.index(word.text), word.text, facts)


def indentation_items(code: Code) -> Iterator[Item]:
    """How far to the right a statement begins, of all places where the syntax allows it: the kind is the step.

    Allowed are the blocks that are open after the statement before, and one deeper where that ends with a colon. Not
    asked is where a comment stands between the two (its own indentation tells) or only one place is allowed.
    """
    if re.search(r"^ *\t", code.text, re.MULTILINE):
        return  # how wide a tab is would be a matter of opinion
    levels, before, deeper, commented = [0], [0], False, True
    end_of_line = 0  # where the statement before ended
    for word in code.words:
        if word.kind == tokenize.NEWLINE:
            before, deeper, commented, end_of_line = list(levels), False, False, word.end
        elif word.kind == tokenize.COMMENT:
            commented = True
        elif word.kind == tokenize.INDENT:
            levels.append(len(word.text))
            deeper = True
        elif word.kind == tokenize.DEDENT:
            levels.pop()
        elif word.kind not in (tokenize.NL, tokenize.ENDMARKER) and end_of_line:
            widths = [*before, levels[-1]] if deeper else before
            if not commented and len(widths) > 1:
                gap = GAPS["\n" in code.text[end_of_line : word.begin]]
                choices = tuple(" " * width for width in widths)
                answer, place = widths.index(levels[-1]), word.begin - levels[-1]
                yield Item(
                    code.document,
                    place,
                    choices,
                    answer,
                    _step(before, levels),
                    {"gap": gap, "same": str(len(before) - 1)},
                )
            end_of_line = 0


def _step(before: list[int], levels: list[int]) -> str:
    """The name of the step from the blocks open before a statement to those open in it."""
    return STEPS[1] if len(levels) > len(before) else STEPS[(0, 2, 3, 4)[min(3, len(before) - len(levels))]]
