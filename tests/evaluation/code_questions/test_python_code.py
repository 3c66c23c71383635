"""Files of Python taken apart: the same tokens in every Python, places in characters, variables that can be renamed."""

import tokenize

import pytest

from evaluation.code_questions.python_code import read_code, variable_places
from evaluation.held_out import Document


def code_of(text):
    return read_code(Document("package", "module.py", text))


def test_an_f_string_is_one_token_whatever_is_in_it():
    """Python 3.12 takes f-strings apart; a bracket inside would be an item in one Python and none in another."""
    text = "x = f'{a[1]} {f\"{b if c else d}\"}' + 'é(' # (\n"
    words = [word for word in code_of(text).words if word.kind != tokenize.ENDMARKER]
    assert [word.text for word in words] == ["x", "=", "f'{a[1]} {f\"{b if c else d}\"}'", "+", "'é('", "# (", "\n"]
    assert all(text[word.begin : word.end] == word.text for word in words)


def test_nodes_are_found_behind_characters_of_several_bytes():
    code = code_of('grüße = "日本" + name\n')
    value = code.tree.body[0].value
    begin, end = code.span(value.right)
    assert code.text[begin:end] == "name"


@pytest.mark.parametrize("text", ["def f(:\n", "x = 'a\n", "print 'x'\n", "if x:\n  y\n z\n", "x = 1\r\n", "\0"])
def test_what_python_can_not_read_is_left_out(text):
    assert code_of(text) is None


def test_a_last_line_may_lack_its_end():
    assert [word.text for word in code_of("x = 1").words][:3] == ["x", "=", "1"]


def test_only_the_variables_of_a_function_that_nothing_else_shares_are_found():
    text = (
        "def f(self, one, *rest, key=key):\n"
        "    import one_module\n"
        "    global shared\n"
        "    shared = two = one.two\n"
        "    def inner(one): return two\n"
        "    inner = rest\n"
        "    return g(two=two, three=f'{one}') + one\n"
    )
    code = code_of(text)
    places = variable_places(code, code.tree.body[0])
    assert [(text.count("\n", 0, p.begin), p.name, p.is_read) for p in places] == [
        (0, "one", False),
        (0, "rest", False),
        (0, "key", False),
        (3, "two", False),
        (3, "one", True),
        (4, "one", False),
        (4, "two", True),
        (5, "rest", True),
        (6, "two", True),
        (6, "one", True),
    ]
    assert all(text[place.begin : place.end] == place.name for place in places)
