"""Signs of generated text: each notices what it is for, with its numbers, and leaves real text alone."""

import re
from pathlib import Path

import pytest

from evaluation.texts import text_signs
from evaluation.texts.text_signs import Sign, judge, looks_like_text

ROOT = Path(text_signs.__file__).resolve().parents[2]
BROKEN = "O n ce u p on a t i me in T or on to , C h in"  # the user's README
SOUND = "Once upon a time in Toronto, there was a small"
PROSE = """, there was a small house by the water. An old woman lived in it with her two daughters, and every
evening they lit a lamp, so that the ships could find their way home. "What shall we do," asked the younger one,
"when the lamp is broken?"
"""
CODE = '''
    """Return the nth number of the sequence."""
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)
'''


def sign(name: str, prompt: str, continuation: str, is_code: bool = False, ended: bool = False) -> Sign:
    return next(found for found in judge(prompt, continuation, is_code=is_code, ended=ended) if found.name == name)


def good(*arguments, **options) -> bool:
    return sign(*arguments, **options).good


def test_good_prose_and_good_code_have_good_signs_alone():
    assert [s.name for s in judge("Once upon a time", PROSE, is_code=False)] == [
        "words",
        "spacing",
        "characters",
        "repetition",
    ]
    assert all(s.good for s in judge("Once upon a time", PROSE, is_code=False))
    signs = judge("def fibonacci(n):", CODE, is_code=True)
    assert [s.name for s in signs][4:] == ["syntax", "names"]
    assert all(s.good for s in signs)


def test_the_example_of_the_first_readme():
    """ "O n ce u p on a t i me" is what all this began with: it has to be seen, and its repair to be good."""
    broken = judge("", BROKEN, is_code=False)
    assert [s.name for s in broken if not s.good] == ["words", "spacing"]
    assert not looks_like_text(broken)
    assert all(s.good for s in judge("", SOUND, is_code=False))


def test_real_code_is_left_alone():
    """This repository's own functions, cut as a model's answer is; calibrate_text_signs.py asks the held-out sets."""
    starts = [
        (text, header)
        for path in sorted((ROOT / "model").rglob("*.py")) + sorted((ROOT / "pretraining").glob("*.py"))
        for text in [path.read_text(encoding="utf-8")]
        for header in re.finditer(r"^(?:def|class) .*:(?=\n)", text, re.MULTILINE)
    ]
    judged = [judge(h.group(), text[h.end() : h.end() + 350], is_code=True) for text, h in starts]
    assert len(judged) > 80
    for name in ("words", "spacing", "characters", "repetition", "syntax", "names"):
        findings = [s for signs in judged for s in signs if s.name == name]
        assert sum(s.good for s in findings) >= 0.95 * len(findings), [s.detail for s in findings if not s.good]


# Words


def test_words_are_counted_and_the_unknown_ones_named():
    detail = sign("words", "", "the quxly florbs a grumdle and the wibbling snarfox of ").detail
    assert detail == "broken words: 5 of 10 unknown (quxly, florbs, grumdle, wibbling)"
    assert sign("words", "", "the house and the lamp of a snarfox ").detail == "complete words: 7 of 8 known"


def test_words_run_together_are_broken():
    """So an untrained model writes: pieces of words without spaces."""
    assert not good("words", "", " thosertation crossLimcording pickle rewshowgent argthe decisionfulswear thatponack")


def test_a_word_that_the_prompt_began_is_judged_whole():
    assert sign("words", "Once upon a time in Toron", "to, there was").detail == "complete words: 2 of 2 known"
    assert sign("words", "Once upon a time", " there was a ").detail == "complete words: 2 of 2 known"
    assert "unknown (torontoles, xq)" in sign("words", "in Toronto", "les, xq or so").detail


def test_the_last_word_may_be_cut_and_is_judged_only_where_the_text_ended():
    assert sign("words", "", "there was a snarfox").detail == "complete words: 3 of 3 known"
    assert sign("words", "", "there was a snarfox", ended=True).detail == "complete words: 3 of 4 known"


def test_the_words_of_the_prompt_are_known():
    """A function about frobnication may speak of it."""
    assert good("words", "def frobnicate(snarfox):", "\n    return frobnicate(snarfox) + snarfox\n", is_code=True)
    assert not good("words", "def area(r):", "\n    return frobnicate(snarfox) + snarfox\n", is_code=True)


def test_single_letters_are_names_except_between_words():
    assert sign("words", "", "x, y = f(n), k[i] and J. K. Smith ").detail == "complete words: 2 of 2 known"
    assert sign("words", "", "we t hen c ame to a house ").detail.startswith("broken words: 3 of 8 unknown (t, c, ame)")


# Spacing and characters


def test_spaces_inside_words_and_missing_spaces_are_told_apart():
    assert "spaces inside words: one after every 1.3" in sign("spacing", "", "O n ce u p on a t i me").detail
    assert "words run together" in sign("spacing", "", "onceuponatimein torontotherewas asmallhouse").detail


def test_code_goes_on_without_a_space_and_is_well_spaced():
    text = "return self.assertEqual(first,second.name)+settings.get('some_long_name_of_several_words')"
    assert good("spacing", "", text, is_code=True)


def test_unreadable_characters_and_capitals_inside_words_are_random():
    assert "1 unreadable" in sign("characters", "", "a small \ufffd house").detail
    assert "1 unreadable" in sign("characters", "", "a small \x07 house").detail
    assert "colFAalentaps" in sign("characters", "", "the colFAalentaps of readADMEand things").detail
    assert good("characters", "", "naïve 日本 🙂 “quoted” text — with\ta tab\r\n")
    assert good("characters", "", "class HTTPServer and camelCase and parseURL are names", is_code=True)


# Repetition


def test_a_loop_is_named_with_how_often_it_comes():
    detail = sign("repetition", "", "Then we saw the ship. " + "and so the sea " * 5).detail
    assert detail == 'repeats "and so the sea" 5 times, 77% of the text'


def test_a_phrase_is_shown_once_and_not_doubled():
    """y, y, y, y could be called "y, y," four times as well."""
    assert sign("repetition", "", "from sklearn import " + "y, " * 16, is_code=True).detail.startswith(
        'repeats "y," 16'
    )


def test_a_phrase_is_shown_as_it_stands_in_the_text():
    text = ">>> from sympy.abc import x\n" * 6
    assert 'repeats ">>> from sympy.abc import x" 6 times' in sign("repetition", "", text, is_code=True).detail
    assert len(sign("repetition", "", "one two three four five six seven eight nine ten " * 4).detail) < 70


def test_what_comes_twice_or_is_short_is_no_loop():
    assert good("repetition", "", PROSE + "and so the sea rose, " * 2)
    assert good("repetition", "", "x: int\ny: int\nz: int\n" + CODE * 2, is_code=True)


# Syntax

CUT = [
    "\n    return (n +",
    "\n    values = [\n        1,\n",
    '\n    """Return the\n\n    Parameters\n',
    "\n    if n:\n",
    "\n    try:\n        n += 1\n",
    "\n    for i in ran",
    "\n    return 'cut in a str",
    "\n    x = 1 \\\n",
    "\n    @property\n",
    "\n    pass\n\n\nclass Stack:\n\n    # a comment\n",
]
WRONG = [
    ("\n    if n\n        return 1\n", "line 2"),
    ("\n    return n)\n    x = (1\n", "line 2"),
    ("\n    if n:\n    return 1\n", "line 3"),
    ("\n    x = 1\n      y = 2\n", "line 3"),
    ("\n    x = 1\n  y = 2\n", "line 3"),
    ("\n    name = 'open\n    y = 2\n", "line 2"),
    ("\n    print n\n    y = 2\n", "line 2"),
    ("\n    pass\n\nreturn 1\n", "return"),
    ("\n    x = \0\n    y = 2\n", "null bytes"),
]


@pytest.mark.parametrize("continuation", CUT)
def test_code_that_is_only_cut_parses_as_far_as_it_goes(continuation):
    """Every answer that reaches the token limit ends somewhere; that is no fault of the model's."""
    assert good("syntax", "def f(n):", continuation + " # and some more words", is_code=True)


@pytest.mark.parametrize(("continuation", "where"), WRONG)
def test_an_error_is_one_with_its_place(continuation, where):
    found = sign("syntax", "def f(n):", continuation + " # and some more words", is_code=True)
    assert not found.good
    assert where in found.detail


def test_the_last_line_counts_only_where_the_text_ended():
    text = "\n    value = 3\n    return value)"
    assert good("syntax", "def f(n):", text, is_code=True)
    assert not good("syntax", "def f(n):", text, is_code=True, ended=True)


def test_it_says_how_much_was_parsed():
    """One line without an error is no achievement; the reader has to see that it was one."""
    assert "parses: 5 lines, complete" in sign("syntax", "def fibonacci(n):", CODE, is_code=True).detail
    assert "parses: 1 line, its end is open" in sign("syntax", "def f(n):", "\n    return one of", is_code=True).detail


def test_code_without_line_breaks_is_no_code():
    """Without a whole line there is nothing to parse, so that it would always pass."""
    assert "without line breaks" in sign("syntax", "def f(n):", " return n and so on" * 15, is_code=True).detail


def test_an_invalid_escape_or_a_thousand_brackets_end_nothing(recwarn):
    assert good("syntax", "import re\n", "pattern = '\\d and \\w'\nx = 1 is 1\n", is_code=True)
    assert not good("syntax", "x = ", "(" * 5000 + "\n1 + 2\n", is_code=True)
    assert not good("syntax", "x = ", "-" * 100_000 + "\n1 + 2\nx = = y\n", is_code=True)
    assert not recwarn.list


# Names of the prompt


def test_a_function_s_names_have_to_come_back():
    found = sign("names", "def read_file(path: str) -> list[str]:", "\n    return open(path)\n    # and so on", True)
    assert found == Sign("names", True, "stays with the prompt: uses path")
    found = sign("names", "def read_file(path):", '\n    """Whatever a number is."""\n', is_code=True)
    assert found == Sign("names", False, "leaves the prompt: no read_file or path")


def test_a_word_of_a_name_counts_and_python_s_own_names_do_not():
    assert "speaks of file" in sign("names", "def read_file(p):", '\n    """The whole file."""\n', True).detail
    assert not good("names", "class Stack(object):", "\n    def f(self, x: int):\n        return list(x)\n", True)
    assert not good("names", "def area(r):", "\n    return arrow.error\n", is_code=True), "part of a word is no name"


def test_without_a_header_nothing_is_said_of_names():
    assert "names" not in [s.name for s in judge("import numpy as np\n", "import os\nimport sys\n", is_code=True)]
    assert "names" not in [s.name for s in judge("def f(x):", "\nas he said to her", is_code=False)]


# The verdict


@pytest.mark.parametrize("continuation", ["", "\n\n", "  the", "."])
def test_hardly_a_word_is_its_own_sign(continuation):
    """Nothing is not repeated, has no odd characters and parses: it must not pass for good text."""
    signs = judge("Once upon a time", continuation, is_code=False)
    assert [s.name for s in signs] == ["length"]
    assert not looks_like_text(signs)


def test_text_needs_whole_words_and_most_signs_good():
    words, other, bad = Sign("words", True, ""), Sign("spacing", True, ""), Sign("syntax", False, "")
    assert looks_like_text([words, other, bad])
    assert not looks_like_text([words, other, bad, bad])
    assert not looks_like_text([Sign("words", False, ""), other, other, other])
