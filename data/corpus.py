"""The corpus file: how documents are written one after the other, and read back without holding the file in memory.

A corpus is UTF-8 text. Between two documents stands a line that is exactly `<|endoftext|>`; a file without that line
is one document. What the documents are about is not this module's concern, nor is the tokenizer.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

SEPARATOR = "<|endoftext|>"
LARGEST_PIECE = 1 << 20  # characters; what a reader holds of one document at a time
OWN_SEPARATOR_LINE = re.compile(rf"^{re.escape(SEPARATOR)}(?=\r?$)", re.MULTILINE)


class CorpusError(ValueError):
    """A corpus, or what it is made from, can not be used; the message says why and what to do."""


class Piece(NamedTuple):
    """A stretch of one document, short enough to handle at once."""

    text: str
    starts_document: bool


def read_pieces(path: str | Path) -> Iterator[Piece]:
    """Yield the documents of a corpus in pieces of at most `LARGEST_PIECE` characters.

    A longer document is cut after a newline that a non-space character follows: no token of a byte-level BPE with the
    usual split patterns spans such a place, so the pieces encode to the tokens of the whole. Only a document that
    offers no such place for half of `LARGEST_PIECE` is cut elsewhere, between two characters.
    """
    lines: list[str] = []
    size, starts_document, at_line_start = 0, True, True
    for line in _read_lines(Path(path)):
        is_separator = at_line_start and line.rstrip("\r\n") == SEPARATOR
        good_cut = at_line_start and not line[0].isspace() and size >= LARGEST_PIECE // 2
        if size and (is_separator or good_cut or size + len(line) > LARGEST_PIECE):
            yield Piece("".join(lines), starts_document)
            lines, size, starts_document = [], 0, False
        if is_separator:
            starts_document = True
        else:
            lines.append(line)
            size += len(line)
        at_line_start = line.endswith("\n")
    if size:
        yield Piece("".join(lines), starts_document)


def read_documents(path: str | Path) -> Iterator[str]:
    """Yield the documents of a corpus, each whole."""
    pieces: list[str] = []
    for piece in read_pieces(path):
        if piece.starts_document and pieces:
            yield "".join(pieces)
            pieces = []
        pieces.append(piece.text)
    if pieces:
        yield "".join(pieces)


def _read_lines(path: Path) -> Iterator[str]:
    """The lines of a file with their ends; a line without end for half a piece comes in several parts."""
    try:
        # newline="\n": a lone carriage return is a character of the text, not the end of a line.
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            while line := file.readline(LARGEST_PIECE // 2):
                yield line
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8 and try again") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CorpusError(
            f"there is no corpus file {path}; check the name, or make the corpora with: "
            "python scripts/create_mixed_corpus.py"
        ) from error


def as_document(text: str) -> tuple[bytes, int]:
    """A document's bytes as a corpus holds them, and how many of its lines got a space to differ from the separator."""
    text, escaped = OWN_SEPARATOR_LINE.subn(SEPARATOR + " ", text)
    return (text if text.endswith("\n") else text + "\n").encode(), escaped


def explained(error: OSError, path: Path, written: int) -> OSError | CorpusError:
    """The error in the user's words where the disk is full; any other error as it is."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    free = shutil.disk_usage(path.parent).free
    return CorpusError(
        f"the disk is full: {path.name} needs more than the {written:,} bytes written so far and {free:,} are free in "
        f"{path.parent}; the corpora that were there are unchanged. Free some space and try again"
    )


class CorpusWriter:
    """Writes a corpus to a temporary file beside the target, which takes the target's place on success only.

        with CorpusWriter("data/processed/code_corpus.txt") as corpus:
            corpus.write("print('one document')\\n")

    `documents`, `bytes` (of the documents, separators not counted) and `sha256` (of the file) say what was written;
    `escaped` counts lines of documents that read like the separator and got a trailing space.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.documents = self.bytes = self.escaped = 0
        self._temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        self._hash = hashlib.sha256()

    def __enter__(self) -> "CorpusWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._temporary, "wb")
        return self

    def write(self, text: str) -> int:
        """Append one document, ended by a newline, and return its size in bytes. Empty text is no document."""
        if not text:
            return 0
        encoded, escaped = as_document(text)
        self._put((f"{SEPARATOR}\n".encode() if self.documents else b"") + encoded)
        self.documents += 1
        self.bytes += len(encoded)
        self.escaped += escaped
        return len(encoded)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def _put(self, encoded: bytes) -> None:
        self._hash.update(encoded)
        try:
            self._file.write(encoded)
        except OSError as error:
            raise explained(error, self.path, self.bytes) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        try:
            try:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            finally:
                self._file.close()
            if kind is None:
                os.replace(self._temporary, self.path)
        except OSError as failure:
            raise explained(failure, self.path, self.bytes) from failure
        finally:
            self._temporary.unlink(missing_ok=True)
