"""The four small tests of the first README, `bracket`, `repeat`, `alphabet` and `sentence`, as fixed prompts.

What the first versions asked is not written down anywhere, so each is defined here as simply as its name allows. A
test shows prompts to a writer (any function from prompts to continuations: a model, an oracle, a guesser) and judges
by program what comes back. A handful of prompts tells a working model from a broken one and little more: the sharp
tests are in code_tests.py.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.statistics import share_with_interval
from evaluation.texts.text_signs import FEWEST_WORDS, SHORTEST_STRETCH, whole_words
from evaluation.texts.words import words_of
from pretraining.sampling import SamplingSettings

Writer = Callable[[list[str], SamplingSettings], list[str]]
Items = Sequence[tuple[str, str]]  # (prompt, one right continuation)
CLOSING = {"(": ")", "[": "]", "{": "}"}
SENTENCE = re.compile(r"(.+?[.!?])[\"')\]]*(?=\s|$)", re.DOTALL)
WORDS_TO_REPEAT = 3


@dataclass(frozen=True)
class SmallTest:
    """A handful of prompts and the rule by which what follows them passes."""

    name: str  # as in baseline_v0.json
    asks: str
    items: Items
    judge: Callable[[Items, Sequence[str]], list[bool]]  # which continuations pass
    settings: SamplingSettings


def likeliest(max_new_tokens: int) -> SamplingSettings:
    """Where one answer is right, the model's likeliest text is taken."""
    return SamplingSettings(max_new_tokens, temperature=0)


def run(test: SmallTest, write: Writer) -> dict:
    """The share of prompts whose continuation passes, with n, interval, the best constant guess, and the texts."""
    prompts = [prompt for prompt, _ in test.items]
    written = write(prompts, test.settings)
    passed = test.judge(test.items, written)
    rows = zip(prompts, written, passed, strict=True)
    return {
        "asks": test.asks,
        **share_with_interval(sum(passed), len(passed)),
        "best_constant_guess": best_constant_guess(test),
        "texts": [{"prompt": prompt, "continuation": text, "passed": good} for prompt, text, good in rows],
    }


def best_constant_guess(test: SmallTest) -> float:
    """What a writer scores that writes the same after every prompt: the most any of the right answers gets."""
    guesses = ([answer] * len(test.items) for _, answer in test.items)
    return max(sum(test.judge(test.items, guess)) for guess in guesses) / len(test.items)


def closes_brackets(prompt: str, continuation: str) -> bool:
    """Whether all that the prompt leaves open is closed, innermost first, and nothing else before that.

    Brackets are characters here, also those within strings; what comes after the last closing one is not looked at.
    """
    still_open: list[str] = []
    for place, character in enumerate(prompt + continuation):
        if character in CLOSING:
            still_open.append(CLOSING[character])
        elif character in CLOSING.values() and (not still_open or still_open.pop() != character):
            return False
        if place >= len(prompt) and not still_open:
            return True
    return False


def goes_on_with(prompt: str, continuation: str, expected: str) -> bool:
    """Whether the prompt's words, unchanged, are followed by the expected words."""
    wanted = (prompt + expected).split()
    return (prompt + continuation).split()[: len(wanted)] == wanted


def first_sentence(prompt: str, continuation: str) -> str | None:
    """What ends the sentence that the prompt begins, if it does so in at least three whole words; else None.

    Whole words are judged as in text_signs.py: most of them known, and spaces not inside them. That the sentence means
    something is not asked.
    """
    found = SENTENCE.match(prompt + continuation)
    if not found or found.end() <= len(prompt) or "\n\n" in found[0]:
        return None
    ending = found[0][len(prompt) :]
    stretches = ending.split()
    in_pieces = sum(map(len, stretches)) < SHORTEST_STRETCH * len(stretches)
    whole = whole_words(prompt, ending, ended=True).good and not in_pieces
    return ending.strip() if whole and len(words_of(ending)) >= FEWEST_WORDS else None


def _judge_brackets(items: Items, written: Sequence[str]) -> list[bool]:
    return [closes_brackets(prompt, text) for (prompt, _), text in zip(items, written, strict=True)]


def _judge_words(items: Items, written: Sequence[str]) -> list[bool]:
    return [goes_on_with(prompt, text, answer) for (prompt, answer), text in zip(items, written, strict=True)]


def _judge_sentences(items: Items, written: Sequence[str]) -> list[bool]:
    """The same ending after several prompts passes once: else one and the same text would do for all."""
    endings = [first_sentence(prompt, text) for (prompt, _), text in zip(items, written, strict=True)]
    return [ending is not None and ending not in endings[:number] for number, ending in enumerate(endings)]


def _repeated(*patterns: str) -> Items:
    """Prompts of six words, or of one word three times; and the words that come next."""
    items = []
    for pattern in patterns:
        words = pattern.split() * 9
        shown = 6 if " " in pattern else 3
        items.append((" ".join(words[:shown]), " " + " ".join(words[shown : shown + WORDS_TO_REPEAT])))
    return tuple(items)


TESTS = (
    SmallTest(
        "bracket_test",
        "Does it close what is open? All brackets of the prompt, innermost first, within 40 tokens; each kind alone "
        "three times, and each pair of kinds once.",
        (
            ("total = sum(values", ")"),
            ("print(first, second", ")"),
            ("    return len(self.items", ")"),
            ("numbers = [1, 2, 3", "]"),
            ("last = items[index", "]"),
            ("names = [name for name in people", "]"),
            ("ages = {1: 20, 2: 30", "}"),
            ("unique = {x for x in values", "}"),
            ("table = {key: value", "}"),
            ("print(len(values", "))"),
            ("pairs = [(1, 2), (3, 4", ")]"),
            ("sizes = {len(name", ")}"),
            ("print(max(a, b), items[0", "])"),
            ("matrix = [[1, 0], [0, 1", "]]"),
            ("groups = {1: [2, 3], 4: [5, 6", "]}"),
            ("update({1: 2, 3: 4", "})"),
            ("records = [{1: 2}, {3: 4", "}]"),
            ("tree = {1: {2: 3", "}}"),
        ),
        _judge_brackets,
        likeliest(40),
    ),
    SmallTest(
        "repeat_test",
        f"Does it go on with what repeats, such as foo foo foo? The next {WORDS_TO_REPEAT} words, exactly.",
        _repeated(
            *("foo", "bar", "hello", "x", "0", "yes", "True", "self"),
            *("a b", "yes no", "0 1", "red blue", "tick tock", "one two three", "x y z", "do re mi"),
        ),
        _judge_words,
        likeliest(16),
    ),
    SmallTest(
        "alphabet_test",
        "Does it know what follows a b c d? The next letter, small or capital, from all over the alphabet.",
        tuple(
            (" ".join(alphabet[start : start + 4]), " " + alphabet[start + 4])
            for alphabet in ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            for start in range(0, 22, 3)
        ),
        _judge_words,
        likeliest(8),
    ),
    SmallTest(
        "sentence_test",
        "Does it end the sentence that it was given in whole words, not in `T or on to`? One sample for each prompt "
        "at temperature 0.8, top_k 40, top_p 0.9, up to 60 tokens; the same ending counts once.",
        (
            ("In the city of Toronto,", " the winters are long."),
            ("Once upon a time in Toronto,", " there was a small house."),
            ("Once upon a time there was", " a king with three sons."),
            ("The old man sat down by the fire and", " told his story."),
            ("She opened the door and", " looked into the dark room."),
            ("It was a cold morning, and", " the streets were empty."),
            ("When the rain had stopped,", " the children went out to play."),
            ("The king said to his son that", " he must go alone."),
            ("There is nothing better than", " a good night of sleep."),
            ("At the end of the street", " stood an old church."),
            ("They walked for many days until", " they saw the sea."),
            ("My father used to say that", " time heals everything."),
            ("The first thing that he saw was", " a light in the window."),
            ("Nobody in the village knew", " where the stranger came from."),
            ("After a long journey", " we came home at last."),
            ("The two brothers looked at", " each other and laughed."),
        ),
        _judge_sentences,
        SamplingSettings(60, temperature=0.8, top_k=40, top_p=0.9),
    ),
)
