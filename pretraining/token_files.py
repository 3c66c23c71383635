"""Corpora as token ids on disk, made once and used until corpus or tokenizer change.

Beside `mixed_corpus.txt` stand `mixed_corpus.tokens.bin` (uint16, little-endian, each document starting with
`<|endoftext|>`) and `mixed_corpus.tokens.json`, which says of which corpus and tokenizer they are, by sha256. The
json is written last, so a cache without a matching one is half-written or stale and is made anew.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.corpus import SEPARATOR, CorpusError, Piece, read_pieces
from tokenizer.bpe import Tokenizer

BATCH_CHARACTERS = 8 << 20  # text handed to the tokenizer at once: enough for all cores, little memory
OWN_HELD_OUT_SHARE = 0.05


@dataclass(frozen=True)
class TokenFile:
    """One tokenised corpus. `tail_*` mark where its last 5% begin, at the start of a line."""

    path: Path
    corpus_sha256: str
    tokenizer_sha256: str
    tokens: int
    text_bytes: int
    tail_token: int
    tail_byte: int

    def open(self) -> np.ndarray:
        """The token ids as a read-only array on disk."""
        return np.memmap(self.path, dtype="<u2", mode="r", shape=(self.tokens,))


def tokenize_corpus(corpus: Path, tokenizer: Tokenizer) -> TokenFile:
    """The tokens of a corpus, from the cache beside it or made now. Raises CorpusError when it is missing or empty."""
    try:
        corpus_sha256 = _sha256(corpus)
    except (FileNotFoundError, IsADirectoryError):
        raise CorpusError(f"there is no corpus file {corpus}") from None
    except OSError as error:
        raise CorpusError(f"the corpus file {corpus} can not be read ({error.strerror})") from None
    path, passport = corpus.with_suffix(".tokens.bin"), corpus.with_suffix(".tokens.json")
    known = _read_passport(path, passport)
    if known and (known.corpus_sha256, known.tokenizer_sha256) == (corpus_sha256, tokenizer.sha256):
        print(f"[Dataset] Using cached tokens {path.name} ({known.tokens:,} tokens)")
        return known
    print(
        f"[Dataset] Loading from corpus file {corpus.name}, turning {corpus.stat().st_size / 1e6:,.1f} MB into tokens"
    )
    try:
        passport.unlink(missing_ok=True)
        made = _write_tokens(corpus, path, tokenizer, corpus_sha256)
        temporary = passport.with_name(f"{passport.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(made) | {"path": path.name}, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, passport)
    except OSError as error:
        free = shutil.disk_usage(corpus.parent).free
        raise CorpusError(
            f"the tokens of {corpus} could not be written beside it: {error} ({free / 1e6:,.0f} MB are free there). "
            "Free some space, or copy the corpus to a folder that you may write to"
        ) from error
    print(f"[Dataset] {made.tokens:,} tokens, {made.text_bytes / made.tokens:.2f} bytes each")
    return made


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_passport(path: Path, passport: Path) -> TokenFile | None:
    """The description of a complete cache, or None."""
    try:
        token_file = TokenFile(**json.loads(passport.read_text(encoding="utf-8")) | {"path": path})
        return token_file if path.stat().st_size == 2 * token_file.tokens else None
    except (OSError, ValueError, TypeError):  # missing, or not what this module writes
        return None


def _write_tokens(corpus: Path, path: Path, tokenizer: Tokenizer, corpus_sha256: str) -> TokenFile:
    """Encode a corpus piece by piece into `path`, which is replaced only when all is written."""
    size = corpus.stat().st_size
    tokens = text_bytes = 0
    tail = None
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # another run may be making the same tokens
    try:
        with (
            open(temporary, "wb") as file,
            tqdm(total=size, unit="B", unit_scale=True, desc="[Dataset] tokens", leave=False, disable=None) as bar,
        ):
            for batch in _batches(_mark_tail(read_pieces(corpus), int(size * (1 - OWN_HELD_OUT_SHARE)))):
                encoded = tokenizer.encode_batch([piece.text for piece, _ in batch])
                for (piece, starts_tail), ids in zip(batch, encoded, strict=True):
                    if starts_tail:
                        tail = (tokens, text_bytes)
                    start = [tokenizer.end_of_text_id] if piece.starts_document else []
                    np.asarray(start + ids, dtype="<u2").tofile(file)
                    tokens += len(start) + len(ids)
                    piece_bytes = len(piece.text.encode())
                    text_bytes += piece_bytes
                    bar.update(piece_bytes)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if not tokens:
        raise CorpusError(f"{corpus} holds no text. Make it anew: python scripts/create_mixed_corpus.py")
    tail_token, tail_byte = tail or (tokens, text_bytes)
    return TokenFile(path, corpus_sha256, tokenizer.sha256, tokens, text_bytes, tail_token, tail_byte)


def _mark_tail(pieces: Iterator[Piece], tail_byte: int) -> Iterator[tuple[Piece, bool]]:
    """Pass pieces on, cutting one at the first line start at or after `tail_byte`; true goes with what begins there."""
    seen, found = 0, False
    for piece in pieces:
        encoded = piece.text.encode()
        before = seen + (len(SEPARATOR) + 1 if seen and piece.starts_document else 0)
        seen = before + len(encoded)
        if found or seen <= tail_byte:
            yield piece, False
        elif before >= tail_byte:
            found = True
            yield piece, True
        else:
            cut = encoded.find(b"\n", tail_byte - before - 1) + 1
            found = 0 < cut < len(encoded)
            if found:
                yield Piece(encoded[:cut].decode(), piece.starts_document), False
                yield Piece(encoded[cut:].decode(), False), True
            else:
                yield piece, False


def _batches(pieces: Iterator[tuple[Piece, bool]]) -> Iterator[list[tuple[Piece, bool]]]:
    """Group pieces, so that the tokenizer can work on many at once."""
    batch: list[tuple[Piece, bool]] = []
    characters = 0
    for piece, starts_tail in pieces:
        batch.append((piece, starts_tail))
        characters += len(piece.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
