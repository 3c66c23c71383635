"""Good signs and warning signs of generated text, each judged by a program: what a person sees at a glance.

    for sign in judge("def area(r):", "\\n    return 3.14 * r ** 2\\n", is_code=True):
        print("good" if sign.good else "warning", sign.detail)

Whole words, spacing, characters and repetition are judged in all text; in code also the syntax, as far as it goes, and
whether the names of a function's header come back. Whether *prose* stays on topic is left out: good prose often moves
on without a word of its opening, so a program that looks for them would warn of real text. Whether what is said is
true or useful is not asked at all.

How often each sign is right is measured by calibrate_text_signs.py; the thresholds below come from there, for texts of
about 100 tokens. Standard library alone.
"""

import builtins
import codeop
import keyword
import re
import warnings
from typing import NamedTuple

from evaluation.texts.words import LETTERS, known_words, parts, words_of

FEWEST_WORDS = 3  # and symbols; below that there is nothing to judge
LEAST_KNOWN = 0.75  # share of words that must be known
SHORTEST_STRETCH = 2.75  # mean length of what stands between two spaces; "O n ce u p on" has 1.5
LONGEST_RUN = 6.3  # mean length of a run of letters; without spaces between words it is 7 and more
MOST_ODD_CASES = 1  # words such as colFAalentaps
MOST_REPEATED = 0.25  # share of a text that one phrase may make up
LEAST_TIMES = 3  # a phrase that comes so often is repeated
PHRASE_LENGTHS = range(3, 25)  # in words and symbols
LONGEST_LINE = 200  # characters that code may go on without a line break
SHOWN_CHARACTERS = 32  # of a phrase

TOKENS = re.compile(r"\w+|[^\w\s]+")
ODD_CASE = re.compile(r"[^\W\d_]*[a-z][A-Z]{2,}[a-z][^\W\d_]*")
HEADER = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+\w+.*", re.MULTILINE)
NO_NAMES_OF_ITS_OWN = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "cls"}


class Sign(NamedTuple):
    """One judgement: whether it is a good sign, and the finding in a few words with its numbers."""

    name: str  # words, spacing, characters, repetition, syntax, names or length
    good: bool
    detail: str


def judge(prompt: str, continuation: str, *, is_code: bool, ended: bool = False) -> list[Sign]:
    """The signs of what a model wrote after a prompt.

    `ended` says that the text ended by itself; otherwise its last word and last line may be cut and are not judged.
    A continuation of hardly a word gives one sign alone, `length`, which is not good.
    """
    count = len(TOKENS.findall(continuation))
    if count < FEWEST_WORDS:
        return [Sign("length", False, f"wrote hardly a word: {count} in {len(continuation)} characters")]
    signs = [
        whole_words(prompt, continuation, ended),
        spacing(continuation),
        characters(continuation),
        repetition(continuation),
    ]
    if is_code:
        signs.append(syntax(prompt, continuation, ended))
        if names := names_of_header(prompt):
            signs.append(uses_names(names, continuation))
    return signs


def looks_like_text(signs: list[Sign]) -> bool:
    """The verdict on one text: its words are whole, and most of its signs are good."""
    good = sum(sign.good for sign in signs)
    return 2 * good > len(signs) and all(sign.good for sign in signs if sign.name in ("words", "length"))


def whole_words(prompt: str, continuation: str, ended: bool = False) -> Sign:
    """Whether the words are words, and not splinters ("O n ce") or several run together ("showgent").

    The words of the prompt are known too. A single letter is a name or initial like any other and not counted, except
    between two words: there only a, I and O are known.
    """
    text, of_prompt = prompt + continuation, set(words_of(prompt))
    known, unknown = 0, []
    for letters in LETTERS.finditer(text, len(prompt) - _letters_at_end(prompt)):
        if letters.end() <= len(prompt):
            continue
        if letters.end() == len(text) and not ended:
            break  # it may go on
        if len(letters.group()) > 1:
            words = parts(letters.group())
            strange = [word for word in words if word not in known_words() and word not in of_prompt]
        else:
            words = letters.group() if _between_words(text, letters.start()) else ""
            strange = [word for word in words if word not in "aioAIO"]
        known += len(words) - len(strange)
        unknown += strange
    count = known + len(unknown)
    if known >= LEAST_KNOWN * count:
        return Sign("words", True, f"complete words: {known} of {count} known")
    examples = ", ".join(list(dict.fromkeys(unknown))[:4])
    return Sign("words", False, f"broken words: {len(unknown)} of {count} unknown ({examples})")


def _letters_at_end(prompt: str) -> int:
    """How many letters of the prompt belong to the word that the continuation may go on with."""
    return len(re.search(r"[^\W\d_]*$", prompt).group())


def _between_words(text: str, place: int) -> bool:
    """Whether the letter at `place` stands between two words, with one space on each side."""
    before, after = text[max(0, place - 2) : place], text[place + 1 : place + 3]
    return before[1:] == " " and before[0].isalpha() and after[:1] == " " and after[1:].isalpha()


def spacing(text: str) -> Sign:
    """Whether spaces stand where they do in real text: not inside words, and not too seldom."""
    stretches, runs = text.split(), LETTERS.findall(text)
    stretch = sum(map(len, stretches)) / len(stretches)
    run = sum(map(len, runs)) / max(1, len(runs))
    if stretch < SHORTEST_STRETCH:
        return Sign("spacing", False, f"spaces inside words: one after every {stretch:.1f} characters")
    if run > LONGEST_RUN:
        return Sign("spacing", False, f"words run together: {run:.1f} letters a word")
    return Sign("spacing", True, f"proper spacing: {run:.1f} letters a word")


def characters(text: str) -> Sign:
    """Whether there are characters that no text has, or capitals in the middle of words."""
    unreadable = [c for c in text if c == "\ufffd" or not (c.isprintable() or c.isspace())]
    odd_cases = ODD_CASE.findall(text)
    found = [f"{len(unreadable)} unreadable"] if unreadable else []
    if len(odd_cases) > MOST_ODD_CASES:
        found.append(f"capitals inside words ({', '.join(odd_cases[:2])})")
    if found:
        return Sign("characters", False, f"random characters: {', '.join(found)}")
    return Sign("characters", True, "no random characters")


def repetition(text: str) -> Sign:
    """Whether one phrase, of three words and symbols or more, makes up too much of the text."""
    places = list(TOKENS.finditer(text))
    first, length, times = most_repeated_phrase([place.group() for place in places])
    share = times * length / len(places)
    if share > MOST_REPEATED:
        phrase = " ".join(text[places[first].start() : places[first + length - 1].end()].split())
        shown = phrase if len(phrase) <= SHOWN_CHARACTERS else phrase[: SHOWN_CHARACTERS - 3] + "..."
        return Sign("repetition", False, f'repeats "{shown}" {times} times, {share:.0%} of the text')
    if times:
        return Sign("repetition", True, f"no loops: no phrase above {share:.0%}")
    return Sign("repetition", True, f"no loops: no phrase comes {LEAST_TIMES} times")


def most_repeated_phrase(tokens: list[str]) -> tuple[int, int, int]:
    """The phrase that, coming at least LEAST_TIMES without overlap, makes up most of the tokens.

    Returns where it first begins, its length and how often it comes; zeros if there is none.
    """
    best = (0, 0, 0)
    for length in PHRASE_LENGTHS:
        places: dict[tuple[str, ...], list[int]] = {}
        for start in range(len(tokens) - length + 1):
            found = places.setdefault(tuple(tokens[start : start + length]), [])
            if not found or start >= found[-1] + length:
                found.append(start)
        found = max(places.values(), key=len, default=[])
        if len(found) < LEAST_TIMES:
            break
        if len(found) * length > best[1] * best[2]:
            best = (found[0], length, len(found))
    first, length, times = best
    phrase = tokens[first : first + length]
    for part in range(1, length):  # "a b a b" four times is "a b" eight times
        if length % part == 0 and phrase == phrase[:part] * (length // part):
            return first, part, times * (length // part)
    return best


def syntax(prompt: str, continuation: str, ended: bool = False) -> Sign:
    """Whether the code parses as far as it goes: a beginning that Python could accept is no error.

    Prompt and continuation are read together, without the last line if it may be cut. An open bracket, string or block
    at the end is unfinished and not wrong. The detail counts the whole lines, since a short text errs less.
    """
    source = prompt + continuation
    whole = source if ended else source[: source.rfind("\n") + 1]
    lines = whole.count("\n") - prompt.count("\n")
    if lines <= 0 and len(source) - len(whole) > LONGEST_LINE:
        return Sign("syntax", False, f"code without line breaks: {len(source)} characters in one line")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences, which concern nobody here
            unfinished = codeop.compile_command(whole, symbol="exec") is None
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        place = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        return Sign("syntax", False, f"syntax error in {place}{getattr(error, 'msg', error)}")
    size = "1 line" if lines == 1 else f"{max(lines, 0)} lines"
    return Sign("syntax", True, f"parses: {size}, {'its end is open' if unfinished else 'complete'}")


def names_of_header(prompt: str) -> list[str]:
    """The names in the last line of the prompt that begins a function or class, without Python's own."""
    headers = HEADER.findall(prompt)
    names = re.findall(r"[^\W\d]\w*", headers[-1]) if headers else []
    return list(dict.fromkeys(name for name in names if name not in NO_NAMES_OF_ITS_OWN))


def uses_names(names: list[str], continuation: str) -> Sign:
    """Whether a name of the header, or a word in it, comes back. By chance this is so once in five."""
    used = [name for name in names if re.search(rf"\b{re.escape(name)}\b", continuation)]
    if used:
        return Sign("names", True, f"stays with the prompt: uses {', '.join(used[:3])}")
    written = set(words_of(continuation))
    if echoed := [word for word in words_of(" ".join(names)) if len(word) > 2 and word in written]:
        return Sign("names", True, f"stays with the prompt: speaks of {', '.join(dict.fromkeys(echoed))}")
    return Sign("names", False, f"leaves the prompt: no {' or '.join(names[:3])}")
