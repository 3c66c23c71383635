"""Token caches: used when they are right, made anew when anything about them is not, and equal to plain encoding."""

import json
import os

import numpy as np
import pytest

from data import corpus as corpus_module
from data.corpus import SEPARATOR, CorpusError
from pretraining import token_files
from pretraining.token_files import tokenize_corpus
from tokenizer.bpe import Tokenizer


def was_cached(capsys) -> bool:
    return "Using cached tokens" in capsys.readouterr().out


def test_tokens_are_those_of_each_document_behind_one_end_of_text(corpus, tokenizer):
    documents = corpus.read_text(encoding="utf-8").split(f"{SEPARATOR}\n")
    expected = [token for text in documents for token in [tokenizer.end_of_text_id, *tokenizer.encode(text)]]
    made = tokenize_corpus(corpus, tokenizer)
    tokens = made.open()
    assert tokens.dtype == np.dtype("<u2") and len(tokens) == made.tokens
    assert made.text_bytes == sum(len(text.encode()) for text in documents)
    assert tokenizer.decode(tokens.tolist()) == SEPARATOR + SEPARATOR.join(documents)
    # Where the tail begins the text is encoded in two parts, which may differ from the whole in that one place.
    assert tokens[: made.tail_token - 20].tolist() == expected[: made.tail_token - 20]
    assert tokens[made.tail_token + 20 :].tolist() == expected[len(expected) - (made.tokens - made.tail_token - 20) :]


def test_the_text_of_a_special_token_inside_a_document_is_plain_text(tmp_path, tokenizer):
    """Otherwise a file about language models would end documents in the middle, or worse, teach to."""
    text = f"separator = '{SEPARATOR}'\n {SEPARATOR}\n{SEPARATOR} \n<|fim_prefix|>\nx = 1\n"
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    tokens = tokenize_corpus(tmp_path / "corpus.txt", tokenizer).open().tolist()
    assert tokens[0] == tokenizer.end_of_text_id and min(tokens[1:]) > 3
    assert b"".join(map(tokenizer.token_bytes, tokens)).decode() == text


def test_a_large_document_in_pieces_gives_the_tokens_of_the_whole(tmp_path, tokenizer, random_text, monkeypatch):
    """Reading bounded pieces must save memory and nothing else."""
    monkeypatch.setattr(corpus_module, "LARGEST_PIECE", 500)
    monkeypatch.setattr(token_files, "BATCH_CHARACTERS", 1200)
    monkeypatch.setattr(token_files, "_mark_tail", lambda pieces, tail_byte: ((piece, False) for piece in pieces))
    text = random_text(400)
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    assert sum(1 for _ in corpus_module.read_pieces(tmp_path / "corpus.txt")) > 20
    tokens = tokenize_corpus(tmp_path / "corpus.txt", tokenizer).open().tolist()
    assert tokens == [tokenizer.end_of_text_id, *tokenizer.encode(text)]


def test_pieces_and_tail_of_one_document_do_not_start_new_ones(tmp_path, tokenizer, random_text, monkeypatch):
    monkeypatch.setattr(corpus_module, "LARGEST_PIECE", 500)
    (tmp_path / "corpus.txt").write_text(random_text(400), encoding="utf-8")
    made = tokenize_corpus(tmp_path / "corpus.txt", tokenizer)
    assert made.tail_token < made.tokens
    assert (made.open() == tokenizer.end_of_text_id).sum() == 1


def test_a_second_run_uses_the_cache(corpus, tokenizer, capsys):
    first = tokenize_corpus(corpus, tokenizer)
    assert not was_cached(capsys)
    assert tokenize_corpus(corpus, tokenizer) == first and was_cached(capsys)


def test_a_changed_corpus_or_tokenizer_makes_new_tokens(corpus, tokenizer, capsys):
    """Of equal length and with the time of the old file: only the content tells."""
    old = tokenize_corpus(corpus, tokenizer)
    text = corpus.read_text(encoding="utf-8")
    corpus.write_text(text.replace("def", "fed"), encoding="utf-8")
    changed = tokenize_corpus(corpus, tokenizer)
    assert changed.corpus_sha256 != old.corpus_sha256
    other = Tokenizer.train([text], vocab_size=290)
    assert "Loading from corpus file" in capsys.readouterr().out
    made = tokenize_corpus(corpus, other)
    assert not was_cached(capsys)
    assert made.tokenizer_sha256 == other.sha256 and made.open().max() < 290


@pytest.mark.parametrize(
    "damage",
    [
        lambda binary, passport: binary.write_bytes(binary.read_bytes()[:-2]),
        lambda binary, passport: binary.write_bytes(binary.read_bytes() + b"\0\0"),
        lambda binary, passport: binary.unlink(),
        lambda binary, passport: passport.unlink(),
        lambda binary, passport: passport.write_text(passport.read_text()[:50]),
        lambda binary, passport: passport.write_text("[1, 2]"),
        lambda binary, passport: passport.write_text("{}"),
        lambda binary, passport: passport.write_text(json.dumps(json.loads(passport.read_text()) | {"tokens": "9"})),
        lambda binary, passport: passport.write_bytes(b"\xff\xfe"),
    ],
    ids="truncated lengthened no-tokens no-passport half-passport list empty wrong-type not-text".split(),
)
def test_a_damaged_cache_is_made_anew(corpus, tokenizer, damage, capsys):
    good = tokenize_corpus(corpus, tokenizer)
    content = good.path.read_bytes()
    damage(good.path, corpus.with_suffix(".tokens.json"))
    capsys.readouterr()
    assert tokenize_corpus(corpus, tokenizer) == good and not was_cached(capsys)
    assert good.path.read_bytes() == content


@pytest.mark.parametrize("stage", ["encode", "passport"])
def test_a_failure_midway_leaves_nothing_that_counts(corpus, tokenizer, monkeypatch, stage, capsys):
    """A power cut while tokens are replaced must not leave new tokens under the old passport."""
    tokenize_corpus(corpus, tokenizer)
    corpus.write_text("another text\n" * 200, encoding="utf-8")
    with monkeypatch.context() as broken:
        if stage == "encode":
            broken.setattr(token_files, "BATCH_CHARACTERS", 100)
            broken.setattr(token_files, "_batches", lambda pieces: iter([[next(pieces)], None]))
        else:
            broken.setattr(token_files.json, "dumps", lambda *_, **__: 1 / 0)
        with pytest.raises((TypeError, ZeroDivisionError)):
            tokenize_corpus(corpus, tokenizer)
    assert not corpus.with_suffix(".tokens.json").exists()
    assert not list(corpus.parent.glob("*.tmp"))
    capsys.readouterr()
    made = tokenize_corpus(corpus, tokenizer)
    assert not was_cached(capsys) and made.text_bytes == corpus.stat().st_size


def test_two_that_make_the_same_tokens_at_once_do_not_mix_them(corpus, tokenizer, monkeypatch):
    expected = tokenize_corpus(corpus, tokenizer).path.read_bytes()
    batches, process = token_files._batches, os.getpid()

    def another_begins_in_between(pieces):
        yield next(made := batches(pieces))
        with monkeypatch.context() as other:
            other.setattr(token_files.os, "getpid", lambda: process + 1)
            other.setattr(token_files, "_batches", batches)
            tokenize_corpus(corpus, tokenizer)
        yield from made

    corpus.with_suffix(".tokens.json").unlink()
    monkeypatch.setattr(token_files, "BATCH_CHARACTERS", 100)
    monkeypatch.setattr(token_files, "_batches", another_begins_in_between)
    assert tokenize_corpus(corpus, tokenizer).path.read_bytes() == expected


def test_a_full_disk_is_told_with_what_is_free(corpus, tokenizer, monkeypatch):
    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_files.os, "fsync", no_space)
    with pytest.raises(CorpusError, match=r"No space left on device.* MB are free there.*Free some space"):
        tokenize_corpus(corpus, tokenizer)
    assert [path.name for path in corpus.parent.iterdir()] == [corpus.name]


def test_the_tail_begins_at_a_line_start_near_95_percent(corpus, tokenizer):
    made = tokenize_corpus(corpus, tokenizer)
    whole = b"".join(map(tokenizer.token_bytes, made.open().tolist()))
    tail = b"".join(map(tokenizer.token_bytes, made.open()[made.tail_token :].tolist()))
    assert whole[: made.tail_byte].endswith(b"\n") and whole[made.tail_byte :] == tail
    tail.decode()  # whole characters
    assert 0.95 <= made.tail_byte / made.text_bytes < 0.97


@pytest.mark.parametrize("offset", range(4))
def test_the_tail_never_splits_a_character(tmp_path, tokenizer, offset):
    """The mark at 95% falls on each byte of a four-byte character in turn."""
    path = tmp_path / "corpus.txt"
    path.write_text("x" * offset + "🙂🙂🙂🙂🙂🙂🙂🙂🙂\n" * 200, encoding="utf-8")
    made = tokenize_corpus(path, tokenizer)
    tail = b"".join(map(tokenizer.token_bytes, made.open()[made.tail_token :].tolist())).decode()
    assert tail.startswith("🙂🙂🙂🙂🙂🙂🙂🙂🙂\n") and len(tail) % 10 == 0


def test_many_short_documents_have_a_tail_too(tmp_path, tokenizer):
    """Lines of separators are a third of this file, but no part of any text."""
    path = tmp_path / "corpus.txt"
    path.write_text(f"{SEPARATOR}\n".join(f"a short document {n}\n" for n in range(1000)), encoding="utf-8")
    made = tokenize_corpus(path, tokenizer)
    tail = made.open()[made.tail_token :]
    assert 40 <= (tail == tokenizer.end_of_text_id).sum() <= 60 and tail[0] == tokenizer.end_of_text_id


def test_one_line_has_no_tail(tmp_path, tokenizer):
    path = tmp_path / "corpus.txt"
    path.write_text("one line without end " * 100, encoding="utf-8")
    made = tokenize_corpus(path, tokenizer)
    assert made.tail_token == made.tokens


@pytest.mark.parametrize("content", ["", "\ufeff", f"{SEPARATOR}\n", f"{SEPARATOR}\n{SEPARATOR}\n"])
def test_a_file_without_text_is_refused_and_leaves_no_cache_that_counts(tmp_path, tokenizer, content):
    path = tmp_path / "corpus.txt"
    path.write_text(content, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(CorpusError, match=r"corpus\.txt holds no text"):
            tokenize_corpus(path, tokenizer)


def test_missing_folders_and_files_that_are_no_text_are_refused(tmp_path, tokenizer):
    for name in ("nothing.txt", "."):
        with pytest.raises(CorpusError, match="there is no corpus file"):
            tokenize_corpus(tmp_path / name, tokenizer)
    (tmp_path / "latin.txt").write_bytes("größe\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt is not UTF-8"):
        tokenize_corpus(tmp_path / "latin.txt", tokenizer)
