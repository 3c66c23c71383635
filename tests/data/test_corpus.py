"""Corpus files: what is written comes back, whatever the documents hold, and a failure leaves the old file alone."""

import errno
import hashlib
import itertools
import shutil

import pytest

from data import corpus
from data.corpus import SEPARATOR, CorpusError, CorpusWriter, read_documents, read_pieces

AWKWARD_DOCUMENTS = [
    "x = 1\n",
    "\n\n    indented first\n",
    "a form feed \f, a lone \r carriage return, a next line \x85 and \u2028 are no line ends\n",
    f"text = '{SEPARATOR}'\n",
    "ünïcödé 🎈\n\n\n",
]


def write(path, documents):
    with CorpusWriter(path) as writer:
        for document in documents:
            writer.write(document)
    return writer


def test_documents_come_back_as_they_were(tmp_path):
    writer = write(tmp_path / "corpus.txt", AWKWARD_DOCUMENTS)
    assert list(read_documents(tmp_path / "corpus.txt")) == AWKWARD_DOCUMENTS
    assert writer.documents == len(AWKWARD_DOCUMENTS)
    assert writer.bytes == sum(len(document.encode()) for document in AWKWARD_DOCUMENTS)
    assert writer.sha256 == hashlib.sha256((tmp_path / "corpus.txt").read_bytes()).hexdigest()


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_document_can_not_pretend_to_be_two(tmp_path, end):
    """A line of a document that is exactly the separator would otherwise split it, and nobody would know."""
    writer = write(tmp_path / "corpus.txt", [f"one\n{SEPARATOR}{end}", "two\n"])
    first, second = read_documents(tmp_path / "corpus.txt")
    assert first.startswith(f"one\n{SEPARATOR} ") and second == "two\n"
    assert writer.escaped == 1


def test_a_file_without_separator_is_one_document(tmp_path):
    (tmp_path / "mine.txt").write_bytes(b"\xef\xbb\xbfline\r\nline without end")
    assert list(read_documents(tmp_path / "mine.txt")) == ["line\r\nline without end"]


def test_separators_written_on_windows_and_at_the_ends_make_no_empty_documents(tmp_path):
    (tmp_path / "mine.txt").write_bytes(f"{SEPARATOR}\r\na\r\n{SEPARATOR}\r\n{SEPARATOR}\nb\n{SEPARATOR}".encode())
    assert list(read_documents(tmp_path / "mine.txt")) == ["a\r\n", "b\n"]


def test_pieces_of_a_long_document_join_to_the_whole_and_are_cut_where_no_token_spans(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "LARGEST_PIECE", 200)
    documents = ["".join(f"def f{n}():\n\n    return {n}\n\n\n" for n in range(100)), "short\n"]
    write(tmp_path / "corpus.txt", documents)
    pieces = list(read_pieces(tmp_path / "corpus.txt"))
    assert "".join(piece.text for piece in pieces) == "".join(documents)
    assert [piece.starts_document for piece in pieces].count(True) == 2
    assert max(len(piece.text) for piece in pieces) <= 200
    for before, after in itertools.pairwise(pieces):
        assert before.text.endswith("\n") and not after.text[0].isspace()


def test_a_line_of_any_length_is_read_in_bounded_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "LARGEST_PIECE", 100)
    line = "ä" * 95 + SEPARATOR + "ö" * 900  # a part of this line may begin with the separator: it is none
    (tmp_path / "mine.txt").write_text(line, encoding="utf-8")
    pieces = list(read_pieces(tmp_path / "mine.txt"))
    assert "".join(piece.text for piece in pieces) == line
    assert [piece.starts_document for piece in pieces].count(True) == 1
    assert max(len(piece.text) for piece in pieces) <= 100


def test_an_interrupted_writer_leaves_the_old_corpus_and_no_litter(tmp_path):
    write(tmp_path / "corpus.txt", ["old\n"])
    with pytest.raises(KeyboardInterrupt), CorpusWriter(tmp_path / "corpus.txt") as writer:
        writer.write("new\n")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]
    assert list(read_documents(tmp_path / "corpus.txt")) == ["old\n"]


def test_a_full_disk_is_explained_and_leaves_the_old_corpus(tmp_path, monkeypatch):
    write(tmp_path / "corpus.txt", ["old\n"])

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpus.os, "fsync", no_space)
    monkeypatch.setattr(corpus.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 3, 7))
    with pytest.raises(CorpusError, match=r"disk is full.* 4 bytes written so far and 7 are free"):
        write(tmp_path / "corpus.txt", ["new\n"])
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]
    assert list(read_documents(tmp_path / "corpus.txt")) == ["old\n"]


def test_what_can_not_be_read_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"no corpus file .*mistyped\.txt"):
        list(read_documents(tmp_path / "mistyped.txt"))
    (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt is not UTF-8"):
        list(read_documents(tmp_path / "latin.txt"))
