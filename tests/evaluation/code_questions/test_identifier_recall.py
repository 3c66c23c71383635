"""Recall: renaming that changes no meaning, questions that only the text before answers, distances as they are."""

import ast
import random
import re

import numpy as np
import pytest

from evaluation.code_questions.forced_choice import guessed_right, macro_average
from evaluation.code_questions.identifier_recall import GUESSERS, MOST_CONTEXT, measure_recall, recall_items, rename
from tests.evaluation.code_questions.test_python_code import code_of
from tests.evaluation.conftest import python_source

SNIPPET = '''
class A:
    @staticmethod
    def largest(values, *, start=0):
        """The largest of values, `start` at least."""
        best = start
        for größe in values:
            if größe > best and "best":
                best = größe
        return dict(best=best, all=[best for best in values])["best"]
'''


def test_renaming_all_variables_changes_no_result():
    code = code_of(SNIPPET.replace("@staticmethod", ""))
    (function,) = code.functions
    text, places = rename(code, function, random.Random(1))
    results = []
    for source in (text, SNIPPET[SNIPPET.index("    def") :]):
        scope = {}
        exec("class A:\n" + source, scope)
        names = scope["A"].largest.__code__.co_varnames
        results.append(scope["A"].largest([3, 9, 4]))
    assert results == [9, 9]
    assert '"""The largest of values, `start` at least."""' in text and "dict(best=" in text, (
        "strings and keywords stay"
    )
    fresh = {place.name for place in places}
    assert len(fresh) == 4 and all(re.fullmatch("[a-z]{2}_[0-9]{4}", name) for name in fresh)
    assert len({name[:2] for name in fresh}) == 4 and not any(name in SNIPPET for name in fresh)
    assert all(text.startswith(place.name, place.begin) for place in places)
    assert "best" in names


def test_each_use_is_asked_among_the_names_so_far():
    items = list(recall_items(code_of(SNIPPET)))
    assert [len(item.choices) for item in items] == [3, 4, 4, 4, 4, 4, 4, 4]
    for item in items:
        assert item.document.text.startswith(item.choices[item.answer], item.place)
        assert all(item.prompt.count(name) >= 1 for name in item.choices)
        assert item.document.text.startswith("    def largest(")
        assert item.choices[int(item.facts["last"])] == max(item.choices, key=item.prompt.rindex)


def test_distance_is_counted_in_python_tokens():
    items = list(recall_items(code_of("def f(one, two):\n    return one + 1 + one + two\n")))
    assert [item.kind for item in items] == ["5-9", "1-4", "10-19"]


def test_nothing_is_asked_so_far_down_a_function_that_no_context_holds_all_of_it():
    text = "def f(one, two):\n" + "    print(one, two)\n" * 100
    items = list(recall_items(code_of(text)))
    assert 20 < len(items) < 200 and MOST_CONTEXT - 20 < items[-1].place <= MOST_CONTEXT


@pytest.mark.parametrize("seed", range(3))
def test_items_repeat_and_are_python(seed):
    code = code_of(python_source(seed))
    items = list(recall_items(code, seed))
    assert items == list(recall_items(code, seed)) and items != list(recall_items(code, seed + 1))
    assert all(len(item.choices) >= 2 for item in items)
    assert all(ast.parse(item.document.text) for item in items)


def test_one_who_copies_the_last_name_scores_what_that_guesser_is_said_to():
    items = [item for seed in range(9) for item in recall_items(code_of(python_source(seed)), seed)]

    def copy_the_last(prompts, choices):
        return [np.array([p.rfind(name) for name in names]) for p, names in zip(prompts, choices, strict=True)]

    guess = macro_average(items, guessed_right(items, GUESSERS["the last name used"]))["score"]
    found = measure_recall(items, copy_the_last)
    assert found["score"] == pytest.approx(guess) and 0 < guess <= found["best_constant_guess"]
