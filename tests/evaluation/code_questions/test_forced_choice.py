"""Forced choices: even draws, ties that count for nothing, averages that no frequent kind decides, honest guessers."""

from collections import Counter

import numpy as np
import pytest

from evaluation.code_questions.forced_choice import (
    Item,
    always,
    beside_guess,
    by_fact,
    by_kind,
    draw_items,
    macro_average,
    right_answers,
)
from evaluation.held_out import Document


def items_of(kinds, source="package", choices=("a", "b")):
    return [
        Item(
            Document(source, f"{number}", "x" * 10),
            number % 10,
            choices,
            choices.index(kind),
            kind,
            {"odd": str(number % 2)},
        )
        for number, kind in enumerate(kinds)
    ]


def test_a_draw_takes_equally_from_kinds_and_packages_and_repeats():
    items = items_of("ab" * 500, "large") + items_of("ab" * 20, "middle") + items_of("a" * 3, "small")
    chosen = draw_items(items, 40, seed=1)
    assert Counter(item.kind for item in chosen) == {"a": 40, "b": 40}
    assert Counter(item.document.source for item in chosen if item.kind == "a") == {
        "small": 3,
        "middle": 18,
        "large": 19,
    }
    assert chosen == draw_items(items, 40, seed=1) != draw_items(items, 40, seed=2)
    assert len({id(item) for item in chosen}) == 80, "nothing is drawn twice"
    assert Counter(item.facts["odd"] for item in draw_items(items, 7, 0, lambda item: item.facts["odd"])) == {
        "0": 7,
        "1": 7,
    }


def test_only_a_choice_above_all_others_is_an_answer():
    """A model that finds everything equally probable knows nothing, wherever the right choice stands."""
    items = items_of("ab", choices=("a", "b", "c"))
    scores = {"equal": [0.0, 0.0, 0.0], "first": [0.0, -1.0, -2.0], "tied": [0.0, 0.0, -1.0]}
    right = {
        name: right_answers(items, lambda p, c, s=s: [np.array(s)] * len(p)).tolist() for name, s in scores.items()
    }
    assert right == {"equal": [False, False], "first": [True, False], "tied": [False, False]}


def test_items_are_asked_with_what_stands_before_them_and_nothing_else():
    document = Document("package", "m", "".join(chr(97 + n % 26) for n in range(6000)))
    seen = []

    def scorer(prompts, choices):
        seen.extend(zip(prompts, choices, strict=True))
        return [np.array([0.0, -1.0])] * len(prompts)

    right_answers([Item(document, place, ("a", "b"), 0, "a") for place in (0, 10, 5000)], scorer)
    assert [prompt for prompt, _ in seen] == ["", document.text[:10], document.text[5000 - 4096 : 5000]]


def test_a_mean_over_kinds_is_not_decided_by_the_frequent_one():
    items = items_of("a" * 90 + "b" * 10)
    right = np.array([True] * 90 + [False] * 10)
    found = macro_average(items, right)
    assert found["score"] == pytest.approx(0.5) and found["n"] == 100
    assert macro_average(items, right, {"a": 9, "b": 1})["score"] == pytest.approx(0.9)


def test_the_best_guesser_is_named_and_a_coin_is_right_half_the_time():
    items = items_of("aab")
    guessers = {"always a": always("a"), "always b": always("b"), "a coin": lambda item: None}
    right = np.array([True, False, True])
    found = beside_guess(items, right, guessers)
    assert (found["score"], found["best_constant_guess"]) == (0.75, 0.5)
    weighted = beside_guess(items, right, guessers, {"a": 2, "b": 1})
    assert (weighted["best_constant_guess"], weighted["guesser"]) == (pytest.approx(2 / 3), "always a")
    assert weighted["more_than_guess"]["score"] == pytest.approx(weighted["score"] - 2 / 3)
    assert beside_guess(items, right, {"a coin": lambda item: None})["best_constant_guess"] == 0.5


def test_splits_count_every_item_once_and_leave_out_what_nobody_asked():
    items = items_of("abab")
    right = np.array([True, False, True, True])
    assert {name: part["score"] for name, part in by_kind(items, right, "abc").items()} == {"a": 1.0, "b": 0.5}
    parts = by_fact(items, right, "odd", ("1", "0", "2"))
    assert [(name, part["score"], part["n"]) for name, part in parts.items()] == [("1", 0.5, 2), ("0", 1.0, 2)]


def test_without_items_nothing_is_known():
    assert macro_average([], np.array([])) == {"score": 0.0, "n": 0, "interval": [0.0, 1.0]}
    assert right_answers([], lambda p, c: []).size == 0
