"""What functions are called with: the kinds of arguments, how each is drawn, and what real code calls it.

A draw leans towards what is near: values around the constants of a task, and parts of the arguments drawn before, so
that a limit is met exactly, and what is searched for is sometimes there.
"""

import random
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

Draw = Callable[[random.Random, Sequence[object]], object]
MOST_NEAR = 60  # parts of earlier arguments that a draw may lean towards


@dataclass(frozen=True)
class Kind:
    """A kind of argument."""

    annotation: str
    names: tuple[str, ...]  # what else a parameter of this kind may be called
    draw: Draw
    edges: tuple = ()  # values at which solutions often fail


def whole(low: int, high: int) -> Draw:
    """A whole number in [low, high]."""

    def draw(dice: random.Random, near: Sequence[object]) -> int:
        close = [value for value in near if type(value) is int]
        if close and dice.random() < 0.35:
            return min(high, max(low, dice.choice(close) + dice.choice((-1, 0, 0, 1))))
        return dice.randint(low, high)

    return draw


def real(low: int, high: int) -> Draw:
    """A number in [low, high] with quarters, which a float holds exactly."""
    return lambda dice, near: dice.randint(4 * low, 4 * high) / 4


def letters(alphabet: str, shortest: int, longest: int) -> Draw:
    """A text of these characters."""

    def draw(dice: random.Random, near: Sequence[object]) -> str:
        close = [part for part in near if type(part) is str and part and set(part) <= set(alphabet)]
        text = "".join(dice.choices(alphabet, k=dice.randint(shortest, longest)))
        if close and dice.random() < 0.5:
            part, place = dice.choice(close), dice.randint(0, len(text))
            changed = (part + text, text + part, text[:place] + part + text[place:])
            text = dice.choice((part, part, part, *changed))[:longest]
        return text if len(text) >= shortest else text.ljust(shortest, alphabet[0])

    return draw


def listed(element: Draw, shortest: int, longest: int, *, kind: Callable = list) -> Draw:
    """A list of such elements, some of them equal."""

    def draw(dice: random.Random, near: Sequence[object]) -> object:
        values: list[object] = []
        for _ in range(dice.randint(shortest, longest)):
            values.append(dice.choice(values) if values and dice.random() < 0.2 else element(dice, near))
        return kind(values)

    return draw


def paired(*elements: Draw) -> Draw:
    """A tuple with one of each."""
    return lambda dice, near: tuple(element(dice, near) for element in elements)


def keyed(key: Draw, value: Draw, shortest: int, longest: int) -> Draw:
    """A dictionary."""

    def draw(dice: random.Random, near: Sequence[object]) -> dict:
        return {key(dice, near): value(dice, near) for _ in range(dice.randint(shortest, longest))}

    return draw


def spread(text: Draw, separator: str = " ") -> Draw:
    """Several texts, joined."""
    parts = listed(text, 0, 5)
    return lambda dice, near: separator.join(parts(dice, near))


def mirrored(half: Draw) -> Draw:
    """A text that reads the same backwards, half of the time."""

    def draw(dice: random.Random, near: Sequence[object]) -> str:
        text = half(dice, ())
        return text + text[::-1][dice.randint(0, 1) :] if dice.random() < 0.5 else text

    return draw


def ordered(element: Draw, shortest: int, longest: int) -> Draw:
    """A sorted list."""
    return listed(element, shortest, longest, kind=sorted)


def rows(element: Draw, *, square: bool = False) -> Draw:
    """A list of equally long lists."""

    def draw(dice: random.Random, near: Sequence[object]) -> list:
        height, width = dice.randint(1, 4), dice.randint(1, 4)
        return [[element(dice, near) for _ in range(height if square else width)] for _ in range(height)]

    return draw


def pick(*values: object) -> Draw:
    """One of these."""
    return lambda dice, near: dice.choice(values)


def either(first: Draw, second: Draw) -> Draw:
    """One or the other."""
    return lambda dice, near: dice.choice((first, second))(dice, near)


def clock(dice: random.Random, near: Sequence[object]) -> str:
    """A time of the day."""
    return f"{dice.randint(0, 23):02}:{dice.randint(0, 59):02}"


WORDS = """
    apple pear plum fig kiwi lemon cat dog bird fish horse red green blue sun moon star tree leaf river hill anna bob
    level noon data list key value north south east west cold warm big small one two three
""".split()
LOWER, DIGITS = string.ascii_lowercase[:12] + "rstuy", string.digits
INTEGER, NATURAL, SMALL = whole(-30, 60), whole(0, 40), whole(0, 9)
WORD, LETTER = either(letters(LOWER, 1, 8), pick(*WORDS)), letters(LOWER, 1, 1)
BRACKETS = either(letters("()", 0, 4), spread(pick("()", "(())"), ""))
NEARLY = either(ordered(SMALL, 0, 6), listed(SMALL, 2, 4))
TEXT = spread(either(either(letters(LOWER + "AEIRST", 1, 7), pick(*WORDS)), letters(LOWER + DIGITS + "-!,", 1, 5)))
PADDED = spread(letters(" ab", 0, 5))
POINT = paired(whole(-9, 9), whole(-9, 9))
SPAN = listed(whole(0, 20), 2, 2, kind=lambda ends: tuple(sorted(ends)))
KINDS = {
    "integer": Kind("int", ("n", "number", "value", "x"), INTEGER, (0, 1, -1)),
    "natural": Kind("int", ("n", "number", "value", "count"), NATURAL, (0, 1, 2, 4)),
    "positive": Kind("int", ("n", "number", "value"), whole(1, 60), (1, 2, 4)),
    "small": Kind("int", ("n", "k", "count", "size"), SMALL, (0, 1)),
    "times": Kind("int", ("n", "count", "times", "size"), whole(1, 6), (1,)),
    "large": Kind("int", ("n", "number", "value"), either(whole(0, 99999), whole(0, 300)), (0, 10, 100)),
    "real": Kind("float", ("value", "amount", "x"), real(-10, 60), (0.0, 1.0)),
    "flag": Kind("bool", ("flag", "enabled", "active"), pick(True, False)),
    "word": Kind("str", ("word", "text", "name", "s"), WORD, ("a",)),
    "text": Kind("str", ("text", "string", "s", "line"), TEXT, ("", "a")),
    "padded": Kind("str", ("text", "string", "s", "line"), PADDED, ("", " ")),
    "letter": Kind("str", ("letter", "char", "character", "c"), LETTER),
    "digits": Kind("str", ("digits", "text", "s"), letters(DIGITS, 1, 7), ("0", "10")),
    "bits": Kind("str", ("bits", "text", "s"), letters("01", 1, 7), ("0", "1")),
    "brackets": Kind("str", ("text", "brackets", "s"), BRACKETS, ("",)),
    "mirrored": Kind("str", ("text", "word", "s"), mirrored(letters("abc", 0, 4)), ("", "a")),
    "ints": Kind("list[int]", ("numbers", "values", "items", "data"), listed(INTEGER, 0, 8), ([], [0])),
    "ints1": Kind("list[int]", ("numbers", "values", "items", "data"), listed(INTEGER, 1, 8), ([3],)),
    "ints2": Kind("list[int]", ("numbers", "values", "items", "data"), listed(INTEGER, 2, 8), ([4, 4],)),
    "naturals": Kind("list[int]", ("numbers", "values", "counts"), listed(SMALL, 0, 8), ([], [0])),
    "naturals1": Kind("list[int]", ("numbers", "values", "counts"), listed(SMALL, 1, 8), ([0],)),
    "sorted": Kind("list[int]", ("numbers", "values", "items"), ordered(NATURAL, 0, 8), ([],)),
    "nearly": Kind("list[int]", ("numbers", "values", "items"), NEARLY, ([],)),
    "flags": Kind("list[bool]", ("flags", "values", "answers"), listed(pick(True, False), 0, 3), ([],)),
    "maybes": Kind("list[int | None]", ("values", "items", "data"), listed(either(SMALL, pick(None, 0)), 0, 8), ([],)),
    "words": Kind("list[str]", ("words", "names", "items", "strings"), listed(WORD, 0, 6), ([], ["a"])),
    "words1": Kind("list[str]", ("words", "names", "items", "strings"), listed(WORD, 1, 6), (["a"],)),
    "lists": Kind("list[list[int]]", ("lists", "groups", "rows"), listed(listed(SMALL, 0, 4), 0, 4), ([], [[]])),
    "pairs": Kind("list[tuple[str, int]]", ("pairs", "items", "entries"), listed(paired(WORD, SMALL), 0, 5), ([],)),
    "pairs1": Kind("list[tuple[str, int]]", ("pairs", "items", "entries"), listed(paired(WORD, NATURAL), 1, 5)),
    "counts": Kind("dict[str, int]", ("counts", "scores", "data", "d"), keyed(WORD, whole(-3, 20), 0, 5), ({},)),
    "counts1": Kind("dict[str, int]", ("counts", "scores", "data", "d"), keyed(WORD, NATURAL, 1, 5)),
    "lookup": Kind("dict[str, str]", ("mapping", "names", "data", "d"), keyed(WORD, WORD, 0, 5), ({},)),
    "groups": Kind("dict[str, list[int]]", ("groups", "data", "d"), keyed(WORD, listed(SMALL, 0, 4), 0, 4), ({},)),
    "point": Kind("tuple[int, int]", ("point", "pair", "p"), POINT, ((0, 0),)),
    "points": Kind("list[tuple[int, int]]", ("points", "pairs"), listed(POINT, 0, 5), ([],)),
    "points1": Kind("list[tuple[int, int]]", ("points", "pairs"), listed(POINT, 1, 5)),
    "span": Kind("tuple[int, int]", ("span", "interval", "bounds"), SPAN),
    "triple": Kind("tuple[int, int, int]", ("triple", "values", "t"), paired(SMALL, SMALL, SMALL), ((0, 0, 0),)),
    "set": Kind("set[int]", ("items", "values", "group"), listed(whole(0, 12), 0, 6, kind=set), (set(),)),
    "sets": Kind("list[set[int]]", ("sets", "groups"), listed(listed(whole(0, 9), 0, 5, kind=set), 1, 3)),
    "matrix": Kind("list[list[int]]", ("matrix", "grid", "rows", "table"), rows(whole(-5, 15)), ([[1]],)),
    "square": Kind("list[list[int]]", ("matrix", "grid", "table"), rows(whole(0, 3), square=True), ([[1]],)),
    "minutes": Kind("int", ("minutes", "total", "time"), whole(0, 1500), (0, 59, 60, 1439)),
    "seconds": Kind("int", ("seconds", "total", "time"), whole(0, 9000), (0, 59, 60, 3600)),
    "hour": Kind("int", ("hour", "h"), whole(0, 23), (0, 11, 12, 23)),
    "minute": Kind("int", ("minute", "m"), whole(0, 59), (0, 59)),
    "month": Kind("int", ("month", "m"), whole(1, 12), (1, 2, 12)),
    "year": Kind("int", ("year", "y"), either(whole(1880, 2120), pick(1900, 2000, 2024, 2100)), (1900, 2000)),
    "weekday": Kind("int", ("day", "weekday"), whole(0, 6), (0, 6)),
    "clock": Kind("str", ("time", "clock"), clock, ("00:00", "12:00")),
}  # fmt: skip


def draw_arguments(
    parameters: Mapping[str, str],
    constants: Sequence[object],
    dice: random.Random,
    given: Mapping[str, object] = MappingProxyType({}),
) -> tuple:
    """Arguments for parameters of these kinds (name: kind), for a task with these constants; some may be given."""
    near: list[object] = list(constants)
    arguments = []
    for name, kind in parameters.items():
        arguments.append(given[name] if name in given else KINDS[kind].draw(dice, near))
        near += parts_of(arguments[-1])[:MOST_NEAR]
    return tuple(arguments)


def parts_of(value: object) -> list[object]:
    """A value and what it holds: elements, characters, keys and what stands under them."""
    if isinstance(value, dict):
        return [*value, *parts_of(list(value.values()))]
    if isinstance(value, (list, tuple, set)):
        return [part for element in value for part in ([element] if isinstance(element, str) else parts_of(element))]
    return sorted({*value, *value.split()}) if isinstance(value, str) else [value]
