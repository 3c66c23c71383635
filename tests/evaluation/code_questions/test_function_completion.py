"""Function bodies: the judge passes real ones and none that would fit every function; each ends where it should."""

from pathlib import Path

import pytest

from evaluation import writing
from evaluation.code_questions.function_completion import (
    cut_body,
    judge,
    judge_guess,
    measure_functions,
    module_names,
    openings,
    write_bodies,
)
from evaluation.code_questions.python_code import read_code
from evaluation.held_out import Document
from tests.evaluation.code_questions.test_python_code import code_of
from tests.evaluation.conftest import python_source

MODULE = '''
import os.path as path
from typing import Any

class A:
    def method(self, value: Any, *rest):
        """A docstring."""
        return helper(value)

    def short(self, value): return value

def helper(value):
    # a comment: with a colon
    global counter
    counter = value
    return path.join(value)

def constant(value):
    return 1
'''
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def starts():
    return {start.source("").split("def ")[1].split("(")[0]: start for start in openings(code_of(MODULE))}


def test_openings_end_behind_the_colon_or_the_docstring(starts):
    assert list(starts) == ["method", "short", "helper"], "what uses no argument is not asked"
    assert (
        starts["method"].prompt.endswith('"""A docstring."""')
        and starts["method"].body == "\n        return helper(value)\n"
    )
    assert starts["short"].prompt.endswith("short(self, value):") and starts["short"].body == " return value\n"
    assert starts["helper"].prompt.endswith("def helper(value):")
    assert starts["method"].arguments == ("value", "rest")
    assert {"path", "A", "helper", "counter", "len", "__file__"} <= starts["helper"].known_names
    assert not {"method", "os", "value", "rest"} & starts["helper"].known_names


def test_a_file_that_imports_everything_is_not_asked_about():
    assert not list(openings(code_of("from os import *\ndef f(x):\n    return x\n")))


@pytest.mark.parametrize(
    ("body", "parses", "names_known", "uses_argument"),
    [
        ("\n    return path.join(value)\n", True, True, True),
        ("\n    def inner(x): return x + value\n    return [inner(y) for y in value if (z := y)]\n", True, True, True),
        ('\n    """Text."""\n    return f"{value!r}"\n', True, True, True),
        ("\n    global seen\n    seen = value\n    return helper(counter)\n", True, True, True),
        ("\n    return join(value)\n", True, False, True),
        ("\n    return [y for x in value]\n", True, False, True),
        ("\n    return __file__\n", True, True, False),
        ("\n    value = 1\n", True, True, False),
        ("\n    return value)\n", False, False, False),
        ("\n    break\n", False, False, False),
        ("\n    await value\n", False, False, False),
        ("\n    nonlocal value\n", False, False, False),
        ("\n" + 200 * "(" + "\n", False, False, False),
        ("\n    x = '\0'\n", False, False, False),
        ("\n", False, False, False),
        ("", False, False, False),
    ],
)
def test_the_judge_sees_what_is_wrong(starts, body, parses, names_known, uses_argument):
    verdict = judge(starts["helper"], body, ended=True)
    assert (verdict.parses, verdict.names_known, verdict.uses_argument) == (parses, names_known, uses_argument)
    assert verdict.passes == (parses and names_known and uses_argument)


@pytest.mark.parametrize(
    ("body", "so_far"),
    [
        ("\n    if value:\n        retu", True),
        ("\n    x = (1,\n", True),
        ('\n    """Not yet', True),
        ("\n    if value:\n", True),
        ("\n    x = value)\n    y", False),
        ("\n    x = = 1\n", False),
    ],
)
def test_what_was_cut_off_is_judged_as_far_as_its_whole_lines_go_and_does_not_pass(starts, body, so_far):
    verdict = judge(starts["helper"], body, ended=False)
    assert verdict.parses == so_far and not verdict.passes


def test_a_body_ends_with_the_first_line_that_leaves_the_function():
    text = "\n        x = 1\n\n      y\n    def g():\n        z\n"
    assert cut_body(text, 4) == "\n        x = 1\n\n      y\n"
    assert cut_body(text, 0) is None
    assert cut_body("\n    x\n", 0) is None and cut_body("\n    x\n\n\nend", 0) == "\n    x\n\n\n"


def test_names_of_a_module_are_those_it_gives_a_value_anywhere():
    text = """try:
    import a.b, c as d
except E as e:
    f, (g, *h) = i
for j in k: pass
def m():
    global n
    n = o = 1
"""
    assert module_names(text) == {"a", "d", "e", "f", "g", "h", "j", "m", "n"}


def test_real_bodies_pass_and_so_does_the_first_argument_but_none_that_reads_nothing():
    """This project's own files stand in for held-out code: a judge that fails them would fail any model."""
    documents = [
        Document("own", str(path), path.read_text(encoding="utf-8")) for path in (ROOT / "pretraining").glob("*.py")
    ]
    found = [start for document in documents for start in openings(read_code(document))]
    assert len(found) > 30
    assert all(judge(start, cut_body(start.body + "\nend", start.indentation), True).passes for start in found)
    for body in ("pass", "return None", "return self", "raise NotImplementedError"):
        verdicts = [judge(start, f"\n{' ' * (start.indentation + 4)}{body}\n", True) for start in found]
        assert not any(verdict.passes for verdict in verdicts)
        assert all(verdict.parses for verdict in verdicts), "it is for its content that it fails"
    assert all(judge_guess(start).passes for start in found), "form is all that is judged, and the column says so"


@pytest.fixture
def scripted(monkeypatch):
    """Instead of a model: every row writes the same pieces until its reader has enough."""

    yielded = []

    def use(pieces):
        def generate(model, tokenizer, prompts, *, generators, settings, context_length, finished):
            going_on = set(range(len(prompts)))
            for piece in pieces[: settings.max_new_tokens]:
                for row in sorted(going_on):
                    yielded.append((row, piece))
                    yield row, piece
                    if finished(row):
                        going_on.remove(row)

        monkeypatch.setattr(writing, "generate_texts", generate)
        return yielded

    return use


def test_writing_stops_where_a_function_is_left(trained, starts, scripted):
    yielded = scripted(["\n        ", "return value\n", "\n    ", "def", " f():", "\n", "x", "never"])
    rows = [starts["method"], starts["helper"]]
    assert write_bodies(trained, rows, seed=0) == [
        ("\n        return value\n\n", True),
        ("\n        return value\n\n    def f():\n", True),
    ]
    assert [piece for row, piece in yielded if row == 0][-1] == "def" and yielded[-1] == (1, "x"), (
        "nothing more is written"
    )
    found = measure_functions(trained, rows, seed=0)
    assert found["score"] == 0.5 and found["n"] == 2 and found["cut_off"]["score"] == 0.0


def test_what_does_not_end_is_counted_apart(trained, starts, scripted):
    scripted(["\n    value"] * 1000)
    found = measure_functions(trained, [starts["helper"]] * 3, seed=0)
    assert found["score"] == 0.0 and found["of_those_that_ended"]["parses"]["n"] == 0
    assert found["cut_off"]["score"] == 1.0 and found["cut_off"]["parses_so_far"]["score"] == 1.0
    assert found["real_bodies"]["score"] == 1.0 and found["best_constant_guess"] == 1.0
    assert found["more_than_guess"]["score"] == -1.0


def test_a_seed_repeats_what_is_written(trained):
    starts = [start for seed in range(2) for start in openings(code_of(python_source(seed, 2)))]
    first = write_bodies(trained, starts, seed=1)
    assert first == write_bodies(trained, starts, seed=1) != write_bodies(trained, starts, seed=2)
