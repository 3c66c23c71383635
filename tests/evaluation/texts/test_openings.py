"""Prompts from held-out text: whole openings, followed by what really follows, equally from all sources."""

from collections import Counter

from evaluation.held_out import Document
from evaluation.texts.openings import LONGEST_PROMPT, Opening, draw_openings, function_openings, sentence_openings

MODULE = '''"""Module."""
@decorated
def first(a,
          b):
    """What it does.

    At length. ("ä")"""
    return a

def without(a):
    return a

def only(): """Nothing else."""

def beside(a): """On one line."""; return a

class Some:
    def method(self):
        """A method."""
        return 1

async def last():
    \'\'\'Raw.\'\'\'  # noqa
    return r"\\d"
'''


def test_functions_open_with_their_docstring_and_go_on_as_in_the_file():
    (first,) = function_openings(Document("p", "m.py", MODULE))
    assert first.prompt.startswith("def first(a,\n          b):\n") and first.prompt.endswith('At length. ("ä")"""')
    assert first.prompt + first.following in MODULE and first.following.startswith("\n    return a\n\ndef without")
    assert function_openings(Document("p", "m.py", "def broken(:\n")) == []
    assert function_openings(Document("p", "m.py", "x = '\\d'\n")) == [], "a warning of Python's would fail this test"


def test_sentences_open_with_six_words_on_one_line():
    text = "One two three four five six seven.\n\n  It was late, and the house was\nquiet. Nobody spoke. I'll go."
    text += ' "So?" She went to the\ndoor and\n\nIt is a fact that all'
    found = sentence_openings(Document("b", "b.txt", text))
    assert [opening.prompt for opening in found] == ["It was late, and the house", "It is a fact that all"][
        : len(found)
    ]
    assert found[0].following.startswith(" was\nquiet. Nobody")


def test_openings_are_drawn_equally_from_sources_as_far_as_they_reach():
    def opening(source, number, prompt="def f():", following="x" * 500):
        return Opening(source, f"{number}.py", prompt, following)

    openings = [opening(source, n) for source, count in (("a", 50), ("b", 4), ("c", 50)) for n in range(count)]
    openings += [opening("d", 1, prompt="p" * (LONGEST_PROMPT + 1)), opening("d", 2, following="too short")]
    drawn = draw_openings(openings, 24)
    assert Counter(chosen.source for chosen in drawn) == {"a": 10, "b": 4, "c": 10}
    assert drawn == draw_openings(openings, 24) != draw_openings(openings, 24, seed=1)
    assert len(draw_openings(openings, 1000)) == 104
