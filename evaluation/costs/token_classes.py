"""Where the bits of Python code go: what keywords, names, strings, comments and indentation cost.

Every byte of a file belongs to one class, as Python's own tokenizer says (`label_bytes`). The model's tokens know
nothing of these classes: `(self` is an operator and a name, `):` with the newline behind it an operator and a line end.
The cost of such a token is divided among its bytes in equal parts, so that the classes add up to the whole; the share
of the cost that lies in divided tokens is reported. A space directly before a Python token counts as part of it, since
the model's tokens carry it too (` return`).
"""

import io
import keyword
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from evaluation.costs.token_costs import (
    MODEL,
    NGRAM,
    TokenCosts,
    mark_ratios,
    shown_interval,
    shown_ratio,
)
from evaluation.figures import OURS, REFERENCE, new_figure, save_figure
from evaluation.statistics import ratio_of_sums

CLASSES = (
    "keyword",
    "operator",
    "name, first use",
    "name, repeated",
    "number",
    "string",
    "docstring",
    "comment",
    "indentation",
)
KEYWORD, OPERATOR, FIRST_USE, REPEATED, NUMBER, STRING, DOCSTRING, COMMENT, INDENTATION = range(len(CLASSES))
RULES = (
    "First use: where a name first stands in its file. Docstring: a string that",
    "begins a statement. Indentation: also line ends, and space but the one before",
    "a token. Tokens of several classes are divided by bytes: {divided:.0%} of the bits.",
)
PLAIN_CLASSES = {"OP": OPERATOR, "NUMBER": NUMBER, "COMMENT": COMMENT}


def label_bytes(text: str) -> np.ndarray | None:
    """The class of each byte of a Python file, as indices into CLASSES: (bytes,). None where it can not be read."""
    labels = np.full(len(text), INDENTATION, dtype=np.uint8)
    line_starts = np.cumsum([0] + [len(line) for line in io.StringIO(text)])
    try:
        for label, (row, column), (end_row, end_column) in _labelled_tokens(text):
            begin, end = line_starts[row - 1] + column, line_starts[end_row - 1] + end_column
            if begin and text[begin - 1] == " ":
                begin -= 1
            labels[begin:end] = label
    except (tokenize.TokenError, SyntaxError):
        return None
    code_points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return np.repeat(labels, 1 + (code_points >= 1 << 7) + (code_points >= 1 << 11) + (code_points >= 1 << 16))


def _labelled_tokens(text: str) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """The class of each Python token that is not only space, with its first place and the one behind it."""
    names: set[str] = set()
    begins_statement = True
    for kind, string, begin, end in _whole_strings(tokenize.generate_tokens(io.StringIO(text).readline)):
        if kind == "ERRORTOKEN":
            raise tokenize.TokenError(f"no Python token: {string!r}", begin)
        if kind == "NAME":
            label = KEYWORD if keyword.iskeyword(string) else REPEATED if string in names else FIRST_USE
            names.add(string)
        elif kind == "STRING":
            label = DOCSTRING if begins_statement else STRING
        else:
            label = PLAIN_CLASSES.get(kind, INDENTATION)
        if label != INDENTATION:
            yield label, begin, end
        if kind not in ("NL", "COMMENT"):
            begins_statement = kind in ("NEWLINE", "INDENT", "DEDENT")


def _whole_strings(tokens: Iterator[tokenize.TokenInfo]) -> Iterator[tuple[str, str, tuple[int, int], tuple[int, int]]]:
    """Tokens as (kind, string, begin, end); what Python 3.12 and later cut an f-string into is one string again."""
    depth, begin = 0, (0, 0)
    for token in tokens:
        kind = tokenize.tok_name[token.type]
        if kind in ("FSTRING_START", "TSTRING_START"):
            begin = begin if depth else token.start
            depth += 1
        elif kind in ("FSTRING_END", "TSTRING_END"):
            depth -= 1
            if not depth:
                yield "STRING", "", begin, token.end
        elif not depth:
            yield kind, token.string, token.start, token.end


def bits_by_class(labels: np.ndarray, sizes: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """The cost of a document's tokens (tokens,) divided among the classes of their bytes: (classes,)."""
    return np.bincount(labels, np.repeat(bits / sizes, sizes), minlength=len(CLASSES))


def straddles(labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which tokens have bytes of more than one class: (tokens,) of bool."""
    begins = np.cumsum(sizes) - sizes
    return np.minimum.reduceat(labels, begins) != np.maximum.reduceat(labels, begins)


def measure_classes(costs: Sequence[TokenCosts]) -> dict:
    """Bits per byte of each class of token, for the model and for the n-gram, over files of Python.

    Files that are not Python are left out and counted. Intervals resample packages.
    """
    labelled = [(cost, labels) for cost in costs if (labels := label_bytes(cost.document.text)) is not None]
    found = {"documents": len(labelled), "not_python": len(costs) - len(labelled), "classes": {}}
    if not labelled:
        return found
    units = [cost.document.source for cost, _ in labelled]
    sizes = np.array([np.bincount(labels, minlength=len(CLASSES)) for _, labels in labelled])
    divided = sum(cost.bits[MODEL][straddles(labels, cost.sizes)].sum() for cost, labels in labelled)
    total = sum(cost.bits[MODEL].sum() for cost, _ in labelled)
    classes = {name: {"share_of_bytes": share} for name, share in zip(CLASSES, _shares(sizes), strict=True)}
    for scorer in costs[0].bits:
        bits = np.array([bits_by_class(labels, cost.sizes, cost.bits[scorer]) for cost, labels in labelled])
        ratios = [ratio_of_sums(*columns, units) for columns in zip(bits.T, sizes.T, strict=True)]
        for name, ratio, share in zip(CLASSES, ratios, _shares(bits), strict=True):
            classes[name][scorer] = {"bits_per_byte": ratio, "share_of_bits": share}
    return found | {"share_of_bits_in_divided_tokens": float(divided / total), "classes": classes}


def _shares(rows: np.ndarray) -> list[float]:
    """What part of everything each column of (documents, columns) is."""
    return (rows.sum(axis=0) / rows.sum()).tolist()


def class_lines(values: dict) -> list[str]:
    """Token classes as lines of at most 80 characters."""
    lines = [f"held-out code by class of Python token, {values['documents']} files"]
    if values["not_python"]:
        lines.append(f"{values['not_python']} files that can not be cut into Python tokens are left out")
    if not values["classes"]:
        return lines
    lines.append(f"{'':17}{'of bytes':>9}{'of bits':>9}{'bits/byte':>11}  {'95%':14}{'n-gram':>8}")
    for name, found in values["classes"].items():
        model, ngram = found[MODEL], found.get(NGRAM, {}).get("bits_per_byte")
        shares = f"{found['share_of_bytes']:>9.1%}{model['share_of_bits']:>9.1%}"
        ratio = model["bits_per_byte"]
        lines.append(f"{name:17}{shares}{shown_ratio(ratio):>11}  {shown_interval(ratio):14}{shown_ratio(ngram):>8}")
    return [*lines, *(line.format(divided=values["share_of_bits_in_divided_tokens"]) for line in RULES)]


def draw_classes(values: dict, path: Path) -> Path:
    """Bits per byte of each class, and how much of the text and of its cost each class is."""
    classes = {name: found for name, found in values["classes"].items() if found["share_of_bytes"]}
    ratios = [
        {scorer: found[scorer]["bits_per_byte"] for scorer in (MODEL, NGRAM) if scorer in found}
        for found in classes.values()
    ]
    figure, (costs, shares) = new_figure(1, 2, size=(12, 5.5))
    mark_ratios(costs, list(zip(range(len(classes)), classes, ratios, strict=True)))
    costs.set_title(_finding(dict(zip(classes, ratios, strict=True))))
    costs.legend(loc="lower right")
    of_bytes = [found["share_of_bytes"] for found in classes.values()]
    of_bits = [found[MODEL]["share_of_bits"] for found in classes.values()]
    places = np.arange(len(classes))
    shares.barh(places - 0.2, of_bytes, 0.4, color=REFERENCE, label="of the text, in bytes")
    shares.barh(places + 0.2, of_bits, 0.4, color=OURS, label="of what the model needs for it, in bits")
    shares.set_yticks(places, classes)
    shares.invert_yaxis()
    shares.grid(axis="y", visible=False)
    shares.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    shares.set_xlabel(f"share of held-out code ({values['documents']} files)")
    shares.set_title(f"Most bits go into one class: {list(classes)[int(np.argmax(of_bits))]}, {max(of_bits):.0%}")
    shares.legend(loc="upper right")
    return save_figure(figure, path)


def _finding(ratios: dict[str, dict]) -> str:
    """The title: where counting is still ahead of the model."""
    behind = {
        name: found[MODEL]["value"] - found[NGRAM]["value"] for name, found in ratios.items() if found.keys() >= {NGRAM}
    }
    if not behind:
        return "What a byte of each class costs"
    worst = max(behind, key=behind.__getitem__)
    if behind[worst] <= 0:
        return "In every class ahead of the n-gram"
    return f"Counting beats the model most at: {worst}"
