"""Minimal pairs: is a text more probable as it was written than with one mistake in it? Chance is 50%.

Mistakes are made by program in held-out code, each kind in both directions, so that no taste decides, neither for
short texts nor for frequent words: `self.` is taken away as often as it is added, a bracket dropped as often as
doubled, `==` becomes `!=` as often as the reverse, and of two variables each takes the place of the other.
"""

import ast
import random
import tokenize
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from evaluation.code_questions.code_items import CLOSING
from evaluation.code_questions.forced_choice import (
    Guesser,
    Item,
    Scorer,
    beside_guess,
    draw_items,
    right_answers,
)
from evaluation.code_questions.python_code import Code, Function, NamePlace, argument_nodes, walk_code

EncodeBatch = Callable[[Sequence[str]], list[list[int]]]  # a tokenizer's
LONGEST_REST = 100  # characters from a mistake to the end of its statement: as far as both texts are compared
COMPARISONS = {"==": "!=", "!=": "==", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
ORDER_IS_FREE = frozenset("gcd lcm max min print zip".split())  # functions whose arguments may as well be swapped
CHANGES = {
    "swapped arguments": ("swapped",),
    "wrong variable": ("replaced",),
    "missing self": ("removed", "added"),
    "wrong comparison": tuple(COMPARISONS),
    "unbalanced bracket": tuple(f"{change} {bracket}" for change in ("removed", "doubled") for bracket in CLOSING),
}


def pair_items(code: Code, seed: int = 0) -> Iterator[Item]:
    """Pairs of a file: the choices are the rest of a statement as it is, and with a mistake at its beginning.

    The kind is that of the mistake, the fact `change` what was done. `seed` decides which variables take each
    other's places.
    """
    ends = [word.end for word in code.words if word.kind == tokenize.NEWLINE]
    for begin, end, wrong, kind, change in _mistakes(code, seed):
        statement_end = ends[bisect_left(ends, end)]
        right = code.text[begin:statement_end]
        if len(right) <= LONGEST_REST:
            choices = (right, wrong + code.text[end:statement_end])
            yield Item(code.document, begin, choices, 0, kind, {"change": change})


def _mistakes(code: Code, seed: int) -> Iterator[tuple[int, int, str, str, str]]:
    """Begin and end of what is replaced, what replaces it, the kind of mistake and the change."""
    for word in code.words:
        if word.kind == tokenize.OP and word.text in CLOSING:
            yield word.begin, word.end, "", "unbalanced bracket", f"removed {word.text}"
            yield word.begin, word.end, 2 * word.text, "unbalanced bracket", f"doubled {word.text}"
    for node in walk_code(code.tree):
        if isinstance(node, ast.Call):
            yield from _swapped_arguments(code, node)
        elif isinstance(node, ast.Compare):
            yield from _wrong_comparison(code, node)
    for function in code.functions:
        dice = random.Random(f"{seed} {code.document.path} {function.node.lineno}")
        yield from _wrong_variables(function, dice)
        yield from _missing_self(code, function)


def _swapped_arguments(code: Code, call: ast.Call) -> Iterator[tuple[int, int, str, str, str]]:
    """The first two arguments of a call change places, where they are names, attributes or constants."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    simple = all(isinstance(argument, ast.Name | ast.Attribute | ast.Constant) for argument in call.args[:2])
    if len(call.args) >= 2 and simple and called not in ORDER_IS_FREE:
        (first, first_end), (second, end) = map(code.span, call.args[:2])
        between = code.text[first_end:second]
        if code.text[first:first_end] != code.text[second:end] and between.strip() == ",":
            wrong = code.text[second:end] + between + code.text[first:first_end]
            yield first, end, wrong, "swapped arguments", "swapped"


def _wrong_comparison(code: Code, compare: ast.Compare) -> Iterator[tuple[int, int, str, str, str]]:
    """`<` for `>`, `==` for `!=` and the like."""
    begin, end = code.span(compare.left)[1], code.span(compare.comparators[0])[0]
    sign = code.text[begin:end].strip()
    if sign in COMPARISONS:
        place = code.text.index(sign, begin)
        yield place, place + len(sign), COMPARISONS[sign], "wrong comparison", sign


def _wrong_variables(function: Function, dice: random.Random) -> Iterator[tuple[int, int, str, str, str]]:
    """Two variables of a function, as alike in length as possible, each used once where the other belongs."""
    first: dict[str, int] = {}
    reads: dict[str, list[NamePlace]] = defaultdict(list)
    for place in function.variables:
        first.setdefault(place.name, place.begin)
        if place.is_read:
            reads[place.name].append(place)
    pairs = []
    for one, other in combinations(reads, 2):
        both_known = max(first[one], first[other])
        uses, others = ([place for place in reads[name] if place.begin > both_known] for name in (one, other))
        if uses and others:
            pairs.append((abs(len(one) - len(other)), dice.random(), dice.choice(uses), dice.choice(others)))
    for *_, one, other in sorted(pairs)[:1]:
        yield one.begin, one.end, other.name, "wrong variable", "replaced"
        yield other.begin, other.end, one.name, "wrong variable", "replaced"


def _missing_self(code: Code, function: Function) -> Iterator[tuple[int, int, str, str, str]]:
    """In methods: an attribute without `self.`, a variable with it."""
    if "self" not in [argument.arg for argument in argument_nodes(function.node)[:1]]:
        return
    for statement in function.node.body:
        for node in walk_code(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                begin = code.span(node)[0]
                if code.text.startswith("self.", begin):
                    yield begin, begin + len("self."), "", "missing self", "removed"
    for place in function.variables:
        if place.is_read:
            yield place.begin, place.begin, "self.", "missing self", "added"


def draw_pairs(items: Iterable[Item], per_kind: int, seed: int) -> list[Item]:
    """Equally many pairs of each kind, and within it of each change."""
    by_kind: dict[str, list[Item]] = {kind: [] for kind in CHANGES}
    for item in items:
        by_kind[item.kind].append(item)
    return [
        item
        for kind, pool in by_kind.items()
        for item in draw_items(pool, -(-per_kind // len(CHANGES[kind])), seed, lambda item: item.facts["change"])
    ]


def measure_pairs(items: Sequence[Item], score: Scorer, encode_batch: EncodeBatch) -> dict:
    """The share of pairs whose true text is more probable, over all kinds, and each kind with its changes averaged.

    The guessers go by length. In tokens that is not nothing: what is common in code is one token, a mistake often two.
    """
    right = right_answers(items, score, "minimal pairs")
    guessers = length_guessers(items, encode_batch)
    kinds = {}
    for kind in CHANGES:
        part = [number for number, item in enumerate(items) if item.kind == kind]
        by_change = [replace(items[number], kind=items[number].facts["change"]) for number in part]
        if part:
            kinds[kind] = beside_guess(by_change, right[part], guessers)
    return beside_guess(items, right, guessers) | {"kinds": kinds}


def length_guessers(items: Sequence[Item], encode_batch: EncodeBatch) -> dict[str, Guesser]:
    """Guessers that take the shorter or the longer text, in characters or in tokens; a coin decides between equals."""
    lines = [item.prompt.rpartition("\n")[2] + choice for item in items for choice in item.choices]
    counts = iter(len(tokens) for tokens in encode_batch(lines))
    tokens = {(item.place, item.choices): tuple(next(counts) for _ in item.choices) for item in items}

    def by(lengths: Callable[[Item], Sequence[int]], sign: int) -> Guesser:
        def guess(item: Item) -> int | None:
            first, second = (sign * length for length in lengths(item))
            return None if first == second else int(first > second)

        return guess

    return {
        "the shorter text": by(lambda item: [len(choice) for choice in item.choices], 1),
        "the longer text": by(lambda item: [len(choice) for choice in item.choices], -1),
        "the one of fewer tokens": by(lambda item: tokens[item.place, item.choices], 1),
        "the one of more tokens": by(lambda item: tokens[item.place, item.choices], -1),
    }
