"""Training the tokenizer: repeatable, in bounded memory, and never at the cost of the tokenizer that was there."""

import ast
import importlib
import inspect
import os

import pytest

from data.corpus import SEPARATOR
from tokenizer.bpe import Tokenizer

script = importlib.import_module("tokenizer.train_tokenizer_improved")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(f"{inspect.getsource(ast)}\n{SEPARATOR}\nwords in a book, and more words\n", encoding="utf-8")
    return path


def train(corpus, output, *more) -> int:
    return script.main(["--corpus", str(corpus), "--output", str(output), "--vocab_size", "400", *more])


def test_the_same_corpus_gives_the_same_file(corpus, tmp_path):
    assert train(corpus, tmp_path / "one.json") == train(corpus, tmp_path / "two.json") == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert Tokenizer.load(tmp_path / "one.json").vocab_size == 400


def test_the_separator_of_documents_is_not_learned_as_text(tmp_path):
    """A corpus that is nothing but separators and x would otherwise spend its merges on <|endoftext|>."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(f"xx\n{SEPARATOR}\n" * 50, encoding="utf-8")
    assert train(corpus, tmp_path / "new.json", "--vocab_size", "261") == 0
    learned = Tokenizer.load(tmp_path / "new.json").token_bytes(260)
    assert learned == b"xx"


def test_every_earlier_tokenizer_is_kept_and_named(corpus, tmp_path, capsys):
    output = tmp_path / "tokenizer_8k.json"
    files = []
    for size in ("300", "310", "320"):
        assert train(corpus, output, "--vocab_size", size) == 0
        files.append(output.read_bytes())
    assert (tmp_path / "tokenizer_8k.previous.json").read_bytes() == files[0]
    assert (tmp_path / "tokenizer_8k.previous2.json").read_bytes() == files[1]
    printed = capsys.readouterr().out
    assert "kept as" in printed and "tokenizer_8k.previous2.json" in printed
    assert "checkpoints:  not affected" in printed


def test_an_unchanged_tokenizer_leaves_no_copy(corpus, tmp_path):
    output = tmp_path / "tokenizer.json"
    assert train(corpus, output) == train(corpus, output) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt", "tokenizer.json"]


def test_a_failed_write_leaves_the_old_tokenizer_and_no_rubbish(corpus, tmp_path, monkeypatch, capsys):
    output = tmp_path / "tokenizer.json"
    train(corpus, output, "--vocab_size", "300")
    before = output.read_bytes()

    def full_disk(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    assert train(corpus, output) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert output.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))


def test_ctrl_c_while_reading_leaves_the_old_tokenizer(corpus, tmp_path, monkeypatch, capsys):
    output = tmp_path / "tokenizer.json"
    train(corpus, output, "--vocab_size", "300")
    before = output.read_bytes()

    def interrupted(_path):
        yield next(script_read_pieces(_path))
        raise KeyboardInterrupt

    script_read_pieces = script.read_pieces
    monkeypatch.setattr(script, "read_pieces", interrupted)
    assert train(corpus, output) == 2
    assert "unchanged" in capsys.readouterr().err
    assert output.read_bytes() == before


def test_a_large_corpus_is_sampled_over_its_whole_length(tmp_path):
    """The books stand beside the code in a corpus; learning from its beginning alone would miss some of them."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(f"\n{SEPARATOR}\n".join(f"document {n} " + "x" * 100 for n in range(1000)), encoding="utf-8")
    taken = [int(text.split()[1]) for text in script.sampled_texts(corpus, corpus.stat().st_size // 10)]
    assert 80 <= len(taken) <= 101
    gaps = [after - this for this, after in zip([0, *taken], [*taken, 1000], strict=True)]
    assert max(gaps) <= 12
    assert len(list(script.sampled_texts(corpus, 10**9))) == 1000


def test_a_corpus_too_small_for_the_vocabulary_writes_nothing(corpus, tmp_path, capsys):
    """A tokenizer smaller than the model's vocabulary is a surprise later on; the size that is possible is named."""
    corpus.write_text("hello hello\n", encoding="utf-8")
    assert train(corpus, tmp_path / "new.json") == 1
    assert "it gives 264" in capsys.readouterr().err
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no corpus file"), (b"", "holds no text"), (b"abc\xff\n", "not UTF-8")],
)
def test_a_corpus_that_cannot_be_used_is_one_line(tmp_path, capsys, content, message):
    corpus = tmp_path / "corpus.txt"
    if content is not None:
        corpus.write_bytes(content)
    assert train(corpus, tmp_path / "new.json") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert message in line


@pytest.mark.parametrize("size", ["259", "65536", "0"])
def test_an_impossible_vocabulary_size_is_refused(corpus, tmp_path, capsys, size):
    assert train(corpus, tmp_path / "new.json", "--vocab_size", size) == 2
    assert "not possible" in capsys.readouterr().err
