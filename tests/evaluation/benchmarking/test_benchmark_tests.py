"""The four small tests: right answers pass, one answer to everything does not, and each judge knows its matter."""

import pytest

from evaluation.benchmarking.benchmark_tests import TESTS, closes_brackets, first_sentence, goes_on_with, run

BY_NAME = {test.name: test for test in TESTS}
GUESSES = {"bracket_test": 4 / 18, "repeat_test": 1 / 16, "alphabet_test": 1 / 16, "sentence_test": 1 / 16}


def oracle(test):
    """A writer that has seen the answers."""
    return lambda prompts, settings: [dict(test.items)[prompt] for prompt in prompts]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_an_oracle_passes_and_shows_its_texts(test):
    found = run(test, oracle(test))
    assert found["score"] == 1.0
    assert found["n"] == len(test.items) == len(found["texts"]) >= 16
    assert len({prompt for prompt, _ in test.items}) == len(test.items), "a prompt that comes twice counts twice"


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_a_constant_guesser_gets_what_its_column_says(test):
    """And little: else a broken model that always writes the same would look alive."""
    scores = {run(test, lambda prompts, _, text=a: [text] * len(prompts))["score"] for _, a in test.items}
    assert max(scores) == pytest.approx(run(test, oracle(test))["best_constant_guess"])
    assert max(scores) == pytest.approx(GUESSES[test.name])


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
@pytest.mark.parametrize("text", ["", " ", "\n", ")]})]})", " the the the the.", " c it y of T or on to ."])
def test_broken_writers_pass_nothing_or_what_a_guess_gets(test, text):
    assert run(test, lambda prompts, _: [text] * len(prompts))["score"] <= GUESSES[test.name]


def test_brackets_close_innermost_first_and_nothing_else_closes():
    assert closes_brackets("print(x[0", "])")
    assert closes_brackets("print(x[0", ", y(2)[1]] + (3))\nand so on ]]]")
    assert not closes_brackets("print(x[0", ")]")
    assert not closes_brackets("print(x[0", "]")
    assert not closes_brackets("print(x[0", "}])")
    assert not closes_brackets("print(x[0", "] + f(1")


def test_words_go_on_exactly():
    assert goes_on_with("foo foo foo", " foo foo foo, and then", " foo foo")
    assert not goes_on_with("foo foo foo", "foo foo foo", " foo foo foo"), "the prompt's last word became foofoo"
    assert not goes_on_with("a b c d", " ef", " e")


def test_a_sentence_ends_and_consists_of_whole_words():
    prompt = "In the city of Toronto,"
    assert first_sentence(prompt, " the winters are\nlong. And then") == "the winters are\nlong."
    assert first_sentence(prompt, ' he said "It is cold." And') == 'he said "It is cold."'
    assert first_sentence(prompt, " b in ent i re system. And") is None, "what version 0 wrote"
    assert first_sentence(prompt, " the winters are long and") is None
    assert first_sentence(prompt, " long winters.") is None, "too short to tell"
    assert first_sentence(prompt, " the winters\n\nCHAPTER II are long.") is None
    assert first_sentence("It is cold. And", " so on") is None, "the sentence that ended is the prompt's own"


def test_the_same_ending_counts_once():
    """So that a model which says one thing about everything is not taken for one that listens."""
    passed = BY_NAME["sentence_test"].judge([("He", ""), ("She", ""), ("It", "")], [" was in the house."] * 3)
    assert passed == [True, False, False]
