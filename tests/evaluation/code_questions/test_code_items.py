"""Questions built from code: the ones expected, each with the right answer, and none from strings or comments."""

import re

import pytest

from evaluation.code_questions.code_items import (
    CLOSING,
    KEYWORDS,
    bracket_items,
    indentation_items,
    keyword_items,
    range_name,
    range_names,
)
from tests.evaluation.code_questions.test_python_code import code_of

SNIPPET = '''"""A docstring (with [brackets] and if it were code)."""
call(first[1], {"key": (2,)})  # ) ] } while
empty()
text = f"{value[0]} not ({None})"
'''


def test_brackets_are_asked_where_one_closes_around_something():
    items = list(bracket_items(code_of(SNIPPET)))
    assert [item.prompt.split("\n")[-1] for item in items] == [
        "call(first[1",
        'call(first[1], {"key": (2,',
        'call(first[1], {"key": (2,)',
        'call(first[1], {"key": (2,)}',
    ]
    assert [item.choices[item.answer] for item in items] == ["]", ")", "}", ")"]
    assert [item.kind for item in items] == ["]", ")", "}", ")"]
    assert [item.facts["depth"] for item in items] == ["2", "3+", "2", "1"]
    assert [item.facts["distance"] for item in items] == ["1-9", "1-9", "10-29", "10-29"]
    assert all(item.choices == CLOSING for item in items)


def test_keywords_are_asked_where_they_stand_and_nowhere_else():
    code = code_of(
        'import os  # if\nif x is not None:\n    y = "while for"\nelse:\n    match = async_ = f"{1 if a else b}"\n'
    )
    items = list(keyword_items(code))
    assert [item.kind for item in items] == ["import", "if", "is", "not", "None", "else"]
    assert all(code.text.startswith(item.kind, item.place) for item in items)
    assert all(item.choices == KEYWORDS and KEYWORDS[item.answer] == item.kind for item in items)


INDENTED = """\
import os
class A:
    def f(self):
        if x:
            call(1,
        2)
            y = '''
text
'''
        return 1

    def g(self):
        for a in b:
            while c:
                # a comment tells
                d
e = 1
f = 2
"""


def test_indentation_is_asked_where_the_syntax_leaves_a_choice():
    items = list(indentation_items(code_of(INDENTED)))
    lines = [INDENTED[item.place : INDENTED.index("\n", item.place)].strip() for item in items]
    found = [(line, i.kind, [len(c) for c in i.choices], i.answer) for line, i in zip(lines, items, strict=True)]
    assert found == [
        ("def f(self):", "deeper", [0, 4], 1),
        ("if x:", "deeper", [0, 4, 8], 2),
        ("call(1,", "deeper", [0, 4, 8, 12], 3),
        ("y = '''", "same", [0, 4, 8, 12], 3),
        ("return 1", "back 1", [0, 4, 8, 12], 2),
        ("def g(self):", "back 1", [0, 4, 8], 1),
        ("for a in b:", "deeper", [0, 4, 8], 2),
        ("while c:", "deeper", [0, 4, 8, 12], 3),
        ("e = 1", "back 3+", [0, 4, 8, 12, 16], 0),
    ]
    assert [item.facts["gap"] for item in items].count("after a blank line") == 1
    assert all(item.prompt.endswith("\n") for item in items)


def test_the_same_indentation_is_that_of_the_statement_before():
    for item in indentation_items(code_of(INDENTED)):
        lines = [
            line for line in re.sub(r"'''.*?'''|\(.*?\)", "", item.document.text[: item.place], flags=re.S).split("\n")
        ]
        before = [line for line in lines if line.strip()][-1]
        assert item.choices[int(item.facts["same"])] == " " * (len(before) - len(before.lstrip())), before


def test_files_indented_with_tabs_are_not_asked_about():
    assert not list(indentation_items(code_of("if x:\n\tif y:\n\t\tz\n\tw\n")))


@pytest.mark.parametrize(("value", "name"), [(1, "1"), (2, "2-4"), (4, "2-4"), (5, "5+"), (99, "5+")])
def test_ranges_are_named_by_their_ends(value, name):
    assert range_name(value, (1, 2, 5)) == name
    assert range_names((1, 2, 5)) == ["1", "2-4", "5+"]
