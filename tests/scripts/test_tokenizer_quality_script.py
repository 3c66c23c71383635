"""The tokenizer's report: right numbers, a verdict that can be bad, and the first model's output rebuilt."""

import importlib
import inspect
import json

import pytest

from data.corpus import CorpusWriter
from tokenizer.bpe import Tokenizer

script = importlib.import_module("scripts.test_tokenizer_quality")
CODE = inspect.getsource(json)
PROSE = "It was the best of times, it was the worst of times, it was the age of wisdom.\n" * 40


@pytest.fixture
def processed(tmp_path):
    for name, documents in (("heldout_code", [CODE, CODE, "x = 1\n"]), ("heldout_books", [PROSE])):
        with CorpusWriter(tmp_path / f"{name}.txt") as corpus:
            for document in documents:
                corpus.write(document)
    return tmp_path


def line_of(printed: str, start: str) -> list[str]:
    return next(line for line in printed.splitlines() if line.strip().startswith(start)).split()


def test_the_committed_tokenizer_is_good_and_the_first_output_is_rebuilt(processed, capsys):
    assert script.main(["--processed", str(processed)]) == 0
    printed = capsys.readouterr().out
    assert "Good: heldout_code" in printed
    assert "5. 284 lines     Whitespace()    none" in printed
    assert "'O n ce u p on a t i me in T or on to , C h in'" in printed
    assert "comes back as 'if x : return y'" in printed


def test_ratios_are_the_ones_that_the_texts_have(processed, capsys):
    script.main(["--processed", str(processed)])
    tokens = len(Tokenizer.load().encode(PROSE))
    _, characters, counted, ratio, _ = line_of(capsys.readouterr().out.split("heldout_books")[1], "all")
    assert (characters, counted, ratio) == (f"{len(PROSE):,}", f"{tokens:,}", f"{len(PROSE) / tokens:.2f}")


def test_documents_are_told_apart_by_the_manifest_s_list_of_sources(processed, capsys):
    sources = [{"source": name} for name in ("alpha", "alpha", "beta")]
    (processed / "manifest.json").write_text(json.dumps({"heldout_code": {"documents": sources}}))
    script.main(["--processed", str(processed)])
    printed = capsys.readouterr().out
    assert line_of(printed, "alpha")[1] == f"{2 * len(CODE):,}"
    assert line_of(printed, "beta")[1] == str(len("x = 1\n"))


def test_a_vocabulary_without_merges_is_clearly_bad(processed, tmp_path, capsys):
    """One token for each byte is what too little training text leads to; the exit code says so to a script."""
    path = tmp_path / "bytes.json"
    path.write_text(Tokenizer.train(["x"], 260).to_json(), encoding="utf-8")
    assert script.main(["--processed", str(processed), "--tokenizer", str(path)]) == 1
    assert "Bad: heldout_code 1.00" in capsys.readouterr().out


def test_without_held_out_sets_it_measures_the_repository_and_says_so(tmp_path, capsys):
    assert script.main(["--processed", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "No held-out text in" in printed
    assert "this repository's own Python files" in printed


def test_an_empty_held_out_set_is_left_out_and_not_called_bad(processed, capsys):
    """As after `create_mixed_corpus.py --only_own` without a book: there is no text to judge the tokenizer by."""
    (processed / "heldout_books.txt").write_text("")
    assert script.main(["--processed", str(processed)]) == 0
    printed = capsys.readouterr().out
    assert "heldout_books is left out: it is empty" in printed
    assert "Good: heldout_code" in printed and "heldout_books 0.00" not in printed


def test_what_cannot_be_read_is_one_line(processed, tmp_path, capsys):
    assert script.main(["--tokenizer", str(tmp_path / "absent.json")]) == 2
    (processed / "heldout_code.txt").write_bytes(b"\xff\n")
    assert script.main(["--processed", str(processed)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "no tokenizer at" in errors[0] and "not UTF-8" in errors[1]


def test_the_rebuilt_tokenizer_cannot_tell_where_a_word_ends():
    """This, and not the odd look, is what a model suffers from: two texts, one sequence of tokens."""
    broken = script.broken_tokenizer(CODE, None)
    assert broken.encode("for x in y:\n\treturn").ids == broken.encode("for x in y: return").ids
    whole = Tokenizer.train([CODE], 8192)
    assert whole.encode("for x in y:\n\treturn") != whole.encode("for x in y: return")
