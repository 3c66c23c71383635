"""Trains the tokenizer on the training corpus and writes `tokenizer_8k.json`, keeping the one that was there.

    python tokenizer/train_tokenizer_improved.py --corpus data/processed/mixed_corpus.txt --vocab_size 8192

The same corpus gives the same file, byte for byte: nothing here is random. A corpus larger than `--sample_mb` is
read in pieces spread evenly over it. Retraining orphans no checkpoint, since each carries its own tokenizer.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import os
import shutil
import time
from collections.abc import Iterator

from data.corpus import CorpusError, read_pieces
from tokenizer.bpe import DEFAULT_TOKENIZER, Tokenizer, TokenizerError

DEFAULT_CORPUS = Path(__file__).resolve().parents[1] / "data" / "processed" / "mixed_corpus.txt"


def sampled_texts(corpus: Path, sample_bytes: int) -> Iterator[str]:
    """Pieces of a corpus, all of them or evenly spread ones of about `sample_bytes` in total, with a progress bar."""
    from tqdm import tqdm  # not above: where packages are missing, tokenizer/__init__.py is to say so

    corpus_bytes = corpus.stat().st_size if corpus.is_file() else 0
    share = min(1.0, sample_bytes / max(corpus_bytes, 1))
    seen = taken = 0
    with tqdm(total=corpus_bytes, unit="B", unit_scale=True, desc="Reading", mininterval=0.5) as progress:
        for piece in read_pieces(corpus):
            size = len(piece.text.encode())
            seen += size
            if taken + size <= share * seen + 1:
                taken += size
                yield piece.text
            progress.update(size)
    if not taken:
        raise TokenizerError(f"{corpus} holds no text; make a corpus with: python scripts/create_mixed_corpus.py")
    print(f"Read {taken:,} of {seen:,} bytes; now joining the most frequent pairs", flush=True)


def keep_previous(path: Path) -> Path:
    """Copies a file beside itself under the first free name of x.previous.json, x.previous2.json, ..."""
    number = 1
    while (kept := path.with_name(f"{path.stem}.previous{number if number > 1 else ''}{path.suffix}")).exists():
        number += 1
    shutil.copy2(path, kept)
    return kept


def write_tokenizer(trained: Tokenizer, path: Path) -> None:
    """Puts the new tokenizer in place in one step; what stood there is kept and named on the screen."""
    if path.exists() and path.read_bytes() == trained.to_json().encode():
        print(f"{path} is already this tokenizer; nothing to write")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(trained.to_json())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            print(f"The previous tokenizer is kept as {keep_previous(path)}")
            print("  checkpoints:  not affected, each carries the tokenizer it was trained with")
            print("  token caches: made anew by the next training, they are keyed by the tokenizer's hash")
            print(
                "  an unfinished training: the next one starts afresh and archives it; to finish it, put the file back"
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"Wrote {path}: {trained.vocab_size:,} tokens, sha256 {trained.sha256[:16]}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Train the byte-level BPE tokenizer.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="text to learn from")
    parser.add_argument("--vocab_size", "--vocab-size", type=int, default=8192, help="number of tokens")
    parser.add_argument("--output", type=Path, default=DEFAULT_TOKENIZER, help="where the tokenizer goes")
    parser.add_argument(
        "--sample_mb", "--sample-mb", type=float, default=200, help="learn from at most so many MB of the corpus"
    )
    settings = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        texts = sampled_texts(settings.corpus, int(settings.sample_mb * 1e6))
        trained = Tokenizer.train(texts, settings.vocab_size)
        if trained.vocab_size < settings.vocab_size:
            print(
                f"{settings.corpus} repeats itself too little for {settings.vocab_size:,} tokens, it gives "
                f"{trained.vocab_size:,}; nothing was written. Add text, or ask for --vocab_size {trained.vocab_size} "
                "(and the same vocab_size in the model's config)",
                file=sys.stderr,
            )
            return 1
        write_tokenizer(trained, settings.output)
    except (TokenizerError, CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped: the tokenizer on disk is unchanged", file=sys.stderr)
        return 2
    print(f"Done in {time.monotonic() - started:.0f} s. Next: python tokenizer/verify_token.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
