"""Unfinished lines: cut between tokens, nothing lost, and no lines that hold no code."""

from collections import Counter

import pytest

from evaluation.held_out import Document, read_held_out
from evaluation.lines.line_items import KINDS, code_lines, cut_line, draw_items

MODULE = '''"""A docstring
over two lines."""

import os  # with a comment
from a import (
    b,
    c as d,
)

# a comment
x: int = f"{b}" + f'{x!r:>{d}}'
def name(value="größe", *, other=None):
    """A string alone."""
    if value == other:
        call(
            value, [1, 2
        ]), (
        )
    text = """starts
and ends""" + value
    async def inner(): pass
    for part in value: call(key=part)
    else: x[value] += lambda: 1
    return call(value
    )
class A(B): ...
    '''
EXPECTED = {
    5: "import",
    6: "inside brackets",
    7: "inside brackets",
    11: "assignment",
    12: "def",
    14: "if, elif, else",
    15: "call",
    16: "inside brackets",
    17: "inside brackets",
    21: "def",
    22: "for, while",
    23: "if, elif, else",
    24: "return",
    26: "class",
}


def test_lines_that_hold_code_are_asked_for_and_no_others():
    """Not 4 (a comment follows), 13 (a string alone), 18 and 25 (only closing), 1, 2, 19, 20 (parts of strings)."""
    assert {line.number: line.kind for line in code_lines(MODULE)} == EXPECTED
    assert set(EXPECTED.values()) <= set(KINDS)


def test_the_parts_of_an_item_are_the_file_up_to_the_end_of_the_line_wherever_it_is_cut():
    document = Document("package", "module.py", MODULE)
    for line in code_lines(MODULE):
        text = MODULE.split("\n")[line.number - 1]
        for cut in range(len(line.ends)):
            item = cut_line(document, line, cut)
            assert item.start + item.rest == text and item.rest.strip()
            assert MODULE.startswith(item.before + text + "\n") and item.before.count("\n") == line.number - 1
            assert (item.whole().start, item.whole().rest) == ("", text)


def test_cuts_fall_between_tokens_and_never_inside_a_string():
    (line,) = [line for line in code_lines(MODULE) if line.number == 11]
    starts = [cut_line(Document("", "", MODULE), line, cut).start for cut in range(len(line.ends))]
    assert starts == ["", "x", "x:", "x: int", "x: int =", 'x: int = f"{b}"', 'x: int = f"{b}" +']


@pytest.mark.parametrize("text", ["", "\n\n", "x = (", '"""never closed', "if x:\n  y\n z\n", "\x00", "x = 1\\"])
def test_what_python_can_not_read_gives_no_lines_or_whole_ones(text):
    assert all(line.number == 1 for line in code_lines(text))


def test_every_place_is_as_likely_whatever_its_line_and_every_package_gives_as_many(processed):
    text = "short\n" + "long = a + b + c + d + e + f + g + h\n"  # 1 and 17 tokens
    documents = [Document("one", f"{n}.py", text) for n in range(100)]
    items = draw_items(documents, 900)
    assert Counter(item.line for item in items)[1] == pytest.approx(50, abs=20)
    assert Counter(item.start for item in items if item.line == 2).most_common()[-1][1] > 25
    drawn = draw_items(read_held_out("heldout_code"), 20)
    assert Counter(item.source for item in drawn) == {"alpha": 20, "beta": 20, "gamma": 20}
    assert drawn == draw_items(read_held_out("heldout_code"), 20) != draw_items(read_held_out("heldout_code"), 20, 1)
    assert len(draw_items([Document("one", "a.py", "x = 1\n")], 20)) == 3, "no more than there is"
