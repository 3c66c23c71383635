"""Forced choices: which of several ways a text takes at a place, how often a model knows, and how often a guesser does.

A test of this kind is a list of items and a scoring function from prompts and choices to log-probabilities, so that
an oracle or a constant guesser can sit in the place of a model. What the items are about is decided by their builders.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from evaluation.held_out import Document, Origin
from evaluation.statistics import gain_of_items, share_of_items

MOST_CHARACTERS = 4096  # before a place; more than any context of this project makes use of
ITEMS_AT_ONCE = 128

Scorer = Callable[[Sequence[str], Sequence[Sequence[str]]], Sequence[np.ndarray]]
Guesser = Callable[["Item"], int | None]  # which choice it takes; None: it tosses a coin among all


class _HasDocument(Protocol):
    @property
    def document(self) -> Document: ...


FromDocument = TypeVar("FromDocument", bound=_HasDocument)


@dataclass(frozen=True)
class Item:
    """A place in a text and the ways that it may go on there."""

    document: Document
    place: int  # characters before it
    choices: tuple[str, ...]
    answer: int  # the choice that the text takes
    kind: str  # a score is the mean over the kinds of item
    facts: Mapping[str, str] = field(default_factory=dict)  # what a score is split by

    @property
    def prompt(self) -> str:
        """What stands before the place, as far as a model may look back."""
        return self.document.text[max(0, self.place - MOST_CHARACTERS) : self.place]


def draw_evenly(found: Iterable[FromDocument], count: int, seed: str) -> list[FromDocument]:
    """Draw `count` of what was found in documents, taking from their packages in turn as far as each reaches."""
    by_source: dict[str, list[FromDocument]] = defaultdict(list)
    for one in found:
        by_source[one.document.source].append(one)
    drawn = [
        random.Random(f"{seed} {source}").sample(pool, min(count, len(pool)))
        for source, pool in sorted(by_source.items())
    ]
    in_turn = (one for turn in zip_longest(*drawn) for one in turn if one is not None)
    return list(islice(in_turn, count))


def draw_items(
    items: Iterable[Item], per_group: int, seed: int, group: Callable[[Item], Hashable] = lambda item: item.kind
) -> list[Item]:
    """Draw `per_group` items of each group, or all where it has fewer, in equal parts from the packages."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[str(group(item))].append(item)
    return [item for name in sorted(groups) for item in draw_evenly(groups[name], per_group, f"{seed} {name}")]


def right_answers(items: Sequence[Item], score: Scorer, label: str = "items") -> np.ndarray:
    """Whether each item's true choice is more probable than every other: (items,) of bool. A tie is no answer."""
    right = np.zeros(len(items), dtype=bool)
    with tqdm(total=len(items), desc=label, unit=" items", leave=False, disable=None) as progress:
        for start in range(0, len(items), ITEMS_AT_ONCE):
            part = items[start : start + ITEMS_AT_ONCE]
            scores = score([item.prompt for item in part], [item.choices for item in part])
            for number, (item, values) in enumerate(zip(part, scores, strict=True)):
                others = np.delete(values, item.answer)
                right[start + number] = bool(np.all(values[item.answer] > others))
            progress.update(len(part))
    return right


def macro_average(items: Sequence[Item], right: np.ndarray, weights: Mapping[str, float] | None = None) -> dict:
    """The mean over kinds of the share that is right, so that a constant guess gets one kind's part and no more.

    `weights` may make some kinds count more. Returns score, n and the 95% interval over packages or files.
    """
    return share_of_items(right, origins(items), item_weights(items, weights))


def item_weights(items: Sequence[Item], weights: Mapping[str, float] | None = None) -> np.ndarray:
    """How much each item counts (items,), so that their weighted mean is the mean over kinds."""
    sizes = Counter(item.kind for item in items)
    return np.array([(weights[item.kind] if weights else 1.0) / sizes[item.kind] for item in items])


def origins(items: Sequence[Item]) -> list[Origin]:
    """The package and the file of each item."""
    return [item.document.origin for item in items]


def guessed_right(items: Sequence[Item], guess: Guesser) -> np.ndarray:
    """How far a guesser is right on each item: 1, 0, or the chance of a coin's being so."""
    taken = [guess(item) for item in items]
    hits = [1 / len(i.choices) if t is None else float(t == i.answer) for i, t in zip(items, taken, strict=True)]
    return np.array(hits, dtype=float)


def beside_guess(
    items: Sequence[Item],
    right: np.ndarray,
    guessers: Mapping[str, Guesser],
    weights: Mapping[str, float] | None = None,
) -> dict:
    """`macro_average`, the best of several guessers on the same items, and how much more is right than it guesses.

    That the guesser is chosen on these items flatters it, so `more_than_guess` is rather too small than too large.
    """
    parts = item_weights(items, weights)
    hits = {name: guessed_right(items, guess) for name, guess in guessers.items()}
    scores = {name: float(np.average(found, weights=parts)) if items else 0.0 for name, found in hits.items()}
    best = max(scores, key=scores.__getitem__)
    return {
        **macro_average(items, right, weights),
        "best_constant_guess": scores[best],
        "guesser": best,
        "more_than_guess": gain_of_items(right, hits[best], origins(items), parts),
    }


def always(choice: str) -> Guesser:
    """The guesser that takes one and the same choice everywhere."""
    return lambda item: item.choices.index(choice)


def always_by_fact(items: Sequence[Item], fact: str, weights: Mapping[str, float] | None = None) -> Guesser:
    """The best guesser that takes one choice for each value of a fact, where the kind is the right choice."""
    gains: dict[str, Counter] = defaultdict(Counter)  # what a choice adds to the average where the fact has a value
    for item, weight in zip(items, item_weights(items, weights), strict=True):
        gains[item.facts[fact]][item.answer] += weight
    taken = {value: gain.most_common(1)[0][0] for value, gain in gains.items()}
    return lambda item: taken[item.facts[fact]]


def by_kind(items: Sequence[Item], right: np.ndarray, names: Iterable[str]) -> dict[str, dict]:
    """The share that is right of each kind; kinds of which there is no item are left out."""
    parts = {name: [number for number, item in enumerate(items) if item.kind == name] for name in names}
    return {name: macro_average([items[n] for n in part], right[part]) for name, part in parts.items() if part}


def by_fact(items: Sequence[Item], right: np.ndarray, fact: str, names: Iterable[str]) -> dict[str, dict]:
    """`macro_average` of the items of which a fact has each of these names; names that no item has are left out."""
    parts = {name: [number for number, item in enumerate(items) if item.facts[fact] == name] for name in names}
    return {name: macro_average([items[n] for n in part], right[part]) for name, part in parts.items() if part}
