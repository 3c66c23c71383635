"""How exercises look: as library code does, whatever the names and values."""

import random

import pytest

from evaluation.tasks import layout
from evaluation.tasks.exercises import TRAINING, fill
from evaluation.tasks.templates import read_families


def test_parameters_are_renamed_but_not_attributes():
    assert layout.rename("items.append(item.items)\nx = items", {"items": "values"}) == (
        "values.append(item.items)\nx = values"
    )


@pytest.mark.parametrize(
    ("value", "text"), [("-", '"-"'), ('"', "'\"'"), ("\n", "'\\n'"), (3, "3"), ([1, "a"], "[1, 'a']"), (None, "None")]
)
def test_literals_are_read_back(value, text):
    assert layout.literal(value) == text
    assert eval(text) == value


@pytest.mark.parametrize(
    "value", [{"b", "a", "c"}, [{"b", "a"}, set()], ({"y", "x"}, 1), ({"y", "x"},), [], (), {"k": [1]}]
)
def test_values_are_shown_alike_in_every_run(value):
    assert eval(layout.stable(value)) == value
    assert layout.stable({"b", "a", "c"}) == "{'a', 'b', 'c'}"


@pytest.mark.parametrize(
    ("values", "annotation"),
    [
        ([1, 2], "int"),
        ([True, False], "bool"),
        ([1, None], "int | None"),
        ([None], "None"),
        ([[], [1]], "list[int]"),
        ([[]], "list"),
        ([{"a": [1]}], "dict[str, list[int]]"),
        ([(1, 2)], "tuple[int, int]"),
        ([1, 2.5], "float"),
        ([1, "a"], "object"),
        ([1, ValueError], "int"),
    ],
)
def test_annotations_say_what_all_values_are(values, annotation):
    assert layout.annotation_of(values) == annotation


def test_signatures():
    assert layout.signature("f", ["self", "n"], ["int"], "") == "def f(self, n):\n"
    assert layout.signature("f", ["n", "s"], ["int", "str"], "bool") == "def f(n: int, s: str) -> bool:\n"


def test_docstrings():
    assert layout.docstring("Short.", [], "    ", opened=False) == '    """Short."""\n'
    assert layout.docstring("Short.", [], "    ", opened=True) == '    """\n    Short.\n    """\n'
    assert layout.docstring("Short.", [">>> f(1)\n2"], "", opened=False) == '"""Short.\n\n>>> f(1)\n2\n"""\n'
    long = layout.docstring("word " * 30 + "end.", [], "    ", opened=False)
    assert max(map(len, long.splitlines())) <= layout.WIDTH
    assert long.endswith('\n    """\n')


def test_another_beginning_says_the_same():
    dice = random.Random(0)
    found = {layout.begun_otherwise("Return True if n is even.", dice) for _ in range(100)}
    assert found == {beginning + "n is even." for beginning in layout.BEGINNINGS[0]}
    assert layout.begun_otherwise("Swap them.", dice) == "Swap them."


def test_parameters_get_other_names_but_two_of_a_kind_stay_a_pair():
    """`add(a, n)` reads as if one were a count of something."""
    templates = {template.key: template for template in read_families() if template.family == "arithmetic"}
    drawn = [fill(templates[key], TRAINING, random.Random(seed)) for key in ("add", "square") for seed in range(30)]
    names = {key: {tuple(e.names.values()) for e in drawn if e.template.key == key} for key in ("add", "square")}
    assert names["add"] == {("a", "b")}
    assert names["square"] == {("n",), ("number",), ("value",), ("x",)}
