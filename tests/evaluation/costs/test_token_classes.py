"""Classes of Python tokens: what each byte of a file is, and costs that add up to the whole."""

import tokenize

import numpy as np
import pytest

from evaluation.costs.token_classes import (
    CLASSES,
    OPERATOR,
    REPEATED,
    STRING,
    bits_by_class,
    class_lines,
    draw_classes,
    label_bytes,
    measure_classes,
    straddles,
)
from evaluation.costs.token_costs import MODEL, NGRAM, TokenCosts, token_sizes
from evaluation.held_out import Document
from tests.evaluation.conftest import python_source

LETTERS = dict(zip("kofrnsdci", range(len(CLASSES)), strict=True))
SNIPPET = {  # a line of Python and the class of each of its bytes, its end included
    "# top": "ccccci",
    '"""A."""': "ddddddddi",
    "def add(first, other=1):": "kkkffffofffffoffffffonooi",
    '    """Sum."""': "iiidddddddddddi",
    "    # why": "iiicccccci",
    "    first += other  * 2.5 # so": "iiirrrrrrooorrrrrrioonnnnccccci",
    "    if not first: return f'{first}'": "iiikkkkkkkrrrrrrokkkkkkksssssssssssi",
    "": "i",
    "add(": "rrroi",
    "  'x',": "issssoi",
    "  match)": "iffffffoi",
}


def test_each_byte_of_a_file_has_the_class_that_a_reader_would_give_it():
    text = "".join(line + "\n" for line in SNIPPET)
    expected = [LETTERS[letter] for letters in SNIPPET.values() for letter in letters]
    assert label_bytes(text).tolist() == expected


def test_characters_of_several_bytes_count_with_all_of_them():
    labels = label_bytes("größe = 'ñ€😀'\nö = größe\n")
    names = [CLASSES[label] for label in labels]
    assert len(labels) == len("größe = 'ñ€😀'\nö = größe\n".encode())
    assert names.count("string") == 1 + 2 + 2 + 3 + 4
    assert names.count("name, first use") == 7 + 2 and names.count("name, repeated") == 1 + 7


@pytest.mark.parametrize("text", ["def f(:\n  (", "x = 'open\n", "if x:\n        y\n    z\n", "price = 5 $\n"])
def test_what_is_not_python_has_no_classes(text):
    assert label_bytes(text) is None


def test_an_f_string_is_one_string_in_every_version_of_python(monkeypatch):
    """From Python 3.12 on it comes as many tokens, with the names within as names."""
    for number, kind in enumerate(("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END"), start=900):
        monkeypatch.setitem(tokenize.tok_name, number, kind)
    pieces = [(900, "f'"), (901, "a"), (tokenize.OP, "{"), (900, 'f"'), (tokenize.NAME, "b"), (902, '"')]
    pieces += [(tokenize.OP, "}"), (902, "'"), (tokenize.OP, "."), (tokenize.NEWLINE, "\n")]
    tokens, column = [], 0
    for kind, string in pieces:
        tokens.append(tokenize.TokenInfo(kind, string, (1, column), (1, column + len(string)), ""))
        column += len(string)
    monkeypatch.setattr(tokenize, "generate_tokens", lambda readline: iter(tokens))
    labels = label_bytes("".join(string for _, string in pieces))
    assert labels.tolist() == [CLASSES.index("docstring")] * 10 + [OPERATOR, CLASSES.index("indentation")]


def test_a_token_of_several_classes_is_divided_by_bytes():
    """`(self` costs 10 bits: a fifth of it is the bracket's."""
    labels, sizes = np.array([OPERATOR, REPEATED, REPEATED, REPEATED, REPEATED, STRING]), np.array([5, 1])
    bits = bits_by_class(labels, sizes, np.array([10.0, 3.0]))
    assert (bits[OPERATOR], bits[REPEATED], bits[STRING], bits.sum()) == (2.0, 8.0, 3.0, 13.0)
    assert straddles(labels, sizes).tolist() == [True, False]


@pytest.fixture
def costs(tokenizer):
    """Python of five packages and one file that is none, with costs drawn at random."""
    dice, size_of, found = np.random.default_rng(0), token_sizes(tokenizer), []
    texts = [(f"package {n % 5}", python_source(n)) for n in range(10)] + [("package 0", "def broken(:\n  (")]
    for number, (source, text) in enumerate(texts):
        tokens = np.array(tokenizer.encode(text))
        bits = {scorer: dice.random(len(tokens)) * 5 for scorer in (MODEL, NGRAM)}
        found.append(TokenCosts(Document(source, f"{number}.py", text), size_of[tokens], bits))
    return found


def test_classes_add_up_to_the_whole(costs):
    measured = measure_classes(costs)
    python = costs[:-1]
    assert (measured["documents"], measured["not_python"]) == (10, 1)
    for scorer in (MODEL, NGRAM):
        total = sum(cost.bits[scorer].sum() for cost in python)
        all_bytes = sum(cost.document.bytes for cost in python)
        found = measured["classes"].values()
        ratios = [(each[scorer]["bits_per_byte"]["value"] or 0.0, each["share_of_bytes"] * all_bytes) for each in found]
        assert sum(ratio * size for ratio, size in ratios) == pytest.approx(total)
        assert sum(each[scorer]["share_of_bits"] for each in found) == pytest.approx(1)
    assert sum(each["share_of_bytes"] for each in measured["classes"].values()) == pytest.approx(1)
    assert 0 < measured["share_of_bits_in_divided_tokens"] < 1


def test_classes_are_shown_with_their_intervals_and_drawn(costs, tmp_path):
    measured = measure_classes(costs)
    lines = class_lines(measured)
    assert max(map(len, lines)) <= 80
    assert "1 files that can not be cut" in lines[1]
    assert draw_classes(measured, tmp_path / "token_classes.png").is_file()
    low, high = measured["classes"]["keyword"][MODEL]["bits_per_byte"]["interval"]
    assert any(line.startswith("keyword") and f"[{low:.2f}, {high:.2f}]" in line for line in lines)


def test_a_set_without_any_python_has_no_classes(costs):
    measured = measure_classes(costs[-1:])
    assert (measured["documents"], measured["not_python"], measured["classes"]) == (0, 1, {})
    assert len(class_lines(measured)) == 2
