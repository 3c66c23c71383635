"""Recall of identifiers: does a model use the name that a function has given to a thing, however strange it is?

All variables of a held-out function are renamed to fresh random names, so that no memory of training and no look of a
name helps. Wherever one of them is used, the model chooses among those that have occurred so far, and it can only know
by looking back. How far back is what decides (induction, Olsson et al. 2022).
"""

import random
import string
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from evaluation.code_questions.code_items import range_name, range_names
from evaluation.code_questions.forced_choice import Item, Scorer, beside_guess, right_answers
from evaluation.code_questions.python_code import Code, Function, NamePlace

MOST_CONTEXT = 500  # characters of a function before the place: about 200 tokens, within every model's context
DISTANCES = (1, 5, 10, 20, 40, 80)  # in Python's tokens, back to where the name stands last
GUESSERS = {
    "the last name used": lambda item: int(item.facts["last"]),
    "the most frequent": lambda item: int(item.facts["most frequent"]),
    "the first argument": lambda item: 0,
    "any of them": lambda item: None,
}


def recall_items(code: Code, seed: int = 0) -> Iterator[Item]:
    """Uses of renamed variables in a file; the choices are the names so far, in the order in which they came.

    The kind is the range of the distance. The text of an item is that of its function alone.
    """
    word_begins = [word.begin for word in code.words]
    for function in code.functions:
        places = function.variables
        dice = random.Random(f"{seed} {code.document.path} {function.node.lineno}")
        text, renamed = rename(code, function, dice)
        document = replace(code.document, text=text)
        words = [bisect_left(word_begins, place.begin) for place in places]
        seen: dict[str, list[int]] = {}  # numbers of the places of each name so far
        for number, place in enumerate(renamed):
            if place.is_read and place.name in seen and len(seen) > 1 and place.begin <= MOST_CONTEXT:
                names = tuple(seen)
                distance = range_name(words[number] - words[seen[place.name][-1]], DISTANCES)
                last = max(names, key=lambda name: seen[name][-1])
                frequent = max(names, key=lambda name: len(seen[name]))
                facts = {"last": str(names.index(last)), "most frequent": str(names.index(frequent))}
                yield Item(document, place.begin, names, names.index(place.name), distance, facts)
            seen.setdefault(place.name, []).append(number)


def rename(code: Code, function: Function, dice: random.Random) -> tuple[str, list[NamePlace]]:
    """A function's text with a fresh random name, such as zq_4813, for each of its variables; and their places in it.

    None occurs in the file, and no two begin with the same two letters.
    """
    begin, end = code.span(function.node)
    begin = code.text.rfind("\n", 0, begin) + 1
    names = fresh_names(code.text, dice)
    new_names = {name: next(names) for name in dict.fromkeys(place.name for place in function.variables)}
    pieces, renamed, length = [], [], 0
    for place in function.variables:
        pieces += [code.text[begin : place.begin], new_names[place.name]]
        length += len(pieces[-2])
        renamed.append(NamePlace(length, new_names[place.name], place.is_read))
        length += len(pieces[-1])
        begin = place.end
    return "".join([*pieces, code.text[begin:end]]), renamed


def fresh_names(text: str, dice: random.Random) -> Iterator[str]:
    """Names that do not occur in a text; no two begin with the same two letters."""
    used = set()
    while True:
        letters = "".join(dice.choices(string.ascii_lowercase, k=2))
        name = f"{letters}_{dice.randrange(1000, 10_000)}"
        if letters not in used and name not in text:
            used.add(letters)
            yield name


def measure_recall(items: list[Item], score: Scorer) -> dict:
    """The share of uses at which the right name is the most probable, over all distances and at each."""
    right = right_answers(items, score, "identifier recall")
    distances = {}
    for name in range_names(DISTANCES):
        part = [number for number, item in enumerate(items) if item.kind == name]
        if part:
            there = [items[number] for number in part]
            distances[name] = beside_guess(there, right[part], GUESSERS)
    return beside_guess(items, right, GUESSERS) | {"distances": distances}
