"""The calibration: it makes the samples it says it makes, and it can say that a sign is wrong."""

import pydoc_data.topics
from pathlib import Path

import pytest

from data.corpus import CorpusWriter
from evaluation import calibrate_text_signs as script
from evaluation.calibrate_text_signs import Sample
from evaluation.texts.text_signs import Sign
from tokenizer.bpe import Tokenizer

ROOT = Path(script.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load()


@pytest.fixture
def processed(tmp_path):
    """Held-out sets from what every clone has: the repository's own code, and the prose of Python's documentation."""
    code = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "pretraining").glob("*.py"))]
    prose = [text for _, text in sorted(pydoc_data.topics.topics.items()) if len(text) > 5000]
    for name, documents in (("heldout_code", code), ("heldout_books", prose)):
        with CorpusWriter(tmp_path / f"{name}.txt") as corpus:
            for document in documents:
                corpus.write(document)
    return tmp_path


def test_real_samples_are_places_of_the_text_of_the_length_of_an_answer(processed, tokenizer):
    path = processed / "heldout_code.txt"
    samples = script.real_samples(path, "code", tokenizer, 10, seed=1)
    assert len(set(samples)) == 10
    for sample in samples:
        assert sample.prompt.startswith(("def ", "class "))
        assert sample.prompt + sample.continuation in path.read_text()
        assert len(tokenizer.encode(sample.continuation)) in (script.TOKENS, script.TOKENS + 1)
    assert samples != script.real_samples(path, "code", tokenizer, 10, seed=2)


def test_broken_samples_are_broken_as_they_are_called(processed, tokenizer):
    real = script.real_samples(processed / "heldout_code.txt", "code", tokenizer, 10, seed=1)
    pieces = script.in_pieces([Sample("def f():", "\n    return somewhere(in_time)\n")], tokenizer)
    assert pieces == [Sample("def f():", " return s o me where ( in _ t i me )")]
    loops = script.looping([Sample("", "one two three four five six seven eight nine ten")])
    assert loops == [Sample("", "one two three four five " + " two three four five")]
    assert script.exchanged([Sample("a", "1"), Sample("b", "2"), Sample("c", "3")]) == [
        ("a", "3"),
        ("b", "1"),
        ("c", "2"),
    ]
    assert script.of_untrained_model(real[:2], tokenizer, 0) == script.of_untrained_model(real[:2], tokenizer, 0)


def test_the_bracket_left_out_is_one_of_the_code_and_not_of_a_string():
    sample = Sample("def f(n):", '\n    """(a text)"""\n    x = "[" + str(n)\n    # for (\n    return (x,\n')
    assert {broken.continuation for seed in range(20) for broken in script.without_a_bracket([sample], seed)} == {
        sample.continuation.replace("str(", "str")
    }
    assert script.without_a_bracket([Sample("def f(n):", "\n    pass\n    # (\n    pass\n")], 0) == []


def test_sound_signs_on_sound_text_are_fine(processed, capsys):
    assert script.main(["--processed", str(processed), "--texts", "24"]) == 0
    printed = capsys.readouterr().out
    rows = {line[:22].strip(): line[22:].split() for line in printed.splitlines() if "%" in line}
    assert rows["an untrained model"][-1] == "0%", "the last column says whether it was taken for text"
    assert rows["a bracket left out"][-3] == "0%", "the column of the syntax"
    assert printed.endswith("Fine.\n")


def test_a_sign_that_warns_of_real_text_is_reported(processed, monkeypatch, capsys):
    monkeypatch.setattr(script, "judge", lambda prompt, text, is_code: [Sign("words", "return" not in text, "")])
    assert script.main(["--processed", str(processed), "--texts", "8"]) == 1
    printed = capsys.readouterr().out
    assert "Wrong too often: words is good in" in printed and "of heldout_code only" in printed
    assert "% of prose an untrained model is taken for text" in printed


def test_without_held_out_text_it_says_how_to_make_it(tmp_path, capsys):
    assert script.main(["--processed", str(tmp_path)]) == 2
    assert "create_mixed_corpus.py" in capsys.readouterr().err
    (tmp_path / "heldout_books.txt").write_text("short\n")
    assert script.main(["--processed", str(tmp_path)]) == 2
    assert "0 places" in capsys.readouterr().err
